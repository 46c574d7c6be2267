/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupt causes, their mask and the line (82540EM manual, 13.4.17 to 13.4.21). ICR and IMS are
 * atomics, because both the vCPUs and the I/O thread change them; the level of INTA# is computed
 * from them under irq_lock, so that the last one to look also tells the PCI bus the last level.
 * The line rises at most once in an ITR interval: a rise that comes too early is left to the I/O
 * thread, at irq_due.
 */
#include "e1000_priv.h"

void e1000_cause(struct e1000 *d, uint32_t bits)
{
	atomic_fetch_or(&d->icr, bits);
	d->irq_dirty = true;
}

/* The line wants to rise: when it may, or 0: now. Under irq_lock. */
static uint64_t irq_hold(struct e1000 *d)
{
	uint64_t interval = atomic_load(&d->itr_ns), now;

	if (!interval)
		return 0;
	now = d->now();
	if (now < d->irq_last + interval)
		return d->irq_last + interval;
	d->irq_last = now;
	return 0;
}

void e1000_irq_update(struct e1000 *d)
{
	uint64_t due = 0;
	bool level;

	pthread_mutex_lock(&d->irq_lock);
	level = (atomic_load(&d->icr) & atomic_load(&d->ims)) != 0;
	if (level && !d->line)
		due = irq_hold(d);
	if (atomic_exchange(&d->irq_due, due) != due && due)
		io_wake(vm_io(d->vm));
	level = level && !due;
	if (level != d->line) {
		d->line = level;
		if (level)
			atomic_fetch_add_explicit(&d->n_interrupts, 1, memory_order_relaxed);
		pci_intx(&d->pci, level);
	}
	pthread_mutex_unlock(&d->irq_lock);
}

void e1000_irq_raise(struct e1000 *d, uint32_t causes)
{
	/*
	 * Sequentially consistent, as is the unmasking side (set ims, then look at icr): one of the
	 * two sees the other's store. So a polled guest, that has everything masked, costs no lock
	 * here.
	 */
	uint32_t icr = atomic_fetch_or(&d->icr, causes) | causes;

	if (icr & atomic_load(&d->ims))
		e1000_irq_update(d);
}

void e1000_irq_release(struct e1000 *d)
{
	uint64_t due = atomic_load_explicit(&d->irq_due, memory_order_relaxed);

	if (due && d->now() >= due)
		e1000_irq_update(d);
}
