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
	local limit=$((SECONDS + $1)) over=
	shift
	until "$@" >/dev/null 2>&1; do
		if [ -n "$over" ]; then
			tail -n 30 "$log"
			return 1
		fi
		sleep 0.5
		# What it did last has one more look.
		{ [ "$SECONDS" -lt "$limit" ] && kill -0 "$process" 2>/dev/null; } || over=1
	done
}

# stop SIGNAL: sends it, and returns the client's exit status.
stop() {
	kill "-$1" "$process" 2>/dev/null
	wait "$process"
}

# testpmd_command ADDRESS OPTION...: DPDK with that device. Little memory, and none of the
# nodes that another one would see.
testpmd_command() {
	local device=$1
	shift
	exec dpdk-testpmd -l 0-1 -n 1 -a "$device" --in-memory -m 64 --single-file-segments -- \
		--total-num-mbufs=4096 --forward-mode=txonly --auto-start --no-lsc-interrupt "$@"
}

# testpmd_start ADDRESS: it sends until it is stopped, and says each second how much; it
# does not need to be the first to have the processors.
testpmd_start() {
	start "$log" testpmd_command "$1" --stats-period=1
	renice -n 10 -p "$process" >/dev/null
}

testpmd_sends() { grep -aE 'TX-packets: *[1-9]' "$log"; }

# machine_command ADDRESS [ARGUMENT...]: QEMU with that device, and nothing that runs on it
# unless the arguments say so.
machine_command() {
	local device=$1
	shift
	exec qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none \
		-machine q35 -accel tcg,thread=single -m 64 -bios /usr/share/qemu/qboot.rom \
		-device "vfio-pci,host=$device,rombar=0" "$@"
}

# machine_runs: it has opened the device.
machine_runs() { says vfio-device ls -l "/proc/$process/fd"; }

# nested_command ADDRESS: QEMU with that device, and a guest that drives it.
nested_command() { machine_command "$1" -kernel /clients/bin/inside.elf -serial stdio; }
