#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's own kernel as a guest, inside the software host: its bzImage and its vmlinux reach user space with console=ttyS0 alone, find
# what the machine has in ACPI, power off, reset, take input, and shut down when they are asked to.
# Run in the lab as root, with vmlinuz and vmlinux beside it; speaks TAP. The guest's user space is busybox in an initrd made here.
export PATH=/opt/fourlane/bin:$PATH
[ -e /etc/fourlane-lab ] || { echo "1..0 # SKIP not in the software host"; exit 0; }
[ -w /dev/kvm ] || { echo "1..0 # SKIP no /dev/kvm"; exit 0; }
here=$(dirname "$(readlink -f "$0")")
tmp=$(mktemp -d)
T=0
ok() { T=$((T + 1)); echo "ok $T - $*"; }
not_ok() { T=$((T + 1)); echo "not ok $T - $*"; tail -25 "$tmp/out" "$tmp/err" | tr -d '\r' | sed 's/^/# /'; }
check() { local n=$1; shift; if "$@"; then ok "$n"; else not_ok "$n"; fi; }
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1"; echo "# got '$2', wanted '$3'"; fi; }
wait_for() { local end=$((SECONDS + $1)); shift; until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.2; done; }
saw() { grep -q "$@" "$tmp/out"; }
said() { grep -q "$@" "$tmp/err"; }
guest=
cleanup() { [ -n "$guest" ] && kill -9 "$guest" 2>/dev/null; rm -rf "$tmp"; }
trap cleanup EXIT

# --- the guest's user space ----------------------------------------------------------------------------------------------
modules=/lib/modules/$(uname -r)/kernel/drivers
mkdir -p "$tmp/root/bin"
cp "$(command -v busybox)" "$tmp/root/bin/busybox"
cp $modules/acpi/button.ko $modules/input/evdev.ko $modules/net/ethernet/intel/e1000/e1000.ko "$tmp/root/" || exit 1
cat >"$tmp/root/init" <<'E'
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
echo "INIT cmdline=$(cat /proc/cmdline)"
ask() { case " $(cat /proc/cmdline) " in *" t=$1 "*) return 0 ;; esac; return 1; }
if ask button; then
	insmod /button.ko
	insmod /evdev.ko
	echo LISTENING
	# an event is 24 bytes: type at 16, code at 18, value at 20; KEY_POWER is 116
	dd if=/dev/input/event0 bs=24 count=1 2>/dev/null | od -An -tu2 -j16 | sed 's/^/EVENT/'
elif ask deaf; then
	insmod /button.ko
	echo LISTENING
	while :; do sleep 1; done
elif ask input; then
	echo TYPE
	read -r line
	echo "TYPED $line"
	stty raw -echo
	echo READY
	head -c 120000 | md5sum | sed 's/^/SUM /'
elif ask reset; then
	reboot -f
else
	insmod /e1000.ko
	ifconfig eth0 up
	sed 's/^/IRQ /' /proc/interrupts
	echo "CLOCK $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
	echo "TABLES $(ls /sys/firmware/acpi/tables | tr '\n' ' ')"
	echo "PCI $(ls /sys/bus/pci/devices | tr '\n' ' ')"
	dmesg | grep -E 'ACPI.*(Error|Warning|BUG)|[Ff]irmware [Bb]ug|BIOS bug|no compatible bridge window|failed to assign|irq .*nobody cared' |
		sed 's/^/COMPLAINT /'
fi
poweroff -f
E
chmod +x "$tmp/root/init"
(cd "$tmp/root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$tmp/initrd"

# start KERNEL WORDS: in the background, console in $tmp/out, input by descriptor 9
start() {
	rm -f "$tmp/in"
	mkfifo "$tmp/in"
	fourlane run --name linux --kernel "$here/$1" --initrd "$tmp/initrd" --no-reboot --mem 512M --append "$2" --nic e1000 --nic virtio \
		<"$tmp/in" >"$tmp/out" 2>"$tmp/err" &
	guest=$!
	exec 9>"$tmp/in"
}
ended() { local state; state=$(awk '{ print $3 }' "/proc/$guest/stat" 2>/dev/null); [ -z "$state" ] || [ "$state" = Z ]; }
# finish SECONDS: its exit status, or "runs" when it has not ended by itself
finish() {
	local status=runs
	if wait_for "$1" ended; then wait "$guest"; status=$?; else kill -9 "$guest"; wait "$guest" 2>/dev/null; fi
	guest=
	exec 9>&-
	echo "$status" >"$tmp/status"
}
status() { cat "$tmp/status"; }

# --- bzImage, one option ------------------------------------------------------------------------------------------------
start vmlinuz console=ttyS0
finish 90
is "bzImage: it ends by itself with status 0" "$(status)" 0
check "bzImage: user space is reached with console=ttyS0 alone" saw 'INIT cmdline=console=ttyS0.$'
check "it powers off through ACPI" saw 'reboot: Power down'
check "it finds every table" saw 'TABLES APIC DSDT FACP FACS MCFG'
check "it finds no fault in them" [ "$(grep -c COMPLAINT "$tmp/out")" = 0 ]
check "it finds both NICs" saw 'PCI 0000:00:00.0 0000:00:01.0 0000:00:02.0'
check "ECAM is used" saw 'PCI: ECAM .mem 0xe0000000-0xe00fffff. (base 0xe0000000).*bus 00.'
check "the serial port is a 16550A with its interrupt" saw 'ttyS0 at I/O 0x3f8 (irq = 4.*is a 16550A'
check "the serial port interrupts" saw -E 'IRQ +4: +[1-9][0-9]* +IO-APIC +4-edge +ttyS0'
check "ACPI's interrupt is level-triggered" saw -E 'IRQ +9: .*IO-APIC +9-fasteoi +acpi'
check "the e1000 gets the line that _PRT tells" saw -E 'IRQ +17: .*IO-APIC +17-fasteoi +eth0'
check "the clock is KVM's" saw 'CLOCK kvm-clock'

# --- vmlinux (PVH), reset, input ------------------------------------------------------------------------------------------
start vmlinux "console=ttyS0 quiet t=reset"
finish 60
is "vmlinux: it resets" "$(status)" 4
check "vmlinux: user space is reached" saw INIT

start vmlinux "console=ttyS0 quiet t=input"
wait_for 60 saw TYPE
echo "Hello, guest" >&9
wait_for 20 saw TYPED
check "a line is read" saw 'TYPED Hello, guest'
wait_for 20 saw READY
head -c 90000 /dev/urandom | base64 -w 0 >"$tmp/text" # 120000 bytes: more than the pipes between hold
cat "$tmp/text" >&9
finish 120
is "input: it ends by itself with status 0" "$(status)" 0
check "120000 bytes that are typed at once come in whole" saw "SUM $(md5sum <"$tmp/text" | cut -d' ' -f1)"

# --- stop --------------------------------------------------------------------------------------------------------------------
start vmlinux "console=ttyS0 quiet t=button"
wait_for 60 saw LISTENING
sleep 1
is "stop returns when the guest is gone" "$(fourlane stop linux 2>"$tmp/err2"; echo $?)" 0
finish 10
is "a guest that was asked ends with status 0" "$(status)" 0
check "its power button was pressed" saw -E 'EVENT +1 +116 +1'

start vmlinux "console=ttyS0 quiet t=deaf"
wait_for 60 saw LISTENING
sleep 1
kill -INT "$guest"
check "a signal asks, too, and says so" wait_for 10 said 'is shutting down'
is "a guest that does not care runs on" "$(fourlane stats linux >/dev/null 2>"$tmp/err2"; echo $?)" 0
is "a second stop ends it" "$(fourlane stop linux 2>"$tmp/err2"; echo $?)" 0
finish 10
is "and that is no failure" "$(status)" 0
echo "1..$T"
