#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# qemu_copy.sh IMAGE FOLDER: the software host's own QEMU with the libraries and firmware that a guest without display needs, 70 MB, as a
# folder that runs anywhere: FOLDER/qemu starts it (ld.so, lib, share and qemu-system-x86_64 are what it is made of).
set -u
[ $# = 2 ] || { echo "usage: qemu_copy.sh IMAGE FOLDER" >&2; exit 2; }
q=$1/qemu/usr to=$2
mkdir -p "$to/lib" "$to/share" &&
	cp "$q/bin/qemu-system-x86_64" "$to/" && cp -L "$q/lib64/ld-linux-x86-64.so.2" "$to/ld.so" &&
	"$q/lib64/ld-linux-x86-64.so.2" --library-path "$q/lib/x86_64-linux-gnu" --list "$q/bin/qemu-system-x86_64" |
	awk '$3 ~ /^\// { print $3 }' | xargs cp -L -t "$to/lib" &&
	cp -L "$q"/share/qemu/{qboot.rom,pvh.bin,linuxboot_dma.bin,kvmvapic.bin} "$q"/share/seabios/bios-256k.bin "$to/share/" &&
	cat >"$to/qemu" <<'W' && chmod 755 "$to/qemu" && exit
#!/bin/sh
d=${0%/*}
exec "$d/ld.so" --library-path "$d/lib" "$d/qemu-system-x86_64" -L "$d/share" "$@"
W
echo "fourlane: copying QEMU from $1 to $to failed; is there room?" >&2
exit 1
