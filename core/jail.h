/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitor's jail. A guest that breaks out of a device model finds: no files (an empty root), no
 * network, an account that owns nothing, no way to gain rights, and only the system calls that the
 * monitor's loops need.
 */
#ifndef CORE_JAIL_H
#define CORE_JAIL_H

/*
 * jail_enter - called once, when everything is open and before the guest's first instruction and
 * the first thread. As root: own mount, network, IPC and UTS namespaces, an empty root, uid and gid
 * 65534; always: no new privileges and the system call filter. *how tells what was possible
 * ("namespaces,uid,seccomp"). Negative errno after a message.
 */
int jail_enter(const char **how);

#endif
