"""The notebooks executed: as Jupyter opens them, and as pages that need nothing else."""
