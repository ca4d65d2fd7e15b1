"""Class imbalance: losses, samplers and thresholds where one class is rare."""
