#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Linux's virtio_blk on our disks, inside the software host: t_disk.sh with a kernel, and with a disk image of tools (fio, e2fsprogs) made here.
cd "$(dirname "$0")/../.." || exit 1
case ${B:=build} in /*) ;; *) B=$PWD/$B ;; esac
fl=$B/fourlane
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
skip_all() { echo "1..0 # SKIP $*"; exit 0; }
[ -x "$fl" ] || skip_all "$fl is not built"
for tool in fio mke2fs mkfs.ext4 e2fsck ldd gcc nm readelf; do
	PATH=$PATH:/usr/sbin:/sbin command -v $tool >/dev/null || skip_all "$tool is missing; .ci/deps check installs it"
done
image=$("$fl" lab build 2>"$tmp/err") || skip_all "the software host's image cannot be built here: $(tail -1 "$tmp/err")"

# The tools with their libraries. Debian's fio is linked with the libraries of eight storage systems, 80 MB with all that these want:
# one empty library stands for them, no engine that calls it is used.
PATH=$PATH:/usr/sbin:/sbin
lib=$tmp/tools/lib64
others='lib(gfapi|nbd|ibverbs|rdmacm|rados|rbd|pmem|pmemblk)[.]so'
mkdir -p "$tmp/tools/bin" "$lib"
for tool in fio mkfs.ext4 e2fsck; do
	tool=$(command -v $tool)
	cp -L "$tool" "$tmp/tools/bin/"
	needed=$(readelf -d "$tool" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE "$others")
	ldd "$tool" | grep -E "ld-linux|$(tr '\n' '|' <<<"$needed")libblkid|libuuid" | grep -oE '/[^ ]+' | xargs -I{} cp -Lu {} "$lib/"
done
nm -D --undefined-only "$tmp/tools/bin/fio" | awk -F'[ @]+' -v map="$tmp/none.map" '
	$3 ~ /^(rbd|rados|glfs|nbd|pmem|pmemblk|rdma|ibv)_/ { print "void " $3 "(void) {}"; in_version[$4] = in_version[$4] $3 ";" }
	END { for (v in in_version) if (v != "") print v " { " in_version[v] " };" >map }' >"$tmp/none.c"
gcc -w -shared -fPIC -o "$tmp/none.so" "$tmp/none.c" -Wl,--version-script="$tmp/none.map" 2>"$tmp/err" ||
	skip_all "no library for fio: $(tail -1 "$tmp/err")"
readelf -d "$tmp/tools/bin/fio" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -E "$others" | xargs -I{} cp "$tmp/none.so" "$lib/{}"
LD_LIBRARY_PATH=$lib "$tmp/tools/bin/fio" --version >/dev/null 2>"$tmp/err" || skip_all "fio does not start without its libraries: $(tail -1 "$tmp/err")"
size=$(($(du -sm "$tmp/tools" | cut -f1) + 8))
mke2fs -q -t ext4 -O ^has_journal -d "$tmp/tools" "$tmp/tools.img" "${size}M" >"$tmp/err" 2>&1 || skip_all "no image of tools: $(tail -1 "$tmp/err")"
"$fl" lab run --fresh --timeout 400 --copy-in tests/lab/t_disk.sh --copy-in "$image/vmlinuz" --copy-in "$tmp/tools.img" -- bash t_disk.sh
