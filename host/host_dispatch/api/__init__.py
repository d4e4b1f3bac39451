"""gRPC for engines and operators: translates calls, decides nothing."""
