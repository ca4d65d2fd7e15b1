#!/bin/sh
# Runs a command on the head of a Ray cluster, if params.yaml sends jobs there.
set -eu

python - <<'CHECK'
import sys
from pathlib import Path

from deepfake import config
from deepfake.errors import InputError
from deepfake.project import Project

with Project(Path()).entered():
    try:
        execution = config.load().execution
    except InputError as error:
        sys.exit(print(f"deepfake: {error}", file=sys.stderr) or 2)
if (execution.backend, execution.address) != ("ray", "auto"):
    print("deepfake: params.yaml: set execution.backend to ray and execution.address to auto", file=sys.stderr)
    sys.exit(2)
CHECK
# of a job that was killed: its process numbers mean others here, and DVC would wait for them
rm -f .dvc/tmp/rwlock
exec "$@"
