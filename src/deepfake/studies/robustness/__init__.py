"""Detectors under corruption."""
