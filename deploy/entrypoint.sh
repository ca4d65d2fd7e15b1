#!/bin/sh
# What the container starts: a deepfake command, or one of the programs dvc, git, ray, bash, sh and python.
set -eu

image=/opt/deepfake

say() {
    echo "deepfake: $*" >&2
}

# Where nothing is mounted, or an empty folder: a copy of the project in the image, on the sample data.
adopt() {
    if [ -w . ]; then
        kept="a folder mounted at /workspace keeps the results"
        [ -n "$(awk '$5 == "/workspace"' /proc/self/mountinfo)" ] && kept="results stay in the folder mounted there"
    else
        mkdir -p /tmp/workspace || {
            say "/tmp cannot be written: give the container a temporary file system (--tmpfs /tmp)"
            exit 2
        }
        cd /tmp/workspace
        kept="mount a folder at /workspace that uid $(id -u) may write to keep the results"
    fi
    cp -R "$image/." .
    say "no project mounted: working on a copy of the image's own in $PWD; $kept"
}

case "${1:-}" in
'' | -h | --help | --version) ;;
*)
    if [ "$PWD" = /workspace ] && [ -z "$(ls -A)" ]; then
        adopt
    fi
    ;;
esac

# the mounted project's own code runs, in the image's environment
if [ -d src/deepfake ]; then
    PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"
    export PYTHONPATH
    # the image's commit is told for the image's code only
    diff -rq --exclude=__pycache__ src "$image/src" >/dev/null || unset DEEPFAKE_COMMIT
    cmp -s requirements.lock "$image/requirements.lock" ||
        say "requirements.lock is not the one that this image was built from; rebuild the image for these very packages"
fi

case "${1:-}" in
dvc | git | ray | bash | sh | python) exec "$@" ;;
*) exec deepfake "$@" ;;
esac
