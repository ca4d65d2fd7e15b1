#!/bin/bash
# Makes an image that stands for debian:SUITE-slim where no registry of images can be reached, from the mirror that apt
# uses already. A private certificate authority that this machine trusts is trusted there, too.
# usage: stand_in_base.sh SUITE TAG
set -euo pipefail
suite=$1 tag=$2
apt-get update -qq
# shellcheck disable=SC2016
mirror=$(apt-get indextargets --format '$(REPO_URI)' | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
debootstrap --variant=minbase --include=ca-certificates "$suite" "$work/root" "$mirror"
own=/usr/local/share/ca-certificates
if compgen -G "$own/*.crt" >/dev/null; then
    cp "$own"/*.crt "$work/root$own"
    chroot "$work/root" update-ca-certificates
fi
bundle=/etc/ssl/certs/ca-certificates.crt
tar -C "$work/root" -c . |
    podman import --change "ENV SSL_CERT_FILE=$bundle" --change "ENV PIP_CERT=$bundle" - "$tag"
