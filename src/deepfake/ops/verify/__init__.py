"""Whether a run repeats what is committed: every figure equal, within retraining noise or different; every verdict."""
