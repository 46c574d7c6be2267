#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What Linux makes of the machine around the CPUs: topology, x2APIC, interrupts by MSI-X and by the IOAPIC to every CPU, a CPU off and on,
# pause and resume, memory of huge pages. Run in the lab as root; speaks TAP.
. "$(dirname "$0")/guest_lib.sh"
mg=/opt/fourlane/bin/mg.elf
tsc=$(awk '/^cpu MHz/ {printf "%.0f", $4 * 1000000; exit}' /proc/cpuinfo)
counters() { fourlane stats "$1" | grep -v -e '^uptime_ms ' -e '^monitor\.'; }
# stands NAME GUEST: no counter moves
stands() {
	counters "$2" >"$tmp/a"; sleep 1; counters "$2" >"$tmp/b"
	check "$1" cmp "$tmp/a" "$tmp/b"
}

# --- the microguest's own look --------------------------------------------------------------------------------------------------
mkfifo "$tmp/mg.in"
fourlane run --cpus 4 --mem 32M --kernel $mg --append "mode=smp cpus=4 tsc=$tsc" <"$tmp/mg.in" >"$tmp/mg.out" 2>"$tmp/mg.err" &
exec 9>"$tmp/mg.in"
echo q >&9
wait $!
exec 9>&-
has sipi_wakes_the_others "$(cat "$tmp/mg.out")" 'FL SMP cpus=4 started=3 ids=0,1,2,3'

# --- four CPUs ----------------------------------------------------------------------------------------------------------------------
guest_cpus=4 guest_append=watchdog_thresh=5
guest_start smp --nic virtio,backend=loop --nic e1000,backend=loop || { echo "1..$T"; echo "Bail out! no guest"; exit 1; }
is linux_has_four_cpus "$(guest_do smp nproc)" 4
is they_are_cores_of_one_socket "$(guest_do smp 'cd /sys/devices/system/cpu; cat cpu?/topology/core_id cpu?/topology/physical_package_id | tr "\n" " "; cd')" '0 1 2 3 0 0 0 0 '
is each_is_one_thread "$(guest_do smp 'cat /sys/devices/system/cpu/cpu?/topology/thread_siblings_list | tr "\n" " "')" '0 1 2 3 '
is they_share_the_last_cache "$(guest_do smp 'cd /sys/devices/system/cpu/cpu1/cache && for i in index*; do [ $(cat $i/level) -lt 3 ] || cat $i/shared_cpu_list; done; cd')" "$(
	guest_do smp '[ -e /sys/devices/system/cpu/cpu1/cache/index3 ] && echo 0-3')"
for f in x2apic tsc_deadline_timer hypervisor; do is "every_cpu_has_$f" "$(guest_do smp "grep -c '^flags.* $f' /proc/cpuinfo")" 4; done
has x2apic_is_in_use "$(guest_do smp 'dmesg | grep -i x2apic')" 'physical x2apic'
has memory_types_are_in_use "$(guest_do smp 'dmesg | grep PAT')" 'x86/PAT: Configuration'
is linux_has_no_complaint "$(guest_do smp "dmesg | grep -E 'irmware [Bb]ug|BIOS bug|mismatch|WARNING|Call Trace|lockup|APIC.*(error|failed)|MTRRs disabled|not responding'")" ''

# --- interrupts to every CPU ------------------------------------------------------------------------------------------------------
# reach NAME INTERFACE PATTERN: the interrupt of that line of /proc/interrupts is sent to each CPU and arrives there
reach() {
	guest_do smp "ip addr add 10.$T.1.1/24 dev $2; ip link set $2 up" >/dev/null
	is "$1" "$(guest_do -t 120 smp "
		n=\$(awk -F: '/$3/ {print \$1 + 0; exit}' /proc/interrupts)
		for c in 0 1 2 3; do
			echo \$c >/proc/irq/\$n/smp_affinity_list
			ping -c 2 -i 0.3 -W 1 -I $2 10.$T.1.\$((10 + c)) >/dev/null 2>&1
			a=\$(awk -v n=\$n: -v c=\$c '\$1 == n {print \$(c + 2)}' /proc/interrupts)
			ping -c 2 -i 0.3 -W 1 -I $2 10.$T.1.\$((20 + c)) >/dev/null 2>&1
			b=\$(awk -v n=\$n: -v c=\$c '\$1 == n {print \$(c + 2)}' /proc/interrupts)
			[ \$b -gt \$a ] && printf '%s ' \$c
		done")" '0 1 2 3 '
}
guest_do smp 'modprobe virtio_net; modprobe e1000; sleep 1' >/dev/null
nic() { guest_do smp "basename \$(dirname \$(grep -l $1 /sys/class/net/*/device/uevent | head -1 | xargs dirname))"; }
reach msix_reaches_every_cpu "$(nic DRIVER=virtio_net)" 'virtio.*-input.0'
e1000=$(nic DRIVER=e1000)
reach a_line_of_the_ioapic_reaches_every_cpu "$e1000" "IO-APIC.*$e1000"

is a_cpu_goes_off "$(guest_do smp 'echo 0 >/sys/devices/system/cpu/cpu3/online; nproc')" 3
is and_comes_back "$(guest_do smp 'echo 1 >/sys/devices/system/cpu/cpu3/online; nproc')" 4

# --- standing still -------------------------------------------------------------------------------------------------------------------
guest_do smp 'for c in 0 1 2 3; do taskset -c $c sh -c "while :; do :; done" & done 2>/dev/null' >/dev/null
fourlane pause smp; is linux_is_paused $? 0
stands no_counter_of_it_moves smp
sleep 13 # longer than its watchdog waits
fourlane resume smp; is linux_is_resumed $? 0
is it_answers "$(guest_do smp 'echo here')" here
sleep 3
is it_does_not_take_itself_for_hung "$(guest_do smp "dmesg | grep -E 'lockup|rcu.*stall|unstable|hung'")" ''
fourlane pause smp
fourlane stop smp; is and_it_stops_when_paused $? 0
wait_for 10 guest_ended smp; wait "${guest_pid[smp]}"; is with_status_0 $? 0
guest_forget smp

# --- huge pages -----------------------------------------------------------------------------------------------------------------------
huge() { cat "/sys/kernel/mm/hugepages/hugepages-2048kB/$1"; }
is the_host_has_huge_pages "$(huge free_hugepages)" 200
fourlane run --kernel $mg --mem 402M --hugepages 2M </dev/null >/dev/null 2>"$tmp/few.err"; is too_few_huge_pages_are_a_failure $? 1
has and_the_remedy_is_named "$(cat "$tmp/few.err")" 'it takes 201, 200 are free; run '"'sysctl vm.nr_hugepages=201'"
guest_cpus=1 guest_mem=384M guest_append='' guest_start huge --hugepages 2M --prefault
is linux_runs_in_huge_pages "$(guest_do huge 'echo here')" here
is that_are_the_hosts "$(huge free_hugepages)" 8
guest_off huge
is and_come_back "$(huge free_hugepages)" 200

echo "1..$T"
