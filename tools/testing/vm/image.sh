# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# One run of the guest: a directory for its logs, the initramfs with its job,
# QEMU.

RUNS_KEPT=30
STACK_MODULES="iommufd vfio vfio_iommu_type1 vfio-pci pci-stub kvm-amd"
STACK_UNLOAD="mtty mdpy mbochs vfio_pages mdev nvgrace_gpu_vfio_pci virtio_vfio_pci xe_vfio_pci qat_vfio_pci mlx5_vfio_pci hisi_acc_vfio_pci pds_vfio_pci vfio_parents vfio_iommu_fault vfio_dma_buf_importer vfio_release_watch vfio_memory vfio_pci_edu kvm-amd kvm pci-stub vfio-pci vfio-pci-core vfio_iommu_type1 vfio iommufd irqbypass"

# run_directory: sets RUN_DIR unless the caller has chosen one.
run_directory() {
	if [ -z "${RUN_DIR:-}" ]; then
		RUN_DIR=$(dated_directory "$CACHE/runs" "$RUNS_KEPT")
	fi
	mkdir -p "$RUN_DIR/job"
	RUN_DIR=$(readlink -f "$RUN_DIR")
}

# image_make STACK LIMIT INTERACTIVE FILE... -- NAME=VALUE... -- COMMAND...
image_make() {
	local job=$RUN_DIR/job modules=() lock='' name load=" $STACK_MODULES "
	for name in ${KERNEL_LACKS[@]+"${KERNEL_LACKS[@]}"}; do
		load=${load/" $name "/ }
	done
	{
		printf "STACK=%q\nJOB_LIMIT=%q\nINTERACTIVE=%q\n" "$1" "$2" "$3"
		if [ "$1" = none ]; then
			printf "MODULES=\nUNLOAD=\n"
		else
			printf "MODULES='%s'\nUNLOAD='%s'\n" "$load" "$STACK_UNLOAD"
		fi
	} >"$job/env"
	shift 3
	while [ "$1" != -- ]; do
		cp -rL "$1" "$job/"
		shift
	done
	shift
	while [ "$1" != -- ]; do
		name=${1%%=*}
		printf "%s='%s'\n" "$name" "${1#*=}" >>"$job/env"
		shift
	done
	shift
	printf '. /vm/lib.sh\ncd /job\nexec >&3 2>&1\n%s\n' "$*" >"$job/run"
	if [ -d "$MODULES_DIR" ]; then
		modules=("ro:$MODULES_DIR:/modules")
		lock=modules_locked
	fi
	if [ -d "$C_DRIVERS_DIR" ]; then
		modules+=("ro:$C_DRIVERS_DIR:/c-drivers")
		lock=modules_locked
	fi
	$lock in_root "ro:$KERNEL:/kernel" "rw:$RUN_DIR:/out" "ro:$job:/job" ${modules[@]+"${modules[@]}"} -- \
		bash /vfio/tools/testing/vm/mkimage "$RELEASE" /out/initrd ||
		die "the guest image could not be made" "Is the disk full?"
}

# slot_take: one machine more at a time than there are processors, as tests wait now and then,
# and no more: they have time limits. Who waits is served in turn. Sets slot_fd.
slot_take() {
	local number queue_fd waiting=
	exec {queue_fd}>"$CACHE/.lock-machines"
	flock -n "$queue_fd" || {
		say "    other test machines wait already"
		waiting=1
		flock "$queue_fd"
	}
	while :; do
		for number in $(seq $(($(nproc) + 1))); do
			exec {slot_fd}>"$CACHE/.lock-machine-$number"
			if flock -n "$slot_fd"; then
				exec {queue_fd}>&-
				return
			fi
			exec {slot_fd}>&-
		done
		[ -n "$waiting" ] || say "    enough test machines run already; waiting for one to end"
		waiting=1
		sleep 1
	done
}

# image_run LIMIT MACHINE OPTION... -- QEMU ARGUMENT...: with IMAGE_MOUNTS, if there are
# any, where QEMU sees them.
image_run() {
	local limit=$1 options=() rc=0
	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	[ -n "${NO_SLOT:-}" ] || slot_take
	need_memory 4 "the guest"
	in_root "ro:$BUILD:/build" "rw:$RUN_DIR:/out" ${IMAGE_MOUNTS[@]+"${IMAGE_MOUNTS[@]}"} -- \
		python3 -B /vfio/tools/testing/vm/machine.py --kernel /build/arch/x86/boot/bzImage \
		--initrd /out/initrd --out /out --show-out "$RUN_DIR" --limit "$limit" \
		${options[@]+"${options[@]}"} "$@" || rc=$?
	[ -n "${NO_SLOT:-}" ] || exec {slot_fd}>&-
	# Large, and made again by every run.
	rm -f "$RUN_DIR"/initrd "$RUN_DIR"/*.img
	return "$rc"
}
