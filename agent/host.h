#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process around a broker: environment, loop, broker, sandbox, in the one order that is safe.
 */
#include "agent/broker.h"
#include "agent/environment.h"
#include "agent/sandbox.h"

struct host {
	struct environment *environment;
	struct loop *loop;
	struct sandbox sandbox;
	struct broker *broker;
};

enum host_flags {
	HOST_ONCE = 1,		 /* fetch once, then rest */
	HOST_SINKS = 2,		 /* files, sockets, metrics */
	HOST_ALLOW_DEGRADED = 4, /* go on where the kernel lacks a hardening */
	HOST_FIXED = 8,		 /* nobody is given later versions */
	HOST_VERDICT_ENDS = 16,	 /* the listener ends, and says why, at broker_verdict's first */
};

/* Takes the environment and makes the loop; nothing else runs yet, so the caller may add to the
 * loop. */
int host_open(struct host *host, struct error *err) MUST_USE;

/* Opens the broker, hardens the process for good and starts the first fetches. What is given
 * outlives the host. */
int host_start(struct host *host, const struct config *config, unsigned flags,
	       const struct broker_listener *listener, struct error *err) MUST_USE;

/* After the loop has ended; everything added to it must be gone. Zeroed hosts are allowed. */
void host_close(struct host *host);
