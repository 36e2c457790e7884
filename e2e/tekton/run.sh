#!/usr/bin/env bash
# The Tekton test: builds what it needs into .cache/tekton (cached), starts the
# node, runs the Go test inside its namespaces and stops everything, also after
# a failure, a signal or a kill. Arguments go to the test binary, such as -test.run Pipeline.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export LAB=${LAB:-$root/.cache/tekton} CGO_ENABLED=0
export KMODSEAL_LAB=$LAB

mkdir -p "$LAB/bin"
exec 9>"$LAB/lock"
flock -w 60 9 || { echo "$LAB is in use by another run" >&2; exit 1; }
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
	kill -- "-$guard" 2>/dev/null || true
	exit "$status"
}
"$here/lab.sh" down # of a run that was killed together with its guard
# The guard stops the node where this script could not, since it was killed; until then it keeps the lock.
setsid "$here/lab.sh" guard $$ >"$LAB/guard.log" 2>&1 </dev/null &
guard=$!
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
"$here/lab.sh" up
# In the background, for a signal interrupts wait but no program that runs.
"$here/lab.sh" exec "$LAB/e2e.test" -test.v -test.run '^TestTekton$' -test.parallel 6 -test.timeout 30m "$@" 9>&- &
wait $!
