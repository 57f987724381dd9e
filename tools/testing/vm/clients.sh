# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Programs that people run on VFIO, as Debian has them, in a root of their own which
# the guest gets by 9p: who does not test with them need not have them. What is done
# with them is in ../clients.

CLIENT_PACKAGES=(
	dpdk dpdk-dev driverctl udev kmod pciutils procps psmisc
	qemu-system-x86 libvirt-clients libvirt-daemon libvirt-daemon-driver-nodedev
	libvirt-daemon-driver-qemu
)

# What DPDK needs of its own.
CLIENT_DRIVERS='bus_pci|bus_vdev|mempool_ring|net_e1000|net_virtio'
CLIENT_SCRIPTS=$TREE/tools/testing/clients
CLIENT_OPTIONS=(--share /clients)

# clients_ready: the root with the clients exists. Sets CLIENTS, and has the guest see it.
clients_ready() {
	CLIENTS=$CACHE/clients-$(key "${ROOT_SUITES[@]}" "${CLIENT_PACKAGES[@]}" "$CLIENT_DRIVERS")
	IMAGE_MOUNTS=("ro:$CLIENTS:/clients")
	[ -d "$CLIENTS" ] || step "root with clients (DPDK, libvirt, QEMU, driverctl)" locked clients clients_make
}

clients_make() {
	[ ! -d "$CLIENTS" ] || return 0
	local mirror
	need_space "$CACHE" 3 "the root with clients"
	root_tools
	root_bootstrap "$CLIENTS.new" "$(IFS=, && echo "${CLIENT_PACKAGES[*]}")" "$CACHE/log/clients.log" ||
		die "the root with clients could not be made from $mirror" "Check the network; the log is $CACHE/log/clients.log."
	# It is read only in the guest, which mounts over these.
	mkdir -p "$CLIENTS.new"/{clients,usr/lib/modules,etc/driverctl.d,var/lib/libvirt}
	# DPDK loads every driver that is there by this name, which takes minutes in the guest.
	find "$CLIENTS.new"/usr/lib/*/dpdk/pmds-* -name '*.so' | grep -vE "/librte_($CLIENT_DRIVERS)\.so$" | xargs -r rm
	mv "$CLIENTS.new" "$CLIENTS"
}

# inside_make DIRECTORY: the guest inside the guest. QEMU takes a kernel that is entered by
# PVH, in protected mode, only in the format of 64 bits.
inside_make() {
	in_root "rw:$1:/out" -- sh -euc '
		cd /vfio/tools/testing/clients/inside
		clang --target=i386-linux-gnu -Wall -Wextra -Werror -O1 -ffreestanding -mgeneral-regs-only \
			-fno-stack-protector -fno-pic -static -nostdlib -fuse-ld=lld -Wl,-Ttext=0x100000 \
			-Wl,--build-id=none -o /out/inside.32 start.S inside.c
		objcopy -O elf64-x86-64 /out/inside.32 /out/inside.elf'
}

# clients_programs: the clients that are built here. Sets CLIENT_PROGRAMS.
clients_programs() {
	local name
	quietly "$CACHE/log/clients-cargo-$(tree_key).log" \
		in_cargo tools/testing/clients/pci-driver cargo build --locked --release || return
	demo_build || return
	quietly "$CACHE/log/clients-inside-$(tree_key).log" inside_make "$CARGO_COPY/target/release" || return
	CLIENT_PROGRAMS=()
	for name in pci-driver-client vfio-demo inside.elf; do
		CLIENT_PROGRAMS+=("$(find "$CARGO_COPY/target" -path "*/release/$name" -type f | head -n 1)")
	done
}

# clients_run STACK: one boot for each kind of IOMMU.
clients_run() {
	local stack=$1 iommu rows row files names steps total rc=0
	local prologue=$'. clients/enter.sh\nclients_enter || exit\n'
	local client argument seconds where
	kernel_ready plain
	for iommu in intel none; do
		mapfile -t rows < <(grep -v '^#' "$VM/clients")
		files=("$CLIENT_SCRIPTS" "${CLIENT_PROGRAMS[@]}") names=() steps=() total=300
		for row in "${rows[@]}"; do
			read -r client argument seconds where <<<"$row"
			[[ ,$where, = *,$iommu,* ]] || continue
			[ -z "${ONLY:-}" ] || [[ " $ONLY " = *" $client "* ]] || continue
			argument=${argument#-}
			names+=("$client${argument:+-$argument}")
			total=$((total + seconds))
			steps+=("client $client $seconds $argument")
		done
		[ ${#names[@]} -gt 0 ] || continue
		job_run "$stack" plain "client-$iommu" --iommu "$iommu" "${CLIENT_OPTIONS[@]}" -- || rc=$?
	done
	return "$rc"
}
