/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reset line behind the keyboard controller: what a PC guest pulls to reset. There is no
 * keyboard.
 */
#ifndef CORE_RESET_H
#define CORE_RESET_H

#include "core/vm.h"

#define RESET_PORT  0x64
#define RESET_VALUE 0xfe

/*
 * reset_create - port 0x64: command 0xfe asks vm_request_stop(VM_STOP_RESET); reads say that the
 * controller is idle.
 */
int reset_create(struct vm *vm);

#endif
