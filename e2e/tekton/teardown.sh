#!/usr/bin/env bash
# run.sh must leave nothing behind where it does not come to its end: by a test that fails, by the signal
# with which a CI cancels a job, and by one that nobody can catch; each while a pod runs.
# Builds nothing that run.sh has not built already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
LAB=$(cd "${LAB:-$here/../../.cache/tekton}" && pwd)
export LAB
log=$LAB/teardown.log

die() {
	cat "$log" >&2
	echo "teardown after $what: $*" >&2
	{ kill "$run" 2>/dev/null && wait "$run"; } || true # else it would hold the node for the next run
	exit 1
}

for what in failure TERM KILL; do
	: >"$log" # here: the background opens it when it gets to it, and the last run's would be read
	HANG=$([ "$what" = failure ] || echo 10m) "$here/run.sh" -test.run '^TestHang$' >"$log" 2>&1 </dev/null &
	run=$!
	if [ "$what" != failure ]; then
		until grep -q 'a pod runs' "$log"; do kill -0 "$run" 2>/dev/null || die 'ended too early' && sleep 0.2; done
		! "$here/lab.sh" left 2>/dev/null || die 'the node is up, and nothing of it is found'
		kill -s "$what" "$run"
	fi
	! wait "$run" || die 'ended well'
	grep -q 'a pod runs' "$log" || die 'no pod ran'
	flock -w 60 "$LAB/lock" true || die 'still going on'
	"$here/lab.sh" left || die 'something is left'
	! pgrep -f "$LAB/(bin|e2e.test|run)" || die 'processes are left'
	echo "teardown after $what: nothing left"
done
