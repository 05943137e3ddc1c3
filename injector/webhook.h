#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the webhook's port answers: POST /mutate, GET /ready, /live and /metrics; and what it
 * counts.
 */
#include <stdint.h>

#include "agent/base/metrics.h"
#include "agent/io/https_server.h"
#include "injector/certificate.h"
#include "injector/event_sender.h"
#include "injector/review.h"

struct webhook {
	const struct injector_config *config; /* borrowed; may be replaced between requests */
	struct cluster_versions versions;
	const struct https_server *server;     /* for /metrics; NULL: none */
	const struct certificate *certificate; /* NULL: `unready` says why */
	const struct event_sender *events;     /* for /metrics; NULL: nobody is told */
	const char *unready;	  /* why /ready says no; NULL: it says what the certificate says */
	uint64_t configs_refused; /* changes of the file that could not be used */

	/* Tells somebody of a decision; NULL: nobody. */
	void (*decided)(void *context, const struct review_outcome *outcome);
	void *context;

	/* Counted here. */
	uint64_t decisions[MUTATE_VERDICTS][MUTATE_REASONS];
	uint64_t malformed; /* no AdmissionReview that could be answered */
	struct histogram duration;
};

/* Their context is a struct webhook. */
extern const struct https_route webhook_routes[];
