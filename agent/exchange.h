#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a backend's conversations against the world: which address, fail-over to the next, the one
 * 307, files, and facts that many ask for and that are learned once. Retries in time are the
 * broker's.
 */
#include <stdbool.h>

#include "agent/base/backend.h"
#include "agent/io/http_client.h"

/* One backend's way to its servers. */
struct wire;

/* Opens a pool per address of the backend; NULL client where the backend uses no network. The
 * backend, the client and the clock outlive the wire. */
struct wire *wire_new(const struct backend_ops *ops, struct backend *backend, struct loop *loop,
		      struct http_client *client, const struct clock *clock,
		      struct error *err) MUST_USE;
/* Cancels what runs; each run's `done` is called with ERROR_CANCELED before this returns. Returns
 * NULL. */
struct wire *wire_free(struct wire *wire);

/* Reads trust bundles and client certificates anew. The old pools stay when the new cannot be made.
 */
int wire_reopen(struct wire *wire, struct error *err) MUST_USE;

/* Embedded by the caller, who owns it until `done`. */
struct run {
	/* Exactly once, never from within wire_run. `result` is NULL when *err is set, and where
	 * the conversation yields none; keep it with secret_version_ref. */
	void (*done)(struct run *run, struct secret_version *result, const struct error *err);
	/* The reply to a request that may create something was lost after it began: an orphan is
	 * possible. */
	bool orphan;
	struct run_state *state; /* exchange's own */
};

/* Runs the exchange and frees it; takes it over also on failure. `session` is what `need`
 * conversations sign in with; NULL where there is none. -1: never calls back. */
int wire_run(struct wire *wire, struct exchange *x, struct secret_version *session, struct run *run,
	     struct error *err) MUST_USE;

/* Calls `done` with ERROR_CANCELED later, from the loop. */
void wire_cancel(struct run *run);

/* Requests sent so far, for metrics and tests. */
uint64_t wire_requests(const struct wire *wire);
