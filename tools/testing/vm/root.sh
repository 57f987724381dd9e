# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The build root: Debian 13 with backports, which has the toolchain that the
# kernel asks for, QEMU, and the kernel source. Sets ROOT.

ROOT_SUITES=(trixie trixie-updates trixie-backports)
# The kernel that the modules are written for. Backports moves on to the next series
# after some weeks; then a file of the cache names what is used in its place.
KERNEL_SERIES=7.3
KERNEL_SOURCE=linux-source-$KERNEL_SERIES
if [ -s "$CACHE/kernel-source" ]; then
	KERNEL_SOURCE=$(cat "$CACHE/kernel-source")
fi
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
	# With a source of the user's own the package is not needed, but does no harm.
	if [ -n "${KSRC:-}" ] && [ ! -d "$ROOT" ]; then
		root_source_replace
		ROOT=$CACHE/root-$(key "${ROOT_SUITES[@]}" "${ROOT_PACKAGES[@]}")
	fi
}

# root_source_replace [PACKAGE]: what is installed in place of the kernel's source.
root_source_replace() {
	local package packages=()
	for package in "${ROOT_PACKAGES[@]}"; do
		[ "$package" != "$KERNEL_SOURCE" ] || package=${1:-}
		[ -z "$package" ] || packages+=("$package")
	done
	ROOT_PACKAGES=("${packages[@]}")
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

# root_newest_source MIRROR: the newest linux-source-7.x of the suites that is not
# older than what the modules are written for.
root_newest_source() {
	local state=$CACHE/apt-state suite
	rm -rf "$state"
	mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
	for suite in "${ROOT_SUITES[@]}"; do
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $1 $suite main"
	done >"$state/sources.list"
	local apt=(-o Dir::State::Lists="$state/lists" -o Dir::Cache="$state/cache" -o Dir::Etc::SourceParts=/dev/null
		-o Dir::Etc::SourceList="$state/sources.list" -o APT::Sandbox::User=root -o APT::Architecture=amd64)
	apt-get -q "${apt[@]}" update >"$CACHE/log/apt.log" 2>&1 || true
	apt-cache "${apt[@]}" pkgnames linux-source-7. | awk -F. -v least="${KERNEL_SOURCE##*.}" \
		'$2 ~ /^[0-9]+$/ && $2 + 0 >= least { print }' | sort -V | tail -n 1
	rm -rf "$state"
}

# root_without_source MIRROR: the archive has no such package any more.
root_without_source() {
	local newest
	newest=$(root_newest_source "$1")
	[ -n "$newest" ] && [ "$newest" != "$KERNEL_SOURCE" ] ||
		die "the archive has no $KERNEL_SOURCE any more, and no newer one of series 7" \
			"KSRC=/path/to/linux make ... uses a kernel source of your own; Linux $KERNEL_SERIES is what is tested."
	say "    the archive has no $KERNEL_SOURCE any more: $newest is used in its place"
	echo "$newest" >"$CACHE/kernel-source"
	root_source_replace "$newest"
	KERNEL_SOURCE=$newest
	root_set
	[ -d "$ROOT" ] || root_build
}

# root_bootstrap DIRECTORY PACKAGES LOG: a Debian system with these packages, whose
# names have commas between them. Sets mirror.
root_bootstrap() {
	local option options=() suite sources=()
	mirror=$(root_mirror)
	[ -n "$mirror" ] || die "the host's apt names no Debian mirror" "Run apt-get update, or check /etc/apt/sources.list."
	while read -r option; do
		[ -z "$option" ] || options+=("--aptopt=$option")
	done < <(root_apt_options)
	for suite in "${ROOT_SUITES[@]}"; do
		sources+=("deb $mirror $suite main")
	done
	rm -rf --one-file-system "$1"
	printf '%s\n' "${sources[@]}" |
		QUIET_TAIL=3 quietly "$3" mmdebstrap --variant=minbase --format=directory \
			${options[@]+"${options[@]}"} --include="$2" "${ROOT_SUITES[0]}" "$1" -
}

root_build() {
	local mirror log=$CACHE/log/root.log
	root_tools
	need_space "$CACHE" 4 "the build root"
	root_bootstrap "$ROOT.new" "$(IFS=, && echo "${ROOT_PACKAGES[*]}")" "$log" || {
		if grep -q "Unable to locate package $KERNEL_SOURCE" "$log"; then
			root_without_source "$mirror"
			return
		fi
		die "the build root could not be made from $mirror" "Check the network; the log is $log."
	}
	mv "$ROOT.new" "$ROOT"
}

# root_ready: the build root exists; ROOT says where.
root_ready() {
	root_set
	need_root
	need_cache
	[ -d "$ROOT" ] || step "build root (Debian ${ROOT_SUITES[0]} with the toolchain)" locked root root_once
}

root_once() { [ -d "$ROOT" ] || root_build; }
