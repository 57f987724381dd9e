# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Runs the table of test programs: one boot of the guest per stack and kernel.

# suite_rows STACK VARIANT: "program seconds device arguments" for what runs there,
# ours expanded.
suite_rows() {
	local program seconds on_c on_ours device arguments where path
	while read -r program seconds on_c on_ours device arguments; do
		case $program in '' | '#'*) continue ;; esac
		where=$on_ours
		[ "$1" != c ] || where=$on_c
		[ "$where" = "$2" ] || continue
		case $program in
		own)
			for path in "$OWN_SELFTESTS"/*_test; do
				# One that has a row of its own has its turn there.
				[ ! -x "$path" ] || suite_has_row "$1" "$2" "own/${path##*/}" ||
					echo "$path $seconds $device"
			done
			;;
		own/*) echo "$OWN_SELFTESTS/${program#own/} $seconds $device $arguments" ;;
		*) echo "$KERNEL_SELFTESTS/$program $seconds $device $arguments" ;;
		esac
	done <"$VM/programs"
}

# suite_has_row STACK VARIANT PROGRAM: does the table have a row for it there?
suite_has_row() {
	awk -v column="$([ "$1" = c ] && echo 3 || echo 4)" -v variant="$2" -v program="$3" \
		'$1 == program && $column == variant { found = 1 } END { exit !found }' "$VM/programs"
}

# suite_wanted STACK VARIANT: does the table name this pair at all?
suite_wanted() {
	awk -v column="$([ "$1" = c ] && echo 3 || echo 4)" -v variant="$2" \
		'!/^#/ && $column == variant { found = 1 } END { exit !found }' "$VM/programs"
}

# suite_run STACK VARIANT [PATTERN [PART/PARTS]]: runs the programs, or those that
# match; or every PARTSth of them, from the PARTth on.
suite_run() {
	local stack=$1 variant=$2 pattern=${3:-*} rows row files=() names=() total=120 job='' name seconds
	local part=${4:-1/1} parts number=0 device arguments
	parts=${part#*/} part=${part%/*}
	kernel_ready "$variant"
	MODULES_DIR=$KERNEL/vfio-$(tree_key)
	RUN_DIR=
	run_directory
	mapfile -t rows < <(suite_rows "$stack" "$variant")
	for row in ${rows[@]+"${rows[@]}"}; do
		number=$((number + 1))
		[ $((number % parts)) = $((part % parts)) ] || continue
		read -r path seconds device arguments <<<"$row"
		name=${path##*/}
		# shellcheck disable=SC2254 # it is a pattern
		case $name in $pattern) ;; *) continue ;; esac
		files+=("$path")
		names+=("$name")
		total=$((total + seconds))
		if [ "$device" = - ]; then
			job+="program $name $seconds ./$name"$'\n'
		else
			job+="bind \$$device && program $name $seconds ./$name $arguments \$$device"$'\n'
			job+="unbind \$$device"$'\n'
		fi
	done
	image_make "$stack" "$total" "" ${files[@]+"${files[@]}"} -- -- "$job:" || return
	local rc=0
	image_run "$total" ${SUITE_OPTIONS[@]+"${SUITE_OPTIONS[@]}"} -- || rc=$?
	local kunit=()
	if [ "$stack-$variant-$part" = rust-debug-1 ]; then
		kunit=(--kunit)
	fi
	[ ! -e "$RUN_DIR/verdict.json" ] || tally_py guest "$stack" "$variant" "$RUN_DIR" \
		--part "$part/$parts" \
		${kunit[@]+"${kunit[@]}"} --expect ${names[@]+"${names[@]}"}
	[ "$rc" != 3 ] || tally fail - guest "boots ($stack stack, $variant kernel)"
	return "$rc"
}
