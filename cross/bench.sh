#!/usr/bin/env bash
# The figures of design.md §8, each beside its budget where there is one.
# Called by `make bench`. They depend on the machine, so it is named first; the
# disk is the one below $TMPDIR, which should be the one you mean.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "machine: $(nproc) cores, $(awk -F': ' '/model name/{print $2; exit}' /proc/cpuinfo), $(df --output=fstype "${TMPDIR:-/tmp}" | tail -1) below ${TMPDIR:-/tmp}, $(go version | cut -d' ' -f3)"

echo
echo "--- the daemon as a process (budgets: 7,000 accepts/s with 32 clients and 1,500/s with 10 ms added to each"
echo "    commit, 20 ms overhead per SMS and 40 messages/s, a 3 s modem 99 % busy, 100 ms to the first PDU, 300 ms"
echo "    to the first 202, idle 24 MB and 0.05 CPU s per minute without a write; on the disk 150 KB a message one"
echo "    at a time and 15 KB at full load, 3 commits before its report; with a million waiting open in 2 s,"
echo "    accept as when empty, 64 MB more anonymous memory)"
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
go test -run '^$' -bench . -benchtime 1x -timeout 60m ./cmd/tillpostd | grep -E '^Benchmark|not run|FAIL|panic' | tee "$figures" | grep -v BesideKannel || true

echo
echo "--- beside Kannel: 20,000 messages of 100 characters, 32 HTTP clients, window 50, one SMSC (a process of its"
echo "    own); Kannel keeps nothing on the disk, Tillpost everything before it answers (budgets: 4,000/s through at"
echo "    once, 900/s at 50 ms)"
awk '
	# Benchmark…/answers=A/ORDER/GATEWAY-CPUS, runs, then values each with its unit
	/^BenchmarkBesideKannel/ {
		split($1, name, "/")
		sub("answers=", "", name[2]); sub("-[0-9]+$", "", name[4])
		delete is
		is["through/s"] = "-" # where all were accepted first
		for (i = 3; i < NF; i += 2) is[$(i + 1)] = $i
		if (!head++) printf "    %-8s %-13s %-9s %10s %10s %10s %7s %12s\n", "answers", "order", "gateway", "accepts/s", "submits/s", "through/s", "CPU s", "peak RSS MB"
		printf "    %-8s %-13s %-9s %10s %10s %10s %7s %12s\n", name[2], name[3], name[4], is["accepts/s"], is["submits/s"], is["through/s"], is["CPU-s"], is["MB-peak-RSS"]
	}' "$figures"

echo
echo "--- inside the packages"
go test -run '^$' -bench . -timeout 30m $(go list ./... | grep -v /cmd/tillpostd) | grep -E '^Benchmark|^pkg|FAIL|panic' || true

echo
echo "--- binaries (budget: 25 MB)"
cross/build.sh
