"""Detectors on several data sets: what each predicts there, and what it loses where it was not trained."""
