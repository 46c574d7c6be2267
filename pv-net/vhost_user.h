/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The front-end of vhost-user: one connection to a back-end process (fourlane-switch, OVS-DPDK,
 * testpmd) that works on rings in our shared memory. It keeps what is wanted (regions, features,
 * rings) and a thread of its own makes it so, with a deadline for each answer; when the other side
 * goes, the whole handshake is done again with the next connection, for as long as it takes.
 * The file of the guest's rings knows nothing of frames: pv-net/nic_switch.c is its user.
 * docs/interop/vhost-user.rst of QEMU 11; wire structures in core/proto/vhost_user.h. Left out:
 * migration (dirty log), IOTLB, postcopy, packed rings, in-flight tracking (split rings that are
 * completed in order need none: a new connection goes on at the used index).
 */
#ifndef PV_NET_VHOST_USER_H
#define PV_NET_VHOST_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/io.h"
#include "core/mem.h"
#include "core/nic.h"
#include "core/stats.h"

struct vhost_user;

/* Memory besides the guest's own that the back-end has to see (rings of our own). */
struct vhost_user_extra {
	gpa_t gpa; /* beyond guest memory */
	uint64_t size;
	void *hva;
	int fd; /* memfd, stays the caller's; offset 0 */
};

struct vhost_user_conf {
	const char *name; /* for messages: "nic0" */
	const struct guest_mem *mem;
	const struct vhost_user_extra *extra; /* or NULL; copied */
	uint64_t features;                    /* virtio features we could use, besides VERSION_1 */
	/*
	 * Both on the connection's thread; they must not call back into this file. link: it changed
	 * (see vhost_user_is_up()); after a reconnect it is up when all rings run again.
	 */
	void (*link)(void *opaque, bool up);
	void (*lost)(void *opaque); /* the connection is dead: a new descriptor is wanted */
	void *opaque;
	/*
	 * The monitor's I/O thread: ours is started by it, so after the jail was closed (a thread
	 * of before would stay outside). What is asked for until then is noted and done first.
	 * NULL (tests): the thread starts in vhost_user_create().
	 */
	struct io *io;
};

/*
 * vhost_user_create - over the connected stream socket `fd` (taken in any case). Does the first
 * handshake as far as the features, within its deadline (3 s), and starts the thread. Negative
 * errno after a message: -ETIMEDOUT, -EPROTO (it answers nonsense or lacks VERSION_1), -EPIPE.
 */
int vhost_user_create(const struct vhost_user_conf *conf, int fd, struct vhost_user **out);
void vhost_user_destroy(struct vhost_user *vu); /* accepts NULL; stops the rings */

/* Settled by the first handshake; a later back-end that offers less of what is in use is refused. */
uint64_t vhost_user_features(const struct vhost_user *vu);
unsigned int vhost_user_max_pairs(const struct vhost_user *vu);
bool vhost_user_has_filter(const struct vhost_user *vu);

/*
 * vhost_user_start - rings 0..n) are to run from now on with these negotiated features; ring[i].desc,
 * avail and used are GPAs (of guest memory or the extra region). A ring whose `used` index is not
 * 0 goes on from there. Features beyond vhost_user_features() are the device's own and not passed
 * on. Waits until the back-end has them, at most the deadline. Any thread, one
 * caller at a time, as all below.
 */
void vhost_user_start(struct vhost_user *vu, uint64_t features, const struct nic_ring *ring,
		      unsigned int n);
/*
 * vhost_user_stop - when it returns the back-end works on no ring any more: it has confirmed so, or
 * the connection was cut after the deadline. Idempotent.
 */
void vhost_user_stop(struct vhost_user *vu);
/*
 * vhost_user_pause - the same for a while: rings that are wanted run again after
 * vhost_user_resume(), where they were. The link stays as it is.
 */
void vhost_user_pause(struct vhost_user *vu);
void vhost_user_resume(struct vhost_user *vu);
void vhost_user_enable(struct vhost_user *vu, unsigned int ring, bool on);
void vhost_user_set_call(struct vhost_user *vu, unsigned int ring, int call_fd);
/* Copied. Nothing happens when the back-end has no filter. */
void vhost_user_set_filter(struct vhost_user *vu, const struct nic_filter *f);
/* vhost_user_connected - a new connection (taken). */
void vhost_user_connected(struct vhost_user *vu, int fd);
/* vhost_user_is_up - connected, features settled, and the rings that are wanted run. */
bool vhost_user_is_up(const struct vhost_user *vu);
void vhost_user_stats(struct vhost_user *vu, struct stats_sink *s); /* connects, messages, refused */

#endif
