# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The kernel: its source, from the package in the build root, and two kernels
# from it. One cache entry per kernel:
#
#   build/    the build directory (/build inside the build root)
#   modules/  all its modules, installed; the C vfio stack is among them
#   headers/  what headers_install gives, for test programs
#
# An entry is complete once its file "done" exists.

kernel_source_version() {
	dpkg-query --admindir="$ROOT/var/lib/dpkg" -W -f '${Version}' "$KERNEL_SOURCE"
}

# kernel_series DIRECTORY: the series of a kernel's source, such as 7.3.
kernel_series() { awk '/^(VERSION|PATCHLEVEL) *= *[0-9]/ { printf "%s%s", dot, $3; dot = "." }' "$1/Makefile"; }

# kernel_source_note SERIES: another one than that of the tests may not build.
kernel_source_note() {
	[ "$1" = "$KERNEL_SERIES" ] || [ -n "${kernel_source_noted:-}" ] ||
		say "note: this is Linux $1, and the modules are written for $KERNEL_SERIES: they are used as far as they build." \
			"KSRC=/path/to/linux make ... uses another source."
	kernel_source_noted=1
}

# kernel_source_own: the source that KSRC names. Sets SOURCE and SOURCE_KEY.
kernel_source_own() {
	local series tested="Linux $KERNEL_SERIES is what is tested."
	SOURCE=$(readlink -e "$KSRC") && [ -d "$SOURCE" ] || die "KSRC: there is no directory $KSRC" "$tested"
	[ -e "$SOURCE/Makefile" ] && [ -e "$SOURCE/Kconfig" ] || die "KSRC: $KSRC is no kernel source" "$tested"
	series=$(kernel_series "$SOURCE")
	[ -n "$series" ] || die "KSRC: the Makefile of $KSRC names no version of Linux" "$tested"
	[ "$(printf '%s\n' "$KERNEL_SERIES" "$series" | sort -V | head -n 1)" = "$KERNEL_SERIES" ] ||
		die "KSRC: $KSRC is Linux $series, and the modules need $KERNEL_SERIES" "$tested"
	[ -e "$SOURCE/rust/kernel/lib.rs" ] || die "KSRC: $KSRC is a kernel without Rust" "$tested"
	[ ! -e "$SOURCE/.config" ] && [ ! -e "$SOURCE/include/config" ] ||
		die "KSRC: a kernel was built in $KSRC itself" "make mrproper there, or give a copy: git worktree add, for example."
	kernel_source_note "$series"
	# A changed source gives another kernel; what git does not know of is not seen.
	SOURCE_KEY=own-$(key "$SOURCE" "$(git -C "$SOURCE" describe --always --dirty 2>/dev/null)" \
		"$(sed -n 's/^\(VERSION\|PATCHLEVEL\|SUBLEVEL\|EXTRAVERSION\) *= *//p' "$SOURCE/Makefile")")
}

# kernel_source_ready: sets SOURCE, and SOURCE_KEY, which tells it from others.
kernel_source_ready() {
	# Before a build root is downloaded for it.
	if [ -n "${KSRC:-}" ]; then
		kernel_source_own
		root_ready
		return
	fi
	root_ready
	kernel_source_note "${KERNEL_SOURCE##*-}"
	SOURCE=$CACHE/linux-$(kernel_source_version | tr '~+:' '___')
	SOURCE_KEY=$(basename "$SOURCE")
	[ -d "$SOURCE" ] || step "kernel source (unpack)" locked source kernel_source_unpack
}

kernel_source_unpack() {
	[ ! -d "$SOURCE" ] || return 0
	need_space "$CACHE" 3 "the kernel source"
	rm -rf "$SOURCE.new"
	mkdir -p "$SOURCE.new"
	in_root "rw:$SOURCE.new:/unpack" -- \
		tar -C /unpack --strip-components=1 -xf "/usr/src/$KERNEL_SOURCE.tar.xz" ||
		die "the kernel source could not be unpacked" "Is the disk full? Then free space and start again."
	mv "$SOURCE.new" "$SOURCE"
}

# kernel_set VARIANT: sets KERNEL, the cache entry, and BUILD; what has to be mounted
# and run to build modules for it, KERNEL_MOUNTS and KERNEL_MAKE; and KERNEL_LACKS,
# the modules of the usual ones that it does not have.
kernel_set() {
	if [ "$1" = stock ]; then
		stock_set
		return
	fi
	kernel_source_ready
	local fragments=("$VM/kernel/base.config" "$VM/kernel/$1.config")
	[ -e "${fragments[1]}" ] || die "there is no kernel called $1" "Choose plain, debug or stock."
	KERNEL=$CACHE/kernel-$1-$(key "$(basename "$ROOT")" "$SOURCE_KEY" "$(cat "${fragments[@]}")")
	BUILD=$KERNEL/build
	KERNEL_MOUNTS=("ro:$SOURCE:/src" "rw:$BUILD:/build")
	KERNEL_MAKE=(make -C /src O=/build LLVM=1)
	KERNEL_LACKS=()
}

# kernel_ready VARIANT: the kernel is there. Sets RELEASE and what kernel_set does.
kernel_ready() {
	if [ "$1" = stock ]; then
		stock_ready
		return
	fi
	kernel_set "$1"
	[ -e "$KERNEL/done" ] || step "kernel $1 (built once, takes a while)" locked "kernel-$1" kernel_build "$1"
	RELEASE=$(cat "$BUILD/include/config/kernel.release")
}

kernel_build() {
	[ ! -e "$KERNEL/done" ] || return 0
	need_space "$CACHE" 6 "a kernel build"
	local log=$CACHE/log/kernel-$1.log
	mkdir -p "$BUILD"
	cat "$VM/kernel/base.config" "$VM/kernel/$1.config" >"$BUILD/fragment"
	QUIET_TAIL=10 quietly "$log" in_root "ro:$SOURCE:/src" "rw:$BUILD:/build" -- \
		make -s -C /src O=/build LLVM=1 rustavailable ||
		die "the toolchain in the build root cannot build a kernel with Rust" "Remove $ROOT and start again."
	say "    output: $log"
	quietly "$log" in_root "ro:$SOURCE:/src" "rw:$KERNEL:/kernel" "rw:$BUILD:/build" -- sh -euc '
		cd /src
		[ -e /build/.config ] || KCONFIG_ALLCONFIG=/build/fragment make -s O=/build LLVM=1 allnoconfig
		make O=/build LLVM=1 -j"$1" bzImage modules
		rm -rf /kernel/modules /kernel/headers
		make -s O=/build LLVM=1 INSTALL_MOD_PATH=/kernel/modules DEPMOD=true modules_install
		make -s O=/build LLVM=1 INSTALL_HDR_PATH=/kernel/headers headers_install
		rm -f /kernel/modules/lib/modules/*/build' sh "$JOBS" ||
		die "the $1 kernel did not build" "If the log names no cause, check memory and disk space and start again."
	touch "$KERNEL/done"
}
