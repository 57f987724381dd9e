# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What every part of the test machine uses: where things are, how a step is
# announced and timed, how a set-up failure is reported, how the cache is keyed.

VM=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TREE=$(cd "$VM/../../.." && pwd)
CACHE=${VFIO_RUST_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/vfio-rust}
JOBS=${JOBS:-$(nproc)}
# Exit status for "the machine could not be set up", as opposed to a failed test.
SETUP_FAILED=3
# And for "the emulator failed the guest": machine.py.
LOST_WRITE=4

# say TEXT: one line of progress.
say() { printf '%s\n' "$*" >&2; }

# die WHAT ADVICE: one line that says what is wrong and one that says what to do.
die() {
	printf 'error: %s\n' "$1" >&2
	[ -z "${2:-}" ] || printf '       %s\n' "$2" >&2
	exit "$SETUP_FAILED"
}

# key TEXT...: a short hash of what a cache entry is made from.
key() { printf '%s\n' "$@" | sha256sum | cut -c1-12; }

# tree_key: tells two work trees that share a cache apart.
tree_key() { printf '%s' "$TREE" | sha256sum | cut -c1-8; }

# dated_directory PARENT KEPT: makes a directory in PARENT and prints its path. The oldest
# ones there go, so that KEPT are left.
dated_directory() {
	local old new
	mkdir -p "$1"
	new=$(mktemp -d "$1/$(date +%m%d-%H%M%S)-XXXX")
	find "$1" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %p\n' |
		sort -rn | tail -n +$(($2 + 1)) | cut -d' ' -f2- |
		while read -r old; do rm -rf "$old"; done
	echo "$new"
}

# step TITLE COMMAND...: announces a step, runs it, says how long it took. The
# times are kept for the summary of a run (STEP_TIMES names the file).
step() {
	local title=$1 start=$SECONDS rc=0
	shift
	say "==> $title"
	"$@" || rc=$?
	local took=$((SECONDS - start))
	if [ "$rc" = 0 ]; then
		say "    done in $took s"
	else
		say "    failed after $took s"
	fi
	[ -z "${STEP_TIMES:-}" ] || printf '%5d s  %s\n' "$took" "$title" >>"$STEP_TIMES"
	return "$rc"
}

# quietly LOG COMMAND...: keeps the output in LOG; shows the end of it on failure.
quietly() {
	local log=$1
	shift
	mkdir -p "$(dirname "$log")"
	if ! "$@" >"$log" 2>&1; then
		tail -n "${QUIET_TAIL:-30}" "$log" | sed 's/^/    | /' >&2
		say "    whole log: $log"
		return 1
	fi
}

# locked NAME COMMAND...: one at a time per cache, for what writes to the cache.
locked() {
	local name=$1 rc=0
	shift
	need_cache
	exec {lock_fd}>"$CACHE/.lock-$name"
	if ! flock -n "$lock_fd"; then
		say "    another run is busy with $name; waiting for it"
		flock "$lock_fd"
	fi
	"$@" || rc=$?
	exec {lock_fd}>&-
	return "$rc"
}

need_cache() {
	mkdir -p "$CACHE/log" 2>/dev/null ||
		die "cannot write to $CACHE" "Set VFIO_RUST_CACHE to a directory that can be written."
}

# need_space DIRECTORY GIB PURPOSE
need_space() {
	local free
	free=$(df -Pk "$1" | awk 'NR == 2 { print int($4 / 1048576) }')
	[ "$free" -ge "$2" ] ||
		die "$1 has $free GiB free; $3 needs $2" "Free some space or set VFIO_RUST_CACHE to a larger disk."
}

# need_memory GIB PURPOSE
need_memory() {
	local free
	free=$(awk '/^MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
	[ "$free" -ge "$1" ] || die "this machine has $free GiB of memory left; $2 needs $1" "End other programs or use a larger machine."
}

need_root() {
	[ "$(id -u)" = 0 ] || die "this needs root (for a chroot and bind mounts)" "Run it again as root, for example with sudo."
}
