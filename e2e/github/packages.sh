#!/usr/bin/env bash
# Builds act, which runs the workflows, into .cache/bin.
set -euo pipefail

bin=$(cd "$(dirname "$0")/../.." && pwd)/.cache/bin
[ -x "$bin/act" ] || GOBIN=$bin CGO_ENABLED=0 go install github.com/nektos/act@v0.2.89
