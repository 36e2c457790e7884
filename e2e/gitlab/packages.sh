#!/usr/bin/env bash
# Fetches gitlab-ci-local, which runs the components, the Node that it needs, and the
# JSON schemas of SARIF and CycloneDX with a validator into .cache/npm; rsync, wget
# and xmllint from Debian. Of CycloneDX's library the schemas alone are used: no peers.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
npm=$here/../../.cache/npm
"$here/../apt.sh" rsync libxml2-utils wget
command -v npm >/dev/null || "$here/../apt.sh" npm
mkdir -p "$npm"
for m in .bin/gitlab-ci-local .bin/node @microsoft/jest-sarif @cyclonedx/cyclonedx-library ajv; do
  [ -e "$npm/node_modules/$m" ] && continue
  npm install --prefix "$npm" --no-audit --no-fund --no-save --loglevel error --legacy-peer-deps \
    gitlab-ci-local@4.75.1 node@22.23.3 @microsoft/jest-sarif@1.0.0-beta.0 @cyclonedx/cyclonedx-library@10.3.0 ajv@6.12.6
  break
done
