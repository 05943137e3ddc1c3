#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `agent check --online`: signs in and asks, path by path, whether the declared secret may be read.
 * Reads nothing that makes a credential.
 */
#include "agent/config/config.h"

struct survey_request {
	const struct config *config;
	int64_t timeout_ms;
	/* Appended to, a line per secret: name, backend, path, what may be done or what is wrong.
	 */
	struct buf *report;
	/* The least policies, now that the mounts' versions are known; NULL: not asked for. */
	struct buf *policy;
};

/* Runs to its end in this process. Returns the exit status: 0 when every required secret may be
 * read; *err says why the survey itself could not be made. */
int survey_run(const struct survey_request *request, struct error *err) MUST_USE;
