/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See pm.h. The machine is always in ACPI mode (SCI_EN reads as 1, there is no SMI command port)
 * and never asleep, so that of all events the power button is the only one. vCPU threads and the
 * main thread; one lock.
 */
#include "core/pm.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum {
	STATUS = 0, /* ACPI 6.5 table 4.11 */
	ENABLE = 2, /* table 4.12 */
	PWRBTN = 1 << 8,
	ENABLE_MASK = 0x0721, /* TMR, GBL, PWRBTN, SLPBTN, RTC: they can be set, most never fire */
	CONTROL = 4,          /* table 4.13 */
	SCI_EN = 1 << 0,
	SLP_TYP_SHIFT = 10,
	SLP_EN = 1 << 13,
	CONTROL_MASK = 7 << SLP_TYP_SHIFT | 1 << 1, /* SLP_TYP, BM_RLD */
};

struct pm {
	struct vm *vm;
	pthread_mutex_t lock;
	uint16_t status, enable, control;
	bool irq;
};

static void pm_update_irq(struct pm *pm)
{
	bool level = pm->status & pm->enable;

	if (level != pm->irq)
		vm_irq_line(pm->vm, PM_SCI, level);
	pm->irq = level;
}

/* The eight bytes as they read. */
static uint64_t pm_registers(const struct pm *pm)
{
	return (uint64_t)pm->status << (8 * STATUS) | (uint64_t)pm->enable << (8 * ENABLE) |
	       (uint64_t)(pm->control | SCI_EN) << (8 * CONTROL);
}

static uint64_t pm_read(void *opaque, uint64_t off, unsigned int size)
{
	struct pm *pm = opaque;
	uint64_t v;

	pthread_mutex_lock(&pm->lock);
	v = pm_registers(pm) >> (8 * off);
	pthread_mutex_unlock(&pm->lock);
	return size == 8 ? v : v & ((1ull << (8 * size)) - 1);
}

static void pm_write(void *opaque, uint64_t off, unsigned int size, uint64_t val)
{
	struct pm *pm = opaque;
	uint64_t mask = (size == 8 ? ~0ull : (1ull << (8 * size)) - 1) << (8 * off), now;
	bool off_now = false;
	uint16_t control;

	val = val << (8 * off) & mask;
	pthread_mutex_lock(&pm->lock);
	now = (pm_registers(pm) & ~mask) | val;
	pm->status &= (uint16_t) ~(val >> (8 * STATUS)); /* a written 1 clears */
	pm->enable = (uint16_t)(now >> (8 * ENABLE)) & ENABLE_MASK;
	control = (uint16_t)(now >> (8 * CONTROL));
	pm->control = control & CONTROL_MASK;
	/* SLP_EN is never kept: it is set only by a write of its own byte */
	off_now = control & SLP_EN && (control >> SLP_TYP_SHIFT & 7) == PM_SLEEP_S5;
	pm_update_irq(pm);
	pthread_mutex_unlock(&pm->lock);
	if (off_now)
		vm_request_stop(pm->vm, VM_STOP_POWEROFF);
}

static const struct bus_ops pm_ops = { .read = pm_read, .write = pm_write };

int pm_create(struct vm *vm, struct pm **out)
{
	struct pm *pm = calloc(1, sizeof(*pm));
	struct bus_region r = {
		.base = PM_PORT, .size = PM_SIZE, .ops = &pm_ops, .opaque = pm, .name = "pm"
	};
	int ret;

	if (!pm)
		return -ENOMEM;
	pm->vm = vm;
	pthread_mutex_init(&pm->lock, NULL);
	ret = bus_add(vm_pio(vm), &r);
	if (ret < 0) {
		pm_destroy(pm);
		return ret;
	}
	*out = pm;
	return 0;
}

void pm_destroy(struct pm *pm)
{
	if (!pm)
		return;
	pthread_mutex_destroy(&pm->lock);
	free(pm);
}

bool pm_press_power_button(struct pm *pm)
{
	bool heard;

	pthread_mutex_lock(&pm->lock);
	heard = pm->enable & PWRBTN;
	if (heard)
		pm->status |= PWRBTN;
	pm_update_irq(pm);
	pthread_mutex_unlock(&pm->lock);
	return heard;
}
