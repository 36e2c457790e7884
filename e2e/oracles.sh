#!/usr/bin/env bash
# Installs the programs that the tests measure kmodseal against: the kernel's
# sign-file, openssl, modinfo, skopeo, umoci and the compressors. Where it may
# not, their tests are skipped.
set -euo pipefail
exec "$(dirname "$0")/apt.sh" kmod openssl xz-utils zstd gzip skopeo umoci linux-kbuild-6.1 shellcheck curl
