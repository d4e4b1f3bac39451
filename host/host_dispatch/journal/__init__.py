"""The host's journal: what was durable when. One interface, SQLite behind it."""
