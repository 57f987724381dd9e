# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Debian's own kernel, as people have it: its packages, unpacked, and the metadata
# of its crates, made as on a machine where the modules are installed
# (tools/install/prepare-kernel). No kernel is built. One cache entry:
#
#   debian/   the packages
#   state/    /var/lib/vfio-rust of a machine with this kernel
#   modules/  those of its modules that the guest may want; its VFIO is among them

STOCK_FLAVOUR=deb13-amd64
# With what they depend on.
STOCK_MODULES=(vfio vfio_iommu_type1 vfio-pci mdev pci-stub uio_pci_generic kvm-amd 9p 9pnet_virtio)

# stock_set: sets KERNEL, BUILD and how modules are built for it.
stock_set() {
	root_ready
	local version
	version=$(kernel_source_version 2>/dev/null) ||
		die "Debian's own kernel needs its source package, which was left out because of KSRC" \
			"Choose one that is built from KSRC: KERNEL=plain, run -k plain."
	kernel_source_note "${KERNEL_SOURCE##*-}"
	RELEASE=${version%%-*}+$STOCK_FLAVOUR
	KERNEL=$CACHE/kernel-stock-$(key "$(basename "$ROOT")" "$version" "${STOCK_MODULES[@]}" \
		"$(cat "$TREE/tools/install/prepare-kernel")")
	BUILD=$KERNEL/state/$RELEASE
	KERNEL_MAKE=(make -C /build)
	KERNEL_LACKS=(iommufd)
	stock_mounts
	KERNEL_MOUNTS=("${STOCK_MOUNTS[@]}" "rw:$BUILD:/build")
}

# stock_mounts: sets STOCK_MOUNTS, which put the packages to where they belong.
stock_mounts() {
	local path
	STOCK_MOUNTS=()
	for path in "usr/src/linux-headers-$RELEASE" "usr/src/linux-headers-${RELEASE%-*}-common" \
		"usr/lib/linux-kbuild-${RELEASE%-*}" "usr/lib/modules/$RELEASE"; do
		STOCK_MOUNTS+=("ro:$KERNEL/debian/$path:/$path")
	done
}

# stock_ready: the kernel is there. Sets what stock_set does.
stock_ready() {
	stock_set
	[ -e "$KERNEL/done" ] || locked kernel-stock stock_make
}

stock_make() {
	[ ! -e "$KERNEL/done" ] || return 0
	need_space "$CACHE" 4 "Debian's kernel"
	mkdir -p "$KERNEL"
	[ -d "$KERNEL/debian" ] || step "Debian's kernel $RELEASE (packages)" stock_download
	step "metadata of its crates (made once)" stock_prepare
	stock_modules
	touch "$KERNEL/done"
}

# in_archive COMMAND...: in the build root, with the network and with lists of packages.
in_archive() {
	local option options=()
	while read -r option; do
		[ -z "$option" ] || options+=("-o" "$(sed 's/ "\(.*\)";$/=\1/' <<<"$option")")
	done < <(root_apt_options)
	in_root "rw:$KERNEL/apt/lists:/var/lib/apt/lists" "rw:$KERNEL/apt/archives:/var/cache/apt" \
		"rw:$KERNEL/packages:/packages" "ro:$(readlink -f /etc/resolv.conf):/etc/resolv.conf" -- \
		sh -euc 'cd /packages; exec "$@"' sh "$@" -o APT::Sandbox::User=root ${options[@]+"${options[@]}"}
}

stock_download() {
	local version names=() name log=$CACHE/log/stock.log
	version=$(kernel_source_version)
	rm -rf "$KERNEL/apt" "$KERNEL/packages" "$KERNEL/debian.new"
	mkdir -p "$KERNEL/apt/lists/partial" "$KERNEL/apt/archives/archives/partial" "$KERNEL/packages" "$KERNEL/debian.new"
	quietly "$log" in_archive apt-get -q update || die "apt-get update failed in the build root" "Check the network; the log is $log."
	# What a kernel is divided into differs from version to version.
	for name in linux-{image,binary,modules,base,headers}-"$RELEASE" \
		"linux-headers-${RELEASE%-*}-common" "linux-kbuild-${RELEASE%-*}"; do
		in_archive apt-cache show "$name=$version" >/dev/null 2>&1 && names+=("$name=$version")
	done
	[ ${#names[@]} -ge 4 ] || die "the archive has no kernel $RELEASE of version $version any more" \
		"make clean-cache, then start again with the kernel that it has now."
	quietly "$log" in_archive apt-get -q download "${names[@]}" ||
		die "Debian's kernel could not be downloaded" "Check the network; the log is $log."
	for name in "$KERNEL"/packages/*.deb; do
		dpkg-deb -x "$name" "$KERNEL/debian.new" || die "$name could not be unpacked" "Is the disk full?"
	done
	[ -e "$KERNEL/debian.new/usr/lib/modules/$RELEASE/vmlinuz" ] || die "Debian's kernel packages have no vmlinuz"
	rm -rf "$KERNEL/apt" "$KERNEL/packages"
	mv "$KERNEL/debian.new" "$KERNEL/debian"
}

stock_prepare() {
	mkdir -p "$KERNEL/state"
	in_root "${STOCK_MOUNTS[@]}" "rw:$KERNEL/state:/var/lib/vfio-rust" -- \
		env JOBS="$JOBS" VFIO_RUST_SERIES="${KERNEL_SOURCE##*-}" /vfio/tools/install/prepare-kernel "$RELEASE" ||
		die "the metadata of Debian's kernel could not be made"
	mkdir -p "$BUILD/arch/x86/boot"
	cp "$KERNEL/debian/usr/lib/modules/$RELEASE/vmlinuz" "$BUILD/arch/x86/boot/bzImage"
}

# All its modules would make a guest's image of half a gigabyte.
stock_modules() {
	local from=/debian/usr to=/kernel/modules
	rm -rf "$KERNEL/modules"
	# shellcheck disable=SC2016 # that shell expands it
	in_root "rw:$KERNEL/debian:/debian" "rw:$KERNEL:/kernel" -- bash -euo pipefail -c '
		release=$1 from=$2 to=$3/lib/modules/$1
		shift 3
		depmod -b "$from" "$release"
		mkdir -p "$to"
		cp "$from/lib/modules/$release"/modules.{builtin,builtin.modinfo,order} "$to/"
		for module; do
			modprobe -d "$from" -S "$release" --show-depends "$module"
		done | sed -n "s/^insmod //p" | cut -d" " -f1 | sort -u | while read -r file; do
			install -D -m 644 "$file" "$to/${file#"$from/lib/modules/$release/"}"
		done' bash "$RELEASE" "$from" "$to" "${STOCK_MODULES[@]}" || die "the modules of Debian's kernel could not be read"
}
