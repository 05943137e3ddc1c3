#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetch what a configuration declares, once: for `get`, `serve --once` and `check --online`.
 */
#include "agent/host.h"

struct oneshot_request {
	const struct config *config;
	unsigned flags;	    /* of host; HOST_ONCE is added */
	int64_t timeout_ms; /* 0: for ever */
	bool revoke;	    /* end the session after, when nothing leased was handed out */
	/* Called before the session is ended, with everything there. Returns the exit status. NULL:
	 * 0. */
	int (*use)(void *context, const struct store *store, struct error *err);
	void *context;
};

/* Runs to its end in this process and hardens it for good. Returns the exit status, and *err when
 * not 0. */
int oneshot_run(const struct oneshot_request *request, struct error *err) MUST_USE;
