/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupt causes, their mask and the line (82540EM manual, 13.4.17 to 13.4.21). ICR and IMS are
 * atomics, because both the vCPUs and the I/O thread change them; the level of INTA# is computed
 * from them under irq_lock, so that the last one to look also tells the PCI bus the last level.
 * Throttling (ITR) is accepted and not applied.
 */
#include "e1000_priv.h"

void e1000_cause(struct e1000 *d, uint32_t bits)
{
	atomic_fetch_or(&d->icr, bits);
	d->irq_dirty = true;
}

void e1000_irq_update(struct e1000 *d)
{
	bool level;

	pthread_mutex_lock(&d->irq_lock);
	level = (atomic_load(&d->icr) & atomic_load(&d->ims)) != 0;
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
