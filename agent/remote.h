#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running agent, asked over its socket: what it serves, and one secret's version.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/config/config.h"

/* The "backend" of secrets that another agent fetches. */
#define REMOTE_BACKEND "agent"

/* Which one, and how long each question may take. */
struct remote {
	const char *socket;
	int64_t timeout_ms;	/* 0: UNIX_CLIENT_TIMEOUT_MS */
	const int *canceled_by; /* as unix_client_get has it: every question ends with
				   ERROR_CANCELED; NULL: nothing */
};

/* Adds the names that we may see and the `env:` mapping to a configuration that declares nothing;
 * no value is asked for. Failures are unix_client_get's. */
int remote_declare(const struct remote *remote, struct config *config, struct error *err) MUST_USE;

/* What is asked for: `known` (NULL: none) is the version in hand. Without one, `wait` lets an agent
 * that has not fetched it yet answer a second later, or as soon as it has. */
struct remote_wish {
	const char *name;
	const struct secret_version *known;
	bool wait;
};

/* 1: *ret is a version that is not `known`; 0: there is none (*ret is untouched).
 * ERROR_UNAVAILABLE: not fetched yet, or no agent; ERROR_NOT_FOUND: no such secret, or none that
 * our uid may see; ERROR_BAD_DATA: a value is too large for the socket. */
int remote_version(const struct remote *remote, const struct remote_wish *wish,
		   struct secret_version **ret, struct error *err) MUST_USE;

/* Names a state of all that we may see; "" is none. */
struct remote_mark {
	char text[64];
};

/* Waits until what we may see is not as `mark` says, or for wait_ms, whatever the timeout is. 1: it
 * is not, and `mark` says how it is; 0: time is over. Failures are unix_client_get's;
 * ERROR_PROTOCOL also for an agent that is too old to be watched. */
int remote_wait(const struct remote *remote, struct remote_mark *mark, int64_t wait_ms,
		struct error *err) MUST_USE;
