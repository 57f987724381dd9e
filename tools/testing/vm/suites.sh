# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Runs the table of test programs: one boot of the guest per stack and kernel.

# suite_column STACK: which column of the table says where programs run. The stack mixed has
# that of ours.
suite_column() { [ "$1" = c ] && echo 3 || echo 4; }

# suite_kernels STACK VARIANT: the kernels in that column whose rows run there. With the stack
# mixed all that are run on the plain one, where they take least.
suite_kernels() { [ "$1 $2" = "mixed plain" ] && echo plain debug || echo "$2"; }

# suite_rows STACK VARIANT: the lines of suite_rows_all, each once.
suite_rows() { suite_rows_all "$@" | awk '!seen[$0]++'; }

# suite_rows_all STACK VARIANT: "program seconds device arguments" for what runs there,
# ours expanded.
suite_rows_all() {
	local program seconds on_c on_ours device arguments where path kernels
	kernels=$(suite_kernels "$1" "$2")
	while read -r program seconds on_c on_ours device arguments; do
		case $program in '' | '#'*) continue ;; esac
		where=$on_ours
		[ "$1" != c ] || where=$on_c
		[[ " $kernels " = *" $where "* ]] || continue
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

# suite_has_row STACK VARIANT PROGRAM: does the table have a row for it there? On
# Debian's kernel a program that has a row anywhere, because it is slow or needs
# something, only runs if one names that kernel.
suite_has_row() {
	awk -v column="$(suite_column "$1")" -v variant="$2" -v program="$3" \
		'$1 == program && ($column == variant || variant == "stock") { found = 1 } END { exit !found }' \
		"$VM/programs"
}

# suite_wanted STACK VARIANT: does the table name this pair at all?
suite_wanted() {
	awk -v column="$(suite_column "$1")" -v variant="$2" \
		'!/^#/ && $column == variant { found = 1 } END { exit !found }' "$VM/programs"
}

# job_add ROW: one program more for job_run, in variables of the caller: its file, its
# name, what the guest's shell does for it, and the seconds of all.
job_add() {
	local path seconds device arguments name
	read -r path seconds device arguments <<<"$1"
	name=${path##*/}
	files+=("$path")
	names+=("$name")
	total=$((total + seconds))
	if [ "$device" = - ]; then
		steps+=("program $name $seconds ./$name $arguments")
	else
		steps+=("bind \$$device && program $name $seconds ./$name $arguments \$$device"$'\n'"unbind \$$device")
	fi
}

# job_add_demo SECONDS: the demo, which is one test.
job_add_demo() {
	files+=("$DEMO")
	names+=(demo)
	total=$((total + $1))
	steps+=("program demo $1 sh -c './vfio-demo && echo 1..1 && echo ok 1 all steps'")
}

# How often a guest is booted again whose IOMMU was made to lose a write.
REBOOTS=3

# job_run STACK VARIANT LABEL MACHINE OPTION... -- QEMU ARGUMENT...: boots the guest
# for these programs, and counts. Where QEMU loses a write to the IOMMU (README.rst),
# another boot runs the program that waits for it, and those after it.
job_run() {
	local stack=$1 variant=$2 label=$3 rc boots=0 lost number also=() kunit=()
	shift 3
	modules_set
	case "$stack $variant $label" in
	'rust debug '1/* | 'rust debug fast'*) kunit=(--kunit) ;;
	esac
	[[ $label = */* ]] || also=(--machine "$label")
	while :; do
		rc=0 lost='' RUN_DIR=
		run_directory
		image_make "$stack" "$total" "" ${files[@]+"${files[@]}"} -- -- \
			"${prologue:-}$(printf '%s\n' ${steps[@]+"${steps[@]}"})"$'\n:' || return
		image_run "$total" ${SUITE_OPTIONS[@]+"${SUITE_OPTIONS[@]}"} "$@" || rc=$?
		[ "$rc" != "$LOST_WRITE" ] || lost=$(cat "$RUN_DIR/lost")
		[ ! -e "$RUN_DIR/verdict.json" ] || tally_py guest "$stack" "$variant" "$RUN_DIR" \
			--part "$label" ${also[@]+"${also[@]}"} ${kunit[@]+"${kunit[@]}"} --lost "$lost" \
			--expect ${names[@]+"${names[@]}"}
		[ -n "$lost" ] || break
		number=0
		while [ "${names[number]:-$lost}" != "$lost" ]; do number=$((number + 1)); done
		if [ -z "${names[number]:-}" ] || [ "$boots" = "$REBOOTS" ]; then
			tally fail - guest "QEMU keeps the IOMMU's registers ($stack stack, $variant kernel, $label)"
			break
		fi
		boots=$((boots + 1)) kunit=()
		names=("${names[@]:number}") steps=("${steps[@]:number}")
		say "    QEMU lost a write to the IOMMU: another boot runs the rest, from $lost on"
	done
	[ "$rc" != 3 ] || tally fail - guest "boots ($stack stack, $variant kernel, $label)"
	return "$rc"
}

# suite_run STACK VARIANT [PATTERN [PART/PARTS]]: runs the programs, or those that
# match; or every PARTSth of them, from the PARTth on, where PART/PARTS may come after a
# name. ONLY, if set, names those that count at all, and EXCEPT those that do not.
suite_run() {
	local stack=$1 variant=$2 pattern=${3:-*} rows row files=() names=() steps=() total=120 name
	local label=${4:-1/1} number=0
	local part=${label##* }
	kernel_ready "$variant"
	mapfile -t rows < <(suite_rows "$stack" "$variant")
	for row in ${rows[@]+"${rows[@]}"}; do
		name=${row%% *}
		[[ -z ${ONLY:-} || " $ONLY " = *" ${name##*/} "* ]] || continue
		[[ " ${EXCEPT:-} " != *" ${name##*/} "* ]] || continue
		number=$((number + 1))
		[ $((number % ${part#*/})) = $((${part%/*} % ${part#*/})) ] || continue
		# shellcheck disable=SC2254 # it is a pattern
		case ${name##*/} in $pattern) ;; *) continue ;; esac
		job_add "$row"
	done
	job_run "$stack" "$variant" "$label" --
}

# machine_rows KIND: the rows of that kind in the table of machines.
machine_rows() { awk -v kind="$1" '$1 == kind { sub(/^[a-z]+[ \t]+/, ""); print }' "$VM/machines"; }

# machines_run STACK: boots each machine of that table, and runs the programs there.
machines_run() {
	local stack=$1 machines programs machine program files names steps total rc=0
	local label iommu properties kernel name seconds where options
	kernel_ready plain
	demo_ready
	mapfile -t machines < <(machine_rows machine)
	mapfile -t programs < <(machine_rows program)
	for machine in "${machines[@]}"; do
		read -r label iommu properties kernel <<<"$machine"
		files=() names=() steps=() total=120 options=()
		for program in "${programs[@]}"; do
			read -r name seconds where program <<<"$program"
			[[ ,$where, = *,$label,* ]] || continue
			case $name in
			demo)
				job_add_demo "$seconds"
				continue
				;;
			own/*) name=$OWN_SELFTESTS/${name#own/} ;;
			*) name=$KERNEL_SELFTESTS/$name ;;
			esac
			job_add "$name $seconds $program"
		done
		[ "$properties" != - ] || properties=
		for property in ${properties//,/ }; do
			options+=(-global "$property")
		done
		job_run "$stack" plain "$label" --iommu "$iommu" --append "$kernel" -- \
			${options[@]+"${options[@]}"} || rc=$?
	done
	return "$rc"
}
