"""Around the studies: the machine, the repository, what a branch changed, what a run reproduces."""
