#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# First process of a Linux guest in the software host (guest_lib.sh): a RAM disk over the first disk, which is the software host's own
# root image, then a shell that does what comes in on the first serial port. A line in is "NUMBER COMMAND", with \x01 for a newline
# inside; back comes what the command prints, and "@end NUMBER STATUS" on a line of its own.
if [ $$ = 1 ] && [ ! -e /etc/passwd ]; then
	export PATH=/bin
	/bin/busybox mount -t proc proc /proc
	busybox mount -t sysfs sysfs /sys
	busybox mount -t devtmpfs dev /dev
	for m in $(busybox cat /m/order); do
		[ $m = virtio_console.ko ] || busybox insmod /m/$m
	done
	busybox mount -t ext4 -o ro,noatime /dev/vda /lower || echo "@fail the root disk does not mount"
	busybox mount -t tmpfs -o size=75%,mode=755 upper /upper
	busybox mkdir /upper/data /upper/work
	busybox mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work root /newroot || echo "@fail no overlay"
	for d in dev sys proc; do busybox mount --move /$d /newroot/$d; done
	busybox cp /init /newroot/run/agent
	exec busybox switch_root /newroot /bin/bash /run/agent
fi

export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
cd /root
mount -t tmpfs tmpfs /tmp
mkdir -p /dev/pts /dev/shm /dev/hugepages
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
ln -s /proc/self/fd /dev/fd
echo 2 >/proc/sys/kernel/printk	# only what is critical goes to the console; dmesg has the rest
ip link set lo up
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty raw -echo
echo "@end 0 0"
while read -r number text; do
	# not in a subshell of its own: a command may set variables and functions for later ones
	eval "${text//$'\x01'/$'\n'}" </dev/null
	printf '\n@end %s %s\n' "$number" $?
done
busybox poweroff -f
