/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `fourlane compare` in pieces: which runs make up a table (bench_lane.c), one run of one row
 * (bench_run.c, bench_run_linux.c), who runs the guest (bench_monitor_*.c), traffic at the other
 * end (bench_traffic.c) or a switch between (bench_switch.c), figures (bench_stat.c), and what is
 * told about them (bench_env.c, bench_json.c, bench_report.c). Only bench/ includes this.
 *
 * One thread, but for the traffic threads; everything here belongs to it.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define BENCH_MAX_SIZES 8
#define BENCH_MAX_RUNS  50
#define BENCH_MAX_ROWS  192
#define BENCH_N_CAUSES  12
#define BENCH_FCS \
	4 /* bytes that the guest does not see; frame_bytes counts them, as RFC 2544 does */
#define BENCH_SEED 1

enum bench_lane { LANE_EMULATED, LANE_PARAVIRTUAL, LANE_DIRECT, LANE_VF, LANE_VMDQ, LANE_N };
/* BENCH_CROSS: out by one NIC of the guest, in by its other. BENCH_TCP_*: a Linux guest only. */
enum bench_direction {
	BENCH_TX,
	BENCH_RX,
	BENCH_CROSS,
	BENCH_PINGPONG,
	BENCH_TCP_OUT,
	BENCH_TCP_IN,
	BENCH_N_DIRECTIONS
};
static inline bool bench_is_tcp(enum bench_direction d)
{
	return d == BENCH_TCP_OUT || d == BENCH_TCP_IN;
}
/* What runs in the guest; a table has one kind only. */
enum bench_kind { BENCH_MICRO, BENCH_LINUX };
extern const char *const bench_kind_name[];
extern const char *const bench_lane_name[LANE_N];
extern const char *const bench_direction_name[BENCH_N_DIRECTIONS];

/* --- the words of the call (cmd_compare.c) ------------------------------- */
struct bench_options {
	const char *where; /* "host", "lab" or NULL: both */
	enum bench_kind kind;
	const char *json;                             /* file, or NULL */
	const char *direct, *pf, *wire;               /* BDF, interface, interface; or NULL */
	unsigned int lanes;                           /* one bit a lane */
	unsigned int sizes[BENCH_MAX_SIZES], n_sizes; /* frame bytes with FCS */
	unsigned int window_ms, warm_ms, runs;
	bool quick, peer;
};

/* bench_options_read - 0, or FL_USAGE after a message. Keeps pointers into argv. */
int bench_options_read(struct bench_options *o, int argc, char **argv);

/* --- waiting, and being interrupted (bench_child.c) ---------------------- */
struct bench_signals {
	int fd;  /* signalfd of SIGINT, SIGTERM, SIGHUP, which are blocked */
	int got; /* the signal, 0 until one came */
};
int bench_signals_open(struct bench_signals *s); /* 0 or negative errno */
/* bench_pause - waits `ms`; 0, or -EINTR as soon as (and whenever) a signal has come. */
int bench_pause(struct bench_signals *s, int ms);
uint64_t bench_now_ns(void);

/* --- a program that is started (bench_child.c) --------------------------- */
struct bench_child {
	pid_t pid;        /* 0: none */
	int in, out, err; /* its stdin, stdout (pipes), stderr (memfd, or -1 when it has ours) */
	size_t used;
	char buf[1024]; /* stdout that is no whole line yet */
};

/*
 * bench_child_start - in a process group of its own, ended by the kernel when this process dies.
 * `pass` (or -1) is descriptor 3 there. With own_err, its stderr is ours and its stdout is nowhere.
 * 0 or negative errno, without a message.
 */
int bench_child_start(struct bench_child *c, const char *const *argv, int pass, bool own_err);
/* bench_child_line - next line of its stdout without its end: 0, -EPIPE (it ended), -ETIMEDOUT,
 * -EINTR. */
int bench_child_line(struct bench_child *c, struct bench_signals *s, int timeout_ms, char *line,
		     size_t size);
void bench_child_say(struct bench_child *c, const char *text); /* less than a page */
/* bench_child_end - waits grace_ms for it, then SIGTERM and 5 s, then SIGKILL. Its wait status.
 * Closes everything but err. */
int bench_child_end(struct bench_child *c, int grace_ms);
/* bench_child_why - last line that it wrote on stderr, "" when none. */
void bench_child_why(const struct bench_child *c, char *buf, size_t size);
void bench_child_free(struct bench_child *c); /* accepts an ended or never started one */

/* --- a guest's lines (bench_result.c) ------------------------------------ */
struct bench_result {
	uint64_t frames, bytes, ns, total, kicks, lost, bad, other;
	uint64_t p50_ns, p99_ns, samples; /* ping-pong */
	uint64_t sent;                    /* cross; total is what arrived */
};
/* bench_result_parse - an "FL RESULT" line. -EPROTO when a wanted field is missing, twice there, no
 * number or makes no sense. No message. */
int bench_result_parse(const char *line, enum bench_direction d, struct bench_result *r);
/* bench_ready_parse - the guest's MAC out of "FL READY". -EPROTO. */
int bench_ready_parse(const char *line, uint8_t mac[6]);

/* --- a switch of our own (bench_switch.c) -------------------------------- */
struct bench;
struct bench_switch {
	struct bench_child child;
	char name[32];
	char dir[PATH_MAX]; /* of its sockets: PORT.sock */
};
/* bench_switch_find - the program. 0, or -ENOENT without a message. */
int bench_switch_find(char *path, size_t size);
/* bench_switch_name - what ours is called; one at a time. */
void bench_switch_name(char *name, size_t size);
/*
 * bench_switch_start - with `ports`, the YAML lines of its list; returns when it serves. 0, -EINTR
 * or negative errno with `why` filled. bench_switch_end() is called in any case.
 */
int bench_switch_start(struct bench *b, struct bench_switch *s, const char *ports, char *why,
		       size_t size);
void bench_switch_end(struct bench_switch *s); /* accepts one that never started (pid 0) */
/* bench_switch_stats - its counters, a new reference, or NULL after a message. */
json_t *bench_switch_stats(const struct bench_switch *s);
/* bench_switch_drops - of a port, side "in_drops" or "out_drops", by cause; or NULL. */
const json_t *bench_switch_drops(const json_t *stats, const char *port, const char *side);
/* bench_switch_missed - frames that the NIC of the port "pool" had no room for. */
uint64_t bench_switch_missed(const struct bench_switch *s);
/* bench_switch_pool - 0 when the NIC itself sorts for the port "pool"; else -EOPNOTSUPP, and why.
 */
int bench_switch_pool(const struct bench_switch *s, char *why, size_t size);

/* --- who runs the guest -------------------------------------------------- */
struct bench_qemu {
	char words[8][PATH_MAX]; /* how to start it: a program, or a dynamic linker and its words */
	unsigned int n_words;
	char modules[PATH_MAX]; /* QEMU_MODULE_DIR, "" for its own */
	char version[32];       /* "11.1.3"; "" when there is none */
};

struct bench_boot {
	unsigned int mem_mb;
	const char *device;  /* the microguest's dev= */
	const char *backend; /* "null", "loop", "tap", "wire", "none": without NIC; "switch": two
				NICs, ports a and b */
	const char *nic;     /* for "wire": the whole --nic */
	const char *host;    /* for "wire": BDF of the function, "" when the guest gets none */
	const char *ifname;  /* for "tap" */
	const struct bench_switch *sw; /* for "switch" */
	const char *words;             /* the rest of the guest's command line; of Linux all */
	const char *kernel;            /* mg.elf, or vmlinux */
	const char *initrd, *disk;     /* of Linux; the microguest has none: NULL */
	const struct bench_qemu *qemu;
};

struct bench_guest {
	struct bench_child child;
	char name[32];
	int tap;           /* descriptor that keeps the tap, or -1 */
	char assigned[16]; /* BDF of a function that was bound to vfio-pci for it, or "" */
};

/* Counts since the guest started. Accesses of the console are taken out of both exit counts. */
struct bench_counters {
	bool has_exits, has_all_exits, has_cpu;
	int64_t user_exits, exits;
	uint64_t cpu_ns; /* host CPU without guest time */
	uint64_t guest_ns;
	json_t *nic, *nic2; /* the devices' counters, or NULL; owned */
};
void bench_counters_free(struct bench_counters *c);

struct bench_monitor {
	const char *name;
	/* Starts the guest; its console is the child's stdin and stdout. 0 or negative errno, `why`
	 * filled. */
	int (*start)(struct bench_guest *g, const struct bench_boot *b, char *why, size_t size);
	/* While the guest waits for a command. 0 or negative errno. */
	int (*counters)(struct bench_guest *g, struct bench_counters *c);
	void (*release)(struct bench_guest *g); /* after the child has ended */
};
extern const struct bench_monitor bench_monitor_fourlane, bench_monitor_qemu;

/* bench_qemu_find - FOURLANE_QEMU, PATH, the cache, the software host's own. 0, or -ENOENT without
 * a message (version is ""). */
int bench_qemu_find(struct bench_qemu *q);

/* --- traffic at the other end (bench_traffic.c) -------------------------- */
struct bench_traffic;
struct bench_source {
	const char *ifname;
	uint32_t size; /* without FCS */
	uint8_t src[6], dst[6];
	unsigned int duration_ms;
};
struct bench_traffic_count {
	uint64_t frames;  /* sent, or reflected */
	uint64_t refused; /* tries that the interface had no room for; tried again */
	uint64_t ns;      /* first to last */
	int err;          /* what ended it early, 0 or negative errno */
};
/* Both start a thread; 0 or negative errno without a message. bench_traffic_stop() joins it. */
int bench_source_start(const struct bench_source *s, struct bench_traffic **out);
int bench_reflector_start(const char *ifname, struct bench_traffic **out);
void bench_traffic_stop(struct bench_traffic *t, struct bench_traffic_count *n); /* accepts NULL */
/* bench_counter_open - counts frames of a type that come in at the interface, without reading them.
 * Descriptor or negative errno. */
int bench_counter_open(const char *ifname, uint16_t ethertype);
/* bench_counter_read - frames since it was opened or read. */
uint64_t bench_counter_read(int fd);

/* --- interfaces (bench_netdev.c) ----------------------------------------- */
/* bench_tap_open - makes a tap that goes with the descriptor, up, silent. Descriptor or negative
 * errno. */
int bench_tap_open(const char *ifname);
/* bench_netdev_count - a counter of /sys/class/net/IF/statistics; 0 when it is not there. */
uint64_t bench_netdev_count(const char *ifname, const char *counter);
int bench_netdev_mac(const char *ifname, uint8_t mac[6]);
bool bench_netdev_is_up(const char *ifname);
int bench_netdev_set_up(const char *ifname, bool up);
/* bench_netdev_bdf - PCI address of an interface, -ENOENT. bench_netdev_of - the interface of a PCI
 * function, -ENOENT. */
int bench_netdev_bdf(const char *ifname, char *bdf, size_t size);
int bench_netdev_of(const char *bdf, char *ifname, size_t size);
int bench_netdev_rename(const char *from, const char *to);
/* bench_netdev_address - adds an IPv4 address (host's byte order), or takes it away. 0 or negative
 * errno without a message. bench_netdev_neighbour - says who has one, until the address goes. */
int bench_netdev_address(const char *ifname, uint32_t address, unsigned int prefix, bool add);
int bench_netdev_neighbour(const char *ifname, uint32_t address, const uint8_t mac[6]);

/* --- figures (bench_stat.c) ---------------------------------------------- */
struct bench_spread {
	double median, min, max;
};
/* bench_spread_of - of n values, which are sorted by it. n == 0: all 0. */
struct bench_spread bench_spread_of(double *values, unsigned int n);

/* --- rows ---------------------------------------------------------------- */
struct bench_cause {
	char name[40];
	uint64_t frames;
};

struct bench_sample { /* one run of one row */
	bool done, ok;
	char why[200]; /* not ok */
	struct bench_result result;
	bool has_exits, has_all_exits, has_cpu;
	int64_t user_exits, exits;
	uint64_t cpu_ns;
	uint64_t sent, lost;
	struct bench_cause cause[BENCH_N_CAUSES];
	double offered_mpps; /* of the generator; 0 for other directions */
};

struct bench_row {
	enum bench_lane lane;
	enum bench_direction direction;
	const char *device;       /* as the table calls it */
	const char *guest_device; /* the microguest's dev= */
	const char *backend;
	char nic[96];         /* --nic of "wire" */
	char host[16];        /* BDF of the function that it hands over, or "" */
	const char *ports;    /* of the switch that it needs, NULL: needs none */
	const char *topology; /* who runs where, NULL: as the document says for all */
	unsigned int frame_bytes;
	bool peer; /* QEMU can do the same */
	struct bench_sample ours[BENCH_MAX_RUNS], theirs[BENCH_MAX_RUNS];
};

/* Real NICs of this table: what was found, what was changed. */
struct bench_hw {
	char direct[16], direct_ifname[16]; /* BDF, "" none; its interface before */
	char vf[16];                        /* BDF of a tenant's VF */
	char wire[16];                      /* the peer port */
	bool direct_up, taken, assigned, vf_made;
	bool any_driver; /* Linux has one for any NIC; labels of those that have no name here: */
	char direct_label[16], vf_label[16];
	const char *direct_guest, *direct_device, *vf_guest, *vf_device;
};

/* What a Linux guest boots (bench_linux.c). */
struct bench_files {
	char kernel[PATH_MAX], stage1[PATH_MAX];
	char disk[PATH_MAX]; /* --disk of `run`, without its options */
	char initrd[64];     /* path by which a child of ours finds it */
	int initrd_fd;       /* 0: not made yet */
	char version[64];    /* as the guest says it, "" before one has booted */
};

struct bench {
	struct bench_options o;
	struct bench_signals sig;
	struct bench_qemu qemu;
	struct bench_hw hw;
	struct bench_row *row; /* n_rows */
	unsigned int n_rows;
	json_t *host; /* of host_report() */
	json_t *skipped;
	uint64_t tsc_hz;
	char kernel[PATH_MAX];
	char lab_direct[32];          /* BDF of lab0 */
	char pool_ports[192];         /* of the switch of lane vmdq */
	bool lab;                     /* we are inside the software host */
	bool peers;                   /* QEMU runs beside */
	struct bench_files files;     /* of a Linux guest */
	bool no_boot;                 /* KVM here does not boot it */
	unsigned int n_guests;        /* for names */
	unsigned int n_peer_failures; /* in a row */
};

/* bench_skip - one entry of "skipped": a lane, or `part` of it ("tap", "peer qemu"; NULL: all of
 * it). */
void bench_skip(struct bench *b, enum bench_lane lane, const char *part, const char *why,
		const char *mend);
void bench_skip_no_qemu(struct bench *b, enum bench_lane lane); /* wanted beside it */
/*
 * bench_plan - takes the NICs of the hardware lanes and fills rows and skipped. 0 or negative errno
 * after a message. What it took is given back by bench_hw_put_back(), always called, also after a
 * failure.
 */
int bench_plan(struct bench *b);
void bench_hw_put_back(struct bench_hw *hw);
/* bench_plan_seconds - what the rows will take, about. */
unsigned int bench_plan_seconds(const struct bench *b);
/* bench_device_of - the microguest's driver for a PCI function, NULL when it has none. `label` is
 * the table's name of it. */
const char *bench_device_of(unsigned int vendor, unsigned int device, const char **label);

/* bench_run - one run of a row under one monitor. 0 (also for a failed sample: see ok), -EINTR. */
int bench_run(struct bench *b, struct bench_row *r, const struct bench_monitor *m,
	      struct bench_sample *s);

/* --- a Linux guest ------------------------------------------------------- */
/*
 * bench_files_find - kernel, root image and stage 1 of the software host's image, which is built
 * when it is not there; makes the initramfs. 0, -EINTR without a message, negative errno after one.
 * bench_files_drop - the initramfs again.
 */
int bench_files_find(struct bench *b);
void bench_files_drop(struct bench_files *f);
/* bench_linux_probe - boots it without a NIC, within a deadline, and so learns its version. 0,
 * -EINTR, or -EOPNOTSUPP with `why` filled. */
int bench_linux_probe(struct bench *b, char *why, size_t size);
/* bench_rows_together - how many rows from `first` on share a guest: one lane and back-end. */
unsigned int bench_rows_together(const struct bench *b, unsigned int first);
/*
 * bench_run_linux - one boot under one monitor, and in it run number `run` of `n` rows from `first`
 * on, but for those whose run before has failed. 0 (also for failed samples), -EINTR.
 */
int bench_run_linux(struct bench *b, unsigned int first, unsigned int n,
		    const struct bench_monitor *m, unsigned int run);

/* --- what is told -------------------------------------------------------- */
uint64_t bench_env_tsc_hz(void);
/* New references; NULL when memory is short. */
json_t *bench_env_json(const struct bench *b);
json_t *bench_document(const struct bench *b);
/* bench_row_failed - a run of ours was not ok. */
bool bench_row_failed(const struct bench *b, const struct bench_row *r);
/* bench_report - one document as text, at most 120 columns. */
void bench_report(const json_t *doc, FILE *to);
/* bench_json_write - to a file by way of a new one beside it. 0 or negative errno after a message.
 */
int bench_json_write(const json_t *doc, const char *file);

/* --- the second table (bench_software_host.c) ---------------------------- */
/* bench_software_host - runs `compare` inside the lab; *doc is its document. *status its exit
 * status. Negative errno after a message, -EINTR. */
int bench_software_host(struct bench *b, json_t **doc, int *status);

#endif
