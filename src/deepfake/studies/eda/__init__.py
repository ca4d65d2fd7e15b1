"""The data before any training: what it holds, how real and fake differ, and whether its splits are sound."""
