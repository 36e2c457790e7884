#!/usr/bin/env bash
# The Tekton test: builds what it needs into .cache/tekton (cached), starts the
# node, runs the Go test inside its namespaces and stops everything, also after
# a failure. Arguments go to the test binary, such as -test.run Pipeline.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export LAB=${LAB:-$root/.cache/tekton} CGO_ENABLED=0
export KMODSEAL_LAB=$LAB

mkdir -p "$LAB/bin"
exec 9>"$LAB/lock"
flock -n 9 || { echo "$LAB is in use by another run" >&2; exit 1; }
"$here/lab.sh" deps
cd "$root"
go test -c -tags e2e -o "$LAB/e2e.test" ./e2e/tekton
go build -trimpath -o "$LAB/bin/guestinit" ./e2e/secureboot/cmd/guestinit
go build -trimpath -o "$LAB/bin/images" ./e2e/images
"$LAB/bin/images" -platforms linux/amd64 -version e2e -out "$LAB/steps"
cd "$here"
"$LAB/e2e.test" -test.run '^TestFetch$'
"$here/lab.sh" build

finish() {
	local status=$?
	trap '' INT TERM HUP
	"$here/lab.sh" down
	"$here/lab.sh" left || status=1
	exit "$status"
}
"$here/lab.sh" down # of a run that was killed
trap finish EXIT
"$here/lab.sh" up
"$here/lab.sh" exec "$LAB/e2e.test" -test.v -test.run '^TestTekton$' -test.parallel 6 -test.timeout 30m "$@"
