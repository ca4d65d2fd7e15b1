"""Shortcuts: what predicts the label without a look at the content, and what detectors make of it."""
