#!/usr/bin/env bash
# run.sh must leave nothing behind where it fails: once by a test that is cut
# off while its pods run, once by the signal with which a CI cancels a job.
# Builds nothing that run.sh has not built already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export LAB=${LAB:-$here/../../.cache/tekton}
log=$LAB/teardown.log

fails() { # fails WHAT WANTED-IN-THE-LOG COMMAND...
	local what=$1 want=$2
	shift 2
	if "$@" >"$log" 2>&1 </dev/null || ! grep -q "$want" "$log" || grep -q 'left behind' "$log" || ! "$here/lab.sh" left; then
		cat "$log" >&2
		echo "$what: not as it should be" >&2
		exit 1
	fi
	echo "$what: nothing left"
}

cancelled() {
	"$here/run.sh" -test.run '^TestTekton$/^SealImage$' &
	local run=$!
	until [ "$(pods)" -gt 0 ]; do kill -0 "$run" && sleep 0.5; done
	kill -TERM "$run"
	echo "cancelled with $(pods) pods"
	wait "$run"
}

# pods counts those that are not Tekton's own.
pods() { "$here/lab.sh" kubectl get pods -n drivers --no-headers 2>/dev/null | wc -l; }

fails 'a test that is cut off' 'panic: test timed out' "$here/run.sh" -test.run '^TestTekton$/^SealImage$' -test.timeout 8s
fails 'a run that is cancelled' 'cancelled with' cancelled
