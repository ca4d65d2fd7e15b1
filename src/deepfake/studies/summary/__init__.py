"""The summary of all studies."""
