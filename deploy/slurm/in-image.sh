#!/usr/bin/env bash
# Runs a command in the image on a node of deploy/slurm/ray.sbatch.
set -euo pipefail

image=${DEEPFAKE_IMAGE:-deepfake.sif}
# its own /tmp: the image keeps caches there, Ray its sockets, and on a shared node they would be somebody else's
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

# exec, not run, since Apptainer reads an entry point in its own way
apptainer exec --nv --bind "$PWD:/workspace" --bind "$temporary:/tmp" --pwd /workspace "$image" \
    /opt/deepfake/deploy/entrypoint.sh "$@" &
inside=$!
trap 'kill -TERM "$inside" 2>/dev/null' TERM

code=0
wait "$inside" || code=$?
wait "$inside" || true # a signal ends the first one
exit "$code"
