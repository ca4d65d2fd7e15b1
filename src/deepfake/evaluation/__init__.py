"""How good a detector is, and how sure of it one may be: arrays in, numbers out, no torch and no files."""
