#!/usr/bin/env bash
# The Tekton test: builds what it needs into .cache/tekton (cached), starts the
# node, runs the Go test inside its namespaces and stops everything, also after
# a failure. Arguments go to the test binary, such as -test.run Pipeline.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export LAB=${LAB:-$root/.cache/tekton} CGO_ENABLED=0

"$here/lab.sh" deps
"$root/e2e/driver/packages.sh"
"$here/lab.sh" build
cd "$root"
go run ./e2e/images -platforms linux/amd64 -version e2e -out "$LAB/steps"
go test -c -tags e2e -o "$LAB/e2e.test" ./e2e/tekton
trap '"$here/lab.sh" down' EXIT
"$here/lab.sh" up
cd "$here"
KMODSEAL_LAB=$LAB "$here/lab.sh" exec "$LAB/e2e.test" -test.v -test.parallel 6 -test.timeout 30m "$@"
