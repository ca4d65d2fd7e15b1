"""External predictions: what a detector that does not run here said of each file, read from a table."""
