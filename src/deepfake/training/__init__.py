"""From the manifest to the predictions: one fold at a time, in plain PyTorch."""
