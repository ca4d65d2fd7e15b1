"""What a branch changed, for its pull request."""
