"""A trained run at every threshold."""
