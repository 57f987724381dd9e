# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# For the guest's shell: the root with the clients, on /mnt. Sourced by the jobs that
# run them.

# clients_enter: mounts it, with what a running system has besides.
clients_enter() {
	# Read only, so that nothing that is cached can become wrong.
	mkdir -p /mnt
	mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=loose,ro root /mnt || return
	for clients_mount in dev sys proc; do mount -o rbind "/$clients_mount" "/mnt/$clients_mount"; done
	mount -o bind "/stack/$STACK/lib/modules" /mnt/usr/lib/modules
	mkdir -p /job/clients/bin
	for clients_mount in /job/vfio-demo /job/pci-driver-client /job/inside.elf; do
		[ ! -e "$clients_mount" ] || mv "$clients_mount" /job/clients/bin/
	done
	mount -o bind /job/clients /mnt/clients
	for clients_mount in run tmp var/log var/cache var/lib/libvirt etc/driverctl.d; do
		mount -t tmpfs tmpfs "/mnt/$clients_mount"
	done
}

# client NAME SECONDS ARGUMENT...: runs the script of one client in there. Its name in
# the results has the first argument in it.
client() {
	client_name=$1 client_limit=$2
	shift 2
	# shellcheck disable=SC2046 # one word for each device
	program "$client_name${1:+-$1}" "$client_limit" chroot /mnt /usr/bin/env -i \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin:/clients/bin HOME=/tmp LANG=C.UTF-8 \
		"STACK=$STACK" $(sed -n 's/^[A-Z0-9_]*=.*/&/p' /vm/devices) "/clients/$client_name" "$@"
}
