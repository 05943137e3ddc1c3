#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One configured backend, opened: its protocol, its way to the servers, its sign-in.
 */
#include "agent/config/config.h"
#include "agent/session.h"

/* Conversations of one backend at a time; the rest wait in line. Twice its connections keep those
 * busy. */
#define SOURCE_RUNS_MAX (2 * HTTP_CONNECTIONS_MAX)

struct source {
	const struct config_backend *config;
	struct backend *backend;
	struct wire *wire;
	struct session *session;
	unsigned runs; /* under way for secrets */
};

struct source_world {
	struct loop *loop;
	struct http_client *client;
	const struct clock *clock;
	environment_lookup_fn *lookup;
	void *environment;
};

int source_open(struct source *source, const struct config_backend *config,
		const struct source_world *world, const struct session_listener *listener,
		struct error *err) MUST_USE;

/* Cancels what runs. A source that was never opened (zeroed) is allowed. */
void source_close(struct source *source);

/* No more conversations for now. Without a network there is no limit: what is read together is of
 * one moment. */
static inline bool source_is_full(const struct source *source)
{
	return source->config->ops->endpoint != NULL && source->runs >= SOURCE_RUNS_MAX;
}
