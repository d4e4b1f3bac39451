"""One file a venue: what its replies mean and what its requests cost. Pure: bytes in, values out."""
