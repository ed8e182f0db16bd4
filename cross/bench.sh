#!/usr/bin/env bash
# The figures of design.md §8, each beside its budget where there is one.
# Called by `make bench`. They depend on the machine, so it is named first; the
# disk is the one below $TMPDIR, which should be the one you mean.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "machine: $(nproc) cores, $(awk -F': ' '/model name/{print $2; exit}' /proc/cpuinfo), $(df --output=fstype "${TMPDIR:-/tmp}" | tail -1) below ${TMPDIR:-/tmp}, $(go version | cut -d' ' -f3)"

echo
echo "--- the daemon as a process (budgets: 7,000 accepts/s with 32 clients, 20 ms overhead per SMS and 40"
echo "    messages/s, a 3 s modem 99 % busy, 100 ms to the first PDU, 300 ms to the first 202, idle 24 MB and"
echo "    0.05 CPU s per minute without a write)"
go test -run '^$' -bench . -benchtime 1x -timeout 20m ./cmd/tillpostd | grep -E '^Benchmark|FAIL|panic' || true

echo
echo "--- inside the packages"
go test -run '^$' -bench . -timeout 30m $(go list ./... | grep -v /cmd/tillpostd) | grep -E '^Benchmark|^pkg|FAIL|panic' || true

echo
echo "--- binaries (budget: 25 MB)"
cross/build.sh
