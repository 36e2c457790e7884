#!/usr/bin/env bash
# Installs the Debian packages named that are not installed yet. usage: apt.sh PACKAGE...
# Says what is missing and fails where it may not install.
set -euo pipefail

missing=()
for p in "$@"; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "missing: ${missing[*]} (install them as root on Debian 12)" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -oDPkg::Lock::Timeout=600 -qq -y --no-install-recommends "${missing[@]}" >/dev/null
