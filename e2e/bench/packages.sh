#!/usr/bin/env bash
# Installs what the benchmarks compare kmodseal with.
set -euo pipefail
exec "$(dirname "$0")/../apt.sh" buildah skopeo docker-registry linux-kbuild-6.1 openssl curl python3-minimal
