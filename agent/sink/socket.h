#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket: what the store holds, over HTTP on a unix socket, to those who may see it. And the
 * listener for metrics, whose routes know no secret.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/audit.h"
#include "agent/base/buf.h"
#include "agent/config/config.h"
#include "agent/io/loop.h"
#include "agent/store.h"

/* Answers that the broker gives; none holds a secret. */
struct socket_views {
	int (*status)(void *context, struct buf *out);	/* JSON */
	int (*metrics)(void *context, struct buf *out); /* Prometheus' text */
	/* When not ready, why goes onto `reason` (NULL: not wanted). */
	bool (*ready)(void *context, struct buf *reason);
	void *context;
};

/* Listens at once. The configuration, the store, the views and the audit outlive the sink; a NULL
 * audit writes nothing. */
struct socket_sink;
struct socket_sink *socket_sink_new(struct loop *loop, const struct clock *clock,
				    const struct config *config, const struct config_socket *socket,
				    const struct store *store, const struct socket_views *views,
				    struct audit *audit, struct error *err) MUST_USE;

/* Versions changed: answers those who wait for one. */
void socket_sink_changed(struct socket_sink *sink);

/* Stops listening, answers who waits, and reads nothing of what was given above after it returns;
 * the connections end in the loop within 2 s. Returns NULL; NULL is allowed. */
struct socket_sink *socket_sink_close(struct socket_sink *sink);

/* What keeps clients from finding it; code NONE: nothing. */
const struct error *socket_sink_error(const struct socket_sink *sink);

uint64_t socket_sink_requests(const struct socket_sink *sink);
uint64_t socket_sink_connections(const struct socket_sink *sink);

/* GET /metrics and /v1/live, /v1/ready on "host:port" of the loopback interface. */
struct metrics_listener;
struct metrics_listener *metrics_listener_new(struct loop *loop, const struct clock *clock,
					      const char *address, const struct socket_views *views,
					      struct error *err) MUST_USE;
/* Answers from other views from now on. */
void metrics_listener_use(struct metrics_listener *listener, const struct socket_views *views);
struct metrics_listener *metrics_listener_close(struct metrics_listener *listener);
uint16_t metrics_listener_port(const struct metrics_listener *listener);
