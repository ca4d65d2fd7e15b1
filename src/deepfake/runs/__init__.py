"""Runs: trained detectors and what is derived of them, each an entry of the run store."""
