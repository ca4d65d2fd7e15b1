"""What training costs: our engine against other loops, folds side by side, growth, and the hours of a full study."""

from deepfake.bench.training.step import MODEL, Step, in_memory, seconds, trainer

__all__ = ["MODEL", "Step", "in_memory", "seconds", "trainer"]
