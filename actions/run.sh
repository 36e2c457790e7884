#!/usr/bin/env bash
# run.sh STEP [title]: runs a step whose flags are in the environment
# (KMODSEAL_<FLAG>) and whose arguments, one a line, are in ARGUMENTS.
# With a title the log goes into a group, and not into the job summary.
set -euo pipefail

arguments=()
while IFS= read -r line; do
  [[ -z $line ]] || arguments+=("$line")
done <<<"${ARGUMENTS-}"

if [[ -n ${2-} ]]; then
  echo "::group::$2"
  export GITHUB_STEP_SUMMARY=
fi
code=0
"$BIN/$1" ${arguments[@]+-- "${arguments[@]}"} || code=$?
if [[ -n ${2-} ]]; then echo "::endgroup::"; fi
exit "$code"
