# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# A client that runs beside the script, and what ends it.

process=
# It must not keep the device from the next script.
trap '[ -z "$process" ] || kill -KILL "$process" 2>/dev/null' EXIT

# start LOG COMMAND...: in the background.
start() {
	local log=$1
	shift
	"$@" >"$log" 2>&1 </dev/null &
	process=$!
}

# await SECONDS COMMAND...: until the command succeeds. Fails when the client ends
# before that, or time is over; then what it said is shown.
await() {
	local limit=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -ge "$limit" ] || ! kill -0 "$process" 2>/dev/null; then
			tail -n 30 "$log"
			return 1
		fi
		sleep 0.5
	done
}

# stop SIGNAL: sends it, and returns the client's exit status.
stop() {
	kill "-$1" "$process" 2>/dev/null
	wait "$process"
}

# testpmd_command ADDRESS: DPDK with that device. Little memory, and none of the nodes
# that another one would see.
testpmd_command() {
	exec dpdk-testpmd -l 0-1 -n 1 -a "$1" --in-memory -m 64 --single-file-segments -- \
		--total-num-mbufs=4096 --forward-mode=txonly --auto-start --stats-period=1 \
		--no-lsc-interrupt
}

testpmd_sends() { grep -aE 'TX-packets: *[1-9]' "$log"; }
