#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An unmodified Linux guest with our disks, in the lab as root: what its driver sees, fio verify, ext4, discard, the cache mode, and
# what survives kill -9 of the monitor in mid-write. Beside it lie vmlinuz and tools.img (disk.t). Speaks TAP.
export PATH=/opt/fourlane/bin:$PATH
[ -e /etc/fourlane-lab ] || { echo "1..0 # SKIP not in the software host"; exit 0; }
tmp=$(mktemp -d)
T=0
pid=
ok() { T=$((T + 1)); echo "ok $T - $*"; }
not_ok() { T=$((T + 1)); echo "not ok $T - $*"; tail -12 "$tmp/out" | tr -d '\r' | sed 's/^/# /'; sed 's/^/# /' "$tmp/err"; }
check() { local n=$1; shift; if "$@"; then ok "$n"; else not_ok "$n"; fi; }
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1"; echo "# got '$2', wanted '$3'"; fi; }
wait_for() { local end=$((SECONDS + $1)); shift; until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.1; done; }
trap '[ -z "$pid" ] || kill -9 $pid 2>/dev/null; rm -rf "$tmp"' EXIT

# --- the guest: busybox, the modules, and the cases as functions of its init ----------------------------------------
mkdir -p "$tmp"/i/{bin,m,proc,sys,dev,t,d}
cp /bin/busybox "$tmp/i/bin/"
for m in virtio_pci virtio_blk ext4 button evdev; do
	modprobe --show-depends $m 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' | while read -r f; do
	cp "$f" "$tmp/i/m/"
	basename "$f"
done >"$tmp/order"
mv "$tmp/order" "$tmp/i/m/order"
cat >"$tmp/i/init" <<'E2'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for m in $(cat /m/order); do insmod /m/$m; done
say() { echo "GUEST $*"; }
q() { cat /sys/block/$1; }
c=$(sed 's/.*case=\([a-z]*\).*/\1/' /proc/cmdline)
# vda: the tools, read-only; vdb: the disk under test
mount -t ext4 -o ro /dev/vda /t && ln -s /t/lib64 /lib64
export LD_LIBRARY_PATH=/t/lib64 PATH=/bin:/t/bin

look() {
	say sizes=$(q vda/ro)$(q vdb/ro)/$(q vdb/size)/$(q vdb/queue/logical_block_size)
	say serial=$(q vdb/serial) mq=$(ls /sys/block/vdb/mq | wc -l)
	say cache="$(q vdb/queue/write_cache)" discard=$(q vdb/queue/discard_max_bytes) zeroes=$(q vdb/queue/write_zeroes_max_bytes)
	dd if=/dev/zero of=/dev/vda bs=4096 count=1 oflag=direct 2>/dev/null; say write_to_ro=$?
}
fio_verify() { # NAME WORDS
	local n=$1; shift
	fio --name=$n --filename=/dev/vdb --direct=1 --size=24m --verify=crc32c --verify_fatal=1 --do_verify=1 --randseed=7 \
		--output=/fio.out "$@" >/dev/null 2>&1
	r=$?
	say fio_$n=$r
	[ $r = 0 ] || cat /fio.out
}
verify() {
	fio_verify deep --rw=randwrite --ioengine=libaio --iodepth=32 --bsrange=4k-64k
	fio_verify many --rw=randwrite --ioengine=psync --numjobs=1 --bs=512 --size=512k --fsync=16
	echo "write through" >/sys/block/vdb/queue/write_cache
	say through="$(q vdb/queue/write_cache)"
	fio_verify through --rw=randwrite --ioengine=libaio --iodepth=8 --bs=16k --size=4m
}
files() {
	mkfs.ext4 -q -F /dev/vdb && mount -t ext4 /dev/vdb /d; say made=$?
	dd if=/dev/urandom of=/d/big bs=1M count=16 2>/dev/null
	sum=$(md5sum </d/big)
	umount /d && mount -t ext4 -o discard /dev/vdb /d
	[ "$(md5sum </d/big)" = "$sum" ]; say same=$?
	rm /d/big; sync; fstrim /d; say trimmed=$?
	umount /d
	e2fsck -f -n /dev/vdb >/dev/null 2>&1; say clean=$?
}
storm() { # files that are whole and synced are told; it goes on until it is killed
	mkfs.ext4 -q -F /dev/vdb && mount -t ext4 /dev/vdb /d
	n=0
	while :; do
		n=$((n + 1))
		(yes x | head -c 2000000 >/d/noise$((n % 4))) &
		{ echo $n; yes $n | head -c 60000; } | dd of=/d/f$n bs=4k conv=fsync 2>/dev/null && say synced=$n
	done
}
after() {
	mount -t ext4 /dev/vdb /d; say mounted=$?
	n=1
	while [ -e /d/f$n ]; do
		[ "$( { echo $n; yes $n | head -c 60000; } | md5sum)" = "$(md5sum </d/f$n)" ] || break # not synced any more
		n=$((n + 1))
	done
	say whole=$((n - 1))
	umount /d
	e2fsck -f -n /dev/vdb >/dev/null 2>&1; say clean=$?
}
$c
say end
poweroff -f
E2
chmod +x "$tmp/i/init"
(cd "$tmp/i" && find . | busybox cpio -o -H newc 2>/dev/null) >"$tmp/initrd"

# run CASE DISK-WORDS: in the background; a guest that ends by itself is waited for by `ended`
run() {
	fourlane run --name disk --mem 512M --kernel vmlinuz --initrd "$tmp/initrd" --append "console=ttyS0 quiet panic=-1 case=$1" \
		--cpus "${CPUS:-1}" --disk tools.img,ro --disk "$tmp/disk$2" </dev/null >"$tmp/out" 2>"$tmp/err" &
	pid=$!
}
ended() { ! kill -0 "$pid" 2>/dev/null; }
whole() { run "$@"; wait_for 90 ended || kill -9 "$pid"; wait "$pid"; }
said() { tr -d '\r' <"$tmp/out" | sed -n "s/^GUEST .*\b$1=//p" | tail -1; }
echo "1..22"

truncate -s 64M "$tmp/disk"
CPUS=2 whole look ,queues=4,serial=lab-disk
is the_guest_ends_in_order $? 0
is sizes_and_modes_are_ours "$(said sizes)" 10/131072/512
is serial_and_queues_are_ours "$(said serial)" "lab-disk mq=2"
is the_cache_is_told "$(said cache | cut -d' ' -f1,2)" "write back"
check discard_and_zeroes_are_offered [ "$(said discard | cut -d' ' -f1)" -gt 0 -a "$(said zeroes)" -gt 0 ]
check a_read_only_disk_is_not_written [ "$(said write_to_ro)" != 0 ]

whole verify
is fio_guest_ends_in_order $? 0
is fio_verifies_32_deep "$(said fio_deep)" 0
is fio_verifies_single_sectors_with_fsync "$(said fio_many)" 0
is the_driver_switches_the_cache_off "$(said through)" "write through"
is fio_verifies_written_through "$(said fio_through)" 0
whole verify ,direct=on
is fio_verifies_on_direct_io "$(said fio_deep)$(said fio_many)$(said fio_through)" 000

whole files
is a_file_system_is_made "$(said made)" 0
is a_file_is_the_same_after_mounting_again "$(said same)" 0
is it_is_trimmed "$(said trimmed)" 0
is the_file_system_is_clean "$(said clean)" 0
check trimmed_room_is_the_hosts_again [ "$(du -m "$tmp/disk" | cut -f1)" -lt 16 ]

# --- kill -9 in mid-write --------------------------------------------------------------------------------------------
synced() { [ "$(said synced)" -ge 15 ] 2>/dev/null; }
run storm
check files_are_written_and_synced wait_for 90 synced
kill -9 "$(fourlane ps --json | jq '.guests[0].monitor_pid')"
wait "$pid"
is the_killed_monitor_is_told $? 1
last=$(said synced)
whole after
is it_mounts_again "$(said mounted)" 0
check every_synced_file_is_there_and_whole [ "$(said whole)" -ge "${last:-999999}" ]
is and_the_file_system_is_clean "$(said clean)" 0
