"""Clips: a verdict on single frames against one verdict on the whole clip."""
