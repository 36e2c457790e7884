#!/usr/bin/env bash
# run.sh STEP [title]: runs a step whose flags are in the environment
# (KMODSEAL_<FLAG>) and whose arguments, one a line, are in ARGUMENTS.
# With a title the log goes into a group, and not into the job summary.
set -euo pipefail

# mask NAME: hides every line of a variable. A secret is masked anyway; a key
# that came from elsewhere is not. Nothing goes through an argument list.
mask() {
  local line
  while IFS= read -r line || [[ -n $line ]]; do
    line=${line%$'\r'}
    [[ ${#line} -lt 4 ]] || echo "::add-mask::$line"
  done <<<"${!1-}"
}

if [[ $1 == sign-kmods && ${KMODSEAL_KEY-} =~ ^env:[A-Za-z_][A-Za-z0-9_]*$ ]]; then
  mask "${KMODSEAL_KEY#env:}"
fi

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
