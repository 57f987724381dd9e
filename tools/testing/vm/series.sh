# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The patches of tools/series, one by one on an unmodified kernel source: do they apply, does
# checkpatch.pl have nothing to say, and does each build what it adds? The source and the
# finished plain kernel are below overlays, so that little has to be built, and nothing stays.

# series_check: a line of TAP for each question. They are in the log, and counted.
series_check() {
	local directory=$CACHE/series-$(tree_key) log=$CACHE/log/series-$(tree_key).log line rc=0
	command -v python3 >/dev/null && command -v git >/dev/null ||
		die "tools/series needs python3 and git on this machine" "Install both."
	[ -z "$(git -C "$TREE" status --porcelain)" ] || say "    note: what is not committed is not in the series"
	rm -rf "$directory"
	"$TREE/tools/series" "$SOURCE" "$directory" >&2 || { tally fail - series "tools/series" && return 1; }
	in_root "overlay:$SOURCE:/src" "overlay:$BUILD:/build" "ro:$directory:/series" -- \
		env ONLY="${ONLY:-}" bash /vfio/tools/testing/vm/make-series /series "$JOBS" | tee "$log" >&2
	while read -r line; do
		case $line in
		'ok '*) tally pass - series "${line#ok * - }" ;;
		'not ok '*) tally fail - series "${line#not ok * - }" && rc=1 ;;
		esac
	done <"$log"
	grep -q '^1\.\.' "$log" || { tally fail - series "make-series did not end" && rc=1; }
	return "$rc"
}
