#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# assign and unassign on a real kernel's sysfs inside the software host: a port of an 82576 and the NVMe disk, what is refused, dry runs,
# SIGKILL in the middle, kept functions. Run in the lab as root; speaks TAP.
export PATH=/opt/fourlane/bin:$PATH
[ -e /etc/fourlane-lab ] || { echo "1..0 # SKIP not in the software host"; exit 0; }
tmp=$(mktemp -d)
T=0
ok() { T=$((T + 1)); echo "ok $T - $*"; }
not_ok() { T=$((T + 1)); echo "not ok $T - $*"; sed 's/^/# /' "$tmp/out" "$tmp/err" 2>/dev/null | tail -8; }
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1"; echo "# got '$2', wanted '$3'"; fi; }
fl() { fourlane "$@" >"$tmp/out" 2>"$tmp/err"; }
status() { fl "$@"; echo $?; }
driver_of() { basename "$(readlink "/sys/bus/pci/devices/$1/driver")" 2>/dev/null; }
override_of() { cat "/sys/bus/pci/devices/$1/driver_override"; }
said() { if grep -qF -- "$2" "$tmp/err"; then ok "$1"; else not_ok "$1"; echo "# '$2' is not said"; fi; }
# refused NAME BDF WORDS: with status 1, those words, the driver still there
refused() {
	local before; before=$(driver_of "$2")
	is "$1" "$(status assign "$2") $(driver_of "$2")" "1 $before"
	said "${1}_and_says_which" "$3"
}
as_before() { is "$1" "$(driver_of "$nic") $(override_of "$nic") $(ls $state/*.json $state/persist/*.json 2>/dev/null | wc -l)" 'igb (null) 0'; }
state=/var/lib/fourlane/assign
nic=0000:01:00.0
disk=$(basename "$(dirname "$(grep -l 0x0108 /sys/bus/pci/devices/*/class)")")
cleanup() { umount -l "$tmp/mnt" 2>/dev/null; fourlane unassign $nic "$disk" >/dev/null 2>&1; rm -rf "$tmp"; }
trap cleanup EXIT
modprobe vfio-pci

# --- a NIC that is in use --------------------------------------------------------------------------------------------------
in_use() {
	ip addr add 10.9.9.9/24 dev lab0
	refused an_address $nic 'its network interface lab0 has an address; free it first'
	ip addr del 10.9.9.9/24 dev lab0
	ip link set lab0 up
	ip route add 10.77.0.0/16 dev lab0 table 77
	refused a_route_of_another_table $nic 'lab0 carries a route'
	ip route del 10.77.0.0/16 dev lab0 table 77
	ip link add br7 type bridge
	ip link set lab0 master br7
	refused a_bridge $nic 'lab0 is below br7;'
	ip link del br7
	ip link add link lab0 name lab0.7 type vlan id 7
	ip addr add 10.9.7.9/24 dev lab0.7
	refused an_address_of_a_vlan $nic 'lab0 is below lab0.7, which has an address'
	ip link del lab0.7
	ip link add link lab0 name mv0 type macvlan
	refused a_macvlan $nic 'lab0 is below mv0'
	ip link del mv0
	ip netns add other
	ip link set lab0 netns other
	refused a_namespace $nic 'in another network namespace'
	ip netns exec other ip link set lab0 netns 1
	ip netns del other
}

# --- rights, words, dry runs ------------------------------------------------------------------------------------------------
words() {
	HOME=/tmp setpriv --reuid 65534 --clear-groups fourlane assign $nic >"$tmp/out" 2>"$tmp/err"
	is a_plain_user_is_refused "$? $(driver_of $nic)" '1 igb'
	said and_is_told_what_is_missing CAP_DAC_OVERRIDE
	unshare -m sh -c "mount -o remount,ro,bind /sys && fourlane assign $nic" >"$tmp/out" 2>"$tmp/err"
	is a_read-only_sysfs_is_refused "$? $(driver_of $nic)" '1 igb'
	said and_is_named_so '/sys is mounted read-only'
	is a_timeout_of_words_is_a_wrong_call "$(status assign $nic --timeout soon)" 2
	is restore_takes_no_function "$(status assign --restore $nic)" 2
	is dry_run_is_done "$(status assign $nic --persist --dry-run) $(driver_of $nic)" '0 igb'
	is and_tells_each_write "$(grep -c '^would write' "$tmp/out") $(sed -n 's/^would write //p' "$tmp/out" | tail -1)" "3 '$nic' to /sys/bus/pci/drivers_probe"
	as_before and_changes_nothing
}

# --- there and back ---------------------------------------------------------------------------------------------------------
there_and_back() {
	is assign_is_done "$(status assign $nic --json)" 0
	is json_has_the_node "$(jq -r '.functions[0] | "\(.driver_before) \(.driver) \(.node) \(.persist)"' "$tmp/out")" \
		"igb vfio-pci /dev/vfio/$(basename "$(readlink /sys/bus/pci/devices/$nic/iommu_group)") false"
	is json_has_the_steps "$(jq -r '[.steps[].do] | join(" ")' "$tmp/out")" 'store write write write'
	is unassign_dry_run_is_done "$(status unassign $nic --dry-run) $(driver_of $nic)" '0 vfio-pci'
	exec 8<>"/dev/vfio/$(basename "$(readlink /sys/bus/pci/devices/$nic/iommu_group)")"
	is one_that_is_open_is_not_taken_back "$(status unassign $nic) $(driver_of $nic)" '1 vfio-pci'
	said and_the_process_is_named "process $$ "
	exec 8>&-
	is unassign_is_done "$(status unassign $nic)" 0
	as_before all_is_as_before
}

# --- killed between any two changes -----------------------------------------------------------------------------------------
killed() {
	for n in 1 2 3; do
		strace -o /dev/null -e trace=clone -e inject=clone:signal=SIGKILL:when=$n fourlane assign $nic >"$tmp/out" 2>"$tmp/err"
		is "assign_is_killed_at_write_$n" $? 137
		is "unassign_after_it_is_done_$n" "$(status unassign $nic)" 0
		as_before "the_driver_is_back_$n"
	done
	fl assign $nic
	strace -o /dev/null -e trace=clone -e inject=clone:signal=SIGKILL:when=3 fourlane unassign $nic >"$tmp/out" 2>"$tmp/err"
	is unassign_is_killed $? 137
	is unassign_completes "$(status unassign $nic)" 0
	as_before the_driver_is_back_again
}

# --- kept ------------------------------------------------------------------------------------------------------------------------
kept() {
	# rebooted: what sysfs is like then; another boot's records are not believed
	rebooted() {
		echo >/sys/bus/pci/devices/$nic/driver_override
		echo $nic >/sys/bus/pci/devices/$nic/driver/unbind
		echo $nic >/sys/bus/pci/drivers/igb/bind
		sed -i 's/"boot_id":"[^"]*"/"boot_id":"another"/' $state/$nic.json
		ip link set lab0 down 2>/dev/null
	}
	is persist_is_done "$(status assign $nic --persist)" 0
	said and_names_the_service 'systemctl enable fourlane-assign.service'
	is it_knows_the_serial_number "$(jq -r .serial $state/persist/$nic.json)" "$(lspci -vvs $nic | sed -n 's/.*Device Serial Number //p' | tr -d -)"
	rebooted
	is restore_is_done "$(status assign --restore) $(driver_of $nic)" '0 vfio-pci'
	rebooted
	cp $state/persist/$nic.json "$tmp/kept"
	sed -i 's/"device":"0x..../"device":"0x1533/' $state/persist/$nic.json
	is another_device_is_refused "$(status assign --restore) $(driver_of $nic)" '1 igb'
	said and_it_is_said 'another device is there now'
	cp "$tmp/kept" $state/persist/$nic.json
	is the_right_one_is_taken "$(status assign --restore --json) $(jq -r '.functions[0].persist' "$tmp/out")" '0 true'
	is unassign_forgets "$(status unassign $nic)" 0
	as_before nothing_is_kept
	is restore_has_nothing_to_do "$(status assign --restore) $(driver_of $nic)" '0 igb'
}

# --- the disk -------------------------------------------------------------------------------------------------------------------
disk() {
	mkdir "$tmp/mnt"
	mkfs.ext4 -q -F /dev/nvme0n1 && mount /dev/nvme0n1 "$tmp/mnt" && echo kept >"$tmp/mnt/file"
	refused a_mounted_disk "$disk" "its disk nvme0n1 is mounted on $tmp/mnt"
	unshare -m sleep 30 & sleeper=$!
	sleep 1
	umount "$tmp/mnt"
	refused one_mounted_in_another_namespace "$disk" 'its disk nvme0n1 is claimed by a file system'
	kill $sleeper; wait $sleeper 2>/dev/null
	exec 8</dev/nvme0n1
	refused an_open_disk "$disk" "process $$ (bash) has its disk nvme0n1 open"
	exec 8<&-
	is a_free_disk_is_assigned "$(status assign "$disk") $(driver_of "$disk")" '0 vfio-pci'
	is and_given_back "$(status unassign "$disk") $(driver_of "$disk")" '0 nvme'
	for _ in $(seq 100); do [ -b /dev/nvme0n1 ] && break; sleep 0.1; done
	mount /dev/nvme0n1 "$tmp/mnt"
	is with_what_was_on_it "$(cat "$tmp/mnt/file")" kept
	is force_takes_a_mounted_one "$(status assign "$disk" --force) $(driver_of "$disk")" '0 vfio-pci'
	said and_says_what_it_ignores 'although its disk nvme0n1 is mounted'
}

# what is refused is the same behind every kind of IOMMU: on one of them
if [ -e /sys/class/iommu/ivhd0 ]; then
	there_and_back
	killed
else
	in_use
	words
	there_and_back
	killed
	kept
fi
disk
echo "1..$T"
