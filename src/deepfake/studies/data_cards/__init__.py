"""The data card of a data set: what it is, how it was split, and what was set aside."""
