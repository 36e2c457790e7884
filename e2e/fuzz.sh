#!/usr/bin/env bash
# Runs every fuzz target as often as asked. usage: fuzz.sh 5000x
# A count, not a time: go test can report its own end of time as a failure,
# "context deadline exceeded", when that falls into an execution.
set -euo pipefail

found=0
while IFS=: read -r file _ func; do
  target=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/' <<<"$func")
  go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 10x "./$(dirname "$file")"
  found=$((found + 1))
done < <(git grep -n '^func Fuzz' -- '*_test.go')
echo "$found fuzz targets"
[ "$found" -gt 0 ]
