# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What installing on a running Debian has in common: where things are, messages,
# what a kernel and its headers must be like.

PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# What is made once per kernel, and kept.
STATE=${VFIO_RUST_STATE:-/var/lib/vfio-rust}
# The kernels whose interfaces the modules are written for. Another series can be
# tried; it may not build.
SERIES=${VFIO_RUST_SERIES:-7.3}
MODULES=(vfio vfio_iommu_type1 vfio-pci-core vfio-pci)
JOBS=${JOBS:-$(nproc)}
# What the make that we may have been started by says to the one that it starts.
unset MAKEFLAGS MFLAGS MAKELEVEL

# say TEXT: one line of progress.
say() { printf '%s\n' "$*" >&2; }

# die WHAT ADVICE: one line that says what is wrong and one that says what to do.
die() {
	printf 'error: %s\n' "$1" >&2
	[ -z "${2:-}" ] || printf '       %s\n' "$2" >&2
	exit 1
}

# step TITLE COMMAND...: announces a step, runs it, says how long it took.
step() {
	local title=$1 start=$SECONDS rc=0
	shift
	say "==> $title"
	"$@" || rc=$?
	if [ "$rc" = 0 ]; then
		say "    done in $((SECONDS - start)) s"
	else
		say "    failed after $((SECONDS - start)) s"
	fi
	return "$rc"
}

# quietly LOG COMMAND...: keeps the output in LOG; shows the end of it on failure.
quietly() {
	local log=$1 rc=0
	shift
	"$@" >"$log" 2>&1 || rc=$?
	if [ "$rc" != 0 ]; then
		tail -n "${QUIET_TAIL:-15}" "$log" | sed 's/^/    | /' >&2
		say "    whole log: $log"
	fi
	return "$rc"
}

need_root() { [ "$(id -u)" = 0 ] || die "this needs root" "Run it again as root, for example with sudo."; }

# one_at_a_time: until this program ends, with what it starts.
one_at_a_time() {
	[ -z "${VFIO_RUST_LOCKED:-}" ] || return 0
	mkdir -p "$STATE" || die "cannot write to $STATE" "Is the disk full?"
	exec {lock_fd}>"$STATE/.lock"
	if ! flock -n "$lock_fd"; then
		say "    another installation is running; waiting for it to end"
		flock "$lock_fd"
	fi
	export VFIO_RUST_LOCKED=1
}

# need_space DIRECTORY MIB PURPOSE
need_space() {
	local free
	free=$(df -Pk "$1" | awk 'NR == 2 { print int($4 / 1024) }')
	[ "$free" -ge "$2" ] || die "$1 has $free MiB free; $3 needs $2" "Free some space and start again."
}

# config OPTION: the value that the kernel was built with, without quotes.
config() { sed -n "s/^$1=//p" "$HEADERS/.config" | tr -d '"'; }

# kernel_check RELEASE: the kernel is one that the modules can be built for. Sets
# HEADERS. Says in one line why, if it is not.
kernel_check() {
	[ "$(uname -m)" = x86_64 ] || [ -n "${VFIO_RUST_ANY_ARCH:-}" ] ||
		die "this is a machine of architecture $(uname -m)" "Only x86_64 has been tried."
	case $1 in
	"$SERIES".*) ;;
	*) die "kernel $1 is not of series $SERIES, which the modules are written for" \
		"Boot one that is: apt install -t trixie-backports linux-image-amd64 linux-headers-amd64" ;;
	esac
	HEADERS=/lib/modules/$1/build
	[ -e "$HEADERS/.config" ] ||
		die "the headers of kernel $1 are not installed" "apt install linux-headers-$1"
	HEADERS=$(readlink -f "$HEADERS")
	[ "$(config CONFIG_RUST)" = y ] ||
		die "kernel $1 was built without Rust (CONFIG_RUST)" "Boot one that has it, such as Debian's own."
	[ "$(config CONFIG_VFIO)" != y ] ||
		die "kernel $1 has its own VFIO built in (CONFIG_VFIO=y)" "Boot one that has it as a module, such as Debian's own."
	[ "$(config CONFIG_MODULES)" = y ] || die "kernel $1 cannot load modules"
}

# toolchain: what make is told about the compiler. Debian's headers say by themselves
# which gcc it is.
toolchain() { [ "$(config CONFIG_CC_IS_CLANG)" != y ] || echo LLVM=1; }

# tools_check: the programs are there, and the compiler is the one that made the
# kernel: its Rust symbols and the format of metadata are of that version only.
tools_check() {
	local missing=() tool compiler version wanted
	compiler=clang
	if [ "$(config CONFIG_CC_IS_CLANG)" != y ]; then
		compiler=$(config CONFIG_CC_VERSION_TEXT)
		compiler=${compiler%% *}
	fi
	for tool in make rustc bindgen nm flock xz "$compiler"; do
		command -v "$tool" >/dev/null || missing+=("$tool")
	done
	[ ${#missing[@]} = 0 ] ||
		die "programs are missing: ${missing[*]}" "apt install make rustc rust-src bindgen binutils util-linux xz-utils gcc-14"
	version=$(rustc --version)
	wanted=$(config CONFIG_RUSTC_VERSION_TEXT)
	[ "$version" = "$wanted" ] ||
		die "this is $version, and the kernel was built with $wanted" "Install that version: apt policy rustc shows which there are."
	[ -e "$(rustc --print sysroot)/lib/rustlib/src/rust/library/core/src/lib.rs" ] ||
		die "the source of Rust's core library is missing" "apt install rust-src"
}
