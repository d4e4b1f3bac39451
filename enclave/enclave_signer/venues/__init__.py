"""One file a venue: how its requests are built and signed, and what its signature covers."""
