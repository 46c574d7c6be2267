#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Our switch with QEMU's -netdev vhost-user and Linux's virtio_net: two guests under TCG, "left" connects to our port (reconnect-ms), "right"
# listens and our port connects. They ping each other and compare what TCP brings; the switch is killed (-9) and started again, and it goes on.
# QEMU, kernel and modules are the software host's (bench/lab/build.sh).
. "$(dirname "$0")/lib.sh"
. tests/integration/interop.sh
need_switch
IMAGE=$(bench/lab/build.sh 2>"$TMP/err") || skip_all "no QEMU and no kernel: $(tail -1 "$TMP/err")"
plan 10

tool() {	# tool NAME WORDS...: a program that came with QEMU
	local q=$IMAGE/qemu p
	for p in "$q"/usr/{bin,sbin}/"$1"; do [ -e "$p" ] && break; done
	"$q/usr/lib64/ld-linux-x86-64.so.2" --argv0 "$1" --library-path "$q/usr/lib/x86_64-linux-gnu" "$p" "${@:2}"
}
SUM=$(seq 1 3000 | md5sum | cut -d' ' -f1)

# The software host's first stage has busybox; this goes over it: an /init of ours and the modules of virtio_net.
make_initrd() {
	local m d=$TMP/initrd kernel
	kernel=$(sed -n 's/^kernel=//p' "$IMAGE/info")
	mkdir -p "$d/n"
	for m in net/core/failover drivers/net/net_failover drivers/net/virtio_net; do
		tool debugfs -R "dump /usr/lib/modules/$kernel/kernel/$m.ko $d/n/${m##*/}.ko" "$IMAGE/root.img" 2>/dev/null
		[ -s "$d/n/${m##*/}.ko" ] || return 1
	done
	cat >"$d/init" <<'I'
#!/bin/busybox sh
export PATH=/bin
/bin/busybox mount -t proc proc /proc
for a in $(busybox ls -a /bin/busybox && busybox --list); do busybox ln -s busybox /bin/$a 2>/dev/null; done
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for m in failover net_failover virtio_net; do insmod /n/$m.ko; done
for w in $(cat /proc/cmdline); do case $w in me=*) me=${w#me=} ;; peer=*) peer=${w#peer=} ;; esac; done
ip link set lo up
ip addr add 10.9.8.$me/24 dev eth0
ip link set eth0 up
echo "UP $(cat /sys/class/net/eth0/address) $(cat /sys/class/net/eth0/device/features | cut -c1-40)"
if [ $me = 2 ]; then
	while :; do nc -l -p 9 >/got; echo "GOT $(md5sum </got | cut -d' ' -f1)"; done
fi
seq 1 3000 >/give
link=
while :; do
	ping -c 1 -W 1 10.9.8.$peer >/dev/null 2>&1 && echo PONG
	# not at its back: one that has lost its peer would wait for ever
	timeout 5 nc -w 3 10.9.8.$peer 9 </give
	now=$(cat /sys/class/net/eth0/carrier)
	[ "$now" = "$link" ] || echo "CARRIER $now"
	link=$now
	sleep 0.2
done
I
	chmod +x "$d/init"
	(cd "$d" && find . | tool cpio -o -H newc --quiet) >"$TMP/extra.cpio" && cat "$IMAGE/stage1.cpio" "$TMP/extra.cpio" >"$TMP/initrd.cpio"
}
# qemu NAME LAST-OF-ADDRESS OF-PEER CHARDEV-WORDS
qemu() {
	local q=$IMAGE/qemu
	peer_bg "$TMP/$1.out" env "QEMU_MODULE_DIR=$q/usr/lib/x86_64-linux-gnu/qemu" "$q/usr/lib64/ld-linux-x86-64.so.2" \
		--library-path "$q/usr/lib/x86_64-linux-gnu" "$q/usr/bin/qemu-system-x86_64" -L "$q/usr/share/qemu" -L "$q/usr/share/seabios" \
		-accel tcg -cpu max -M q35,memory-backend=m -object memory-backend-memfd,id=m,size=256M,share=on -m 256M \
		-nodefaults -no-user-config -display none -no-reboot -chardev stdio,id=console,signal=off -serial chardev:console \
		-kernel "$IMAGE/vmlinux" -initrd "$TMP/initrd.cpio" \
		-append "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check nowatchdog me=$2 peer=$3" \
		-chardev "socket,id=v,$4" -netdev vhost-user,id=n,chardev=v \
		-device "virtio-net-pci,netdev=n,mac=52:54:00:00:09:0$2,romfile="
}
count() { grep -c "$2" "$TMP/$1.out"; }
more() { [ "$(count "$1" "$2")" -gt "$3" ]; }

make_initrd || skip_all "no modules of virtio_net in $IMAGE"
switch_file "{name: left, type: vhost-user, socket: $TMP/left.sock}" "{name: right, type: vhost-user, role: client, socket: $TMP/right.sock}"
check switch_starts switch_up
qemu left 1 2 "path=$TMP/left.sock,reconnect-ms=200"
qemu right 2 1 "path=$TMP/right.sock,server=on,wait=off"
check linux_that_connects_has_its_device wait_for 40 more left '^UP' 0
check linux_that_listens_has_its_device wait_for 40 more right '^UP' 0
check they_ping_each_other wait_for 20 more left '^PONG' 1
check tcp_brings_what_was_sent wait_for 20 more right "^GOT $SUM" 0
check counters_close switch_closes
switch_down KILL
pongs=$(count left '^PONG')
check switch_starts_again switch_up
check ping_goes_on wait_for 30 more left '^PONG' $((pongs + 1))
gots=$(count right "^GOT $SUM")
check tcp_goes_on wait_for 30 more right "^GOT $SUM" "$gots"
check counters_close_again switch_closes
show "$TMP"/{left,right}.out "$TMP/sw/switch.log"
