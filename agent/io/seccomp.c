/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which system calls are allowed stands in agent/generators/seccomp_filter.c.
 */
#include "agent/io/seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "agent/base/macros.h"

static int load(struct sock_filter *code, size_t len)
{
	struct sock_fprog program = { .len = (unsigned short)len, .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int seccomp_load_filter(void)
{
	struct sock_filter code[] = {
#include "generated/seccomp_filter.inc"
	};

	return load(code, ARRAY_SIZE(code));
}

int seccomp_refuse_io_uring(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return load(code, ARRAY_SIZE(code));
}
