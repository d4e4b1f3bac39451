"""The policy: how its bytes are read, how it is prepared, and one rule a file."""
