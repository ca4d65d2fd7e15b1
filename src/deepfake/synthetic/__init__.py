"""The embedded samples: small data sets that the project makes itself, from photographs that a package carries."""
