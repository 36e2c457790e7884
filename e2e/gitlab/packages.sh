#!/usr/bin/env bash
# Fetches gitlab-ci-local, which runs the components, and the Node that it
# needs, into .cache/npm; and rsync, from Debian.
set -euo pipefail

npm=$(cd "$(dirname "$0")/../.." && pwd)/.cache/npm
command -v rsync >/dev/null ||
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends rsync >/dev/null; }
command -v npm >/dev/null ||
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends npm >/dev/null; }
mkdir -p "$npm"
# shellcheck disable=SC2015 # install unless both are there
[ -x "$npm/node_modules/.bin/gitlab-ci-local" ] && [ -x "$npm/node_modules/.bin/node" ] ||
  npm install --prefix "$npm" --no-audit --no-fund --no-save --silent gitlab-ci-local@4.75.1 node@22.23.3
