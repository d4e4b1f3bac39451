"""The build's own helpers. Standard library only: they run before anything is installed."""
