/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The registry of device types of the monitor (see device.h). */
#include "core/device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/err.h"
#include "core/vm_priv.h"

REGISTRY(fl_device_types, struct device_type);

int device_take_fd(struct device_conf *conf, const char *name)
{
	for (unsigned int i = 0; i < conf->n_fds; i++)
		if (conf->fds[i].fd >= 0 && !strcmp(conf->fds[i].name, name)) {
			int fd = conf->fds[i].fd;

			conf->fds[i].fd = -1;
			return fd;
		}
	return -ENOENT;
}

void device_want_fd(struct vm *vm, const char *device, const char *name)
{
	if (vm->want_fd)
		vm->want_fd(vm->want_fd_opaque, device, name);
}

static int device_unknown(const char *type)
{
	struct device_type const *const *it;
	char list[256] = "";

	REGISTRY_FOREACH(fl_device_types, it) {
		size_t n = strlen(list);

		snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", (*it)->name);
	}
	return err_ret(-EINVAL, "creating device '%s': no such type; there are: %s", type, list);
}

int device_create(struct vm *vm, struct device_conf *conf, struct device **out)
{
	struct device_type const *const *it;
	int ret;

	REGISTRY_FOREACH(fl_device_types, it)
		if (!strcmp((*it)->name, opts_type(conf->opts)))
			break;
	if (it == __stop_fl_device_types)
		return device_unknown(opts_type(conf->opts));
	ret = (*it)->create(vm, conf, out);
	if (ret < 0)
		return ret;
	(*out)->type = *it;
	(*out)->name = conf->name;
	ret = opts_done(conf->opts, (*it)->keys);
	if (ret < 0) {
		device_destroy(*out);
		*out = NULL;
	}
	return ret;
}

void device_destroy(struct device *d)
{
	if (d)
		d->ops->destroy(d);
}
