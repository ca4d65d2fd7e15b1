"""`python -m deepfake` is the command `deepfake`."""

from deepfake.cli import main

main(prog_name="deepfake")
