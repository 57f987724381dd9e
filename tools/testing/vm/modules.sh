# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Our modules, built outside the kernel's tree against a finished kernel, and C drivers
# of it that are to run on them. The sources are copied to a directory of the cache
# first: the work tree stays free of build products, and only what changed is built again.

# modules_set: MODULES_DIR and C_DRIVERS_DIR, where the modules for this kernel are.
modules_set() {
	MODULES_DIR=$KERNEL/vfio-$(tree_key)
	C_DRIVERS_DIR=$KERNEL/c-drivers-$(tree_key)
}

# modules_build VARIANT: ours, and those that all stacks load.
modules_build() {
	kernel_ready "$1"
	modules_set
	modules_locked modules_make "$MODULES_DIR" "$CACHE/log/modules-$1-$(tree_key).log" &&
		c_drivers_build "$1"
}

# modules_locked COMMAND...: while nobody builds this tree's modules for this kernel.
modules_locked() { locked "modules-${KERNEL##*/}-$(tree_key)" "$@"; }

# modules_make DIRECTORY LOG [MAKE ARGUMENT...]: builds in DIRECTORY.
modules_make() {
	local directory=$1 log=$2
	shift 2
	[ -e "$TREE/Kbuild" ] || die "there is no Kbuild in $TREE" "Is this the whole project?"
	mkdir -p "$directory"
	in_root "rw:$directory:/modules" -- bash /vfio/tools/testing/vm/copy-sources /vfio /modules ||
		die "the sources could not be copied to $directory" "Is the disk full?"
	QUIET_TAIL=60 quietly "$log" \
		in_root "${KERNEL_MOUNTS[@]}" "rw:$directory:/modules" -- \
		"${KERNEL_MAKE[@]}" M=/modules -j"$JOBS" "$@" modules || {
		# What an earlier build left must not be tested in their place.
		find "$directory" -name '*.ko' -delete
		say "error: the modules do not build, see above"
		return 1
	}
}

# The kernel's own drivers that all stacks load, where they are in its source. They have
# no VFIO but that of the kernel to build with. Its vfio-pci is one more, for the stacks c and
# mixed.
C_DRIVERS=(drivers/vfio/mdev samples/vfio-mdev
	drivers/vfio/pci/{nvgrace-gpu,virtio,xe,qat,mlx5,hisilicon,pds})
C_DRIVERS_OPTIONS=(CONFIG_VFIO_MDEV=m CONFIG_SAMPLE_VFIO_MDEV_MTTY=m
	CONFIG_SAMPLE_VFIO_MDEV_MDPY=m CONFIG_SAMPLE_VFIO_MDEV_MBOCHS=m
	CONFIG_NVGRACE_GPU_VFIO_PCI=m CONFIG_VIRTIO_VFIO_PCI=m
	CONFIG_VIRTIO_VFIO_PCI_ADMIN_LEGACY=y CONFIG_XE_VFIO_PCI=m CONFIG_QAT_VFIO_PCI=m
	CONFIG_MLX5_VFIO_PCI=m CONFIG_HISI_ACC_VFIO_PCI=m CONFIG_PDS_VFIO_PCI=m)

# c_drivers_build VARIANT: builds them, as they are in the kernel's source. Debian's own
# kernel has no source here.
c_drivers_build() {
	[ "$1" != stock ] || return 0
	kernel_ready "$1"
	modules_set
	modules_locked c_drivers_make "$CACHE/log/c-drivers-$1-$(tree_key).log"
}

c_drivers_make() {
	mkdir -p "$C_DRIVERS_DIR"
	QUIET_TAIL=60 quietly "$1" \
		in_root "${KERNEL_MOUNTS[@]}" "rw:$C_DRIVERS_DIR:/modules" -- sh -euc '
			for directory in $1; do
				rsync -rc "/src/$directory" /modules/
			done
			rsync -rc /src/drivers/vfio/pci/vfio_pci.c /src/drivers/vfio/pci/vfio_pci_priv.h \
				/modules/vfio-pci/
			rsync -rc /vfio/tools/testing/c-drivers/ /vfio/samples/vfio_memory.h /modules/
			shift
			exec "$@"' sh "${C_DRIVERS[*]}" \
		"${KERNEL_MAKE[@]}" M=/modules -j"$JOBS" "${C_DRIVERS_OPTIONS[@]}" modules || {
		find "$C_DRIVERS_DIR" -name '*.ko' -delete
		say "error: the C drivers do not build, see above"
		return 1
	}
}

# What the test kernels do not turn off, as Kconfig allows it: they have groups,
# containers and, but for Debian's, character devices.
MODULES_OPTIONS=(
	"GROUP= CONTAINER="
	"CONTAINER="
	"CONTAINER= DEVICE_CDEV="
	"DEVICE_CDEV="
	"PCI_INTX= PCI_VGA= PCI_IGD= NOIOMMU= DEBUGFS="
)

# modules_option_build OPTIONS: for the plain kernel, with these options in place of
# its own. A warning fails it: code that nobody uses then belongs to an option.
modules_option_build() {
	local options=() option log=$CACHE/log/options-$(tree_key).log
	for option in $1; do options+=("CONFIG_VFIO_RUST_$option"); done
	modules_locked modules_make "$KERNEL/options-$(tree_key)" "$log" "${options[@]}" || return
	if grep -E -A10 '^(.*: )?warning' "$log" >&2; then
		return 1
	fi
}
