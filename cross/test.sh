#!/usr/bin/env bash
# Everything that must hold before a change goes in: format, vet, and all tests
# with the race detector, shuffled. Called by `make test`.
#
# As root on Debian it first installs what test-packages lists and is missing.
# Elsewhere it installs nothing, and ends with what was skipped and the one apt
# line that would change that. With TILLPOST_CI=1 a skip is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

# missing prints the packages whose program is not there.
missing() {
	while read -r package program _; do
		case "$package" in ''|'#'*) continue ;; esac
		case "$program" in
		/*) [ -e "$program" ] || echo "$package" ;;
		*) command -v "$program" >/dev/null || PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null || echo "$package" ;;
		esac
	done <cross/test-packages
}

install() {
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" </dev/null
}

wanted=$(missing | tr '\n' ' ')
if [ -n "$wanted" ] && [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then
	echo "installing what the tests want: $wanted"
	# A fresh box has no package lists, or old ones: update once and try again.
	# shellcheck disable=SC2086 # a list of words
	install $wanted || { apt-get update -q </dev/null && install $wanted; }
	wanted=$(missing | tr '\n' ' ')
fi

unformatted=$(gofmt -l cmd cross modem queue smpp systemd webui)
if [ -n "$unformatted" ]; then
	echo "not formatted, run make fmt: $unformatted" >&2
	exit 1
fi
go vet ./...

race=-race
if [ "$(go env CGO_ENABLED)" != 1 ] || ! command -v gcc >/dev/null; then
	race=
	echo "skipped: the race detector, which wants gcc"
	[ "${TILLPOST_CI:-}" != 1 ] || exit 1
fi

# Pictures of every page are kept there, to be looked at.
export ARTEFACTS="${ARTEFACTS:-$PWD/artefacts}"

status=0
# The report must be built before the tests eat both cores.
mkdir -p bin
go build -o bin/report ./cross/report
# pipefail would name go test's exit; the report has seen the same failures.
{ go test $race -shuffle=on -timeout=15m -json ./... || true; } | bin/report || status=$?

if [ -n "$wanted" ]; then
	echo "Not installed, so the tests that want them were skipped. To run them:"
	echo "  sudo apt-get install $wanted"
fi
exit $status
