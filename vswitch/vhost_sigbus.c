/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's memory is a file of the guest: it can make it shorter while a worker copies from it,
 * and the kernel answers the worker's access with SIGBUS. Seals cannot be asked of every front-end
 * (QEMU and DPDK set none), so the signal is handled: anonymous memory takes the place of the whole
 * mapping, the worker goes on in it, and the connection's socket is shut down, which the control
 * thread sees as an end of file. A fault outside the registered memory is a fault of ours and has
 * its usual end.
 *
 * The table is the one place where a signal handler finds a mapping, so it is global; slots are
 * written by the control thread only. A mapping is removed from it after the workers have let go of
 * its rings, so no handler can be at work on it then.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vhost_priv.h"

#define SIGBUS_SLOTS 4096 /* 256 ports, 8 regions, old and new table */

struct sigbus_slot {
	_Atomic uintptr_t start; /* 0: free */
	_Atomic uint64_t size;
	_Atomic int sock;
	_Atomic bool broken;
};
static struct sigbus_slot sigbus_slot[SIGBUS_SLOTS];
static _Atomic unsigned int sigbus_used; /* slots at and above this were never taken */
static struct sigaction sigbus_before;

/* One slot as it was at one moment: a start that is the same after the size was read. */
static bool sigbus_holds(struct sigbus_slot *s, uintptr_t at, uintptr_t *start, uint64_t *size)
{
	/* acquire: the size is this start's or a later one's */
	*start = atomic_load_explicit(&s->start, memory_order_acquire);
	*size = atomic_load_explicit(&s->size, memory_order_relaxed);
	/* the size is read before the start is read again */
	atomic_thread_fence(memory_order_acquire);
	return *start && *start == atomic_load_explicit(&s->start, memory_order_relaxed) &&
	       at - *start < *size;
}

static struct sigbus_slot *sigbus_find(uintptr_t at, uintptr_t *start, uint64_t *size)
{
	unsigned int n = atomic_load_explicit(&sigbus_used, memory_order_acquire);

	for (unsigned int i = 0; i < n; i++)
		if (sigbus_holds(&sigbus_slot[i], at, start, size))
			return &sigbus_slot[i];
	return NULL;
}

/*
 * Runs on the worker that faulted. Only system calls; mmap goes past libc, whose function is not
 * promised to be safe here. Two workers at once do no harm to each other: each puts empty pages.
 */
static void sigbus_handle(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	uintptr_t start;
	uint64_t size;
	struct sigbus_slot *s = sigbus_find((uintptr_t)info->si_addr, &start, &size);

	if (!s || syscall(SYS_mmap, start, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) < 0) {
		sigaction(SIGBUS, &sigbus_before, NULL); /* the access is tried again and fails */
		errno = saved;
		return;
	}
	atomic_store_explicit(&s->broken, true, memory_order_release);
	shutdown(atomic_load_explicit(&s->sock, memory_order_relaxed), SHUT_RDWR);
	errno = saved;
}

int vhost_sigbus_install(void)
{
	struct sigaction sa = { .sa_sigaction = sigbus_handle, .sa_flags = SA_SIGINFO };
	struct sigaction now;

	if (sigaction(SIGBUS, NULL, &now) < 0)
		return -errno;
	if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == sigbus_handle)
		return 0;
	sigbus_before = now;
	sigemptyset(&sa.sa_mask);
	return sigaction(SIGBUS, &sa, NULL) < 0 ? -errno : 0;
}

int vhost_sigbus_add(void *map, uint64_t size, int sock)
{
	for (unsigned int i = 0; i < SIGBUS_SLOTS; i++) {
		struct sigbus_slot *s = &sigbus_slot[i];

		if (atomic_load_explicit(&s->start, memory_order_relaxed))
			continue;
		/* whoever sees the new size sees that the old start has gone */
		atomic_thread_fence(memory_order_release);
		atomic_store_explicit(&s->size, size, memory_order_relaxed);
		atomic_store_explicit(&s->sock, sock, memory_order_relaxed);
		atomic_store_explicit(&s->broken, false, memory_order_relaxed);
		/* release: a handler that sees the start sees the rest */
		atomic_store_explicit(&s->start, (uintptr_t)map, memory_order_release);
		if (i >= atomic_load_explicit(&sigbus_used, memory_order_relaxed))
			atomic_store_explicit(&sigbus_used, i + 1, memory_order_release);
		return 0;
	}
	return -ENOSPC;
}

/* On the control thread, which alone writes the slots. */
static struct sigbus_slot *sigbus_of(const void *map)
{
	uintptr_t start;
	uint64_t size;

	return sigbus_find((uintptr_t)map, &start, &size);
}

void vhost_sigbus_remove(void *map)
{
	struct sigbus_slot *s = sigbus_of(map);

	if (s)
		atomic_store_explicit(&s->start, 0, memory_order_relaxed);
}

bool vhost_sigbus_broken(const void *map)
{
	struct sigbus_slot *s = sigbus_of(map);

	return s && atomic_load_explicit(&s->broken, memory_order_acquire);
}
