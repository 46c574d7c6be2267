/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a table is made of: a row for each lane, back-end, direction and frame size that this host
 * can do, an entry of "skipped" with reason and remedy for each that it cannot. For the hardware
 * lanes it takes a PF, and a VF as a tenant's (functions of vfio/ and sriov/, whose records survive
 * a kill), and puts everything back. Called by cmd_compare.c.
 */
#include "bench/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "iommu/iommu.h"
#include "sriov/sriov.h"
#include "vfio/vfio.h"

#define NETDEV_MS    3000 /* until an interface is there again */
#define BENCH_TENANT "fourlane-compare"

const char *const bench_lane_name[LANE_N] = {
	[LANE_EMULATED] = "emulated", [LANE_PARAVIRTUAL] = "paravirtual",
	[LANE_DIRECT] = "direct",     [LANE_VF] = "vf",
	[LANE_VMDQ] = "vmdq",
};
const char *const bench_direction_name[BENCH_N_DIRECTIONS] = {
	[BENCH_TX] = "tx",           [BENCH_RX] = "rx",
	[BENCH_CROSS] = "cross",     [BENCH_PINGPONG] = "pingpong",
	[BENCH_TCP_OUT] = "tcp_out", [BENCH_TCP_IN] = "tcp_in",
};
const char *const bench_kind_name[] = { [BENCH_MICRO] = "micro", [BENCH_LINUX] = "linux" };

static const struct {
	unsigned int vendor, device;
	const char *guest, *label;
} drivers[] = {
	{ 0x8086, 0x10c9, "igb", "82576" },
	{ 0x8086, 0x10ca, "igbvf", "82576 VF" },
};

const char *bench_device_of(unsigned int vendor, unsigned int device, const char **label)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (drivers[i].vendor == vendor && drivers[i].device == device) {
			*label = drivers[i].label;
			return drivers[i].guest;
		}
	return NULL;
}

/* --- skipped ------------------------------------------------------------- */
void bench_skip(struct bench *b, enum bench_lane lane, const char *part, const char *why,
		const char *mend)
{
	json_t *entry = json_pack("{s:s, s:s, s:s}", "lane", bench_lane_name[lane], "why", why,
				  "mend", mend);

	if (part)
		json_object_set_new(entry, "part", json_string(part));
	json_array_append_new(b->skipped, entry);
}

void bench_skip_no_qemu(struct bench *b, enum bench_lane lane)
{
	bench_skip(b, lane, "peer qemu", "there is no qemu-system-x86_64 that starts",
		   "'fourlane lab run -- true' gets one, or set FOURLANE_QEMU");
}

static void join(const json_t *list, char *buf, size_t size)
{
	size_t n = 0, i;
	json_t *item;

	buf[0] = '\0';
	json_array_foreach(list, i, item)
		if (n < size)
			n += (size_t)snprintf(buf + n, size - n, "%s%s", i ? "; " : "",
					      json_string_value(item));
}

/* What `fourlane host` says of the lane. True when it is ready, else it is skipped. */
static bool lane_ready(struct bench *b, enum bench_lane lane)
{
	/* a pool's switch reaches its NIC as a guest would */
	const char *key = lane == LANE_VF     ? "vm-aware"
			  : lane == LANE_VMDQ ? "direct"
					      : bench_lane_name[lane];
	json_t *report = json_object_get(json_object_get(b->host, "lanes"), key);
	char why[512], mend[768];

	if (json_is_true(json_object_get(report, "ready")))
		return true;
	join(json_object_get(report, "missing"), why, sizeof(why));
	join(json_object_get(report, "mend"), mend, sizeof(mend));
	bench_skip(b, lane, NULL, why, mend);
	return false;
}

/* --- messages of other folders, as reasons ------------------------------- */
struct said {
	char why[256], mend[256];
};

/* "<what was tried>: <why>; <what mends it>" */
static void said_catch(void *opaque, const char *line)
{
	struct said *s = opaque;
	const char *cut = strstr(line, "; ");

	snprintf(s->why, sizeof(s->why), "%.*s", cut ? (int)(cut - line) : (int)strlen(line), line);
	snprintf(s->mend, sizeof(s->mend), "%s", cut ? cut + 2 : "see the message");
}

/* --- the NICs ------------------------------------------------------------ */
/* `ids` holds the label when it has no name here. */
static int hw_guest_device(const struct bench_hw *hw, const char *bdf, const char **guest,
			   const char **label, char ids[16], struct said *said)
{
	char vendor[16], device[16];

	if (paths_read_line(vendor, sizeof(vendor), "/sys/bus/pci/devices/%s/vendor", bdf) <= 0 ||
	    paths_read_line(device, sizeof(device), "/sys/bus/pci/devices/%s/device", bdf) <= 0) {
		snprintf(said->why, sizeof(said->why), "there is no PCI function %s", bdf);
		snprintf(said->mend, sizeof(said->mend), "see 'fourlane nics'");
		return -ENODEV;
	}
	*guest = bench_device_of((unsigned int)strtoul(vendor, NULL, 16),
				 (unsigned int)strtoul(device, NULL, 16), label);
	if (*guest)
		return 0;
	if (hw->any_driver) {
		snprintf(ids, 16, "%.4s:%.4s", vendor + 2, device + 2);
		*guest = *label = ids;
		return 0;
	}
	snprintf(said->why, sizeof(said->why), "the microguest has no driver for %.6s:%.6s (%s)",
		 vendor + 2, device + 2, bdf);
	snprintf(said->mend, sizeof(said->mend),
		 "--guest linux has drivers for all; or use a NIC with Intel's 82576, or rehearse "
		 "in the software host");
	return -ENODEV;
}

/* For a guest (lane direct) or for the switch (vmdq): a NIC serves both, one after the other. */
static int hw_take_nic(struct bench_hw *hw, const char *bdf, enum bench_lane lane,
		       struct said *said)
{
	const char *list[] = { hw->direct };
	char state[PATH_MAX];
	struct vfio_sys sys;
	int ret;

	if (iommu_bdf_parse(bdf, hw->direct) < 0)
		return snprintf(said->why, sizeof(said->why), "'%s' is no PCI address", bdf),
		       -EINVAL;
	ret = lane == LANE_DIRECT ? hw_guest_device(hw, hw->direct, &hw->direct_guest,
						    &hw->direct_device, hw->direct_label, said)
				  : 0;
	if (ret < 0 || hw->taken)
		return ret;
	ret = vfio_sys_real(&sys, state, sizeof(state));
	if (ret < 0)
		return ret;
	if (bench_netdev_of(hw->direct, hw->direct_ifname, sizeof(hw->direct_ifname)) == 0)
		hw->direct_up = bench_netdev_is_up(hw->direct_ifname);
	/* before, because a failure may come half way; unassign does nothing when nothing is to be
	 * done */
	hw->assigned = hw->direct_ifname[0];
	ret = vfio_assign(&sys, list, 1, 0);
	hw->taken = ret == 0;
	return ret;
}

static int hw_take_vf(struct bench_hw *hw, const char *pf, struct said *said)
{
	char text[16];
	int ret;

	/* a PF with VFs is somebody's: take one of them only when we made it */
	if (paths_read_line(text, sizeof(text), "/sys/class/net/%s/device/sriov_numvfs", pf) > 0 &&
	    strtoul(text, NULL, 10)) {
		snprintf(said->why, sizeof(said->why), "%s has VFs already", pf);
		snprintf(said->mend, sizeof(said->mend),
			 "'fourlane tenant release --all' or 'fourlane vf remove %s', or name "
			 "another with --pf",
			 pf);
		return -EBUSY;
	}
	ret = sriov_tenant_make(pf, BENCH_TENANT, hw->vf);
	hw->vf_made = ret == 0;
	if (ret < 0)
		return ret;
	return hw_guest_device(hw, hw->vf, &hw->vf_guest, &hw->vf_device, hw->vf_label, said);
}

/* The interface as it was: its name and whether it was up. */
static void hw_restore_netdev(struct bench_hw *hw)
{
	char now[16] = "";

	for (int ms = 0; ms < NETDEV_MS && bench_netdev_of(hw->direct, now, sizeof(now)) < 0;
	     ms += 20)
		usleep(20000);
	if (!now[0])
		return;
	if (strcmp(now, hw->direct_ifname) && bench_netdev_set_up(now, false) == 0 &&
	    bench_netdev_rename(now, hw->direct_ifname) < 0)
		return;
	if (hw->direct_up)
		bench_netdev_set_up(hw->direct_ifname, true);
}

void bench_hw_put_back(struct bench_hw *hw)
{
	const char *list[] = { hw->direct };
	char state[PATH_MAX];
	struct vfio_sys sys;

	if (hw->assigned && vfio_sys_real(&sys, state, sizeof(state)) == 0 &&
	    vfio_unassign(&sys, list, 1, 0) == 0)
		hw_restore_netdev(hw);
	hw->assigned = false;
	if (hw->vf_made)
		sriov_tenant_end(BENCH_TENANT);
	hw->vf_made = false;
}

/* --- rows ---------------------------------------------------------------- */
static int row_add(struct bench *b, const struct bench_row *like, enum bench_direction d,
		   unsigned int frame_bytes)
{
	struct bench_row *r;

	if (b->n_rows == BENCH_MAX_ROWS)
		return -E2BIG;
	r = realloc(b->row, (b->n_rows + 1) * sizeof(*r));
	if (!r)
		return -ENOMEM;
	b->row = r;
	r = &b->row[b->n_rows++];
	*r = *like;
	r->direction = d;
	r->frame_bytes = frame_bytes;
	return 0;
}

static int rows_add(struct bench *b, const struct bench_row *like, unsigned int directions)
{
	int ret = 0;

	for (unsigned int i = 0; i < b->o.n_sizes; i++)
		for (enum bench_direction d = 0; ret == 0 && d < BENCH_N_DIRECTIONS; d++)
			if (directions & 1u << d)
				ret = row_add(b, like, d, b->o.sizes[i]);
	return ret;
}

#define ALL_DIRECTIONS (1u << BENCH_TX | 1u << BENCH_RX | 1u << BENCH_PINGPONG)
#define TCP_FRAME      1518 /* of an MTU of 1500; its size is no choice of ours */

static bool have_iperf3(void)
{
	char dirs[4096], path[4200], *save = NULL;

	snprintf(dirs, sizeof(dirs), "%s", getenv("PATH") ? getenv("PATH") : "/usr/bin");
	for (char *dir = strtok_r(dirs, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
		snprintf(path, sizeof(path), "%s/iperf3", dir);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

/* A lane of which the guest has one NIC and we the other end; with Linux TCP, too. */
static int rows_to_us(struct bench *b, const struct bench_row *like)
{
	int ret = rows_add(b, like, ALL_DIRECTIONS);

	if (ret < 0 || b->o.kind == BENCH_MICRO)
		return ret;
	if (!have_iperf3())
		return bench_skip(b, like->lane, "tcp", "there is no iperf3 here for the other end",
				  "'apt-get install iperf3'"),
		       0;
	ret = row_add(b, like, BENCH_TCP_OUT, TCP_FRAME);
	return ret < 0 ? ret : row_add(b, like, BENCH_TCP_IN, TCP_FRAME);
}

/* --- the switch ---------------------------------------------------------- */
static const char pair_ports[] = "  - {name: a, type: vhost-user}\n"
				 "  - {name: b, type: vhost-user}\n";

static bool have_switch(struct bench *b, enum bench_lane lane, const char *part)
{
	char path[PATH_MAX];

	if (bench_switch_find(path, sizeof(path)) == 0)
		return true;
	bench_skip(b, lane, part, "fourlane-switch is not built: DPDK was missing",
		   "'make deps', then 'make'");
	return false;
}

static int plan_switch(struct bench *b, const struct bench_row *lane)
{
	struct bench_row like = *lane;
	int ret;

	if (!have_switch(b, like.lane, "switch"))
		return 0;
	like.backend = "switch";
	like.ports = pair_ports;
	like.topology =
		b->o.kind == BENCH_LINUX
			? "one guest with two NICs and one vCPU, which sends by the one and "
			  "receives by the other, a network namespace for each; fourlane-switch "
			  "between them with one worker, which polls and yields when it finds "
			  "nothing"
			: "one guest with two NICs and one vCPU, which sends by the one and "
			  "receives by the other (ping-pong: which sends back); fourlane-switch "
			  "between them with one worker, which polls and yields when it finds "
			  "nothing";
	like.peer = like.lane == LANE_PARAVIRTUAL && !b->lab; /* QEMU's E1000 cannot */
	ret = rows_add(b, &like, 1u << BENCH_CROSS | 1u << BENCH_PINGPONG);
	return ret < 0 || b->o.kind == BENCH_MICRO ? ret
						   : row_add(b, &like, BENCH_TCP_OUT, TCP_FRAME);
}

static int plan_software(struct bench *b, enum bench_lane lane, bool tap)
{
	struct bench_row like = { .lane = lane,
				  .device = lane == LANE_EMULATED ? "82540EM" : "virtio-net",
				  .guest_device = lane == LANE_EMULATED ? "e1000" : "virtio" };
	int ret = 0;

	if (!lane_ready(b, lane))
		return 0;
	/* who wants a Linux guest wants its NIC to lead somewhere */
	if (b->o.kind == BENCH_MICRO) {
		like.backend = "null";
		like.peer = !b->lab;
		ret = rows_add(b, &like, 1u << BENCH_TX);
		like.backend = "loop";
		like.peer = false;
		if (ret == 0)
			ret = rows_add(b, &like, 1u << BENCH_PINGPONG);
	}
	like.backend = "tap";
	like.peer = !b->lab;
	if (ret == 0 && tap)
		ret = rows_to_us(b, &like);
	if (ret == 0 && !tap)
		bench_skip(b, lane, "tap", "no tap can be made",
			   "run as root, or load the kernel module tun");
	return ret < 0 ? ret : plan_switch(b, &like);
}

/* Why a hardware lane cannot be measured although the host could; 0 when it can and has been taken.
 */
static int hw_take(struct bench *b, enum bench_lane lane, struct said *said)
{
	const char *what = lane == LANE_VF ? b->o.pf : b->o.direct;
	uint8_t mac[6];
	int ret;

	if (!what || !b->o.wire) {
		snprintf(said->why, sizeof(said->why),
			 "no NIC for it and no port at the other end of its wire were named");
		snprintf(said->mend, sizeof(said->mend),
			 "%s --wire IFNAME (a port on the same wire, up)",
			 lane == LANE_VF ? "--pf IFNAME" : "--direct BDF");
		return -ENODEV;
	}
	snprintf(b->hw.wire, sizeof(b->hw.wire), "%s", b->o.wire);
	if (bench_netdev_mac(b->hw.wire, mac) < 0 || !bench_netdev_is_up(b->hw.wire)) {
		snprintf(said->why, sizeof(said->why),
			 "the wire's other end, %s, is not there or down", b->hw.wire);
		snprintf(said->mend, sizeof(said->mend), "'ip link set %s up'", b->hw.wire);
		return -ENODEV;
	}
	err_set_sink(said_catch, said);
	ret = lane == LANE_VF ? hw_take_vf(&b->hw, what, said)
			      : hw_take_nic(&b->hw, what, lane, said);
	err_set_sink(NULL, NULL);
	return ret;
}

static int plan_hardware(struct bench *b, enum bench_lane lane)
{
	struct bench_row like = { .lane = lane, .backend = "wire" };
	struct said said = { .mend = "see 'fourlane host'" };

	if (!lane_ready(b, lane))
		return 0;
	if (hw_take(b, lane, &said) < 0) {
		bench_skip(b, lane, NULL, said.why, said.mend);
		return 0;
	}
	like.device = lane == LANE_DIRECT ? b->hw.direct_device : b->hw.vf_device;
	like.guest_device = lane == LANE_DIRECT ? b->hw.direct_guest : b->hw.vf_guest;
	like.peer = true;
	if (b->o.peer && !b->peers)
		bench_skip_no_qemu(b, lane);
	snprintf(like.host, sizeof(like.host), "%s", lane == LANE_DIRECT ? b->hw.direct : b->hw.vf);
	if (lane == LANE_DIRECT)
		snprintf(like.nic, sizeof(like.nic), "vfio,host=%s", b->hw.direct);
	else
		snprintf(like.nic, sizeof(like.nic), "vf,tenant=%s", BENCH_TENANT);
	return rows_to_us(b, &like);
}

/* Asks the NIC by having the switch make a pool of it. 0, -EINTR, or -EOPNOTSUPP and why. */
static int pool_try(struct bench *b, struct said *said)
{
	struct bench_switch s = { .child = { .in = -1, .out = -1, .err = -1 } };
	int ret = bench_switch_start(b, &s, b->pool_ports, said->why, sizeof(said->why));

	if (ret == 0 && bench_switch_pool(&s, said->why, sizeof(said->why)) < 0)
		ret = -EOPNOTSUPP;
	bench_switch_end(&s);
	snprintf(said->mend, sizeof(said->mend),
		 "name a NIC with VMDq (Intel's 82576, 82599, X550, XL710) with --direct");
	return ret == 0 || ret == -EINTR ? ret : -EOPNOTSUPP;
}

static int plan_vmdq(struct bench *b)
{
	struct bench_row like = { .lane = LANE_VMDQ,
				  .backend = "wire",
				  .device = "virtio-net",
				  .guest_device = "virtio",
				  .ports = b->pool_ports };
	struct said said = { .mend = "see 'fourlane host'" };
	char name[32], mac[18];
	int ret;

	if (!have_switch(b, LANE_VMDQ, NULL) || !lane_ready(b, LANE_VMDQ))
		return 0;
	ret = hw_take(b, LANE_VMDQ, &said);
	/* a local address that no other comparison on the wire has */
	snprintf(mac, sizeof(mac), "02:fc:%02x:%02x:%02x:01", (unsigned int)getpid() >> 16 & 255,
		 (unsigned int)getpid() >> 8 & 255, (unsigned int)getpid() & 255);
	snprintf(b->pool_ports, sizeof(b->pool_ports),
		 "  - {name: a, type: vhost-user}\n"
		 "  - {name: pool, type: vmdq, device: '%s', guest: a, macs: ['%s']}\n",
		 b->hw.direct, mac);
	bench_switch_name(name, sizeof(name));
	snprintf(like.nic, sizeof(like.nic), "virtio,backend=switch,switch=%s,port=a,mac=%s", name,
		 mac);
	like.topology = "one guest with one vCPU; fourlane-switch with one worker, which polls the "
			"NIC's queue and the guest's rings; source, sink or reflector at the wire";
	if (ret == 0)
		ret = pool_try(b, &said);
	if (ret == 0)
		return rows_to_us(b, &like);
	if (ret != -EINTR)
		bench_skip(b, LANE_VMDQ, NULL, said.why, said.mend);
	return ret == -EINTR ? ret : 0;
}

/* The software host's ports lie on one wire: lab0 for direct, a VF of lab1, lab2 at the other end.
 */
static void plan_lab_ports(struct bench *b)
{
	if (!b->lab || bench_netdev_bdf("lab0", b->lab_direct, sizeof(b->lab_direct)) < 0)
		return;
	b->o.direct = b->o.direct ? b->o.direct : b->lab_direct;
	b->o.pf = b->o.pf ? b->o.pf : "lab1";
	b->o.wire = b->o.wire ? b->o.wire : "lab2";
}

/* Whether KVM boots a Linux guest at all; else every lane is skipped. 0, -EINTR. */
static int plan_linux(struct bench *b)
{
	struct said said = { .mend = "'fourlane lab build' says more" };
	char why[200];
	int ret;

	b->hw.any_driver = true;
	err_set_sink(said_catch, &said);
	ret = bench_files_find(b);
	err_set_sink(NULL, NULL);
	if (ret == 0) {
		ret = bench_linux_probe(b, why, sizeof(why));
		snprintf(said.why, sizeof(said.why), "this host's KVM does not boot Linux: %s",
			 why);
		snprintf(said.mend, sizeof(said.mend),
			 "a host with VT-x or AMD-V does; in the software host: '--guest linux "
			 "--where lab'");
	}
	if (ret == 0 || ret == -EINTR)
		return ret;
	b->no_boot = true;
	for (enum bench_lane lane = 0; lane < LANE_N; lane++)
		if (b->o.lanes & 1u << lane)
			bench_skip(b, lane, NULL, said.why, said.mend);
	return 0;
}

int bench_plan(struct bench *b)
{
	char probe[16];
	int ret = b->o.kind == BENCH_LINUX ? plan_linux(b) : 0, tap;

	if (ret < 0 || b->no_boot)
		return ret;
	plan_lab_ports(b);
	snprintf(probe, sizeof(probe), "flc%d", (int)getpid() % 10000000);
	tap = bench_tap_open(probe);
	if (tap >= 0)
		close(tap);
	for (enum bench_lane lane = 0; ret == 0 && lane < LANE_N; lane++) {
		if (!(b->o.lanes & 1u << lane))
			continue;
		if (lane == LANE_VMDQ)
			ret = plan_vmdq(b);
		else if (lane == LANE_DIRECT || lane == LANE_VF)
			ret = plan_hardware(b, lane);
		else
			ret = plan_software(b, lane, tap >= 0);
	}
	return ret < 0 && ret != -EINTR
		       ? err_ret(ret,
				 "compare: planning the runs: %s; ask for fewer lanes or sizes",
				 strerror(-ret))
		       : ret;
}

/* A boot for all rows of a lane and back-end. */
static unsigned int plan_seconds_linux(const struct bench *b)
{
	uint64_t ms = 0;

	for (unsigned int i = 0, n; i < b->n_rows; i += n) {
		unsigned int times = b->row[i].peer && b->peers ? 2 * b->o.runs : b->o.runs;

		n = bench_rows_together(b, i);
		ms += times * (b->lab ? 20000 : 5000);
		for (unsigned int k = i; k < i + n; k++)
			ms += times * (b->o.warm_ms + (b->lab ? 2500 : 700) +
				       (bench_is_tcp(b->row[k].direction)
						? (b->o.window_ms + 999) / 1000 * 1000
						: b->o.window_ms));
	}
	return (unsigned int)((ms + 999) / 1000);
}

unsigned int bench_plan_seconds(const struct bench *b)
{
	uint64_t ms = 0;

	if (b->o.kind == BENCH_LINUX)
		return plan_seconds_linux(b);
	for (unsigned int i = 0; i < b->n_rows; i++) {
		const struct bench_row *r = &b->row[i];
		unsigned int run =
			b->o.warm_ms + b->o.window_ms + (r->direction == BENCH_RX ? 450 : 0);

		/* start and end of a guest: ours, in the software host (a real NIC is reset),
		 * QEMU's (and its E1000's second of patience) */
		ms += b->o.runs * (run + (!b->lab ? 150 : strcmp(r->backend, "wire") ? 900 : 1600));
		if (r->peer && b->peers)
			ms += b->o.runs *
			      (run + (strcmp(r->backend, "wire") ? 500 : 2500) +
			       (r->ports ? 400 : 0) +
			       (r->lane == LANE_EMULATED && !strcmp(r->backend, "tap") &&
						r->direction != BENCH_TX
					? 1100
					: 0));
	}
	return (unsigned int)((ms + 999) / 1000);
}
