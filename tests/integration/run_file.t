#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `fourlane run FILE`: a guest that a YAML file describes, words of the call over it, what is wrong in it, and the unit that starts it at boot.
. "$(dirname "$0")/lib.sh"
plan 22

# refused NAME STATUS WORD CALL...: that status, and one line that has the word
refused() {
	local name=$1 status=$2 word=$3
	shift 3
	"$FL" run "$@" </dev/null >/dev/null 2>"$TMP/e"
	is "$name" "$? $(wc -l <"$TMP/e") $(grep -c -- "$word" "$TMP/e")" "$status 1 1"
}
file() { cat >"$TMP/$1"; }

"$FL" run --help >"$TMP/o"; check help_shows_a_file grep -q 'disks: \[' "$TMP/o"
refused a_file_that_is_not_there_fails 1 'nowhere.yaml: No such file' "$TMP/nowhere.yaml"
refused a_folder_fails 1 'it is a folder' "$TMP"
: | file empty.yaml
refused an_empty_file_is_a_wrong_call 2 'empty.yaml: it is empty' "$TMP/empty.yaml"
head -c 2000000 /dev/zero | tr '\0' '\n' | file long.yaml
refused a_huge_file_is_a_wrong_call 2 'long.yaml: longer than' "$TMP/long.yaml"
file bomb.yaml <<<$'append: &a x\nkernel: *a'
refused an_alias_is_a_wrong_call 2 'bomb.yaml: .*alias' "$TMP/bomb.yaml"
file key.yaml <<<$'kernel: k\nmemory: 1G'
refused an_unknown_key_is_named 2 'key.yaml: .*memory.*there are: name, kernel' "$TMP/key.yaml"
file value.yaml <<<$'kernel: k\nmem: much'
refused a_wrong_value_is_named 2 "value.yaml: mem: 'much'" "$TMP/value.yaml"
file nic.yaml <<<$'kernel: k\nnics: [warp]'
refused a_wrong_nic_is_named_with_the_file 2 'nic.yaml: .*warp' "$TMP/nic.yaml"
file nokernel.yaml <<<'mem: 64M'
refused a_file_without_a_kernel_says_so 2 'nokernel.yaml: kernel: it is missing' "$TMP/nokernel.yaml"
refused a_second_file_is_one_word_too_many 2 'one word too many' "$TMP/key.yaml" "$TMP/nic.yaml"
refused a_wrong_option_beside_a_file_is_a_wrong_call 2 "--mem 'few'" "$TMP/nokernel.yaml" --kernel "$MG" --mem few

# --- the unit for the boot ---
unit=core/fourlane-guest@.service
check the_unit_runs_a_file grep -q '^ExecStart=@PREFIX@/bin/fourlane run /etc/fourlane/guests/%i.yaml --name %i$' "$unit"
if command -v systemd-analyze >/dev/null; then
	mkdir -p "$TMP/root/bin" "$TMP/unit"
	ln -s "$PWD/$FL" "$TMP/root/bin/fourlane" 2>/dev/null
	case $FL in /*) ln -sf "$FL" "$TMP/root/bin/fourlane" ;; esac
	sed "s|@PREFIX@|$TMP/root|g" "$unit" >"$TMP/unit/fourlane-guest@.service"
	systemd-analyze verify "$TMP/unit/fourlane-guest@.service" >"$TMP/e" 2>&1
	is systemd_finds_no_fault_in_the_unit "$? $(grep -c fourlane-guest "$TMP/e")" "0 0"
else
	skip "no systemd-analyze"
fi

if [ ! -w /dev/kvm ]; then
	while [ $T -lt 22 ]; do skip "no /dev/kvm that this user may open"; done
	exit 0
fi
# the README's example, as it stands there
awk '/^### / { exit } /^```yaml/ { f = 1; next } /^```/ { f = 0 } f' README.md >"$TMP/readme.yaml"
refused the_readmes_example_lacks_but_its_files 1 "kernel $TMP/vmlinuz: No such file" "$TMP/readme.yaml"

# --- a guest by its file; the kernel's and the disk's paths are relative to it ---
mkdir "$TMP/sub"
cp "$MG" "$TMP/sub/kernel.elf"
truncate -s 1M "$TMP/sub/disk.img"
file sub/g.yaml <<EOF2
name: fl-file
kernel: kernel.elf
append: tsc=$(tsc_hz) dev=virtio mode=tx ms=100 warm_ms=10
mem: 64M
cpus: 1
disks: ["disk.img,ro"]
nics:
  - virtio,backend=null
EOF2
# file_guest NAME WORDS...: as guest_start, by the file
file_guest() {
	GUEST=$1
	shift
	rm -f "$TMP/in"
	mkfifo "$TMP/in"
	"$FL" run "$TMP/sub/g.yaml" "$@" <"$TMP/in" >"$TMP/$GUEST.out" 2>"$TMP/$GUEST.err" &
	GUEST_PID=$!
	exec 9>"$TMP/in"
}
file_guest fl-file
check a_guest_runs_by_its_file wait_for 20 guest_saw 'FL READY'
"$FL" stats fl-file --json >"$TMP/s"; check it_has_the_files_nic grep -q '"paravirtual"' "$TMP/s"
"$FL" stop fl-file
guest_wait 10; is and_is_stopped_by_the_files_name $? 0

sed -i 's/^mem:.*/mem: 8192G/' "$TMP/sub/g.yaml"
refused a_wrong_value_is_refused_though_overridden 2 'mem: .8192G' "$TMP/sub/g.yaml" --mem 64M
sed -i 's/^mem:.*/mem: 32M/; s/^disks:.*/disks: ["gone.img"]/' "$TMP/sub/g.yaml"
refused a_disk_is_looked_for_beside_the_file 1 "$TMP/sub/gone.img" "$TMP/sub/g.yaml"
file_guest fl-line --name fl-line --disk "$TMP/sub/disk.img" --nic e1000,backend=null --append "tsc=$(tsc_hz) dev=e1000 mode=tx ms=100 warm_ms=10"
check words_of_the_call_override_the_file wait_for 20 guest_saw 'FL READY'
"$FL" stats fl-line --json >"$TMP/s"
is its_list_replaces_the_files "$(grep -c '"emulated"' "$TMP/s") $(grep -c '"paravirtual"' "$TMP/s")" "1 0"
"$FL" stop fl-line
guest_wait 10
