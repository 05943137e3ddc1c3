#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How everything is doing, as JSON for `agent status` and as text for Prometheus. Pure: a view of
 * the store and of what the broker filled in; no secret is ever in it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/sink/files.h"
#include "agent/store.h"

struct status_backend {
	const char *name;
	const char *state;		 /* "ready", "signing in", "failed"… */
	int64_t session_expires_real_ms; /* 0: never, or no session */
	const struct error *error;	 /* NULL or code NONE: none */
	uint64_t requests;		 /* sent so far */
};

struct status_sink {
	const char *name;  /* "files:/run/agent/secrets" */
	const char *state; /* "published", "waiting", "failed"… */
	uint64_t generation;
	const struct error *error;
	const struct files_problem *problems; /* what was not written; files only */
	size_t problem_count;
	uint64_t reads; /* answered so far; sockets only */
	uint64_t connections;
};

/* "seccomp": "on", "landlock": "abi 4"… */
struct status_fact {
	const char *name;
	const char *value;
};

struct status_source {
	const struct store *store;
	bool ready; /* every required secret is there and published */
	const struct status_backend *backends;
	size_t backend_count;
	const struct status_sink *sinks;
	size_t sink_count;
	const struct status_fact *hardening;
	size_t hardening_count;
	uint64_t audit_dropped;
	uint64_t orphans; /* as broker_orphans */
};

/* Appends {"secrets":[…],"backends":[…],"sinks":[…],"hardening":{…}}. */
void status_write_json(struct buf *buf, const struct status_source *source, struct stamp now);

/* Appends Prometheus' text format, version 0.0.4. */
void status_write_metrics(struct buf *buf, const struct status_source *source, struct stamp now);
