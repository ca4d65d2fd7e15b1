"""The final model on the test set, which is opened once."""
