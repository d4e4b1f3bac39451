"""HTTP to the venues, behind one small interface."""
