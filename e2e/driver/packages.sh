#!/usr/bin/env bash
# Fetches what the driver test works on into .cache/driver: the DKMS sources of
# real drivers, the headers of two Debian kernels and a Debian userland. The
# packages are unpacked, not installed. Installs the tools that it needs.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
cache=$root/.cache/driver
"$root/e2e/apt.sh" gcc-12 make libc6-dev dwarves xz-utils binutils skopeo umoci kmod openssl docker-registry
apt-cache show linux-headers-amd64 >/dev/null 2>&1 || apt-get update -qq

release() { apt-cache search --names-only "^linux-headers-$1[0-9.+~a-z-]*-amd64\$" | cut -d' ' -f1 |
  grep -vE 'cloud|rt-' | sort -V | tail -1 | sed 's/^linux-headers-//'; }
old=$(release '6\.1\.0-')
new=$(release '6\.12\.')

drivers=(v4l2loopback-dkms acpi-call-dkms digimend-dkms evdi-dkms)
userland=(base-files bash coreutils dash grep kmod libc6 libkmod2 liblzma5 libzstd1 sed tar util-linux)
packages=("${drivers[@]}" "${userland[@]}")
for r in "$old" "$new"; do
  packages+=("linux-headers-$r" "linux-headers-${r%-amd64}-common")
done
packages+=(linux-kbuild-6.1 "linux-kbuild-${new%-amd64}" "linux-image-$old" "linux-image-$new")

mkdir -p "$cache/debs" "$cache/root" "$cache/userland"
cd "$cache/debs"
for p in "${packages[@]}"; do
  compgen -G "${p}_*.deb" >/dev/null || apt-get -qq download "$p"
done
for deb in *.deb; do
  [ -e "../unpacked-$deb" ] && continue
  target=../root
  case " ${userland[*]} " in *" ${deb%%_*} "*) target=../userland ;; esac
  dpkg -x "$deb" "$target"
  touch "../unpacked-$deb"
done

# A header package includes its common half, and that its kbuild half, by
# absolute path: let them name the copies here.
for r in "$old" "$new"; do
  sed -i "s#^include .*/\(linux-headers-[^/]*-common[^/]*/Makefile\)#include $cache/root/usr/src/\1#" \
    "$cache/root/usr/src/linux-headers-$r/Makefile"
done
printf '%s\n%s\n' "$old" "$new" >"$cache/releases"
