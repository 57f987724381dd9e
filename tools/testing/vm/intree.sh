# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The modules inside the kernel's tree, as =m and as =y: tools/integrate on an
# overlay of the kernel source, then make LLVM=1. A build starts from a copy of
# the finished plain kernel, so that only what the configuration changes is
# built again; later runs, from whatever work tree, go on where the last one was,
# but for this project's own files, which are always built. With GCC, in a directory of
# its own, the objects of the modules are all that is built, and what they need.

# intree_build m|y|gcc: sets INTREE, the build directory. Needs kernel_ready plain.
intree_build() {
	INTREE=$KERNEL/intree-$1
	locked "intree-$1" intree_make "$1"
}

intree_make() {
	local log
	log=$CACHE/log/intree-$1.log
	if [ "$1" = gcc ]; then
		mkdir -p "$INTREE"
	elif [ ! -d "$INTREE" ]; then
		need_space "$CACHE" 3 "a kernel build"
		rm -rf "$INTREE.new"
		cp -a --reflink=auto "$BUILD/." "$INTREE.new" ||
			die "the plain kernel could not be copied to $INTREE" "Is the disk full?"
		mv "$INTREE.new" "$INTREE"
	fi
	say "    output: $log"
	QUIET_TAIL=60 quietly "$log" in_root "overlay:$SOURCE:/src" "rw:$INTREE:/build" -- \
		bash /vfio/tools/testing/vm/make-intree "$1" "$JOBS"
}

# intree_boot: the =y kernel has the device nodes and takes devices, and its type1
# lets page frames of other drivers be mapped, as the C stack does. It boots without
# interrupt remapping, which a test of MSI needs, and type1 accepts if it is told to; so
# without x2APIC too. The kernel's mtty, a driver in C, finds the core.
# Needs intree_build y and own_selftests_build.
intree_boot() {
	local job='mtty=/sys/devices/virtual/mtty/mtty uuid=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001; '
	job+='[ -c /dev/vfio/vfio ] && bind $IGB && [ -c /dev/vfio/6 ] && unbind $IGB && '
	job+='echo $uuid >$mtty/mdev_supported_types/mtty-1/create && '
	job+='[ -d /sys/bus/mdev/devices/$uuid/vfio-dev ] && '
	job+='STACK=c program peer_test 60 ./peer_test -f foreign && '
	job+='program msi_test 60 ./msi_test -t fewer'
	RUN_DIR=
	run_directory
	MODULES_DIR='' C_DRIVERS_DIR=''
	image_make none 120 "" "$OWN_SELFTESTS/peer_test" "$OWN_SELFTESTS/msi_test" -- -- "$job"
	BUILD=$INTREE image_run 120 --single-thread --append "intremap=off vfio_iommu_type1.allow_unsafe_interrupts=1" --
}
