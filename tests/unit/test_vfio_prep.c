/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening a function for a guest, both ways, on a kernel that the test plays: nodes are files of a
 * tree, ioctl() is the function below, which goes by the file that a descriptor stands for, writes
 * down who was asked what, and keeps VFIO's and iommufd's rules. What the caller hands in are
 * character devices that every machine has: /dev/null stands for a function's own node, /dev/zero
 * for /dev/iommu, /dev/full for a container, /dev/urandom for a group.
 */
#include <errno.h>
#include <limits.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "core/prep_priv.h"
#include "helper_count.h"
#include "helper_vfio_tree.h"
#include "vfio/prep_vfio.h"

#define NIC   "0000:03:00.0"
#define OTHER "0000:04:00.0"
enum { GROUP = 12, OTHER_GROUP = 13, IOAS = 5 };

/* --- the kernel ------------------------------------------------------------- */
static struct {
	char log[2048];                /* "container:version container:extension ..." */
	unsigned int n_calls, fail_at; /* counted over all of the below */
	int fail_with;
	const char *fail; /* or the call of that name */
	uint64_t foreign; /* somebody else's mapping in the container; 0: none */
	bool old;         /* a kernel that cannot tell */
	bool has_type, group_set, bound, attached, ioas, no_reset;
	bool wrong; /* a rule was broken */
} k;

static struct tree t;

static const struct {
	const char *node, *role; /* path in the tree, or whole */
} roles[] = {
	{ "/dev/vfio/vfio", "container" },
	{ "/dev/full", "container" },
	{ "/dev/iommu", "iommufd" },
	{ "/dev/zero", "iommufd" },
	{ "/dev/vfio/12", "group" },
	{ "/dev/vfio/13", "group" },
	{ "/dev/urandom", "group" },
	{ "/dev/vfio/devices/vfio3", "cdev" },
	{ "/dev/vfio/devices/vfio4", "cdev" },
	{ "/dev/vfio/devices/vfio5", "cdev" },
	{ "/dev/null", "cdev" },
	{ "/memfd:device (deleted)", "device" },
};

/* What a descriptor stands for; NULL: nothing that is played. */
static const char *role_of(int fd)
{
	char link[64], path[TREE_PATH];
	const char *name = path;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	if (*t.root && !strncmp(path, t.root, strlen(t.root)))
		name = path + strlen(t.root);
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (!strcmp(name, roles[i].node))
			return roles[i].role;
	return NULL;
}

static int played_fail(int err)
{
	errno = err;
	return -1;
}

/* Every call comes by here first: true when it is to fail. */
static bool played(const char *role, const char *what)
{
	size_t n = strlen(k.log);

	snprintf(k.log + n, sizeof(k.log) - n, "%s%s:%s", n ? " " : "", role, what);
	if (++k.n_calls != k.fail_at && (!k.fail || strcmp(k.fail, what)))
		return false;
	errno = k.fail_with;
	return true;
}

static int played_container(unsigned long req, void *arg)
{
	const struct vfio_iommu_type1_dma_map *m = arg;
	const char *r = "container";

	switch (req) {
	case VFIO_GET_API_VERSION: return played(r, "version") ? -1 : VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		if ((uintptr_t)arg == VFIO_UPDATE_VADDR)
			return !k.old;
		return played(r, "extension") ? -1 : (uintptr_t)arg == VFIO_TYPE1v2_IOMMU;
	case VFIO_IOMMU_MAP_DMA: /* asks only */
		k.wrong |= m->flags != VFIO_DMA_MAP_FLAG_VADDR || !k.has_type || k.old;
		return played_fail(k.foreign && m->iova <= k.foreign &&
						   k.foreign < m->iova + m->size
					   ? EINVAL
					   : ENOENT);
	case VFIO_IOMMU_GET_INFO: return k.has_type ? 0 : played_fail(EINVAL);
	case VFIO_SET_IOMMU:
		if (played(r, "type"))
			return -1;
		k.wrong |= k.has_type || !k.group_set || (uintptr_t)arg != VFIO_TYPE1v2_IOMMU;
		k.has_type = true;
		return 0;
	case VFIO_IOMMU_UNMAP_DMA: return played(r, "unmap") ? -1 : 0;
	}
	return played_fail(ENOTTY);
}

static int played_group(unsigned long req, void *arg)
{
	struct vfio_group_status *st = arg;
	const char *r = "group";

	switch (req) {
	case VFIO_GROUP_GET_STATUS:
		if (played(r, "status"))
			return -1;
		st->flags = VFIO_GROUP_FLAGS_VIABLE |
			    (k.group_set ? VFIO_GROUP_FLAGS_CONTAINER_SET : 0u);
		return 0;
	case VFIO_GROUP_SET_CONTAINER:
		if (played(r, "set"))
			return -1;
		k.wrong |= k.group_set || strcmp(role_of(*(int *)arg), "container") != 0;
		k.group_set = true;
		return 0;
	case VFIO_GROUP_UNSET_CONTAINER:
		if (played(r, "unset"))
			return -1;
		k.wrong |= !k.group_set;
		k.group_set = k.has_type = false;
		return 0;
	case VFIO_GROUP_GET_DEVICE_FD:
		if (played(r, "device"))
			return -1;
		k.wrong |= !k.has_type;
		return memfd_create("device", 0);
	}
	return played_fail(ENOTTY);
}

static int played_device(const char *r, unsigned long req, void *arg)
{
	struct vfio_device_info *info = arg;
	const struct vfio_device_bind_iommufd *bind = arg;
	const struct vfio_device_attach_iommufd_pt *attach = arg;

	switch (req) {
	case VFIO_DEVICE_GET_INFO:
		if (played(r, "info"))
			return -1;
		k.wrong |= !strcmp(r, "cdev") && !k.bound; /* nothing works before */
		info->flags = VFIO_DEVICE_FLAGS_PCI | (k.no_reset ? 0u : VFIO_DEVICE_FLAGS_RESET);
		return 0;
	case VFIO_DEVICE_BIND_IOMMUFD:
		if (played(r, "bind"))
			return -1;
		k.wrong |= strcmp(role_of(bind->iommufd), "iommufd") != 0;
		k.bound = true;
		return 0;
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		if (played(r, "attach"))
			return -1;
		k.wrong |= !k.bound || attach->pt_id != IOAS;
		k.attached = true;
		return 0;
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		if (played(r, "detach"))
			return -1;
		k.wrong |= !k.attached;
		k.attached = false;
		return 0;
	}
	return played_fail(ENOTTY);
}

static int played_iommufd(unsigned long req, void *arg)
{
	struct iommu_ioas_alloc *a = arg;
	const struct iommu_destroy *d = arg;

	switch (req) {
	case IOMMU_IOAS_ALLOC:
		if (played("iommufd", "alloc"))
			return -1;
		k.wrong |= k.ioas;
		k.ioas = true;
		a->out_ioas_id = IOAS;
		return 0;
	case IOMMU_DESTROY:
		if (played("iommufd", "destroy"))
			return -1;
		k.wrong |= d->id != IOAS || !k.ioas;
		if (k.attached)
			return played_fail(EBUSY);
		k.ioas = false;
		return 0;
	}
	return played_fail(ENOTTY);
}

int ioctl(int fd, unsigned long req, ...)
{
	const char *role = role_of(fd);
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (!role)
		return (int)syscall(SYS_ioctl, fd, req, arg);
	if (!strcmp(role, "container"))
		return played_container(req, arg);
	if (!strcmp(role, "group"))
		return played_group(req, arg);
	return !strcmp(role, "iommufd") ? played_iommufd(req, arg) : played_device(role, req, arg);
}

/* --- a host and a guest ------------------------------------------------------- */
static struct host_view view;
static struct prep_guest guest;
static char said[2048];
static unsigned int fds_before;

static void hear(void *opaque, const char *line)
{
	snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s\n", line);
}

static void make_function(const char *bdf, unsigned int group, const char *cdev)
{
	char path[128];

	tree_function(&t, bdf, group, "vfio-pci", "0x8086", "0x10c9", "0x020000");
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/vfio-dev/%s", bdf, cdev);
	tree_dir(&t, path);
	snprintf(path, sizeof(path), "dev/vfio/%u", group);
	tree_file(&t, path, "");
	snprintf(path, sizeof(path), "dev/vfio/devices/%s", cdev);
	tree_file(&t, path, "");
}

/* A link of sysfs from a node's number, as the kernel makes it. */
static void node_is(const char *number, const char *target)
{
	char path[64];

	snprintf(path, sizeof(path), "sys/dev/char/%s", number);
	tree_link(&t, path, target);
}

/* And a kernel in which nothing is open. */
static void new_guest(void)
{
	prep_guest_release(&guest);
	memset(&k, 0, sizeof(k));
	memset(&guest, 0, sizeof(guest));
	guest.name = "red";
	guest.mem_bytes = 64 << 20;
}

static int setup(void **state)
{
	fds_before = count_fds();
	new_guest();
	said[0] = '\0';
	tree_create(&t);
	chmod(t.root, 0755);
	view = (struct host_view){ .sysfs = t.sysfs, .dev = t.dev, .proc = t.proc };
	tree_driver(&t, "vfio-pci");
	make_function(NIC, GROUP, "vfio3");
	make_function(OTHER, OTHER_GROUP, "vfio4");
	tree_file(&t, "dev/vfio/vfio", "");
	tree_file(&t, "dev/iommu", "");
	/* with CAP_IPC_LOCK no limit counts */
	tree_file(&t, "proc/self/status",
		  "Name:\tx\nCapEff:\t000001ffffffffff\nCapAmb:\t000001ffffffffff\n");
	tree_dir(&t, "proc/self/ns");
	if (symlink("user:[4026531837]",
		    strcat(strcpy((char[TREE_PATH]){ 0 }, t.proc), "/self/ns/user")) < 0)
		return -1;
	err_set_sink(hear, NULL);
	return 0;
}

static int teardown(void **state)
{
	err_set_sink(NULL, NULL);
	prep_guest_release(&guest);
	tree_destroy(&t);
	if (count_fds() != fds_before)
		print_error("descriptors are left\n");
	if (k.wrong)
		print_error("a rule was broken: %s\n", k.log);
	return count_fds() != fds_before || k.wrong ? -1 : 0;
}

struct wanted {
	const char *host;
	enum vfio_dma dma;
	struct vfio_given given;
	struct vfio_lent lent; /* afterwards */
	char opts[256];        /* that the device gets */
};
#define NONE_GIVEN \
	{ \
		-1, -1, -1, -1 \
	}

static int get(struct wanted *w)
{
	struct vfio_prep p = { .host = &view,
			       .g = &guest,
			       .dma = w->dma,
			       .given = w->given,
			       .lent = VFIO_LENT_NOTHING };
	struct prep_nic nic = { .name = "nic0" };
	int ret = vfio_prep_function(&p, &nic,
				     &(struct vfio_prep_words){ .host = w->host, .rombar = true });

	w->lent = p.lent;
	snprintf(w->opts, sizeof(w->opts), "%s", nic.device_opts ? nic.device_opts : "");
	free(nic.device_opts);
	return ret;
}

static int get_by(const char *host, enum vfio_dma dma)
{
	struct wanted w = { .host = host, .dma = dma, .given = NONE_GIVEN };

	return get(&w);
}

static bool guest_got(const char *name)
{
	for (unsigned int i = 0; i < guest.n_fds; i++)
		if (!strcmp(guest.fd[i].name, name))
			return true;
	return false;
}

#define TYPE1_CALLS \
	"container:version container:extension group:status group:set container:type " \
	"group:device " \
	"device:info"
#define IOMMUFD_CALLS "iommufd:alloc cdev:bind cdev:attach cdev:info"

/* --- order ----------------------------------------------------------------------- */
static void type1_opens_container_group_and_device(void **state)
{
	struct wanted w = { .host = "03:00.0", .dma = VFIO_DMA_TYPE1, .given = NONE_GIVEN };

	assert_int_equal(get(&w), 0);
	assert_string_equal(k.log, TYPE1_CALLS);
	assert_true(guest_got("nic0:device") && guest_got("nic0:container") &&
		    guest_got("nic0:group") && guest.n_fds == 3);
	assert_non_null(strstr(w.opts, "host=" NIC));
	assert_non_null(strstr(w.opts, "dma=type1"));
	assert_null(strstr(w.opts, "ioas="));
}

static void iommufd_binds_and_attaches(void **state)
{
	struct wanted w = { .host = NIC, .dma = VFIO_DMA_IOMMUFD, .given = NONE_GIVEN };

	assert_int_equal(get(&w), 0);
	assert_string_equal(k.log, IOMMUFD_CALLS);
	assert_true(guest_got("nic0:device") && guest_got("nic0:iommufd") && guest.n_fds == 2);
	assert_non_null(strstr(w.opts, "dma=iommufd,ioas=5"));
}

static void second_function_shares_what_the_first_has(void **state)
{
	static const struct {
		enum vfio_dma dma;
		const char *calls;
	} c[] = {
		{ VFIO_DMA_TYPE1, TYPE1_CALLS " group:status group:device device:info" },
		{ VFIO_DMA_IOMMUFD, IOMMUFD_CALLS " cdev:bind cdev:attach cdev:info" },
	};

	for (unsigned int i = 0; i < 2; i++) {
		prep_guest_release(&guest);
		memset(&k, 0, sizeof(k));
		assert_int_equal(get_by(NIC, c[i].dma), 0);
		k.group_set = false; /* each group for itself */
		k.log[strlen(k.log)] = '\0';
		assert_int_equal(get_by(OTHER, VFIO_DMA_AUTO), 0);
		if (c[i].dma == VFIO_DMA_IOMMUFD)
			assert_string_equal(k.log, c[i].calls);
		else
			assert_non_null(strstr(k.log, "device:info group:status group:set "
						      "group:device device:info"));
	}
}

static void one_function_twice_is_refused(void **state)
{
	assert_int_equal(get_by(NIC, VFIO_DMA_IOMMUFD), 0);
	assert_int_equal(get_by(NIC, VFIO_DMA_IOMMUFD), -EINVAL);
	assert_non_null(strstr(said, "has it already"));
}

/* --- errors ---------------------------------------------------------------------- */
static void failure_of_any_call_leaves_nothing(void **state)
{
	static const struct {
		enum vfio_dma dma;
		unsigned int n;
	} c[] = { { VFIO_DMA_TYPE1, 7 }, { VFIO_DMA_IOMMUFD, 4 } };
	static const int err[] = { EIO, EINVAL, EPERM, ENOMEM };

	for (unsigned int i = 0; i < 2; i++)
		for (unsigned int at = 1; at <= c[i].n; at++)
			for (unsigned int e = 0; e < 4; e++) {
				int ret;

				memset(&k, 0, sizeof(k));
				said[0] = '\0';
				k.fail_at = at;
				k.fail_with = err[e];
				ret = get_by(NIC, c[i].dma);
				prep_guest_release(&guest);
				assert_true(ret < 0);
				/* the kernel's EINVAL is not the user's wrong word */
				assert_int_not_equal(ret, -EINVAL);
				assert_true(strchr(said, '\n') == said + strlen(said) - 1);
				assert_int_equal(count_fds(), fds_before);
				assert_int_equal(k.n_calls, at);
			}
}

static void unsafe_interrupts_are_told_apart(void **state)
{
	static const struct {
		enum vfio_dma dma;
		const char *call, *mend;
	} c[] = {
		{ VFIO_DMA_TYPE1, "type", "vfio_iommu_type1 allow_unsafe_interrupts=1" },
		{ VFIO_DMA_IOMMUFD, "bind", "iommufd allow_unsafe_interrupts=1" },
	};

	for (unsigned int i = 0; i < 2; i++) {
		memset(&k, 0, sizeof(k));
		k.fail = c[i].call;
		k.fail_with = EPERM;
		assert_int_equal(get_by(NIC, c[i].dma), -EOPNOTSUPP);
		assert_non_null(strstr(said, c[i].mend));
		prep_guest_release(&guest);
	}
}

static void function_in_use_is_busy(void **state)
{
	static const int err[] = { EBUSY, EINVAL };

	for (unsigned int e = 0; e < 2; e++) {
		memset(&k, 0, sizeof(k));
		k.fail = "bind";
		k.fail_with = err[e];
		said[0] = '\0';
		assert_int_equal(get_by(NIC, VFIO_DMA_IOMMUFD), -EBUSY);
		assert_non_null(strstr(said, "in use by"));
		prep_guest_release(&guest);
	}
}

/* --- which way --------------------------------------------------------------------- */
static const char *chosen(void)
{
	struct wanted w = { .host = NIC, .given = NONE_GIVEN };
	const char *way;

	memset(&k, 0, sizeof(k));
	said[0] = '\0';
	way = get(&w) < 0                     ? "none"
	      : strstr(w.opts, "dma=iommufd") ? "iommufd"
	      : strstr(w.opts, "dma=type1")   ? "type1"
					      : "?";
	prep_guest_release(&guest);
	return way;
}

/* What an earlier guest left in it would reach the next, unless its user says otherwise. */
static void what_cannot_be_reset_goes_to_no_second_guest(void **state)
{
	struct wanted w = { .host = NIC, .dma = VFIO_DMA_TYPE1, .given = NONE_GIVEN };
	char dir[PATH_MAX], mark[PATH_MAX + 64];

	assert_int_equal(paths_run_dir(dir, sizeof(dir)), 0);
	snprintf(mark, sizeof(mark), "%s/vfio-%s.used", dir, NIC);
	k.no_reset = true;
	assert_int_equal(get(&w), 0);
	assert_null(strstr(w.opts, "no-reset"));
	new_guest();
	k.no_reset = true;
	assert_int_equal(get(&w), -EBUSY);
	assert_non_null(strstr(said, "accept that with --no-reset"));
	new_guest();
	k.no_reset = true;
	guest.no_reset = true;
	assert_int_equal(get(&w), 0);
	assert_non_null(strstr(w.opts, ",no-reset=on"));
	unlink(mark);
}

static void type1_where_its_nodes_are_else_iommufd(void **state)
{
	assert_string_equal(chosen(), "type1");
	tree_remove(&t, "dev/vfio/vfio");
	assert_string_equal(chosen(), "iommufd");
	tree_file(&t, "dev/vfio/vfio", "");
	tree_remove(&t, "dev/vfio/12");
	assert_string_equal(chosen(), "iommufd");
	tree_remove(&t, "dev/iommu");
	assert_string_equal(chosen(), "none");
	assert_non_null(strstr(said, "CONFIG_IOMMUFD"));
	tree_file(&t, "dev/vfio/12", "");
	tree_remove(&t, "sys/bus/pci/devices/" NIC "/vfio-dev");
	assert_string_equal(chosen(), "type1");
}

static void node_mode(const char *node, mode_t mode)
{
	char path[TREE_PATH];

	snprintf(path, sizeof(path), "%s/%s", t.dev, node);
	assert_int_equal(chmod(path, mode), 0);
}

/* An account that owns the one pair of nodes or the other runs; with none it is told how to. */
static void what_the_account_may_open_decides(void **state)
{
	bool root = geteuid() == 0;

	node_mode("vfio/vfio", 0666);
	node_mode("vfio/12", root ? 0600 : 0);
	node_mode("iommu", 0666);
	node_mode("vfio/devices/vfio3", 0666);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	assert_string_equal(chosen(), "iommufd");
	assert_int_equal(get_by(NIC, VFIO_DMA_TYPE1), -EACCES);
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_non_null(strstr(said, "dev/vfio/12: Permission denied"));
	assert_non_null(strstr(said, "'chown "));
	assert_non_null(strstr(said, "SUBSYSTEM==\"vfio\", OWNER="));
	prep_guest_release(&guest);

	node_mode("vfio/12", 0666);
	node_mode("iommu", root ? 0600 : 0);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	assert_string_equal(chosen(), "type1");
	assert_int_equal(get_by(NIC, VFIO_DMA_IOMMUFD), -EACCES);
	assert_non_null(strstr(said, "KERNEL==\"iommu\""));
	prep_guest_release(&guest);
	if (root)
		assert_int_equal(seteuid(0), 0);

	node_mode("iommu", 0666);
	node_mode("vfio/devices/vfio3", root ? 0600 : 0);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	assert_int_equal(get_by(NIC, VFIO_DMA_IOMMUFD), -EACCES);
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_non_null(strstr(said, "SUBSYSTEM==\"vfio-dev\""));
}

static void what_is_missing_is_a_lack_of_the_host(void **state)
{
	static const struct {
		enum vfio_dma dma;
		const char *without, *says;
	} c[] = {
		{ VFIO_DMA_TYPE1, "dev/vfio/vfio", "modprobe vfio-pci" },
		{ VFIO_DMA_TYPE1, "dev/vfio/12", "is vfio-pci loaded" },
		{ VFIO_DMA_IOMMUFD, "dev/iommu", "modprobe iommufd" },
		{ VFIO_DMA_IOMMUFD, "dev/vfio/devices/vfio3", "is /dev a devtmpfs?" },
		{ VFIO_DMA_IOMMUFD, "sys/bus/pci/devices/" NIC "/vfio-dev",
		  "CONFIG_VFIO_DEVICE_CDEV" },
	};

	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		said[0] = '\0';
		memset(&k, 0, sizeof(k));
		tree_remove(&t, c[i].without);
		assert_int_equal(get_by(NIC, c[i].dma), -ENODEV);
		assert_int_equal(err_to_exit(-ENODEV), FL_UNSUPPORTED);
		assert_non_null(strstr(said, c[i].says));
		prep_guest_release(&guest);
		make_function(NIC, GROUP, "vfio3");
		tree_file(&t, "dev/vfio/vfio", "");
		tree_file(&t, "dev/iommu", "");
	}
}

static void functions_of_one_guest_agree(void **state)
{
	static const enum vfio_dma way[] = { VFIO_DMA_TYPE1, VFIO_DMA_IOMMUFD };

	for (unsigned int i = 0; i < 2; i++) {
		memset(&k, 0, sizeof(k));
		said[0] = '\0';
		assert_int_equal(get_by(NIC, way[i]), 0);
		assert_int_equal(get_by(OTHER, way[!i]), -EINVAL);
		assert_non_null(strstr(said, "give all of them one dma="));
		prep_guest_release(&guest);
	}
}

static void word_of_another_way_is_refused(void **state)
{
	struct opts *o;
	enum vfio_dma dma;

	assert_int_equal(opts_parse("vfio,host=03:00.0,dma=type2", &o), 0);
	assert_int_equal(vfio_dma_take(o, &dma), -EINVAL);
	assert_non_null(strstr(said, "'type2'"));
	opts_free(o);
	assert_int_equal(opts_parse("vf,host=03:00.0,dma=auto", &o), 0);
	assert_int_equal(vfio_dma_take(o, &dma), 0);
	assert_int_equal(dma, VFIO_DMA_AUTO);
	opts_free(o);
}

/* --- descriptors of the caller's ------------------------------------------------------ */
static void open_given(struct vfio_given *g)
{
	g->device = open("/dev/null", O_RDWR | O_CLOEXEC);
	g->iommufd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	g->container = open("/dev/full", O_RDWR | O_CLOEXEC);
	g->group = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	node_is("1:3", "sys/devices/pci0000:00/" NIC "/vfio-dev/vfio3");
	node_is("1:9", "sys/devices/virtual/vfio/12");
}

static void close_given(const struct vfio_given *g)
{
	/* they are still the caller's to close */
	assert_int_equal(
		close(g->device) | close(g->iommufd) | close(g->container) | close(g->group), 0);
}

static void handed_in_device_tells_its_function(void **state)
{
	struct wanted w = { .given = NONE_GIVEN };
	struct vfio_given all;

	open_given(&all);
	w.given.device = all.device;
	assert_int_equal(get(&w), 0);
	assert_string_equal(k.log, IOMMUFD_CALLS);
	assert_non_null(strstr(w.opts, "host=" NIC));
	prep_guest_release(&guest);
	vfio_lent_give_back(&w.lent);
	assert_string_equal(k.log, IOMMUFD_CALLS " cdev:detach iommufd:destroy");
	assert_false(k.attached || k.ioas);

	memset(&k, 0, sizeof(k));
	w.given.iommufd = all.iommufd;
	tree_remove(&t, "dev/iommu"); /* it is not opened */
	assert_int_equal(get(&w), 0);
	prep_guest_release(&guest);
	vfio_lent_give_back(&w.lent);
	assert_false(k.attached || k.ioas);

	w.host = OTHER;
	assert_int_equal(get(&w), -EINVAL);
	assert_non_null(strstr(said, "is " NIC ", not " OTHER));
	close_given(&all);
}

/* A function of the guest comes with another descriptor than the guest has already: it is refused,
 * and opened with that of the guest. given: where the function's own one is said. */
static void must_be_the_guests(struct wanted *w, int *given, const char *another, int guests,
			       const char *says)
{
	*given = open(another, O_RDWR | O_CLOEXEC);
	assert_true(*given >= 0);
	assert_int_equal(get(w), -EINVAL);
	assert_non_null(strstr(said, says));
	assert_int_equal(close(*given), 0); /* it is still the caller's */
	*given = guests;
	assert_int_equal(get(w), 0);
}

static void handed_in_iommufd_serves_all_functions(void **state)
{
	struct wanted w = { .host = NIC, .given = NONE_GIVEN },
		      o = { .host = OTHER, .given = NONE_GIVEN };
	struct vfio_given all;

	open_given(&all);
	w.given.iommufd = all.iommufd;
	assert_int_equal(get(&w), 0);
	must_be_the_guests(&o, &o.given.iommufd, "/dev/zero", all.iommufd,
			   "is not the iommufd that the guest's other devices");
	prep_guest_release(&guest);
	k.attached = false; /* the functions' own descriptors are closed */
	vfio_lent_give_back(&o.lent);
	assert_false(k.ioas);
	k.ioas = true; /* the second has no more to take away: the kernel would say so */
	vfio_lent_give_back(&w.lent);
	close_given(&all);
}

static void handed_in_group_comes_out_of_its_container(void **state)
{
	struct wanted w = { .host = NIC, .given = NONE_GIVEN };
	struct vfio_given all;

	open_given(&all);
	w.given.group = all.group;
	assert_int_equal(get(&w), 0);
	assert_string_equal(k.log, TYPE1_CALLS);
	prep_guest_release(&guest);
	vfio_lent_give_back(&w.lent);
	assert_string_equal(k.log, TYPE1_CALLS " group:unset");
	assert_false(k.group_set);

	memset(&k, 0, sizeof(k));
	w.given.container = all.container;
	tree_remove(&t, "dev/vfio/vfio");
	assert_int_equal(get(&w), 0);
	prep_guest_release(&guest);
	vfio_lent_give_back(&w.lent);
	assert_string_equal(k.log, TYPE1_CALLS " container:unmap group:unset");
	close_given(&all);
}

/* The caller put it there: it stays there. */
static void group_in_a_container_stays_in_it(void **state)
{
	struct wanted w = { .host = NIC, .given = NONE_GIVEN };
	struct vfio_given all;

	open_given(&all);
	k.group_set = k.has_type = true;
	w.given.group = all.group;
	assert_int_equal(get(&w), -EINVAL);
	assert_non_null(strstr(said, "container-fd="));
	prep_guest_release(&guest);
	w.given.container = all.container;
	assert_int_equal(get(&w), 0);
	prep_guest_release(&guest);
	vfio_lent_give_back(&w.lent);
	assert_true(k.group_set && k.has_type);
	assert_non_null(strstr(k.log, "container:unmap"));
	close_given(&all);
}

/* What others have mapped in the caller's container is not taken away. */
static void foreign_mappings_of_a_container_stay(void **state)
{
	static const uint64_t inside[] = { 0x1000, 0x3fff000, 0x100000000 },
			      outside[] = { 0x4000000, 0xfff000000 };
	struct wanted w = { .host = NIC, .given = NONE_GIVEN };
	struct vfio_given all;

	open_given(&all);
	w.given.container = all.container;
	w.given.group = all.group;
	for (unsigned int i = 0; i < 3; i++) {
		memset(&k, 0, sizeof(k));
		k.group_set = k.has_type = true;
		k.foreign = inside[i];
		guest.mem_bytes = i == 2 ? 4ull << 30 : 64 << 20;
		said[0] = '\0';
		assert_int_equal(get(&w), -EINVAL);
		assert_non_null(strstr(said, "hand in a container of its own"));
		assert_null(strstr(k.log, "unmap"));
		prep_guest_release(&guest);
	}
	guest.mem_bytes = 64 << 20;
	for (unsigned int i = 0; i < 2; i++) {
		k.foreign = outside[i];
		assert_int_equal(get(&w), 0);
		prep_guest_release(&guest);
		vfio_lent_give_back(&w.lent);
	}
	memset(&k, 0, sizeof(k));
	k.group_set = k.has_type = k.old = true;
	k.foreign = 0x1000;
	assert_int_equal(get(&w), 0); /* mapping will say */
	prep_guest_release(&guest);
	vfio_lent_give_back(&w.lent);
	assert_null(strstr(k.log, "unmap"));
	close_given(&all);
}

static void another_descriptor_of_the_guests_group_is_refused(void **state)
{
	struct wanted w = { .host = NIC, .given = NONE_GIVEN },
		      o = { .host = "0000:03:00.1", .given = NONE_GIVEN };
	struct vfio_given all;

	make_function("0000:03:00.1", GROUP, "vfio5");
	open_given(&all);
	w.given.group = all.group;
	assert_int_equal(get(&w), 0);
	must_be_the_guests(&o, &o.given.group, "/dev/urandom", all.group,
			   "that the guest has already");
	assert_int_equal(o.lent.group, -1); /* the first gives it back */
	prep_guest_release(&guest);
	vfio_lent_give_back(&w.lent);
	close_given(&all);
}

static void failure_gives_the_callers_back(void **state)
{
	static const char *const type1[] = { "type", "device", "info" }, *const iommufd[] = {
		"bind", "attach", "info"
	};
	struct vfio_given all;

	open_given(&all);
	for (unsigned int i = 0; i < 3; i++) {
		struct wanted w = { .host = NIC, .given = NONE_GIVEN };

		memset(&k, 0, sizeof(k));
		k.fail = type1[i];
		k.fail_with = EIO;
		w.given.group = all.group;
		assert_int_equal(get(&w), -EIO);
		assert_false(k.group_set);
		prep_guest_release(&guest);

		memset(&k, 0, sizeof(k));
		k.fail = iommufd[i];
		k.fail_with = EIO;
		w.given = (struct vfio_given){ all.device, all.iommufd, -1, -1 };
		assert_int_equal(get(&w), -EIO);
		assert_false(k.attached || k.ioas);
		prep_guest_release(&guest);
	}
	close_given(&all);
}

static void descriptor_of_another_kind_is_refused(void **state)
{
	struct vfio_given all, g;
	int file = memfd_create("file", MFD_CLOEXEC), tty = open("/dev/random", O_RDONLY);
	const struct {
		struct vfio_given given;
		const char *says;
	} c[] = {
		{ { file, -1, -1, -1 }, "is no function's own node" },
		{ { tty, -1, -1, -1 }, "is no function's own node" },
		{ { 999, -1, -1, -1 }, "fd=999: Bad file descriptor" },
		{ { -1, file, -1, -1 }, "iommufd-fd=%d is no character device" },
		{ { -1, tty, -1, -1 }, "iommufd-fd=%d is no iommufd" },
		{ { -1, 999, -1, -1 }, "iommufd-fd=999: Bad file descriptor" },
		{ { -1, -1, file, -1 }, "group-fd=%d is no character device" },
		{ { -1, -1, tty, -1 }, "group-fd=%d is no VFIO group" },
		{ { -1, -1, 999, -1 }, "group-fd=999: Bad" },
		{ { -1, -1, -1, file }, "container-fd=%d is no character device" },
		{ { -1, -1, -1, tty }, "container-fd=%d is no VFIO container" },
		{ { -1, -1, -1, 999 }, "container-fd=999: Bad" },
	};

	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct wanted w = { .host = c[i].given.device < 0 ? NIC : NULL,
				    .given = c[i].given };
		char says[96];

		said[0] = '\0';
		snprintf(says, sizeof(says), c[i].says, (int)(i % 3 == 1 ? tty : file));
		assert_int_equal(get(&w), -EINVAL);
		assert_true(strchr(said, '\n') == said + strlen(said) - 1);
		if (!strstr(said, says))
			fail_msg("case %zu: %s", i, said);
		prep_guest_release(&guest);
	}
	close(file);
	close(tty);
	open_given(&all);
	g = (struct vfio_given){ all.device, -1, all.group, -1 };
	assert_int_equal(get(&(struct wanted){ .given = g }), -EINVAL);
	g = (struct vfio_given){ -1, -1, all.group, -1 };
	assert_int_equal(get(&(struct wanted){ .host = OTHER, .given = g }), -EINVAL);
	assert_non_null(strstr(said, "is group 12, and " OTHER " is in group 13"));
	assert_int_equal(get(&(struct wanted){ .host = NIC, .dma = VFIO_DMA_IOMMUFD, .given = g }),
			 -EINVAL);
	close_given(&all);
}

/* --- locked memory --------------------------------------------------------------------- */
enum { MIB = 1 << 20 };

/* An account without CAP_IPC_LOCK, whose other process has a MiB pinned. */
static void plain_account(void)
{
	char mine[128];

	tree_file(&t, "proc/self/status", "Name:\tx\nCapEff:\t0000000000000000\n");
	snprintf(mine, sizeof(mine), "Name:\ty\nUid:\t%u\t0\t0\t0\nVmPin:\t    1024 kB\n",
		 getuid());
	tree_file(&t, "proc/77/status", mine);
	tree_file(&t, "proc/78/status", "Name:\tz\nUid:\t4242\t0\t0\t0\nVmPin:\t   99999 kB\n");
	guest.mem_bytes = 2 * MIB - 4096; /* made of whole 2 MiB */
}

struct limit_case {
	rlim_t soft, hard;
	enum vfio_dma dma;
	int ret;
	rlim_t soft_after;
	unsigned int n_calls; /* of the kernel */
	char said[512];
};

/* In a process of its own: a hard limit does not come back. */
static void try_limit(struct limit_case *c)
{
	const char *const nodes[] = { "vfio/vfio", "vfio/12", "iommu", "vfio/devices/vfio3" };
	int p[2], status;
	pid_t pid;

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		node_mode(nodes[i], 0666);
	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		struct rlimit lim = { c->soft, c->hard };

		/* without the right to raise the hard limit */
		if (setrlimit(RLIMIT_MEMLOCK, &lim) < 0 || (!geteuid() && seteuid(65534) < 0))
			_exit(1);
		c->ret = get_by(NIC, c->dma);
		getrlimit(RLIMIT_MEMLOCK, &lim);
		c->soft_after = lim.rlim_cur;
		c->n_calls = k.n_calls;
		snprintf(c->said, sizeof(c->said), "%s", said);
		_exit(write(p[1], c, sizeof(*c)) != sizeof(*c));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(p[0], c, sizeof(*c)), sizeof(*c));
	close(p[0]);
	close(p[1]);
}

static struct limit_case limit(rlim_t soft, rlim_t hard, enum vfio_dma dma)
{
	struct limit_case c = { .soft = soft, .hard = hard, .dma = dma };

	try_limit(&c);
	return c;
}

static void limit_that_is_just_enough_will_do(void **state)
{
	struct limit_case c;

	plain_account();
	c = limit(2 * MIB, 2 * MIB, VFIO_DMA_TYPE1);
	assert_int_equal(c.ret, 0);
	assert_int_equal(c.n_calls, 7);
	/* iommufd counts the account's other processes, too; the soft limit is ours to raise */
	c = limit(4096, 3 * MIB, VFIO_DMA_IOMMUFD);
	assert_int_equal(c.ret, 0);
	assert_true(c.soft_after == 3 * MIB);
}

static void limit_that_is_not_is_told_before_anything_is_opened(void **state)
{
	struct limit_case c;

	plain_account();
	c = limit(2 * MIB - 4096, 2 * MIB - 4096, VFIO_DMA_TYPE1);
	assert_int_equal(c.ret, -EPERM);
	assert_non_null(strstr(c.said, "2 MiB locked, and RLIMIT_MEMLOCK allows 2044 KiB"));
	assert_non_null(strstr(c.said, "'ulimit -l 2048'"));
	assert_non_null(strstr(c.said, "LimitMEMLOCK=2048K"));
	assert_non_null(strstr(c.said, "hard memlock 2048'"));
	c = limit(2 * MIB, 3 * MIB - 4096, VFIO_DMA_IOMMUFD);
	assert_int_equal(c.ret, -EPERM);
	assert_non_null(strstr(c.said, "with the 1 MiB that other processes of this account have"));
	assert_non_null(strstr(c.said, "'ulimit -l 3072'"));
	assert_true(c.soft_after == 2 * MIB);
	assert_int_equal(c.n_calls, 0);
}

static void capability_counts_in_the_first_user_namespace(void **state)
{
	plain_account();
	tree_file(&t, "proc/self/status",
		  "Name:\tx\nCapEff:\t0000000000004000\nCapAmb:\t0000000000000000\n");
	/* the monitor would not have it */
	assert_int_equal(limit(4096, 4096, VFIO_DMA_TYPE1).ret, -EPERM);
	tree_file(&t, "proc/self/status",
		  "Name:\tx\nCapEff:\t0000000000004000\nCapAmb:\t0000000000004000\n");
	assert_int_equal(limit(4096, 4096, VFIO_DMA_TYPE1).ret, 0);
	tree_remove(&t, "proc/self/ns/user");
	assert_int_equal(limit(4096, 4096, VFIO_DMA_TYPE1).ret, -EPERM);
}

/* --- fourlane host ------------------------------------------------------------------------ */
static const char *setting(json_t *dma, size_t i, const char *key)
{
	return json_string_value(
		json_object_get(json_array_get(json_object_get(dma, "settings"), i), key));
}

static void host_tells_ways_and_settings(void **state)
{
	json_t *h, *dma;

	plain_account();
	tree_remove(&t, "dev/iommu");
	tree_file(&t, "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
	tree_file(&t, "sys/kernel/mm/transparent_hugepage/shmem_enabled",
		  "always within_size advise [never] deny force\n");
	h = host_report(&view);
	dma = json_object_get(h, "dma");
	assert_true(json_is_true(json_object_get(dma, "type1")));
	assert_true(json_is_false(json_object_get(dma, "iommufd")));
	assert_string_equal(setting(dma, 0, "name"), "transparent_hugepage/enabled");
	assert_string_equal(setting(dma, 0, "value"), "madvise");
	assert_null(strstr(setting(dma, 0, "means"), "4 KiB"));
	assert_string_equal(setting(dma, 1, "name"), "transparent_hugepage/shmem_enabled");
	assert_string_equal(setting(dma, 1, "value"), "never");
	assert_non_null(strstr(setting(dma, 1, "means"), "pages of 4 KiB"));
	assert_non_null(strstr(setting(dma, 1, "means"), "echo advise >"));
	assert_string_equal(setting(dma, 2, "name"), "RLIMIT_MEMLOCK");
	json_decref(h);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(type1_opens_container_group_and_device),
		T(iommufd_binds_and_attaches),
		T(second_function_shares_what_the_first_has),
		T(one_function_twice_is_refused),
		T(failure_of_any_call_leaves_nothing),
		T(unsafe_interrupts_are_told_apart),
		T(function_in_use_is_busy),
		T(what_cannot_be_reset_goes_to_no_second_guest),
		T(type1_where_its_nodes_are_else_iommufd),
		T(what_the_account_may_open_decides),
		T(what_is_missing_is_a_lack_of_the_host),
		T(functions_of_one_guest_agree),
		T(word_of_another_way_is_refused),
		T(handed_in_device_tells_its_function),
		T(handed_in_iommufd_serves_all_functions),
		T(handed_in_group_comes_out_of_its_container),
		T(group_in_a_container_stays_in_it),
		T(foreign_mappings_of_a_container_stay),
		T(another_descriptor_of_the_guests_group_is_refused),
		T(failure_gives_the_callers_back),
		T(descriptor_of_another_kind_is_refused),
		T(limit_that_is_just_enough_will_do),
		T(limit_that_is_not_is_told_before_anything_is_opened),
		T(capability_counts_in_the_first_user_namespace),
		T(host_tells_ways_and_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
