#!/bin/sh
# What each node of deploy/slurm/ray.sbatch does in the image: `head HOST:PORT COMMAND...` or `worker HOST:PORT`.
set -eu

role=$1 address=$2
shift 2
# on a shared node no more than Slurm gave; results and data go by path, so Ray's own store is small
limits="--num-cpus=${SLURM_CPUS_PER_TASK:-1} --num-gpus=${SLURM_GPUS_ON_NODE:-0} --object-store-memory=1000000000"
export RAY_USAGE_STATS_ENABLED=0 RAY_ADDRESS="$address"

# Waits until the head answers.
reach() {
    tries=0
    until ray health-check --address "$address" >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 60 ]; then
            echo "deepfake: Ray did not start at $address" >&2
            return 1
        fi
        sleep 1
    done
}

if [ "$role" = worker ]; then
    reach
    # shellcheck disable=SC2086  # several words
    exec ray start --block --address="$address" $limits
fi

# shellcheck disable=SC2086
ray start --block --head --port="${address##*:}" --include-dashboard=false $limits &
cluster=$!
# an end that this script is asked for is the command's first
command=$cluster
trap 'kill -TERM "$command" 2>/dev/null' TERM

code=1
# shellcheck disable=SC2310  # what it returns is looked at
if reach; then
    "$@" &
    command=$!
    code=0
    wait "$command" || code=$?
    wait "$command" || true # a signal ends the first one
fi
kill -TERM "$cluster" 2>/dev/null || true
wait "$cluster" || true
exit "$code"
