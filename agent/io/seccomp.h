#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process asks the kernel to refuse it, for good: both set no_new_privs and survive execve.
 */

/* Everything that serving needs not; after libraries were loaded and children begun. -1 with errno
 * where filters cannot be had. */
int seccomp_load_filter(void);

/* Before a loop is made in a process that will be filtered: newer libuv sets up io_uring, which no
 * filter of system calls sees into, and does without when the kernel refuses. -1 with errno. */
int seccomp_refuse_io_uring(void);
