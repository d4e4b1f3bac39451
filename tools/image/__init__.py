"""`make image`: fetch, build, look through, describe."""
