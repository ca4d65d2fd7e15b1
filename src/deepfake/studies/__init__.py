"""Experiments over folds, and the comparisons that are made of them."""
