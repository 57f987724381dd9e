# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What looks at the source without running it. Every check passes only without a
# single complaint.

# tree_files PATTERN...: files of the project, but not what was built.
tree_files() {
	local pattern names=()
	for pattern; do
		names+=(-name "$pattern" -o)
	done
	unset 'names[-1]'
	(cd "$TREE" && find . \( -name .git -o -name target \) -prune -o -type f \( "${names[@]}" \) -print | sed 's|^\./||' | LC_ALL=C sort)
}

# Comments are not wrapped by rustfmt, and checkpatch.pl complains of a patch, not of a file.
lint_rustfmt() {
	local files
	mapfile -t files < <(tree_files '*.rs')
	(cd "$TREE" && awk 'length > 100 && /^ *\/\// { print FILENAME ":" FNR ": a comment of more than 100 columns"; found = 1 }
		END { exit found }' "${files[@]}" >&2) || return
	quietly "$CACHE/log/rustfmt.log" in_root "ro:$SOURCE:/src" -- \
		sh -euc 'cd /vfio; exec rustfmt --check --color never --edition 2021 --config-path /src/.rustfmt.toml "$@"' \
		sh "${files[@]}"
}

# checkpatch WHAT IS NOT ASKED... -- FILE...
checkpatch() {
	local ignored=FILE_PATH_CHANGES
	while [ "$1" != -- ]; do
		ignored+=,$1
		shift
	done
	shift
	[ $# -gt 0 ] || return 0
	in_root "ro:$SOURCE:/src" -- sh -euc '
		cd /vfio
		exec perl /src/scripts/checkpatch.pl --root=/src --no-tree -f --terse \
			--no-summary --show-types --ignore "$@"' sh "$ignored" "$@"
}

checkpatch_all() {
	local driver tests rc=0
	mapfile -t driver < <(tree_files '*.rs' '*.c' '*.h' Kconfig Kbuild | grep -vE '^tools/testing/(selftests|compare|bench|clients)/')
	mapfile -t tests < <(tree_files '*.c' '*.h' | grep -E '^tools/testing/(selftests|compare|bench|clients)/')
	# Rust symbols are exported from a list, not next to a definition in C.
	checkpatch EXPORT_SYMBOL -- ${driver[@]+"${driver[@]}"} || rc=1
	# Userspace reads device memory through volatile pointers; test macros leave
	# the test, and may end in an else of their own.
	checkpatch VOLATILE MACRO_WITH_FLOW_CONTROL BRACES -- ${tests[@]+"${tests[@]}"} || rc=1
	return "$rc"
}

lint_checkpatch() { quietly "$CACHE/log/checkpatch.log" checkpatch_all; }

# Shows the counts, whether or not something is missing.
lint_rows() { in_root -- python3 -B /vfio/tools/testing/rows.py >&2; }

# Files and folders are floors; and circles that are planted are found.
lint_imports() {
	in_root -- sh -euc '
		python3 -B /vfio/tools/testing/imports.py
		python3 -B /vfio/tools/testing/imports.py --try >/dev/null' >&2
}

# What pages say of the source is true.
lint_pages() { in_root -- python3 -B /vfio/tools/testing/pages.py >&2; }

# A build of its own: a complaint is printed only when a file is compiled, so
# what a failed check leaves behind must not be reused.
lint_clippy() {
	local directory log
	directory=$KERNEL/clippy-$(tree_key)
	log=$CACHE/log/clippy-$(tree_key).log
	modules_make "$directory" "$log" CLIPPY=1 || {
		rm -rf "$directory"
		return 1
	}
	if grep -E '^(warning|error)|: (warning|error):' "$log" >/dev/null; then
		grep -E -A6 '^(warning|error)|: (warning|error):' "$log" | head -n 60 | sed 's/^/    | /' >&2
		rm -rf "$directory"
		return 1
	fi
}

# What the kernel's drivers in C look at is there; and those that are planted are found.
lint_fields() {
	local directory
	directory=$KERNEL/vfio-$(tree_key)
	QUIET_TAIL=60 quietly "$CACHE/log/fields.log" modules_locked \
		in_root "ro:$SOURCE:/src" "ro:$BUILD:/build" "ro:$directory:/modules" -- \
		bash /vfio/tools/testing/vm/fields /src /modules
}

# symbols_of FILE MODULE...: what modules export to code in C, and on what terms.
symbols_of() {
	local file=$1
	shift
	awk -F '\t' -v modules=" $* " '
		{ name = $3; sub(/.*\//, "", name) }
		index(modules, " " name " ") && $2 !~ /^_R/ { print $2, $4, $5 }' "$file" | LC_ALL=C sort
}

# Drivers in C find each symbol of the C modules. But there is one driver of IOMMUs, which is not
# found by that.
lint_exports() {
	local missing
	missing=$(LC_ALL=C comm -23 \
		<(symbols_of "$BUILD/Module.symvers" vfio vfio-pci-core | grep -v '^vfio_\(un\)\?register_iommu_driver ') \
		<(symbols_of "$KERNEL/vfio-$(tree_key)/Module.symvers" vfio vfio-pci-core))
	[ -z "$missing" ] || { printf '    not exported: %s\n' "${missing//$'\n'/, }" >&2 && return 1; }
	# As many as there are at least.
	[ "$(symbols_of "$BUILD/Module.symvers" vfio vfio-pci-core | wc -l)" -ge 70 ]
}

# rustdoc knows the crates' options from the commands that built them.
lint_rustdoc() {
	local directory
	directory=$KERNEL/vfio-$(tree_key)
	QUIET_TAIL=60 quietly "$CACHE/log/rustdoc.log" modules_locked \
		in_root "ro:$SOURCE:/src" "ro:$BUILD:/build" "ro:$directory:/modules" -- \
		python3 -B /vfio/tools/testing/vm/rustdoc.py /build /modules /tmp/doc
}
