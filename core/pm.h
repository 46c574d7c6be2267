/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fixed power hardware of an ACPI machine (ACPI 6.5 section 4.8.3): PM1 event and control
 * registers with a power button and the way to power off (S5). The tables that tell a guest of it
 * are acpi.c's.
 */
#ifndef CORE_PM_H
#define CORE_PM_H

#include "core/vm.h"

#define PM_PORT         0x600
#define PM_SIZE         8
#define PM_EVENT_PORT   PM_PORT /* status, then enable, 16 bits each */
#define PM_EVENT_SIZE   4
#define PM_CONTROL_PORT (PM_PORT + 4)
#define PM_CONTROL_SIZE 2
#define PM_SCI          9 /* the IOAPIC input of its interrupt: level, active high */
#define PM_SLEEP_S5     5 /* SLP_TYP that powers off; any other does nothing */

struct pm;

int pm_create(struct vm *vm, struct pm **out);
void pm_destroy(struct pm *pm); /* accepts NULL */

/*
 * pm_press_power_button - asks the guest to shut down. False: it has not enabled the button (it
 * knows no ACPI, or has not come so far), and nothing happens. Any thread.
 */
bool pm_press_power_button(struct pm *pm);

#endif
