#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Disks of `fourlane run`: what is refused and how it is said, a guest that writes, flushes and compares, kill -9 behind a flush.
. "$(dirname "$0")/lib.sh"
plan 46

# disk_start NAME WORDS DISK...: a microguest with these disks, else like guest_start
disk_start() {
	local name=$1 words=$2 d disks=()
	shift 2
	for d; do disks+=(--disk "$d"); done
	GUEST=$name
	rm -f "$TMP/in"
	mkfifo "$TMP/in"
	"${FILTER[@]}" "$FL" run --name "$name" --kernel "$MG" --append "tsc=$(tsc_hz) dev=blk mode=verify $words" "${disks[@]}" \
		<"$TMP/in" >"$TMP/$name.out" 2>"$TMP/$name.err" &
	GUEST_PID=$!
	exec 9>"$TMP/in"
}
FILTER=()
# verify: one pass of the guest, to its end
verify() { wait_for 20 guest_saw 'FL READY' && guest_say g && wait_for 30 guest_saw 'FL RESULT'; }
# holds FILE SEED SECTORS: does the file hold the guest's pattern?
holds() {
	perl -e 'use integer; my ($f, $seed, $n) = @ARGV; my $b; open F, "<:raw", $f or exit 2;
		for (my $at = 0; $at < $n * 512; $at += 8) {
			read(F, $b, 8) == 8 or exit 2;
			exit 1 if unpack("q", $b) != ($seed * 0x9e3779b97f4a7c15 + $at) * 0xbf58476d1ce4e5b9;
		}' "$@"
}
stat_of() { "$FL" stats "$GUEST" | sed -n "s/^disks$1\.counters\.$2 *//p"; }
refused() { # NAME STATUS WORD DISK: the call, its status, and a word of the one line it says
	"$FL" run --kernel "$MG" --disk "$4" </dev/null 2>"$TMP/e" >/dev/null
	is "$1" "$?/$(wc -l <"$TMP/e")/$(grep -c -- "$3" "$TMP/e")" "$2/1/1"
}

truncate -s 4M "$TMP/a"
truncate -s 1000 "$TMP/odd"
: >"$TMP/empty"
mkfifo "$TMP/fifo"
refused disk_without_a_name_is_a_wrong_call 2 'no file' ,ro
refused disk_with_a_lone_word_is_a_wrong_call 2 'fast' "$TMP/a,fast"
refused disk_with_a_bad_switch_is_a_wrong_call 2 'direct=perhaps' "$TMP/a,direct=perhaps"
if [ ! -w /dev/kvm ]; then
	while [ $T -lt 46 ]; do skip "no /dev/kvm that this user may open"; done
	exit 0
fi
refused disk_that_is_not_there_fails 1 'No such file.*check' "$TMP/none"
refused directory_is_no_disk 1 'directory' "$TMP"
refused fifo_is_no_disk 1 'neither' "$TMP/fifo"
refused odd_size_is_no_disk 1 'multiple of 512' "$TMP/odd"
refused empty_file_is_no_disk 1 'truncate' "$TMP/empty"
refused misspelt_key_is_a_wrong_call 2 'colour' "$TMP/a,colour=red"
refused too_many_queues_are_a_wrong_call 2 'queues=9' "$TMP/a,queues=9"

disk_start fl-disk "sectors=4096 seed=3" "$TMP/a"
check guest_writes_flushes_and_compares verify
is without_a_difference "$(field write_failed)$(field flush_failed)$(field read_failed)$(field wrong_words)" 0000
check and_the_file_holds_it holds "$TMP/a" 3 4096
is stats_count_requests "$(stat_of 0 reads)/$(stat_of 0 writes)/$(stat_of 0 flushes)/$(stat_of 0 write_bytes)" 256/256/1/2097152
refused second_writer_is_refused_and_the_first_named 1 'process .*fourlane' "$TMP/a"
refused reader_of_a_written_file_is_refused 1 'process .*fourlane' "$TMP/a,ro"
monitor=$("$FL" ps --json | sed -n '/"fl-disk"/,/}/s/.*"monitor_pid": \([0-9]*\).*/\1/p')
guest_say g # and in the middle of the next pass:
kill -9 "$monitor"
guest_wait 10; is killed_monitor_is_told $? 1
check flushed_data_is_there_after_kill_9 holds "$TMP/a" 3 4096
disk_start fl-disk "sectors=1024 seed=4" "$TMP/a"
check the_disk_is_free_again_at_once verify
guest_say q
guest_wait 10
check a_shorter_pass_leaves_the_rest [ "$(cmp -n 524288 "$TMP/a" /dev/zero 2>&1 | grep -c differ)" = 1 ]
check and_holds_its_own holds "$TMP/a" 4 1024

"$FL" run --kernel "$MG" --disk "$TMP/a" --disk "$TMP/a" </dev/null 2>"$TMP/e"
is one_file_is_not_two_disks "$?/$(grep -c 'disk0 of this guest' "$TMP/e")" 1/1
cp "$TMP/a" "$TMP/before"
disk_start fl-ro "sectors=64" "$TMP/a,ro" "$TMP/a,ro"
check read_only_guest_runs verify
is read_only_disk_takes_no_write "$(field write_failed)" 4
check read_only_file_is_as_it_was cmp -s "$TMP/a" "$TMP/before"
refused writer_of_a_read_file_is_refused 1 'process' "$TMP/a"
guest_say q
guest_wait 10

disk_start fl-queues "sectors=1024 seed=5" "$TMP/a,queues=4,serial=five"
check several_queues_work verify
is and_nothing_fails_there "$(field write_failed)$(field wrong_words)$(stat_of 0 driver_errors)" 000
guest_say q
guest_wait 10

# paused in the middle of a pass: nothing is on its way, the file stands still, and the pass is whole in the end
truncate -s 64M "$TMP/long"
disk_start fl-pause "sectors=131072 seed=9" "$TMP/long"
wait_for 20 guest_saw 'FL READY'
guest_say g
wrote() { [ "$(stat_of 0 writes)" -gt 0 ]; }
check long_pass_begins wait_for 20 wrote
"$FL" pause fl-pause; is guest_with_a_busy_disk_is_paused $? 0
check it_is_in_mid_pass [ "$(grep -c 'FL RESULT' "$TMP/fl-pause.out")" = 0 ]
now() { echo "$(stat_of 0 in_hand)/$(stat_of 0 writes)/$(stat_of 0 reads)/$(md5sum <"$TMP/long")"; }
before=$(now)
sleep 0.3
is nothing_of_a_paused_guest_moves "$(now)" "$before"
is and_nothing_is_in_hand "${before%%/*}" 0
"$FL" resume fl-pause; is it_goes_on $? 0
wait_for 60 guest_saw 'FL RESULT'
is and_nothing_is_amiss "$(field write_failed)$(field flush_failed)$(field read_failed)$(field wrong_words)" 0000
check paused_pass_is_in_the_file holds "$TMP/long" 9 131072
guest_say q
guest_wait 10
rm "$TMP/long"

# a folder with a disk behind it: this one, not a tmpfs
disk_start fl-direct "sectors=1024 seed=6" "$TMP/a,direct=on"
if verify; then
	is direct_io_works "$(field write_failed)$(field wrong_words)" 00
	check direct_io_reaches_the_file holds "$TMP/a" 6 1024
elif grep -q 'direct I/O' "$TMP/fl-direct.err"; then
	skip "no direct I/O in $TMP"
	skip "no direct I/O in $TMP"
else
	not_ok direct_io_works
	not_ok direct_io_reaches_the_file
fi
guest_kill

# the same monitor where the kernel refuses rings: threads, inside the jail
cat >"$TMP/norings" <<'E2'
my @i = ([0x20, 0, 0, 0], [0x15, 0, 1, 425], [0x06, 0, 0, 0x00050001], [0x06, 0, 0, 0x7fff0000]);
my $p = join '', map { pack 'SCCL', @$_ } @i;
my $f = pack 'S x6 P', scalar(@i), $p;
syscall(157, 38, 1, 0, 0, 0) == 0 && syscall(157, 22, 2, $f) == 0 or exit 77;
exec @ARGV;
E2
FILTER=(perl "$TMP/norings")
disk_start fl-threads "sectors=2048 seed=8" "$TMP/a"
check guest_without_io_uring_works verify
is and_uses_threads "$(stat_of 0 io_uring)/$(field write_failed)$(field flush_failed)$(field wrong_words)" 0/000
check and_its_file_holds_it holds "$TMP/a" 8 2048
guest_say q
guest_wait 10; is and_ends_in_order $? 0
FILTER=()

mkdir "$TMP/small"
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=512k none "$TMP/small" 2>/dev/null; then
	truncate -s 4M "$TMP/small/disk"
	disk_start fl-full "sectors=4096" "$TMP/small/disk"
	check guest_on_a_full_host_goes_on verify
	check its_writes_fail [ "$(field write_failed)" -gt 0 ]
	check the_host_is_told_what_to_do grep -q 'No space left.*make room' "$TMP/fl-full.err"
	guest_say q
	guest_wait 10; is and_it_ends_in_order $? 0
	wait_for 5 umount "$TMP/small"
else
	for _ in 1 2 3 4; do skip "no small file system can be mounted here"; done
fi
