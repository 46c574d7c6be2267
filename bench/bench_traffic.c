/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other end of a lane: frames into a host interface and out of it by AF_PACKET (packet(7)),
 * each in a thread of this process. A source sends bursts for a time, a reflector sends back what
 * comes, a counter counts in the kernel. Frames are those of bench/guest/mg_frame.h. Called by
 * bench_run.c.
 *
 * What an interface has no room for is tried again, so that a source goes at the pace of what is
 * behind it; it counts these refusals. On two CPUs a thread that finds nothing to do yields, then
 * sleeps.
 */
#include "bench/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/guest/mg_frame.h"

#define BURST       64
#define STRIDE      2048
#define REFUSED_NS  20000 /* until a full interface is tried again */
#define IDLE_YIELDS 32    /* then the reflector sleeps in poll() */
#define POLL_MS     20

struct bench_traffic {
	pthread_t thread;
	struct bench_source source;
	int sock;
	atomic_bool stop; /* by the main thread, relaxed: only the time of the end depends on it */
	struct bench_traffic_count n;
	struct mmsghdr msg[BURST];
	struct iovec iov[BURST];
	uint8_t frame[BURST][STRIDE];
};

/* protocol 0: sends only. */
static int traffic_socket(const char *ifname, uint16_t protocol)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(protocol),
				  .sll_ifindex = (int)if_nametoindex(ifname) };
	int s, one = 1;

	if (!at.sll_ifindex)
		return -ENODEV;
	s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (s < 0)
		return -errno;
	/* straight to the driver: a queue in between would hide what the interface refuses */
	setsockopt(s, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	if (bind(s, (struct sockaddr *)&at, sizeof(at)) < 0) {
		int ret = -errno;

		close(s);
		return ret;
	}
	return s;
}

static void traffic_sleep_ns(long ns)
{
	struct timespec t = { .tv_nsec = ns };

	nanosleep(&t, NULL);
}

/* Whether a failed send may be tried again. */
static bool traffic_may_retry(struct bench_traffic *t)
{
	if (errno == EINTR)
		return true;
	if (errno != ENOBUFS && errno != EAGAIN) {
		t->n.err = -errno;
		return false;
	}
	t->n.refused++;
	traffic_sleep_ns(REFUSED_NS);
	return true;
}

/* --- source -------------------------------------------------------------- */
static void *source_main(void *opaque)
{
	struct bench_traffic *t = opaque;
	uint64_t start = bench_now_ns(), end = start + t->source.duration_ms * 1000000ull,
		 now = start;

	while (now < end && !atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		int n;

		for (unsigned int i = 0; i < BURST; i++)
			((struct mg_frame_hdr *)t->frame[i])->seq = t->n.frames + i;
		n = sendmmsg(t->sock, t->msg, BURST, 0);
		if (n < 0 && !traffic_may_retry(t))
			break;
		t->n.frames += n > 0 ? (unsigned int)n : 0;
		now = bench_now_ns();
	}
	t->n.ns = now - start;
	return NULL;
}

/* --- reflector ----------------------------------------------------------- */
static void reflect_turn(uint8_t *frame)
{
	uint8_t mac[6];

	memcpy(mac, frame, 6);
	memcpy(frame, frame + 6, 6);
	/* what was sent to all comes back from nobody in particular */
	mac[0] &= 0xfe;
	memcpy(frame + 6, mac, 6);
}

static void reflect_send(struct bench_traffic *t, unsigned int n)
{
	unsigned int done = 0, tries = 0;

	while (done < n && tries++ < 1000) {
		int sent = sendmmsg(t->sock, t->msg + done, n - done, 0);

		if (sent < 0 && !traffic_may_retry(t))
			return;
		done += sent > 0 ? (unsigned int)sent : 0;
	}
	t->n.frames += done;
}

static void *reflector_main(void *opaque)
{
	struct bench_traffic *t = opaque;
	unsigned int idle = 0;

	while (!atomic_load_explicit(&t->stop, memory_order_relaxed) && !t->n.err) {
		int n;

		for (unsigned int i = 0; i < BURST; i++)
			t->iov[i].iov_len = STRIDE;
		n = recvmmsg(t->sock, t->msg, BURST, MSG_DONTWAIT, NULL);
		if (n > 0) {
			for (int i = 0; i < n; i++) {
				t->iov[i].iov_len = t->msg[i].msg_len;
				reflect_turn(t->frame[i]);
			}
			reflect_send(t, (unsigned int)n);
			idle = 0;
		} else if (idle++ < IDLE_YIELDS) {
			sched_yield();
		} else {
			struct pollfd p = { .fd = t->sock, .events = POLLIN };

			poll(&p, 1, POLL_MS);
		}
	}
	return NULL;
}

/* --- both ---------------------------------------------------------------- */
static int traffic_start(const char *ifname, uint16_t protocol, void *(*main_of)(void *),
			 const struct bench_source *source, struct bench_traffic **out)
{
	struct bench_traffic *t = calloc(1, sizeof(*t));
	int ret;

	if (!t)
		return -ENOMEM;
	for (unsigned int i = 0; i < BURST; i++) {
		t->iov[i] = (struct iovec){ .iov_base = t->frame[i],
					    .iov_len = source ? source->size : STRIDE };
		t->msg[i].msg_hdr = (struct msghdr){ .msg_iov = &t->iov[i], .msg_iovlen = 1 };
		if (source)
			mg_frame_fill(t->frame[i], source->size, source->dst, source->src,
				      BENCH_SEED);
	}
	if (source)
		t->source = *source;
	ret = t->sock = traffic_socket(ifname, protocol);
	if (ret >= 0) {
		ret = -pthread_create(&t->thread, NULL, main_of, t);
		if (ret < 0)
			close(t->sock);
	}
	if (ret < 0)
		free(t);
	else
		*out = t;
	return ret;
}

int bench_source_start(const struct bench_source *s, struct bench_traffic **out)
{
	if (s->size < MG_FRAME_PAYLOAD || s->size > STRIDE)
		return -EINVAL;
	return traffic_start(s->ifname, 0, source_main, s, out);
}

int bench_reflector_start(const char *ifname, struct bench_traffic **out)
{
	return traffic_start(ifname, MG_FRAME_ETHERTYPE, reflector_main, NULL, out);
}

void bench_traffic_stop(struct bench_traffic *t, struct bench_traffic_count *n)
{
	if (n)
		*n = (struct bench_traffic_count){ 0 };
	if (!t)
		return;
	atomic_store_explicit(&t->stop, true, memory_order_relaxed);
	pthread_join(t->thread, NULL);
	close(t->sock);
	if (n)
		*n = t->n;
	free(t);
}

/* --- counter ------------------------------------------------------------- */
int bench_counter_open(const char *ifname, uint16_t ethertype)
{
	/* nobody reads: once the small buffer is full a frame costs its counting only */
	int small = 1, s = traffic_socket(ifname, ethertype);

	if (s < 0)
		return s;
	setsockopt(s, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	bench_counter_read(s);
	return s;
}

uint64_t bench_counter_read(int fd)
{
	struct tpacket_stats st = { 0 };
	socklen_t len = sizeof(st);

	/* tp_packets counts those that found no room, too; reading sets it to 0 */
	return fd >= 0 && getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &len) == 0
		       ? st.tp_packets
		       : 0;
}
