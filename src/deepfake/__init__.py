"""A laboratory for deepfake detectors: which one works, why, and will it work on data it has never seen."""
