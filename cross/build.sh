#!/usr/bin/env bash
# Static binaries for every board we promise: dist/linux-ARCH/{tillpostd,tillpost}.
# Called by `make cross`; an argument names another folder than dist, further
# ones choose among the targets.
#
# The same commit gives the same bytes in any folder: -trimpath, no build id,
# no cgo. The version is what Go stamps from git (tillpostd -version).
set -euo pipefail
cd "$(dirname "$0")/.."
dist=${1:-dist}
[ $# -eq 0 ] || shift

#        folder  GOARCH GOARM  board
targets='amd64   amd64  -      any PC
arm64    arm64   -      Pi 3, 4, 400, Zero 2 W with a 64-bit system
armv7    arm     7      Pi 2 and later with a 32-bit system
armv6    arm     6      Pi 1, Zero'

# design.md §8: small enough for any card and for an update over a shop's line.
limit=$((25 * 1000 * 1000))

while read -r folder arch arm _; do
	case " $* " in "  "|*" $folder "*) ;; *) continue ;; esac
	for program in tillpostd tillpost; do
		out=$dist/linux-$folder/$program
		CGO_ENABLED=0 GOOS=linux GOARCH=$arch GOARM=${arm#-} \
			go build -trimpath -buildvcs=auto -ldflags '-s -w -buildid=' -o "$out" "./cmd/$program"
		size=$(stat -c %s "$out")
		printf '%-32s %5.1f MB\n' "$out" "$(awk "BEGIN{print $size/1e6}")"
		if [ "$size" -ge "$limit" ]; then
			echo "$out is larger than 25 MB" >&2
			exit 1
		fi
	done
done <<<"$targets"
