#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit trail: one JSON line per read and per publication. It never blocks and counts what it
 * drops.
 */
#include <stdint.h>

#include "agent/base/clock.h"
#include "agent/base/error.h"
#include "agent/io/http_server.h"

enum audit_result { AUDIT_OK, AUDIT_NOT_FOUND, AUDIT_NOT_FETCHED };

/* `target` is a file's path (made 0600, appended to) or "stderr". A file that is renamed or removed
 * is made anew for the next line: rotation needs no signal. The path and the clock outlive the
 * audit. */
struct audit;
struct audit *audit_open(const char *target, const struct clock *clock, struct error *err) MUST_USE;
struct audit *audit_close(struct audit *audit); /* returns NULL; NULL is allowed */

/* A NULL audit writes nothing. `version` is an id, NULL: none. */
void audit_read(struct audit *audit, const struct http_peer *peer, const char *secret,
		const char *version, enum audit_result result);
void audit_publish(struct audit *audit, const char *secret, const char *version);

uint64_t audit_dropped(const struct audit *audit);
