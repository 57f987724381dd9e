# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# Functions for the guest's init and for the jobs that it runs.

# result TEXT...: a line on the result port.
result() { echo "$*" >&3; }

# name_devices: says what is at each address and fails loudly if nothing is.
name_devices() {
	for name in $DEVICES; do
		eval "address=\$$name"
		path=/sys/bus/pci/devices/$address
		if [ -d "$path" ]; then
			read -r vendor <"$path/vendor"
			read -r device <"$path/device"
			group=$(readlink "$path/iommu_group")
			result "vm: device $name $address $vendor:$device group ${group##*/}"
		else
			result "vm: device $name $address missing"
		fi
	done
}

# c_drivers_same: the C drivers of this stack are the files that were built for all.
c_drivers_same() {
	[ -e "/vm/c-drivers-$STACK" ] || return 0
	if ! (cd "/lib/modules/$(uname -r)/updates" && sha256sum -c -s "/vm/c-drivers-$STACK"); then
		result "vm: the C drivers are not those that were built"
		return 1
	fi
	while read -r sum name; do
		result "vm: C driver $name $sum"
	done <"/vm/c-drivers-$STACK"
}

# stack_load: makes modprobe see the modules of $STACK and loads them.
stack_load() {
	mkdir -p /lib
	ln -sfn "/stack/$STACK/lib/modules" /lib/modules
	c_drivers_same || return 1
	# Kernel log lines that the host looks for.
	echo "vm: loading stack $STACK" >/dev/kmsg
	for module in $MODULES; do
		if ! message=$(modprobe "$module" 2>&1); then
			result "vm: modprobe $module failed: $message"
			return 1
		fi
	done
	# Off unless asked for; the tests of virtual functions ask.
	echo Y >/sys/module/vfio_pci/parameters/enable_sriov
	echo "vm: stack $STACK loaded" >/dev/kmsg
}

# stack_unload: everything that stack_load loaded must go away again.
stack_unload() {
	failed=
	echo "vm: unloading stack $STACK" >/dev/kmsg
	for module in $UNLOAD; do
		[ -d "/sys/module/$(echo "$module" | tr - _)" ] || continue
		if ! message=$(limit 60 rmmod "$module" 2>&1); then
			result "vm: rmmod $module failed: $message"
			failed=1
		fi
	done
	[ -z "$failed" ]
}

# leaks: what kmemleak found, if this kernel has it. Two scans: the first only
# marks.
leaks() {
	file=/sys/kernel/debug/kmemleak
	[ -e "$file" ] && ! grep -qw kmemleak=off /proc/cmdline || return 0
	# Objects younger than five seconds are not reported.
	sleep 5
	# It ends by itself when it runs out of memory, and would find nothing.
	echo scan >"$file" && echo scan >"$file" || echo "WARNING: kmemleak does not scan"
	echo "vm: kmemleak begin"
	cat "$file"
	echo "vm: kmemleak end"
}

# blocked: what every task waits for, into the kernel log.
blocked() {
	echo 9 >/proc/sysrq-trigger
	echo w >/proc/sysrq-trigger
	echo l >/proc/sysrq-trigger
	echo t >/proc/sysrq-trigger
}

# kill_session ID: kills all processes of a session.
kill_session() {
	kill_id=$1
	for kill_stat in /proc/[0-9]*/stat; do
		kill_line=$(cat "$kill_stat" 2>/dev/null) || continue
		# Behind the name, which may have anything in it: state, parent, group, session.
		# shellcheck disable=SC2086
		set -- ${kill_line##*) }
		kill_process=${kill_stat#/proc/}
		[ "$4" != "$kill_id" ] || kill -KILL "${kill_process%/stat}" 2>/dev/null
	done
}

# limit SECONDS COMMAND...: runs a command; when time is over says so, prints
# what is blocked, kills the command with all its children and returns 124.
limit() {
	limit_seconds=$1
	shift
	setsid "$@" &
	limit_pid=$!
	(
		sleep "$limit_seconds" 3>&- &
		trap 'kill $!; exit' TERM
		wait $!
		echo "vm: time limit of $limit_seconds s hit by: $*" >&3
		echo "vm: time limit of $limit_seconds s hit by: $*" >/dev/kmsg
		blocked
		: >"/tmp/limit.$limit_pid"
		kill -KILL "-$limit_pid"
	) &
	limit_watch=$!
	wait "$limit_pid"
	limit_status=$?
	kill "$limit_watch" 2>/dev/null
	wait "$limit_watch" 2>/dev/null
	if [ -e "/tmp/limit.$limit_pid" ]; then
		rm -f "/tmp/limit.$limit_pid"
		# Not only its process group: the tests of a program have their own.
		kill_session "$limit_pid"
		limit_status=124
	fi
	return "$limit_status"
}

# program NAME SECONDS COMMAND...: runs one test program; its output goes to the
# result port between two lines that the host looks for.
program() {
	program_name=$1 program_limit=$2
	shift 2
	echo "vm: program $program_name" >/dev/kmsg
	result "vm: program $program_name limit $program_limit"
	program_start=$(cut -d. -f1 /proc/uptime)
	limit "$program_limit" "$@" >&3 2>&1 </dev/null
	program_status=$?
	result "vm: exit $program_name $program_status after $(($(cut -d. -f1 /proc/uptime) - program_start)) s"
	return "$program_status"
}

# share_out: mounts what run -w offers on /out.
share_out() {
	mkdir -p /out
	mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 out /out
}

# bind ADDRESS...: gives devices to vfio-pci.
bind() {
	for address; do
		path=/sys/bus/pci/devices/$address
		echo vfio-pci >"$path/driver_override"
		[ ! -e "$path/driver" ] || echo "$address" >"$path/driver/unbind"
		echo "$address" >/sys/bus/pci/drivers_probe
		[ "$(basename "$(readlink "$path/driver")")" = vfio-pci ] || {
			echo "$address: vfio-pci did not bind"
			return 1
		}
	done
}

# unbind ADDRESS...: takes devices away from their driver.
unbind() {
	for address; do
		path=/sys/bus/pci/devices/$address
		[ ! -e "$path/driver" ] || echo "$address" >"$path/driver/unbind"
		echo >"$path/driver_override"
	done
}
