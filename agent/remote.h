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

/* Adds the names that we may see and the `env:` mapping to a configuration that declares nothing;
 * no value is asked for. Failures are unix_client_get's; timeout_ms as there. */
int remote_declare(const char *socket, int64_t timeout_ms, struct config *config,
		   struct error *err) MUST_USE;

/* `wait`: an agent that has not fetched it yet answers a second later, or as soon as it has.
 * ERROR_UNAVAILABLE: not fetched yet, or no agent; ERROR_NOT_FOUND: no such secret, or none that
 * our uid may see; ERROR_BAD_DATA: a value is too large for the socket. */
int remote_version(const char *socket, const char *name, bool wait, int64_t timeout_ms,
		   struct secret_version **ret, struct error *err) MUST_USE;
