/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes the kernel find every page of guest memory before the guest runs. Several threads take
 * pieces in turn: most of the time goes into clearing pages, which one CPU does at a few GB/s.
 * Called by monitor.c before the jail is closed. madvise(2), MADV_POPULATE_WRITE of Linux 5.14;
 * older kernels are made to by touching.
 */
#include "core/mem.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "core/err.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define PIECE       (16ull << 20) /* how much a thread takes at once, at least a page */
#define PAGE        4096
#define MAX_THREADS 16
#define REPORT_NS   200000000

struct prefault {
	const struct guest_mem *m;
	uint64_t piece, all; /* bytes; `all` counts over the regions */
	_Atomic uint64_t next, done;
	_Atomic int error; /* the first errno */
	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned int running; /* threads; under the lock */
};

static int prefault_piece(char *hva, uint64_t size)
{
	if (madvise(hva, size, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL)
		return errno;
	/* nobody else uses the memory yet: a byte may be written back as it was read */
	for (volatile char *p = hva; p < hva + size; p += PAGE)
		*p = *p;
	return 0;
}

/* The part of piece [off, off + size) that lies in each region: offsets go over all of them. */
static int prefault_range(struct prefault *p, uint64_t off, uint64_t size)
{
	uint64_t start = 0;
	int error = 0;

	for (size_t i = 0; i < mem_n_regions(p->m) && !error; i++) {
		const struct mem_region *r = mem_region(p->m, i);
		uint64_t from = off > start ? off : start, end = start + r->size;

		if (off + size < end)
			end = off + size;
		if (from < end)
			error = prefault_piece((char *)r->hva + (from - start), end - from);
		start += r->size;
	}
	return error;
}

static void *prefault_main(void *arg)
{
	struct prefault *p = arg;
	uint64_t off;

	while (!atomic_load(&p->error) && (off = atomic_fetch_add(&p->next, p->piece)) < p->all) {
		uint64_t size = p->all - off < p->piece ? p->all - off : p->piece;
		int error = prefault_range(p, off, size), none = 0;

		if (error)
			atomic_compare_exchange_strong(&p->error, &none, error);
		else
			atomic_fetch_add(&p->done, size);
	}
	pthread_mutex_lock(&p->lock);
	p->running--;
	pthread_cond_signal(&p->ended);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static unsigned int prefault_threads(const struct prefault *p, unsigned int wanted)
{
	uint64_t pieces = (p->all + p->piece - 1) / p->piece;
	cpu_set_t set;

	if (!wanted)
		wanted = sched_getaffinity(0, sizeof(set), &set) == 0
				 ? (unsigned int)CPU_COUNT(&set)
				 : 1;
	if (wanted > MAX_THREADS)
		wanted = MAX_THREADS;
	return pieces < wanted ? (unsigned int)pieces : wanted;
}

/* Waits for the threads. */
static void prefault_wait(struct prefault *p, void (*progress)(void *opaque, uint64_t done),
			  void *opaque)
{
	struct timespec until;

	pthread_mutex_lock(&p->lock);
	while (p->running) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += REPORT_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&p->ended, &p->lock, &until);
		pthread_mutex_unlock(&p->lock);
		if (progress)
			progress(opaque, atomic_load(&p->done));
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
}

/* MemAvailable, in bytes; all there could be when the file does not tell. */
static uint64_t prefault_available(const char *meminfo)
{
	unsigned long long kib, bytes = UINT64_MAX;
	FILE *f = fopen(meminfo ? meminfo : "/proc/meminfo", "re");
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			bytes = kib << 10;
	if (f)
		fclose(f);
	return bytes;
}

static int prefault_run(struct prefault *p, unsigned int n_threads,
			void (*progress)(void *opaque, uint64_t done), void *opaque)
{
	unsigned int n = prefault_threads(p, n_threads), made = 0;
	pthread_t thread[MAX_THREADS];

	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->ended, NULL);
	p->running = n;
	while (made < n && pthread_create(&thread[made], NULL, prefault_main, p) == 0)
		made++;
	pthread_mutex_lock(&p->lock);
	p->running -= n - made;
	pthread_mutex_unlock(&p->lock);
	prefault_wait(p, progress, opaque);
	for (unsigned int i = 0; i < made; i++)
		pthread_join(thread[i], NULL);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->ended);
	return made ? atomic_load(&p->error) : EAGAIN;
}

int mem_prefault(const struct guest_mem *m, unsigned int n_threads, const char *meminfo,
		 void (*progress)(void *opaque, uint64_t done), void *opaque)
{
	struct prefault p = { .m = m,
			      .piece = mem_page_size(m) > PIECE ? mem_page_size(m) : PIECE };
	uint64_t have = mem_page_size(m) ? UINT64_MAX : prefault_available(meminfo);
	int error;

	for (size_t i = 0; i < mem_n_regions(m); i++)
		p.all += mem_region(m, i)->size;
	if (have < p.all)
		return err_ret(-ENOMEM,
			       "making %llu MiB of guest memory present: the host has %llu MiB; "
			       "give the guest less, or leave out --prefault",
			       (unsigned long long)(p.all >> 20), (unsigned long long)(have >> 20));
	error = prefault_run(&p, n_threads, progress, opaque);
	return error ? err_ret(-error,
			       "making %llu MiB of guest memory present: %s; give the guest less",
			       (unsigned long long)(p.all >> 20), strerror(error))
		     : 0;
}
