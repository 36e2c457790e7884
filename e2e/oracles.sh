#!/usr/bin/env bash
# Installs the programs that the tests measure kmodseal against: the kernel's
# sign-file, openssl, modinfo, skopeo, umoci and the compressors. Says what is
# missing and fails where it may not install.
set -euo pipefail

packages=(kmod openssl xz-utils zstd gzip skopeo umoci linux-kbuild-6.1 shellcheck)

missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "missing oracles: ${missing[*]} (install them as root on Debian 12; their tests are skipped)" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
