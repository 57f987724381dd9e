# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Test programs for the guest: the kernel's own vfio selftests, unchanged from
# the kernel source, and this project's. All are static.

# kernel_selftests_ready: sets KERNEL_SELFTESTS. Needs kernel_ready.
kernel_selftests_ready() {
	KERNEL_SELFTESTS=$CACHE/selftests-$(key "$(basename "$ROOT")" "$SOURCE_KEY" \
		"$(cat "$TREE/tools/testing/selftests/test_limit.h")")
	[ -e "$KERNEL_SELFTESTS/done" ] ||
		step "the kernel's vfio selftests" locked selftests kernel_selftests_build
}

# Their source is as it is, but for how long the harness lets a test take.
kernel_selftests_build() {
	[ ! -e "$KERNEL_SELFTESTS/done" ] || return 0
	local header=tools/testing/selftests/kselftest_harness.h limit
	limit=$(grep '^#define TEST_TIMEOUT_DEFAULT' "$TREE/tools/testing/selftests/test_limit.h")
	mkdir -p "$KERNEL_SELFTESTS"
	sed "s|^#define TEST_TIMEOUT_DEFAULT.*|$limit|" "$SOURCE/$header" >"$KERNEL_SELFTESTS/harness.h"
	quietly "$CACHE/log/selftests.log" \
		in_root "ro:$SOURCE:/src" "ro:$KERNEL_SELFTESTS/harness.h:/src/$header" \
		"ro:$KERNEL:/kernel" "rw:$KERNEL_SELFTESTS:/selftests" -- \
		make -C /src/tools/testing/selftests/vfio LLVM=1 -j"$JOBS" OUTPUT=/selftests \
		EXTRA_CFLAGS=-static LDFLAGS=-static KHDR_INCLUDES="-isystem /kernel/headers/include" ||
		die "the kernel's vfio selftests did not build"
	touch "$KERNEL_SELFTESTS/done"
}

# own_selftests_build: builds what changed; sets OWN_SELFTESTS.
own_selftests_build() {
	OWN_SELFTESTS=$CACHE/own-selftests-$(tree_key)
	locked "own-selftests-$(tree_key)" own_selftests_make
}

own_selftests_make() {
	mkdir -p "$OWN_SELFTESTS"
	# A program whose source is gone must not run any more.
	local program
	for program in "$OWN_SELFTESTS"/*_test; do
		[ -e "$TREE/tools/testing/selftests/${program##*/}.c" ] || rm -f "$program"
	done
	QUIET_TAIL=60 quietly "$CACHE/log/own-selftests-$(tree_key).log" \
		in_root "ro:$SOURCE:/src" "ro:$KERNEL:/kernel" "rw:$OWN_SELFTESTS:/selftests" -- \
		make -C /vfio/tools/testing/selftests -j"$JOBS" KSRC=/src KHDR=/kernel/headers/include OUT=/selftests
}
