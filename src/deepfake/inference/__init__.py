"""Verdicts on user-supplied files: found, read, decoded, predicted by a run."""
