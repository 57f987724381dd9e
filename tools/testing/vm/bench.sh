# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What operations cost in instructions, with our modules and with the C modules; see
# tools/testing/bench. Sourced after the other parts.

BENCH_KEPT=5
# What is compared with the C modules; only ours have limits.
BENCH_STACK=rust
# Seconds for all operations of one stack. Guests that count instructions run on one
# thread, and much slower.
BENCH_LIMIT=3000

# bench_build: builds what changed; sets BENCH.
bench_build() {
	BENCH=$CACHE/bench-$(tree_key)
	locked "bench-$(tree_key)" bench_make
}

bench_make() {
	mkdir -p "$BENCH"
	quietly "$CACHE/log/bench-$(tree_key).log" \
		in_root "ro:$SOURCE:/src" "ro:$KERNEL:/kernel" "rw:$BENCH:/bench" -- \
		make -C /vfio/tools/testing/bench -j"$JOBS" KSRC=/src KHDR=/kernel/headers/include OUT=/bench
}

# bench_prepare: all that guests need. Sets BENCH_DIR.
bench_prepare() {
	kernel_ready plain
	step "modules for the plain kernel" modules_build plain
	step "the program that counts" bench_build
	BENCH_DIR=$(dated_directory "$CACHE/bench" "$BENCH_KEPT")
}

# bench_guest STACK ARGUMENT...: runs the program in one guest; its log is
# BENCH_DIR/STACK/results.log. BENCH_TEST, if set, names a selftest that compares times, and
# runs after it with our modules.
bench_guest() {
	local stack=$1 files=(-p "$BENCH/bench") command
	shift
	command="program bench $BENCH_LIMIT ./bench $*"
	if [ "$stack" = rust ] && [ -n "${BENCH_TEST:-}" ]; then
		files+=(-p "$OWN_SELFTESTS/$BENCH_TEST")
		command+=" && export INSTRUCTIONS=1 && program $BENCH_TEST $BENCH_LIMIT ./$BENCH_TEST"
	fi
	"$VM/run" -I intel-uncached -L -q -B -k plain -n 1 -Q -icount -Q shift=0,sleep=off \
		-Q -set -Q device.testdev.membar=64G -Q -global -Q q35-pcihost.pci-hole64-size=128G \
		-s "$stack" -t "$BENCH_LIMIT" -o "$BENCH_DIR/$stack" "${files[@]}" -- "$command"
}

# bench_two ARGUMENT...: the C modules and ours, or those of BENCH_STACK, at a time.
bench_two() {
	local rc=0 other
	bench_guest c "$@" >"$BENCH_DIR/c.log" 2>&1 &
	other=$!
	bench_guest "$BENCH_STACK" "$@" || rc=1
	wait "$other" || rc=1
	cat "$BENCH_DIR/c.log" >&2
	return "$rc"
}

# bench_threads CPUS ARGUMENT...: what several threads reach, by the wall clock: one guest
# after the other, since each takes all processors.
bench_threads() {
	local cpus=$1 stack rc=0
	shift
	for stack in c rust; do
		step "threads, $stack stack, $cpus processors" "$VM/run" -I intel-uncached -L -q -B -k plain -n "$cpus" \
			-s "$stack" -t "$BENCH_LIMIT" -o "$BENCH_DIR/$stack" -p "$BENCH/threads" \
			-- "program threads $BENCH_LIMIT ./threads $*" || rc=1
	done
	in_root "rw:$BENCH_DIR:/logs" -- python3 -B /vfio/tools/testing/bench/threads_report.py /logs || rc=1
	return "$rc"
}

# bench_short: those that do not take long, a few times each.
bench_short() {
	local BENCH_TEST=revoke_cost_test
	bench_prepare
	step "selftests of this project" own_selftests_build || return
	bench_two -s && bench_report
}

# bench_report: prints the table, and writes it next to the logs.
bench_report() {
	in_root "rw:$BENCH_DIR:/logs" -- python3 -B /vfio/tools/testing/bench/report.py \
		--stack "$BENCH_STACK" /logs
}
