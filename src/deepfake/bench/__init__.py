"""Measurements of the machinery itself: how fast it loads, and what that costs in sharpness."""
