/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See jail.h. seccomp(2) by libseccomp, namespaces(7). Left out: a PID namespace (it would need a
 * second process) and cgroups (the service manager's).
 */
#include "core/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/err.h"

#define NOBODY 65534

/* In our own mount namespace, so it is gone with us: an empty, read-only root. */
static int jail_empty_root(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
		  "size=4k,mode=0555") < 0 ||
	    chdir("/tmp") < 0 || chroot(".") < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

static int jail_drop_root(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return -errno;
	/* a change of credentials clears it */
	return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : 0;
}

#ifndef __SANITIZE_ADDRESS__
static int jail_filter(void)
{
	/* clang-format off */
	static const int allowed[] = {
		SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev),
		SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),
		SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(poll), SCMP_SYS(ppoll),
		SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl),
		SCMP_SYS(ioctl), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap),
		SCMP_SYS(mprotect), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(futex),
		SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn),
		SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(sigaltstack),
		SCMP_SYS(close), SCMP_SYS(dup), SCMP_SYS(eventfd2), SCMP_SYS(clock_gettime),
		SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettid),
		SCMP_SYS(getpid), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
		SCMP_SYS(sched_setaffinity), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
		SCMP_SYS(restart_syscall), SCMP_SYS(lseek), SCMP_SYS(fstat),
		SCMP_SYS(newfstatat), SCMP_SYS(getrandom), SCMP_SYS(membarrier),
		/* a disk's operations: a ring is made, and restricted, before; threads without one */
		SCMP_SYS(io_uring_enter), SCMP_SYS(preadv), SCMP_SYS(pwritev2),
		SCMP_SYS(fdatasync), SCMP_SYS(fallocate),
		/* what an interrupt waits for, when nothing else happens */
		SCMP_SYS(timerfd_settime),
		/* cuts a vhost-user connection whose other side does not let go of the rings */
		SCMP_SYS(shutdown),
	};
	/* clang-format on */
	static const int fcntls[] = { F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC };
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int ret = 0;

	if (!ctx)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && ret == 0; i++)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	/* threads yes, processes no; clone3 cannot be looked into, the C library falls back to
	 * clone */
	if (ret == 0)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM,
					       CLONE_THREAD | CLONE_VM));
	if (ret == 0)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (ret == 0)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				       SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	if (ret == 0)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				       SCMP_A0(SCMP_CMP_EQ, PR_SET_TIMERSLACK));
	/* no signals to anybody else: other monitors run under the same account */
	if (ret == 0)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				       SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	for (size_t i = 0; i < sizeof(fcntls) / sizeof(fcntls[0]) && ret == 0; i++)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				       SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)fcntls[i]));
	/* the C library looks for files of its own (locale, CPU topology); there is none to open */
	if (ret == 0)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(openat), 0);
	if (ret == 0)
		ret = seccomp_load(ctx);
	seccomp_release(ctx);
	return ret;
}
#endif

int jail_enter(const char **how)
{
	bool spaces = geteuid() == 0 &&
		      unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) == 0;
	int ret = spaces ? jail_empty_root() : 0;

	if (ret < 0)
		return err_ret(ret, "jailing the monitor: empty root: %s; is /tmp there?",
			       strerror(-ret));
	if (geteuid() == 0 && (ret = jail_drop_root()) < 0)
		return err_ret(ret,
			       "jailing the monitor: leaving root: %s; run as root with all "
			       "capabilities, or as a plain user",
			       strerror(-ret));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_ret(-errno, "jailing the monitor: no_new_privs: %s; use a newer kernel",
			       strerror(errno));
#ifdef __SANITIZE_ADDRESS__
	*how = spaces ? "namespaces,uid" : "none"; /* the sanitizers' own calls would be refused */
#else
	/* standard error is the user's terminal; messages go to the supervisor from here on */
	dup2(STDOUT_FILENO, STDERR_FILENO);
	ret = jail_filter();
	if (ret < 0)
		return err_ret(ret,
			       "jailing the monitor: system call filter: %s; use a kernel with "
			       "CONFIG_SECCOMP_FILTER",
			       strerror(-ret));
	*how = spaces ? "namespaces,uid,seccomp" : "seccomp";
#endif
	return 0;
}
