#!/usr/bin/env bash
# Installs what the benchmarks compare kmodseal with.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
tools=(buildah skopeo docker-registry linux-kbuild-6.1 openssl curl python3-minimal)
dpkg-query -W "${tools[@]}" >/dev/null 2>&1 ||
  { apt-get update -qq && apt-get install -qq -y --no-install-recommends "${tools[@]}" >/dev/null; }
