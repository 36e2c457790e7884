#!/usr/bin/env bash
# install.sh STEP...: puts the binaries of the steps into a folder and gives it
# as the output "bin". A release has checksums in ./pins: its archive is
# downloaded once and kept in the tool cache. A branch has none, and is built.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pins=$here/pins
debug() { [[ ${RUNNER_DEBUG-} != 1 ]] || echo "::debug::$1"; }
die() {
  echo "::error title=kmodseal::$1" >&2
  exit 1
}

platform() {
  local os arch
  case $(uname -s) in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    MINGW* | MSYS*) os=windows ;;
    *) die "no binaries for $(uname -s)" ;;
  esac
  case $(uname -m) in
    x86_64) arch=amd64 ;;
    aarch64 | arm64) arch=arm64 ;;
    ppc64le | s390x) arch=$(uname -m) ;;
    *) die "no binaries for $(uname -m)" ;;
  esac
  echo "${os}_$arch"
}

checksum() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1; }

# download VERSION: the release's archive, checked before anything is unpacked.
# The folder's name holds the checksum, so another archive never hides behind it,
# and the folder appears when it is complete.
download() {
  local archive sum url got work cache
  archive=kmodseal_$(platform).tar.gz
  sum=$(awk -v a="$archive" '$2 == a { print $1 }' "$pins")
  [[ $sum =~ ^[0-9a-f]{64}$ ]] || die "release $1 has no $archive"
  cache=${RUNNER_TOOL_CACHE:-$RUNNER_TEMP}/kmodseal/$1
  bin=$cache/${sum:0:16}
  if [[ -d $bin ]]; then
    debug "kmodseal $1 from the tool cache: $bin"
    return
  fi
  url=${KMODSEAL_RELEASES:-https://github.com/kmodseal/kmodseal/releases/download}/$1/$archive
  debug "download $url"
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/new-XXXXXX")
  # From here all names are relative: to tar, C: is another machine.
  if ! (
    cd "$work" || exit
    curl --fail --silent --show-error --location --retry 3 --output "$archive" "$url" || die "download $url"
    got=$(checksum "$archive")
    [[ $got == "$sum" ]] || die "$url has SHA-256 $got, pinned is $sum"
    mkdir bin
    tar -xzf "$archive" -C bin || die "unpack $url"
  ); then
    rm -rf "$work"
    exit 1
  fi
  [[ -d $bin ]] || mv "$work/bin" "$bin" # another job may have been faster
  rm -rf "$work"
}

build() {
  command -v go >/dev/null || die "no Go to build the steps from a branch: use a release tag, or actions/setup-go before"
  bin=${RUNNER_TEMP:-/tmp}/kmodseal/$(cksum <<<"$here" | cut -d ' ' -f 1)
  debug "build $* from $here into $bin"
  mkdir -p "$bin"
  (cd "$here/.." && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$bin/" "${@/#/./steps/}") || die "build $*"
}

version=$(awk '$1 == "version" { print $2 }' "$pins")
if [[ -n $version ]]; then download "$version"; else build "$@"; fi
for step in "$@"; do
  [[ -e $bin/$step || -e $bin/$step.exe ]] || die "there is no $step for $(platform)"
done
echo "bin=$bin" >>"$GITHUB_OUTPUT"
