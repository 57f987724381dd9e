# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The build root: Debian 13 with backports, which has the toolchain that the
# kernel asks for, QEMU, and the kernel source. Sets ROOT.

ROOT_SUITES=(trixie trixie-updates trixie-backports)
KERNEL_SOURCE=linux-source-7.3
ROOT_PACKAGES=(
	# kernel
	make clang lld llvm libclang-dev rustc rust-src rustfmt rust-clippy bindgen
	flex bison bc libelf-dev libssl-dev zlib1g-dev pahole python3 cpio kmod zstd
	xz-utils perl rsync git "$KERNEL_SOURCE"
	# test programs
	gcc libc6-dev uuid-dev libudev-dev cargo
	# guest
	busybox-static qemu-system-x86 ovmf
	# looking around
	pciutils strace universal-ctags
)

root_set() {
	ROOT=$CACHE/root-$(key "${ROOT_SUITES[@]}" "${ROOT_PACKAGES[@]}")
}

# The mirror that the host's own apt uses for its distribution.
root_mirror() {
	apt-get indextargets --format '$(REPO_URI) $(ORIGIN)' 'Created-By: Packages' 2>/dev/null |
		awk '$2 == "Debian" && $1 !~ /security|backports/ { print $1; exit }'
}

# Settings of the host's apt that decide whether and how it reaches a mirror.
root_apt_options() {
	apt-config dump 2>/dev/null |
		grep -E '^Acquire::(http|https|ftp|Check-Valid-Until|Check-Date|Max-FutureTime|Retries|ForceIPv)' |
		grep -v ' "";$' || true
}

# Older releases lack the keys of the one that the build root is made of.
root_debian() {
	local version
	version=$(sed -n 's/^VERSION_ID="\?\([0-9]*\).*/\1/p' /etc/os-release)
	if grep -q '^ID=debian' /etc/os-release && [ "${version:-99}" -lt 12 ]; then
		die "this is Debian $version" "Use a Debian 12 or 13 machine."
	fi
}

root_tools() {
	local missing=()
	command -v apt-get >/dev/null || die "this machine has no apt-get" "Use a Debian 12 or 13 machine."
	root_debian
	command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
	command -v flock >/dev/null || missing+=(util-linux)
	[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)
	[ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
	[ ${#missing[@]} -gt 0 ] || return 0
	say "    installing on this machine: ${missing[*]}"
	quietly "$CACHE/log/apt.log" apt-get -q update ||
		die "apt-get update failed" "Check the network and /etc/apt."
	DEBIAN_FRONTEND=noninteractive quietly "$CACHE/log/apt.log" \
		apt-get -q -y --no-install-recommends install "${missing[@]}" ||
		die "apt-get could not install ${missing[*]}" "Check the network and /etc/apt."
}

root_build() {
	local mirror new=$ROOT.new option options=() suite sources=()
	root_tools
	need_space "$CACHE" 4 "the build root"
	mirror=$(root_mirror)
	[ -n "$mirror" ] || die "the host's apt names no Debian mirror" "Run apt-get update, or check /etc/apt/sources.list."
	while read -r option; do
		[ -z "$option" ] || options+=("--aptopt=$option")
	done < <(root_apt_options)
	for suite in "${ROOT_SUITES[@]}"; do
		sources+=("deb $mirror $suite main")
	done
	rm -rf --one-file-system "$new"
	printf '%s\n' "${sources[@]}" |
		QUIET_TAIL=3 quietly "$CACHE/log/root.log" mmdebstrap --variant=minbase --format=directory \
			${options[@]+"${options[@]}"} \
			--include="$(IFS=, && echo "${ROOT_PACKAGES[*]}")" "${ROOT_SUITES[0]}" "$new" - ||
		die "the build root could not be made from $mirror" "Check the network; the log is $CACHE/log/root.log."
	mv "$new" "$ROOT"
}

# root_ready: the build root exists; ROOT says where.
root_ready() {
	root_set
	need_root
	need_cache
	[ -d "$ROOT" ] || step "build root (Debian ${ROOT_SUITES[0]} with the toolchain)" locked root root_once
}

root_once() { [ -d "$ROOT" ] || root_build; }
