# SPDX-License-Identifier: GPL-2.0-or-later
# Drives Linux guests from inside the software host; sourced by the t_*.sh here, which it gives TAP's words, too. Beside it lies guest_init.sh.
#
#	guest_start NAME WORDS...	`fourlane run` with these words and a root disk; returns when a shell answers on the first serial port
#	guest_do [-t SECONDS] NAME COMMAND	runs it in the guest: prints what it prints, returns its status; 124 when it takes too long
#	guest_off NAME			powers the guest off; returns fourlane's status
#	guest_kill NAME			kill -9
#	guest_tap IF ADDRESS/BITS	a tap of the software host, up, ready for a guest without the rights of root
#
# The guest's kernel is /boot/vmlinux, its root a RAM disk over the software host's own image: it has the same programs and modules.
# Before guest_start these may be set: guest_mem, guest_cpus, guest_append (more words for its kernel), guest_kernel, guest_binary.
export PATH=/opt/fourlane/bin:$PATH
[ -e /etc/fourlane-lab ] || { echo "1..0 # SKIP not in the software host"; exit 0; }
[ -w /dev/kvm ] || { echo "1..0 # SKIP no /dev/kvm"; exit 0; }
guest_here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
tmp=$(mktemp -d)
declare -A guest_pid guest_in guest_out

# --- TAP ----------------------------------------------------------------------------------------------------------------
T=0
ok() { T=$((T + 1)); echo "ok $T - $*"; }
not_ok() {
	T=$((T + 1))
	echo "not ok $T - $*"
	tail -n 12 "$tmp"/*.out "$tmp"/*.err 2>/dev/null | tr -d '\r' | sed 's/^/# /'
}
check() { local n=$1; shift; if "$@"; then ok "$n"; else not_ok "$n"; fi; }
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1"; echo "got '$2', wanted '$3'" | sed 's/^/# /'; fi; }
has() { case $2 in *"$3"*) ok "$1" ;; *) not_ok "$1"; echo "no '$3' in: $2" | sed 's/^/# /' ;; esac; }
wait_for() { local end=$((SECONDS + $1)); shift; until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.2; done; }
guest_cleanup() {
	local g
	for g in "${!guest_pid[@]}"; do guest_kill "$g"; done
	rm -rf "$tmp"
}
trap guest_cleanup EXIT
trap '' PIPE	# a guest that is gone fails its test

# --- the guest ----------------------------------------------------------------------------------------------------------
guest_initrd() {	# stage 1 of the software host, with another /init
	mkdir -p "$tmp/initrd.d"
	cp "$guest_here/guest_init.sh" "$tmp/initrd.d/init"
	chmod 755 "$tmp/initrd.d/init"
	(cd "$tmp/initrd.d" && find . | busybox cpio -o -H newc 2>/dev/null | cat /boot/stage1.cpio -) >"$tmp/initrd"
}

guest_start() {
	local g=$1
	shift
	[ -e "$tmp/initrd" ] || guest_initrd
	rm -f "$tmp/$g.in" "$tmp/$g.pipe"
	mkfifo "$tmp/$g.in" "$tmp/$g.pipe"
	# both ends are ours, so that nobody waits for the other and no line is lost between two readers
	exec {guest_in[$g]}<>"$tmp/$g.in" {guest_out[$g]}<>"$tmp/$g.pipe"
	: >"$tmp/$g.out"
	${guest_binary:-fourlane} run --name "$g" --kernel "${guest_kernel:-/boot/vmlinux}" --initrd "$tmp/initrd" --mem "${guest_mem:-384M}" \
		--cpus "${guest_cpus:-1}" --append "console=ttyS0 quiet panic=-1 mitigations=off nokaslr ${guest_append:-}" \
		--disk /dev/vda,ro "$@" <"$tmp/$g.in" >"$tmp/$g.pipe" 2>"$tmp/$g.err" &
	guest_pid[$g]=$!
	guest_answer "$g" 0 120 >/dev/null && return
	echo "# guest $g does not boot; its words:" >&2
	tail -n 20 "$tmp/$g.out" "$tmp/$g.err" | tr -d '\r' | sed 's/^/# /' >&2
	guest_kill "$g"
	return 1
}

guest_ended() { local s; s=$(awk '{ print $3 }' "/proc/${guest_pid[$1]}/stat" 2>/dev/null); [ -z "$s" ] || [ "$s" = Z ]; }

# guest_answer NAME NUMBER SECONDS: prints what comes until the end of that command; its status, 124 out of time, 125 the guest is gone
guest_answer() {
	local g=$1 want="@end $2 " end=$((SECONDS + $3)) line part='' last='' first=1
	while :; do
		if ! IFS= read -r -t 1 line; then
			part+=$line
			! guest_ended "$g" || return 125
			[ $SECONDS -lt $end ] || return 124
			continue
		fi
		line=$part$line
		part=
		printf '%s\n' "$line" >&3
		case $line in "$want"*) break ;; esac
		[ -n "$first" ] || printf '%s\n' "$last"
		first= last=$line
	done <&"${guest_out[$g]}" 3>>"$tmp/$g.out"
	# the newline before the end is not the command's
	[ -z "$last" ] || printf '%s\n' "$last"
	return "${line#"$want"}"
}

guest_do() {
	local seconds=60 g status number
	if [ "$1" = -t ]; then seconds=$2; shift 2; fi
	g=$1
	[ -n "${guest_pid[$g]:-}" ] || return 125
	# random: in $(...) a number that counts up would be lost
	number=$((RANDOM * 32768 + RANDOM))
	printf '%s %s\n' $number "${2//$'\n'/$'\x01'}" >&"${guest_in[$g]}"
	guest_answer "$g" $number "$seconds"
	status=$?
	[ $status != 124 ] || echo "# guest $g: no end within $seconds s: $2" >&2
	[ $status != 125 ] || echo "# guest $g is gone: $2" >&2
	return $status
}

guest_forget() {
	exec {guest_in[$1]}>&- {guest_out[$1]}>&-
	unset "guest_pid[$1]" "guest_in[$1]" "guest_out[$1]"
}
guest_off() {
	local g=$1 status line
	printf '0 busybox poweroff -f\n' >&"${guest_in[$g]}"
	wait_for 30 guest_ended "$g" || kill -9 "${guest_pid[$g]}"
	wait "${guest_pid[$g]}"
	status=$?
	while IFS= read -r -t 0.1 line; do printf '%s\n' "$line"; done <&"${guest_out[$g]}" >>"$tmp/$g.out"
	guest_forget "$g"
	return $status
}
guest_kill() {
	[ -n "${guest_pid[$1]:-}" ] || return 0
	kill -9 "${guest_pid[$1]}" 2>/dev/null
	wait "${guest_pid[$1]}" 2>/dev/null
	guest_forget "$1"
}

guest_tap() {
	ip tuntap add dev "$1" mode tap ${3:-} && ip addr add "$2" dev "$1" && ip link set "$1" up
}
