"""Explanations: where detectors look, what they get wrong, how sure they are."""
