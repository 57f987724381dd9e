# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Comparison of our modules with the C modules, operation by operation; see
# tools/testing/compare. Sourced after the other parts.

COMPARE_DEVICES=(IGB NVME E1000E EDU IVSHMEM VIRTIO_NET VF VGA PORT_NVME PORT_IVSHMEM XHCI MTTY)
COMPARE_KEPT=5
# Seconds for a thousand operations, and for what does not depend on them; a
# guest does a thousand a second, unless the host has other things to do.
COMPARE_PACE=20
COMPARE_EXTRA=600

# compare_build: builds what changed; sets COMPARE.
compare_build() {
	COMPARE=$CACHE/compare-$(tree_key)
	locked "compare-$(tree_key)" compare_make
}

compare_make() {
	mkdir -p "$COMPARE"
	quietly "$CACHE/log/compare-$(tree_key).log" \
		in_root "ro:$SOURCE:/src" "ro:$KERNEL:/kernel" "rw:$COMPARE:/compare" -- \
		make -C /vfio/tools/testing/compare -j"$JOBS" KSRC=/src KHDR=/kernel/headers/include OUT=/compare
}

# compare_prepare VARIANT: all that guests need. Sets COMPARE_DIR.
compare_prepare() {
	kernel_ready "$1"
	step "modules for the $1 kernel" modules_build "$1"
	step "the program that drives the devices" compare_build
	COMPARE_DIR=$(dated_directory "$CACHE/compare" "$COMPARE_KEPT")
}

# compare_guest NAME STACK VARIANT OPTIONS OPERATIONS SEED...: one guest; its logs
# are in COMPARE_DIR/NAME/share/SEED.
#
# Two that are compared have their processors emulated in one thread each: QEMU 10.0 with
# several may lose a write to a register, such as the tail of the IOMMU's queue, when
# another processor changes the memory map at that moment, and the guest hangs.
compare_guest() {
	local name=$1 stack=$2 variant=$3 options=$4 operations=$5 seed job='share_out' limit machine=()
	shift 5
	[ "$variant" != plain ] || machine=(-1)
	limit=$((COMPARE_EXTRA + operations * COMPARE_PACE / 1000))
	for seed; do
		job+="; mkdir -p /out/$seed; program compare-$seed $limit ./compare $options -s $seed"
		job+=" -n $((operations / ${#COMPARE_DEVICES[@]})) -o /out/$seed ${COMPARE_DEVICES[*]}"
		job+=" || failed=1"
	done
	# shellcheck disable=SC2086 # nothing, or an option
	"$VM/run" ${COMPARE_LEAKS:-} ${machine[@]+"${machine[@]}"} -q -B -w -k "$variant" -s "$stack" -t $((limit * $#)) -o "$COMPARE_DIR/$name" \
		-p "$COMPARE/compare" -- "$job; [ -z \"\${failed:-}\" ]"
}

# compare_report OPTION... -- SEED...: compares the logs of two guests.
compare_report() {
	local seed options=() pairs=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	for seed; do
		pairs+=("/logs/one/share/$seed" "/logs/two/share/$seed")
	done
	in_root "ro:$COMPARE_DIR:/logs" -- python3 -B /vfio/tools/testing/compare/report.py \
		-m "${COMPARE_MOST:-20}" ${options[@]+"${options[@]}"} "${pairs[@]}"
}

# compare_name STACK: what its results are called.
compare_name() {
	case $1 in
	c) echo C ;;
	rust) echo ours ;;
	*) echo "$1" ;;
	esac
}

# compare_two STACK STACK OPTION... -- OPERATIONS SEED...: two guests at a time.
compare_two() {
	local one=$1 two=$2 options=() rc=0 other operations
	shift 2
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	operations=$2
	shift 2
	say "    seeds $*, $operations operations each; logs in $COMPARE_DIR"
	compare_guest two "$two" plain "" "$operations" "$@" >"$COMPARE_DIR/two.log" 2>&1 &
	other=$!
	compare_guest one "$one" plain "" "$operations" "$@" || rc=1
	wait "$other" || rc=1
	cat "$COMPARE_DIR/two.log" >&2
	compare_report ${options[@]+"${options[@]}"} -- "$@" || rc=1
	return "$rc"
}

# compare_stacks STACK STACK OPERATIONS SEED...: two of c, rust, mixed, or one twice. What may
# differ is only known of the C core and ours; the C core comes first then.
compare_stacks() {
	local one=$1 two=$2 options=()
	shift 2
	if [ "$two" = c ]; then
		two=$one one=c
	fi
	if [ "$one" != c ] || [ "$two" = c ]; then
		options=(--no-rules)
	fi
	options+=(--names "$(compare_name "$one")" "$(compare_name "$two")")
	compare_prepare plain
	step "the same operations, stacks $one and $two" compare_two "$one" "$two" "${options[@]}" -- "$@"
}

# compare_fuzz OPERATIONS SEED...: ours alone, where every error shows.
compare_fuzz() {
	compare_prepare debug
	step "operations of two processes at a time on the debug kernel" \
		compare_guest one rust debug -x "$@"
}
