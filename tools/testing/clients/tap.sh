# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the scripts of all clients use: TAP, and what a device looks like. They run in
# the root with the clients, as root, with the addresses of the devices in variables.

TAP_SKIPPED=4
tap_number=0 tap_failed=0

# need PROGRAM...: skips all if one of them is not installed.
need() {
	local program
	for program; do
		command -v "$program" >/dev/null && continue
		echo "1..0 # SKIP $program is not installed"
		exit "$TAP_SKIPPED"
	done
}

# check NAME COMMAND...: one test. What the command prints is shown if it fails. It runs
# in this shell, so that it can start a process for the next one, and wait for it.
check() {
	local name=$1 output=/tmp/check.$$
	shift
	tap_number=$((tap_number + 1))
	if "$@" >"$output" 2>&1; then
		echo "ok $tap_number $name"
	else
		echo "not ok $tap_number $name"
		echo "# $* failed:"
		tail -n 40 "$output" | sed 's/^/# /'
		tap_failed=1
	fi
}

# tap_end: the plan, and the exit status.
tap_end() {
	echo "1..$tap_number"
	exit "$tap_failed"
}

# says PATTERN COMMAND...: the command succeeds and prints a line that matches.
says() {
	local pattern=$1 output
	shift
	output=$("$@" 2>&1) || { echo "$output" && return 1; }
	echo "$output"
	grep -qE -- "$pattern" <<<"$output"
}

# driver_of ADDRESS: the name of its driver, or "none".
driver_of() {
	local path=/sys/bus/pci/devices/$1/driver
	if [ -e "$path" ]; then basename "$(readlink -f "$path")"; else echo none; fi
}

# has_driver ADDRESS NAME
has_driver() { says "^$2\$" driver_of "$1"; }

# group_node ADDRESS: the node of its group.
group_node() {
	local group prefix=
	group=$(basename "$(readlink -f "/sys/bus/pci/devices/$1/iommu_group")")
	[ "$(cat "/sys/bus/pci/devices/$1/iommu_group/name" 2>/dev/null)" != vfio-noiommu ] || prefix=noiommu-
	echo "/dev/vfio/$prefix$group"
}

# has_node ADDRESS, has_no_node ADDRESS: can the group be opened?
has_node() { ls -l "$(group_node "$1")"; }
has_no_node() { ! has_node "$1" && ! ls /dev/vfio/noiommu-*; }

# to_vfio ADDRESS..., from_vfio ADDRESS...: as the README tells people to do it.
to_vfio() {
	local address
	for address; do
		echo vfio-pci >"/sys/bus/pci/devices/$address/driver_override"
		[ ! -e "/sys/bus/pci/devices/$address/driver" ] ||
			echo "$address" >"/sys/bus/pci/devices/$address/driver/unbind"
		echo "$address" >/sys/bus/pci/drivers_probe
		has_driver "$address" vfio-pci
	done
}
from_vfio() {
	local address
	for address; do
		[ ! -e "/sys/bus/pci/devices/$address/driver" ] ||
			echo "$address" >"/sys/bus/pci/devices/$address/driver/unbind"
		echo >"/sys/bus/pci/devices/$address/driver_override"
		has_driver "$address" none
	done
}
