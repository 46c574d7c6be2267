/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which MSI-X vectors of a passed-through device have an eventfd as their trigger
 * (VFIO_DEVICE_SET_IRQS, include/uapi/linux/vfio.h). Called by vfio_dev.c when a vector of the
 * guest becomes usable. The kernel enables a range [0, n) at once; before Linux 6.5 it cannot grow
 * while it is enabled, so there the whole table is enabled at the first vector.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vfio_priv.h"

int vfio_irq_init(struct vfio_irq *q, unsigned int n, bool dynamic, vfio_irq_set_fn *set,
		  void *opaque)
{
	memset(q, 0, sizeof(*q));
	q->fd = malloc(n * sizeof(*q->fd));
	if (!q->fd)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++)
		q->fd[i] = -1;
	q->n = n;
	q->dynamic = dynamic;
	q->set = set;
	q->opaque = opaque;
	pthread_mutex_init(&q->lock, NULL);
	return 0;
}

void vfio_irq_free(struct vfio_irq *q)
{
	if (!q->fd)
		return;
	pthread_mutex_destroy(&q->lock);
	free(q->fd);
	q->fd = NULL;
}

/* Enables [0, count); fewer vectors than asked for is an error here. */
static int irq_enable(struct vfio_irq *q, unsigned int count)
{
	int ret = q->set(q->opaque, 0, count, q->fd);

	if (ret == 0)
		q->n_set = count;
	return ret > 0 ? -ENOSPC : ret;
}

/* A device keeps quiet about an interrupt that it raised while MSI-X was off; a guest copes with
 * one too many. */
static void irq_signal_all(struct vfio_irq *q)
{
	uint64_t one = 1;

	for (unsigned int i = 0; i < q->n_set; i++)
		if (q->fd[i] >= 0 && write(q->fd[i], &one, sizeof(one)) < 0)
			continue; /* full: it is pending already */
}

static int irq_grow(struct vfio_irq *q, unsigned int count)
{
	int ret;

	if (!q->n_set) {
		ret = irq_enable(q, q->dynamic ? count : q->n);
		return ret < 0 && !q->dynamic && count < q->n ? irq_enable(q, count) : ret;
	}
	if (q->dynamic) {
		ret = q->set(q->opaque, q->n_set, count - q->n_set, q->fd + q->n_set);
		if (ret == 0)
			q->n_set = count;
		return ret > 0 ? -ENOSPC : ret;
	}
	q->set(q->opaque, 0, 0, NULL);
	q->n_set = 0;
	ret = irq_enable(q, count);
	if (ret == 0)
		irq_signal_all(q);
	return ret;
}

void vfio_irq_signal(struct vfio_irq *q)
{
	if (!q->n)
		return;
	pthread_mutex_lock(&q->lock);
	irq_signal_all(q);
	pthread_mutex_unlock(&q->lock);
}

int vfio_irq_use(struct vfio_irq *q, unsigned int v, int fd)
{
	int ret = 0, old;

	if (v >= q->n || fd < 0)
		return -EINVAL;
	pthread_mutex_lock(&q->lock);
	old = q->fd[v];
	q->fd[v] = fd;
	if (v >= q->n_set)
		ret = irq_grow(q, v + 1);
	else if (old != fd)
		ret = q->set(q->opaque, v, 1, &q->fd[v]);
	if (ret < 0) {
		q->fd[v] = old;
		q->n_errors++;
	}
	pthread_mutex_unlock(&q->lock);
	return ret < 0 ? ret : 0;
}

bool vfio_irq_off(struct vfio_irq *q)
{
	bool was_on;

	if (!q->fd)
		return false;
	pthread_mutex_lock(&q->lock);
	was_on = q->n_set;
	if (was_on)
		q->set(q->opaque, 0, 0, NULL);
	q->n_set = 0;
	for (unsigned int i = 0; i < q->n; i++) {
		vfio_eventfd_drain(q->fd[i]);
		q->fd[i] = -1;
	}
	pthread_mutex_unlock(&q->lock);
	return was_on;
}

unsigned int vfio_irq_count(struct vfio_irq *q)
{
	unsigned int count = 0;

	if (!q->fd)
		return 0;
	pthread_mutex_lock(&q->lock);
	for (unsigned int i = 0; i < q->n; i++)
		count += q->fd[i] >= 0;
	pthread_mutex_unlock(&q->lock);
	return count;
}
