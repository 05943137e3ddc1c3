#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets that listen: a unix socket that takes its name atomically, TCP on the loopback interface,
 * and TCP for whoever comes.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/base/error.h"

/* Which inode a name was given to, so that only our own is removed. */
struct listen_name {
	dev_t device;
	ino_t inode;
	pid_t before; /* of the process that answered there; 0: of another pid namespace; -1: none,
			 or this one */
};

/* Returns the descriptor. The name goes from whatever socket had it to this one, which has `mode`
 * from its first instant and listens before it is visible. A name that is no socket's stays and is
 * an error. */
int listen_unix(const char *path, unsigned mode, struct listen_name *ret,
		struct error *err) MUST_USE;

/* Who has the name now. */
enum listen_owner {
	LISTEN_OURS,
	LISTEN_FREE,   /* it is gone, or nobody answers there any more */
	LISTEN_OTHERS, /* another process answers there */
};
enum listen_owner listen_owner(const char *path, const struct listen_name *name);

/* Removes the name unless somebody else has taken it since. */
void listen_unlink(const char *path, const struct listen_name *name);

#define LISTEN_HOST_MAX 64

/* "[::]:8443" (IPv4 too, also where there is no IPv6), "0.0.0.0:8443"; port 0: any. Returns the
 * descriptor. */
int listen_tcp(const char *address, uint16_t *ret_port, struct error *err) MUST_USE;

/* Whether it is an address of the loopback interface with a port. */
bool listen_is_loopback(const char *address);

/* "127.0.0.1:9102", "localhost:9102", "[::1]:9102"; port 0: any. Returns the descriptor; `host`
 * gets the host as a client would spell it. ERROR_INVALID when the address is not of the loopback
 * interface. */
int listen_loopback(const char *address, char host[LISTEN_HOST_MAX], uint16_t *ret_port,
		    struct error *err) MUST_USE;
