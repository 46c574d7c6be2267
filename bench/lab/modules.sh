#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds kernel modules with the interfaces that Debian's kernel leaves out: iommufd (/dev/iommu), VFIO's character devices
# (/dev/vfio/devices), netdevsim. Called by `fourlane lab --modules`; prints the finished folder on stdout, progress on stderr.
#
#   modules.sh [--cached] IMAGE [CACHE]      IMAGE: a folder of build.sh. --cached: builds nothing. CACHE: see build_lib.sh
#
# They load on the image's own kernel, so headers and source are those of its very version, and the symbols that the kernel
# exports are enough. CONFIG_IOMMUFD changes struct vfio_device: all of VFIO is built anew, and replaces the kernel's in the lab.
# One thing is not in the kernel, lib/interval_tree.c's span iterator: it goes into iommufd. Without IOMMUFD_DRIVER, which a module
# cannot be, there is no dirty tracking. Needs gcc and make of this machine; nothing is installed. The folder's name is a hash of
# these scripts and of the kernel's version.
# Exit status: 0, 1 failed, 3 this machine has not what it takes (no compiler, no apt).
set -euo pipefail
export LC_ALL=C
umask 022

FOLDERS="drivers/iommu/iommufd drivers/vfio drivers/net/netdevsim net/psample"
FILES="drivers/iommu/iommu-priv.h lib/interval_tree.c"
CONFIG="IOMMUFD=m VFIO_DEVICE_CDEV=y NETDEVSIM=m INTERVAL_TREE_SPAN_ITER=y"
MODULES="iommufd vfio vfio_iommu_type1 vfio-pci-core vfio-pci mdev netdevsim psample"

what="the software host's modules"
here=$(dirname "$0")
# shellcheck source=bench/lab/build_lib.sh
. "$here/build_lib.sh"
cached=
[ "${1:-}" != --cached ] || { cached=1; shift; }
image=${1:?a folder of build.sh is needed}
find_cache "${2:-}"
kver=$(sed -n 's/^kernel=//p' "$image/info")
[ -n "$kver" ] || die 1 "$image/info tells no kernel; remove $image, it is then built again"
folder=$labs/modules-$({ cat "$0" "$here/build_lib.sh"; echo "$kver"; } | sha256sum | cut -c1-16)

found "$folder"
[ -z "$cached" ] || die 1 "there are none for $kver in $labs yet; 'fourlane lab build --modules' makes them"
can_fetch
missing=
for tool in gcc make; do command -v $tool >/dev/null || missing="$missing $tool"; done
[ -z "$missing" ] || die 3 "missing on this machine:$missing; run 'apt-get install$missing'"
begin 1500 "$folder"
stages=4
tools=$image/qemu	# xz, cpio

fetch() {
	local version
	apt_new source "$keyring" bookworm-security bookworm-backports
	version=$(apt_in source apt-cache show "linux-headers-$kver" 2>/dev/null | sed -n 's/^Version: //p' | head -1)
	[ -n "$version" ] || die 1 "the mirror has no linux-headers-$kver any more; remove $image, it is then built with a newer kernel"
	packages="linux-headers-$kver=$version linux-headers-${kver%-amd64}-common=$version linux-kbuild-${kver%-amd64}=$version
		linux-source-${kver%.*}=$version"
	mkdir "$new/debs"
	quietly fetch_debs
}
# shellcheck disable=SC2086
fetch_debs() { cd "$new/debs" && apt_in source apt-get -q download $packages; }

unpack_all() {
	local f list=
	unpack "$new"/debs/linux-{headers,kbuild}-*.deb "$new/kernel"
	dpkg-deb --fsys-tarfile "$new"/debs/linux-source-*.deb | tar -xO --wildcards './usr/src/linux-source-*.tar.xz' >"$new/source.tar.xz"
	for f in $FOLDERS $FILES; do list="$list linux-source-*/$f"; done
	mkdir "$new/source"
	# shellcheck disable=SC2086
	tool xz -dc -T0 "$new/source.tar.xz" | tar -x -C "$new/source" --strip-components=1 --no-same-owner --wildcards $list
}

# The headers as if they lay in /usr/src, with our configuration beside the kernel's.
configure() {
	local tree=$new/kernel/usr/src/linux-headers-$kver word name value
	echo "include $new/kernel/usr/src/linux-headers-${kver%-amd64}-common/Makefile" >"$tree/Makefile"
	printf 'override ARCH = x86\noverride KERNELRELEASE = %s\nDEBIAN_KERNEL_NO_CC_VERSION_CHECK = y\n' "$kver" >"$tree/.kernelvariables"
	rm -f "$tree/vmlinux"	# for BTF only, which would need pahole
	for word in $CONFIG; do
		name=CONFIG_${word%=*}
		value=${word#*=}
		sed -i "/^$name=/d" "$tree/include/config/auto.conf"
		echo "$name=$value" >>"$tree/include/config/auto.conf"
		[ "$value" = y ] || name=${name}_MODULE
		echo "#define $name 1" >>"$tree/include/generated/autoconf.h"
	done
	sed '/^EXPORT_SYMBOL/d' "$new/source/lib/interval_tree.c" >"$new/source/drivers/iommu/iommufd/span_iter.c"
	sed -i 's/^iommufd-y := /&span_iter.o /' "$new/source/drivers/iommu/iommufd/Makefile"
	grep -q span_iter "$new/source/drivers/iommu/iommufd/Makefile"
	for word in $FOLDERS; do echo "obj-y += $word/"; done >"$new/source/Kbuild"
}
compile() {
	local cc=gcc
	if command -v gcc-12 >/dev/null; then cc=gcc-12; fi	# the kernel's own
	configure
	# the caller may be a make, too, with words of its own in the environment
	env -i PATH="$PATH" LC_ALL=C nice make -C "$new/kernel/usr/src/linux-headers-$kver" M="$new/source" CC=$cc KCFLAGS=-g0 \
		-j"$(nproc)" modules
}

collect() {
	local m f
	mkdir -p "$new/archive/modules"
	for m in $MODULES; do
		f=$(find "$new/source" -name "$m.ko")
		[ -n "$f" ] || { echo "$m.ko was not built"; return 1; }
		cp "$f" "$new/archive/modules/"
	done
	(cd "$new/archive" && find . | sort | tool cpio -o -H newc -R 0:0 --quiet) >"$new/modules.cpio"
}

step "headers and source of $kver"
fetch
step "unpacking the source"
quietly unpack_all
step "compiling iommufd, VFIO and netdevsim"
hint="is its compiler newer than this machine's gcc?" quietly compile
hint="is the source whole?" quietly collect
rm -rf "$new"/{apt-source,debs,kernel,source,source.tar.xz,archive,log}
printf 'kernel=%s\nbuilt=%s\n' "$kver" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >"$new/info"
step "done: modules for $kver"
finish "$folder"
forget_others "$folder" 'modules-*'
echo "$folder"
