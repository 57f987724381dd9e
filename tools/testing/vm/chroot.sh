# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Runs commands inside the build root, each in mount and process namespaces of
# its own: nothing stays mounted and nothing keeps running when it ends. Inside,
# paths are the same whatever the cache is called, so that a finished build
# directory can be copied and continued:
#
#   /vfio   this work tree, read only      /build  a kernel build directory
#   /src    kernel source, read only       others as the caller asks

ENTER_ROOT='
set -eu
root=$1; shift
mount -t tmpfs tmpfs "$root/mnt"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
while [ "$1" != -- ]; do
	mode=${1%%:*} rest=${1#*:}
	from=${rest%%:*} to=$root${rest#*:}
	if [ -d "$from" ]; then mkdir -p "$to"; else mkdir -p "${to%/*}"; [ -e "$to" ] || : >"$to"; fi
	case $mode in
	rw) mount --bind "$from" "$to" ;;
	ro) mount --bind "$from" "$to" && mount -o remount,bind,ro "$to" ;;
	overlay)
		upper=$(mktemp -d "$root/mnt/upper-XXXX") work=$(mktemp -d "$root/mnt/work-XXXX")
		chmod 755 "$upper"
		mount -t overlay -o "lowerdir=$from,upperdir=$upper,workdir=$work" overlay "$to" ;;
	esac
	shift
done
shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot "$root" "$@"'

# in_root [ro:FROM:TO | rw:FROM:TO | overlay:FROM:TO]... -- COMMAND...
# An overlay can be written to, and what was written is gone at the end.
in_root() {
	local mounts=() environment=() name
	while [ "$1" != -- ]; do
		mounts+=("$1")
		shift
	done
	shift
	# What decides how the network is reached, for cargo.
	for name in TERM http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY; do
		[ -z "${!name:-}" ] || environment+=("$name=${!name}")
	done
	unshare --mount --pid --fork --kill-child -- \
		sh -c "$ENTER_ROOT" in_root "$ROOT" "ro:$TREE:/vfio" ${mounts[@]+"${mounts[@]}"} -- \
		/usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
		${environment[@]+"${environment[@]}"} "$@"
}
