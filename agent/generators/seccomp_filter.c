/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs while building: libseccomp works the allow-list out into a program for the kernel, which
 * this prints as the members of a C array. Starting the agent then needs neither libseccomp nor the
 * milliseconds that this takes. What is built is for the machine that builds.
 *
 * What an attacker would reach for ends the process; whatever else is not listed is EPERM, so that
 * a library that tries a newer call falls back to the older one.
 */
#include <errno.h>
#include <linux/filter.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/error.h"

enum { PR_SET_VMA_ = 0x53564d41 }; /* newer than some headers */

/* By name: a name that this architecture does not have is skipped. */
static const char *const allowed[] = {
	/* memory */
	"brk",
	"mremap",
	"munmap",
	"madvise",
	"mlock",
	"mlock2",
	"munlock",
	"memfd_secret",
	"membarrier",
	"ftruncate",
	"ftruncate64",
	/* files */
	"openat",
	"openat2",
	"open",
	"close",
	"close_range",
	"read",
	"write",
	"readv",
	"writev",
	"pread64",
	"pwrite64",
	"preadv",
	"pwritev",
	"lseek",
	"_llseek",
	"fsync",
	"fdatasync",
	"syncfs",
	"fallocate",
	"stat",
	"fstat",
	"lstat",
	"fstat64",
	"stat64",
	"lstat64",
	"fstatat64",
	"newfstatat",
	"statx",
	"statfs",
	"fstatfs",
	"statfs64",
	"fstatfs64",
	"access",
	"faccessat",
	"faccessat2",
	"readlink",
	"readlinkat",
	"getdents64",
	"getcwd",
	"unlink",
	"unlinkat",
	"rename",
	"renameat",
	"renameat2",
	"mkdir",
	"mkdirat",
	"rmdir",
	"symlink",
	"symlinkat",
	"link",
	"linkat",
	"chmod",
	"fchmod",
	"fchmodat",
	"chown",
	"fchown",
	"fchownat",
	"lchown",
	"utimensat",
	"umask",
	"fcntl",
	"fcntl64",
	"flock",
	"dup",
	"dup2",
	"dup3",
	"pipe",
	"pipe2",
	"sendfile",
	"inotify_init1",
	"inotify_add_watch",
	"inotify_rm_watch",
	/* waiting */
	"poll",
	"ppoll",
	"select",
	"_newselect",
	"pselect6",
	"epoll_create1",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"epoll_pwait2",
	"eventfd2",
	"eventfd",
	"timerfd_create",
	"timerfd_settime",
	"timerfd_gettime",
	"signalfd4",
	"nanosleep",
	"clock_nanosleep",
	"clock_gettime",
	"clock_getres",
	"gettimeofday",
	"time",
	"restart_syscall",
	"sched_yield",
	/* network */
	"socketpair",
	"connect",
	"bind",
	"listen",
	"accept",
	"accept4",
	"shutdown",
	"getsockname",
	"getpeername",
	"setsockopt",
	"getsockopt",
	"sendto",
	"recvfrom",
	"sendmsg",
	"recvmsg",
	"sendmmsg",
	"recvmmsg",
	/* signals, identity, threads of the shared libcurl's resolver */
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"rt_sigpending",
	"rt_sigtimedwait",
	"sigaltstack",
	"sigreturn",
	"kill",
	"tgkill",
	"getpid",
	"gettid",
	"getppid",
	"getpgrp",
	"getpgid",
	"getuid",
	"geteuid",
	"getgid",
	"getegid",
	"getresuid",
	"getresgid",
	"getgroups",
	"uname",
	"sysinfo",
	"getrandom",
	"prlimit64",
	"getrlimit",
	"getrusage",
	"futex",
	"futex_waitv",
	"set_robust_list",
	"get_robust_list",
	"set_tid_address",
	"rseq",
	"sched_getaffinity",
	"sched_getparam",
	"sched_getscheduler",
	"sched_get_priority_max",
	"sched_get_priority_min",
	"arch_prctl",
	"wait4",
	"waitid",
	"exit",
	"exit_group",
	"getcpu",
	"times",
};

static const char *const deadly[] = {
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"kcmp",
	"bpf",
	"perf_event_open",
	"userfaultfd",
	"io_uring_setup",
	"io_uring_enter",
	"io_uring_register",
	"execve",
	"execveat",
	"fork",
	"vfork",
	"mount",
	"umount2",
	"move_mount",
	"open_tree",
	"fsopen",
	"fsmount",
	"fsconfig",
	"pivot_root",
	"chroot",
	"unshare",
	"setns",
	"keyctl",
	"add_key",
	"request_key",
	"open_by_handle_at",
	"name_to_handle_at",
	"init_module",
	"finit_module",
	"delete_module",
	"kexec_load",
	"kexec_file_load",
	"reboot",
	"swapon",
	"swapoff",
	"acct",
	"quotactl",
	"setuid",
	"setgid",
	"setreuid",
	"setregid",
	"setresuid",
	"setresgid",
	"setgroups",
	"setfsuid",
	"setfsgid",
	"capset",
	"personality",
	"memfd_create",
	"pidfd_getfd",
	"process_madvise",
	"syslog",
	"lookup_dcookie",
	"iopl",
	"ioperm",
	"modify_ldt",
};

static int add_names(scmp_filter_ctx filter, uint32_t action, const char *const *names,
		     size_t count)
{
	int number, result = 0;

	for (size_t i = 0; i < count && result == 0; i++) {
		number = seccomp_syscall_resolve_name(names[i]);
		if (number != __NR_SCMP_ERROR)
			result = seccomp_rule_add(filter, action, number, 0);
		/* A pseudo number of another architecture. */
		if (result == -EDOM || result == -EINVAL)
			result = 0;
	}
	return result;
}

/* What may be asked of a descriptor; no character is ever pushed into a terminal. */
static const unsigned long requests[] = { TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX };

/* getaddrinfo asks over netlink which addresses there are. */
static const unsigned long families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };

static const unsigned long prctl_options[] = {
	PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_SECCOMP, PR_GET_NO_NEW_PRIVS, PR_SET_VMA_,
};

static int add_first_argument(scmp_filter_ctx filter, int call, unsigned argument,
			      const unsigned long *values, size_t count)
{
	int result = 0;

	for (size_t i = 0; i < count && result == 0; i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
					  SCMP_CMP(argument, SCMP_CMP_EQ, values[i]));
	return result;
}

/* Threads, never processes; memory, never code. */
static int add_conditions(scmp_filter_ctx filter)
{
	static const int mapping[] = { SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect) };
	int result;

	result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				  SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (result == 0)
		result = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1,
					  SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
	/* Its flags lie in memory, where no filter can look: glibc falls back to clone. */
	if (result == 0)
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	for (size_t i = 0; i < ARRAY_SIZE(mapping) && result == 0; i++) {
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, mapping[i], 1,
					  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
		if (result == -EDOM || result == -EINVAL)
			result = 0;
	}
	if (result == 0)
		result = add_first_argument(filter, SCMP_SYS(ioctl), 1, requests,
					    ARRAY_SIZE(requests));
	if (result == 0)
		result = add_first_argument(filter, SCMP_SYS(socket), 0, families,
					    ARRAY_SIZE(families));
	if (result == 0)
		result = add_first_argument(filter, SCMP_SYS(prctl), 0, prctl_options,
					    ARRAY_SIZE(prctl_options));
	return result;
}

static int add_rules(scmp_filter_ctx filter)
{
	int result;

	/* Another architecture's calls have other numbers. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* A binary search in the kernel: the list is long and each call pays for it. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	result = add_names(filter, SCMP_ACT_ALLOW, allowed, ARRAY_SIZE(allowed));
	if (result == 0)
		result = add_names(filter, SCMP_ACT_KILL_PROCESS, deadly, ARRAY_SIZE(deadly));
	return result == 0 ? add_conditions(filter) : result;
}

static int print_program(scmp_filter_ctx filter)
{
	FILE *file = tmpfile();
	struct sock_filter line;
	int result;

	if (file == NULL)
		return -errno;
	result = seccomp_export_bpf(filter, fileno(file));
	rewind(file);
	while (result == 0 && fread(&line, sizeof(line), 1, file) == 1)
		(void)printf("{ 0x%02x, %u, %u, 0x%08x },\n", line.code, line.jt, line.jf, line.k);
	(void)fclose(file);
	return result;
}

int main(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int result = filter != NULL ? add_rules(filter) : -ENOMEM;

	if (result == 0)
		result = print_program(filter);
	if (filter != NULL)
		seccomp_release(filter);
	if (result == 0 && fflush(stdout) == 0)
		return 0;
	(void)fprintf(stderr, "cannot make the filter of system calls: %s\n", strerror(-result));
	return 1;
}
