# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
# What build.sh and modules.sh share: where the cache is, its lock, a temporary folder that is renamed when whole, progress, and
# Debian packages that are fetched with an apt folder of our own (signatures checked) and unpacked, never installed: no root, no
# chroot, no mount, and the system's apt is not touched. Sourced by bash; sets the variables named below.

# find_cache [CACHE]: $labs, the folder of everything built. CACHE: $FOURLANE_CACHE, /var/cache/fourlane (root) or ~/.cache/fourlane
find_cache() {
	local cache
	if [ -n "${1:-}" ]; then cache=$1
	elif [ -n "${FOURLANE_CACHE:-}" ]; then cache=$FOURLANE_CACHE
	elif [ "$(id -u)" = 0 ]; then cache=/var/cache/fourlane
	else cache=${XDG_CACHE_HOME:-${HOME:?is not set; set it, or FOURLANE_CACHE}/.cache}/fourlane; fi
	labs=$cache/lab
}

die() { echo "fourlane: building $what: $2" >&2; exit "$1"; }

# found FOLDER: prints it and ends the script when it is whole. Its time says that it is in use: see forget_others.
found() {
	[ -f "$1/info" ] || return 0
	touch -c "$1" 2>/dev/null || true
	echo "$1"
	exit 0
}

# can_fetch: $keyring, or the end with 3 when this machine has not what it takes to fetch and unpack packages
can_fetch() {
	local tool k
	for tool in apt-get apt-cache dpkg-deb tar sha256sum flock; do
		command -v $tool >/dev/null || die 3 "this machine has no $tool; run it on a Debian 12 or 13, or a system with apt and dpkg"
	done
	keyring=
	for k in /usr/share/keyrings/debian-archive-keyring.gpg /etc/apt/trusted.gpg.d/debian-archive-keyring.gpg; do
		if [ -f $k ]; then keyring=$k; break; fi
	done
	[ -n "$keyring" ] || die 3 "Debian's archive keys are not here; run 'apt-get install debian-archive-keyring'"
}

# begin MB FOLDER: waits for the lock, ends the script when somebody else has built FOLDER meanwhile, makes $new and $log.
begin() {
	local free_mb
	{ mkdir -p "$labs" && exec 9>>"$labs/.lock"; } 2>/dev/null || die 1 "cannot write $labs; set FOURLANE_CACHE to a folder of yours"
	if ! flock -n 9; then
		echo "fourlane: lab: another process builds here, waiting for it" >&2
		flock -w 900 9 || die 1 "another process holds $labs/.lock for 15 minutes; look for a stuck build.sh or modules.sh"
	fi
	found "$2"
	rm -rf "$labs"/.new.*	# we hold the lock: every temporary folder is what a killed build left
	free_mb=$(df -Pm "$labs" | awk 'NR == 2 { print $4 }')
	[ "$free_mb" -ge "$1" ] || die 1 "$labs has $free_mb MB free, $1 are needed; set FOURLANE_CACHE to a bigger disk"
	new=$(mktemp -d "$labs/.new.XXXXXX")
	log=$new/log
	set -m	# each job is a process group, so that it can be ended whole
	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	stage=0
}
cleanup() {
	local job
	trap - EXIT
	for job in $(jobs -p); do
		kill -TERM -- "-$job" 2>/dev/null || true
		wait "$job" 2>/dev/null || true
	done
	rm -rf "$new"
}

# finish FOLDER: $new becomes it. forget_others removes folders of that PATTERN which nothing has used for two weeks; a running
# lab has its files open and does not mind.
finish() {
	chmod 755 "$new"
	sync -f "$new" 2>/dev/null || true
	rm -rf "$1"
	mv -T "$new" "$1"
}
forget_others() { find "$labs" -mindepth 1 -maxdepth 1 -type d -name "$2" ! -name "${1##*/}" -mtime +14 -exec rm -rf {} +; }

step() {	# of $stages
	stage=$((stage + 1))
	printf 'fourlane: lab: %d/%d %-52s %4d s\n' $stage "$stages" "$1" $SECONDS >&2
}
# A child in the background lets bash run its traps at once. It keeps the lock (9): what a killed script leaves running still writes.
quietly() {
	"$@" >>"$log" 2>&1 </dev/null &
	wait $! || { tail -5 "$log" >&2; die 1 "'${*:1:3} ...' failed (above); ${hint:-is there a network and a Debian mirror?}"; }
}

# --- apt, in a folder of our own -------------------------------------------------------------------------------------
mirror_of() {	# mirror_of NAME FALLBACK: the system's own mirror of that archive
	local m
	m=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
		grep -v '^ *#' | grep -oE "https?://[^ ]+/$1/?( |\$)" | head -1 | tr -d ' ' || true)
	echo "${m:-$2}"
}
apt_new() {	# apt_new NAME KEYRING SUITE...: makes it, and fetches the lists
	local d=$new/apt-$1 keys=$2 suite debian security
	debian=$(mirror_of debian http://deb.debian.org/debian)
	security=$(mirror_of debian-security http://deb.debian.org/debian-security)
	mkdir -p "$d"/etc/apt/{preferences.d,apt.conf.d} "$d"/var/lib/apt/lists/partial "$d"/var/cache/apt/archives/partial "$d"/var/lib/dpkg
	: >"$d/var/lib/dpkg/status"
	for suite in "${@:3}"; do
		case $suite in
		*-security) echo "deb [arch=amd64 signed-by=$keys] $security $suite main" ;;
		*) echo "deb [arch=amd64 signed-by=$keys] $debian $suite main" ;;
		esac
	done >"$d/etc/apt/sources.list"
	quietly apt_in "$1" apt-get -q -o APT::Update::Error-Mode=any update
}
apt_in() {	# apt_in NAME COMMAND ARGUMENT...
	local d=$new/apt-$1 user=
	[ "$(id -u)" = 0 ] && user=root
	"$2" -o "Dir=$d" -o "Dir::State::status=$d/var/lib/dpkg/status" -o APT::Architecture=amd64 -o APT::Architectures::=amd64 \
		-o APT::Install-Recommends=false -o APT::Sandbox::User=$user -o Acquire::Languages=none -o Acquire::Retries=3 \
		-o Debug::NoLocking=1 "${@:3}"
}
unpack() {	# unpack DEB... FOLDER: paths under the merged /usr
	local to=${*: -1} deb dir
	for dir in bin sbin lib lib64; do
		mkdir -p "$to/usr/$dir"
		[ -e "$to/$dir" ] || ln -s usr/$dir "$to/$dir"
	done
	for deb in "${@:1:$#-1}"; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink --no-same-owner -p -C "$to" --exclude='./usr/share/doc/*' \
			--exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' --exclude='./usr/share/info/*' || return 1
	done
}

# --- programs of the unpacked folder $tools, run with their own dynamic linker -------------------------------------------
tool() {
	"$tools/usr/lib64/ld-linux-x86-64.so.2" --argv0 "$1" --library-path "$tools/usr/lib/x86_64-linux-gnu" "$(tool_path "$1")" "${@:2}"
}
tool_path() { local p; for p in "$tools"/usr/{bin,sbin}/"$1"; do if [ -e "$p" ]; then echo "$p"; return; fi; done; }
