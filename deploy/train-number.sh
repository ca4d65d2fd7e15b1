#!/bin/sh
# Trains run number $1, counted from 0, of those that `deepfake runs list --trained` prints: one worker of a batch job.
set -eu

runs=$(deepfake runs list --trained)
name=$(printf '%s\n' "$runs" | sed -n "$(($1 + 1))p")
if [ -z "$name" ]; then
    echo "deepfake: there is no run number $1; deepfake runs list --trained prints them, the first is number 0" >&2
    exit 2
fi
exec deepfake train "$name"
