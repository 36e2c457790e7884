#!/usr/bin/env bash
# Builds act, which runs the workflows, into .cache/bin; and for jobs in containers
# installs Docker's engine and packs a job image from Debian packages into .cache/github.
# Where it may not, the tests say that they were not run in containers, or fail
# if KMODSEAL_REQUIRE_ORACLES is set.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=$here/../../.cache
[ -x "$cache/bin/act" ] || GOBIN=$(realpath -m "$cache/bin") CGO_ENABLED=0 go install github.com/nektos/act@v0.2.89

rootfs=$cache/github/rootfs-$(go env GOARCH).tar
if "$here/../apt.sh" curl docker.io mmdebstrap && [ ! -f "$rootfs" ]; then
  mkdir -p "$cache/github"
  mmdebstrap --quiet --format=tar --variant=minbase --include=ca-certificates,curl bookworm "$rootfs.new" &&
    mv "$rootfs.new" "$rootfs" || echo "no job image: mmdebstrap failed" >&2
fi
exit 0
