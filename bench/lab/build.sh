#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds what the software host boots: QEMU with its libraries, a kernel, a stage-1 initramfs and a root image.
# Called by `fourlane lab`; prints the finished folder on stdout, progress on stderr. When it is there already, it only prints.
#
#   build.sh [--cached] [CACHE]      --cached: builds nothing. CACHE: see find_cache in build_lib.sh
#
# Packages are unpacked, never installed (build_lib.sh). QEMU and mke2fs come from trixie and run with their own dynamic linker.
# Everything is made in a temporary folder and renamed when whole; the name is a hash of these scripts, so whatever is changed
# below makes another image. The kernel's version is chosen when the image is made and stands in its `info`.
# Exit status: 0, 1 failed, 3 this machine has not what it takes (no apt).
set -euo pipefail
export LC_ALL=C
umask 022

# --- what goes in --------------------------------------------------------------------------------------------------
KERNEL_SERIES=6.12
KERNEL_SUITES="bookworm-security bookworm-backports"

# The newest of trixie-backports; the AMD-Vi model has translation from 11.1 on.
QEMU_PACKAGES="qemu-system-x86 e2fsprogs libarchive13t64 kmod cpio zstd xz-utils"

USERLAND_PACKAGES="base-files base-passwd bash coreutils dash debianutils diffutils findutils grep gzip hostname libc-bin mawk mount
	ncurses-base ncurses-bin sed tar util-linux perl-base perl busybox-static
	iproute2 kmod pciutils pci.ids ethtool iputils-ping procps psmisc udev tcpdump strace socat jq
	iperf3 fio e2fsprogs acpica-tools dpdk-dev
	libpci3 libnl-3-200 libnl-route-3-200 libnl-genl-3-200 libjansson4 libcyaml1 libyaml-0-2 libsqlite3-0 libseccomp2 liburing2 libcmocka0 libasan8 libubsan1
	libevent-core-2.1-7 librte-bus-pci23 librte-bus-vdev23 librte-mempool-ring23 librte-hash23 librte-rcu23 librte-meter23
	librte-gso23 librte-gro23 librte-pcapng23 librte-net-e1000-23 librte-net-ixgbe23 librte-net-i40e23 librte-net-ice23
	librte-net-virtio23 librte-net-vhost23 librte-net-tap23 librte-net-ring23 librte-net-null23 librte-net-af-packet23"

# What those depend on and nothing here uses: apt is told that it is there.
LEFT_OUT="python3 libdpdk-dev init-system-helpers media-types"
# Programs whose libraries are looked for when the userland is whole.
PROGRAMS="fio iperf3 dpdk-testpmd iasl mke2fs ethtool tcpdump socat"

MODULES="igb igbvf e1000 e1000e ixgbe ixgbevf vfio vfio-pci vfio_iommu_type1 kvm kvm-amd kvm-intel irqbypass tun tap macvtap macvlan
	bridge br_netfilter 8021q veth dummy bonding vhost vhost_net vhost_vsock virtio_pci virtio_blk virtio_net virtio_console virtio_balloon
	nvme pktgen ext4 overlay loop 9p 9pnet_virtio uio_pci_generic sch_htb sch_ingress act_mirred act_gact cls_flower cls_u32
	af_packet_diag button evdev"
STAGE1_MODULES="virtio_pci virtio_blk ext4 overlay virtio_console"

# --- where ---------------------------------------------------------------------------------------------------------
what="the software host"
here=$(dirname "$0")
# shellcheck source=bench/lab/build_lib.sh
. "$here/build_lib.sh"
cached=
[ "${1:-}" != --cached ] || { cached=1; shift; }
find_cache "${1:-}"
hash=$(cat "$0" "$here/build_lib.sh" | sha256sum | cut -c1-16)
image=$labs/$hash

found "$image"
[ -z "$cached" ] || die 1 "there is no image in $labs yet; 'fourlane lab build' makes it"
can_fetch
begin 2500 "$image"
stages=7
tools=$new/qemu
unpack_archives() { unpack "$new/apt-$1"/var/cache/apt/archives/*.deb "$2"; }

leave_out() {	# leave_out NAME PACKAGE...
	local p
	for p in "${@:2}"; do
		printf 'Package: %s\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: allowed\n' "$p"
		printf 'Version: 99:0\nMaintainer: nobody\nDescription: left out\n\n'
	done >"$new/apt-$1/var/lib/dpkg/status"
}

# --- the stages --------------------------------------------------------------------------------------------------------
fetch_userland() {
	apt_new debian12 "$keyring" bookworm bookworm-security bookworm-backports
	# shellcheck disable=SC2086
	leave_out debian12 $LEFT_OUT
	# shellcheck disable=SC2086
	quietly apt_in debian12 apt-get -q -y --download-only install $USERLAND_PACKAGES
	quietly unpack_archives debian12 "$new/root"
	# shellcheck disable=SC2086
	quietly have_libraries $PROGRAMS
}
# Every library that the programs name is one of the userland's own.
have_libraries() {
	local l=$new/root/usr/lib/x86_64-linux-gnu p
	for p in "$@"; do
		p=$new/root/usr/bin/$p
		[ -e "$p" ] || p=${p/usr\/bin/usr\/sbin}
		"$l/ld-linux-x86-64.so.2" --library-path "$l:$l/ceph" --list "$p" >"$new/libraries" || return 1
		awk -v own="$l/" '/=>/ && index($3, own) != 1 { print "of another system:", $0; bad = 1 } END { exit bad }' "$new/libraries" || return 1
	done
}

fetch_kernel() {
	kernel=$(apt_in debian12 apt-cache search --names-only "^linux-image-$KERNEL_SERIES\\.[0-9]+.*-amd64\$" | cut -d' ' -f1 |
		grep -vE -- '-(cloud|rt)-amd64$' | sort -V | tail -1)
	[ -n "$kernel" ] || die 1 "no linux-image-$KERNEL_SERIES.*-amd64 in $KERNEL_SUITES of $debian; is the mirror whole?"
	mkdir -p "$new/kernel-deb" "$new/kernel"
	quietly fetch_kernel_deb
	quietly unpack "$new"/kernel-deb/*.deb "$new/kernel"
	kver=${kernel#linux-image-}
}
fetch_kernel_deb() { cd "$new/kernel-deb" && apt_in debian12 apt-get -q download "$kernel"; }

fetch_qemu() {
	local keys=$new/root/usr/share/keyrings/debian-archive-keyring.gpg
	[ -f "$keys" ] || keys=$keyring
	apt_new debian13 "$keys" trixie trixie-backports
	# shellcheck disable=SC2086
	quietly apt_in debian13 apt-get -q -y --download-only -t trixie-backports install $QEMU_PACKAGES
	quietly unpack_archives debian13 "$new/qemu"
	qemu_version=$(tool qemu-system-x86_64 --version | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p')
	[ "$(printf '11.1\n%s\n' "$qemu_version" | sort -V | head -1)" = 11.1 ] ||
		die 1 "trixie-backports has QEMU $qemu_version, 11.1 or newer is needed; is the mirror whole?"
}

# The ELF inside bzImage boots by PVH and saves the decompression by emulated code.
extract_vmlinux() {
	local z=$new/kernel/boot/vmlinuz-$kver offset length start setup
	# boot protocol 2.08: setup_sects at 0x1f1, payload_offset at 0x248, payload_length at 0x24c
	setup=$(od -An -tu1 -j $((0x1f1)) -N1 "$z")
	offset=$(od -An -tu4 -j $((0x248)) -N4 "$z")
	length=$(od -An -tu4 -j $((0x24c)) -N4 "$z")
	start=$(((setup + 1) * 512 + offset))
	# the payload's last four bytes are its own unpacked size
	tail -c +$((start + 1)) "$z" | head -c $((length - 4)) >"$new/payload" || true
	case $(od -An -tx1 -N4 "$new/payload" | tr -d ' ') in
	28b52ffd) tool zstd -q -dc "$new/payload" >"$new/vmlinux" || true ;;
	fd377a58) tool xz -q -dc "$new/payload" >"$new/vmlinux" || true ;;
	1f8b*) gzip -dc "$new/payload" >"$new/vmlinux" || true ;;
	esac
	[ "$(od -An -c -j1 -N3 "$new/vmlinux" | tr -d ' ')" = ELF ] && cp "$z" "$new/vmlinuz"
}

module_files() {	# module_files NAME...: files with their dependencies, in the order of loading, relative to the kernel's tree
	local m
	for m in "$@"; do
		tool modprobe -d "$new/kernel" -S "$kver" --show-depends "$m" 2>/dev/null | awk '$1 == "insmod" { print $2 }' || true
	done | awk '!seen[$0]++' | sed "s,^$new/kernel/,,"
}
copy_module() {	# copy_module FILE DESTINATION
	case $1 in
	*.xz) tool xz -dc "$1" >"$2" ;;
	*.zst) tool zstd -q -dc "$1" >"$2" ;;
	*) cp "$1" "$2" ;;
	esac
}
install_modules() {
	local f to m=lib/modules/$kver
	[ -d "$new/kernel/$m" ] || m=usr/$m
	tool depmod -b "$new/kernel" "$kver"
	# shellcheck disable=SC2086
	module_files $MODULES >"$new/modules"
	while read -r f; do
		to=$new/root/${f%.xz}
		to=${to%.zst}
		mkdir -p "${to%/*}"
		copy_module "$new/kernel/$f" "$to"
	done <"$new/modules"
	cp "$new/kernel/$m"/modules.{builtin,builtin.modinfo,order} "$new/root/lib/modules/$kver/"
	cp "$new/kernel/boot/config-$kver" "$new/root/boot/" 2>/dev/null || true
	tool depmod -b "$new/root" "$kver"
}

make_stage1() {
	local d=$new/stage1 f name
	mkdir -p "$d"/{bin,m,proc,sys,dev,lower,upper,newroot}
	cp "$new/root/bin/busybox" "$d/bin/"
	# shellcheck disable=SC2086
	module_files $STAGE1_MODULES | while read -r f; do
		name=${f##*/}
		name=${name%%.ko*}
		copy_module "$new/kernel/$f" "$d/m/$name.ko"
		echo "$name.ko"
	done >"$d/m.order"
	mv "$d/m.order" "$d/m/order"
	(cd "$d" && find . | sort | tool cpio -o -H newc -R 0:0 --quiet) >"$new/stage1.cpio"
}

# What the packages' own scripts would have done, as far as it matters here.
finish_userland() {
	local r=$new/root
	mkdir -p "$r"/{proc,sys,dev,run,tmp,root,etc,opt/fourlane/bin,var/tmp,var/lib}
	chmod 1777 "$r/tmp" "$r/var/tmp"
	cp "$r/usr/share/base-passwd/passwd.master" "$r/etc/passwd"
	cp "$r/usr/share/base-passwd/group.master" "$r/etc/group"
	cp "$r/usr/share/libc-bin/nsswitch.conf" "$r/etc/nsswitch.conf" 2>/dev/null || echo 'passwd: files' >"$r/etc/nsswitch.conf"
	echo lab >"$r/etc/hostname"
	echo '127.0.0.1 localhost lab' >"$r/etc/hosts"
	[ -e "$r/usr/bin/awk" ] || ln -s mawk "$r/usr/bin/awk"
	[ -e "$r/usr/bin/which" ] || ln -s which.debianutils "$r/usr/bin/which"
	cp "$new"/{vmlinux,vmlinuz,stage1.cpio} "$r/boot/"	# for guests in the software host; their root is this image, too
	[ -e "$r/var/run" ] || ln -s /run "$r/var/run"
	rm -rf "$r/usr/share/keyrings" "$r/etc/apt" "$r/var/cache"
}
make_image() {
	local mb
	mb=$(($(du -sm "$new/root" | cut -f1) * 12 / 10 + 48))
	tar -C "$new/root" --owner=0 --group=0 --numeric-owner --sort=name --format=pax -cf "$new/root.tar" .
	tool mke2fs -q -t ext4 -F -O ^has_journal,^metadata_csum -m 0 -L fourlane-lab -d "$new/root.tar" "$new/root.img" "${mb}M"
}

finish_image() {
	cat >"$new/info.tmp" <<E
kernel=$kver
qemu=$qemu_version
built=$(date -u +%Y-%m-%dT%H:%M:%SZ)
E
	rm -rf "$new"/{apt-debian12,apt-debian13,kernel-deb,kernel,payload,modules,libraries,stage1,root,root.tar,log}
	rm -rf "$new"/qemu/{var,etc/ssl} "$new"/qemu/usr/share/{bash-completion,zoneinfo}
	mv "$new/info.tmp" "$new/info"
	finish "$image"
	forget_others "$image" '[0-9a-f]*'
}

step "packages of the userland (Debian 12)"
fetch_userland
step "kernel $KERNEL_SERIES"
fetch_kernel
step "QEMU and file system tools (Debian 13)"
fetch_qemu
step "kernel modules of $kver"
quietly install_modules
step "vmlinux and stage 1"
extract_vmlinux || die 1 "no ELF in vmlinuz-$kver; is the package whole?"
quietly make_stage1
step "root image"
finish_userland
quietly make_image
step "done: kernel $kver, QEMU $qemu_version"
finish_image
echo "$image"
