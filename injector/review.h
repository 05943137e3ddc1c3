#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AdmissionReview bytes in, AdmissionReview bytes out. The same bytes give the same answer.
 */
#include "agent/base/buf.h"
#include "injector/config.h"
#include "injector/mutate.h"
#include "injector/versions.h"

/* What a request may be. */
#define REVIEW_LIMITS ((struct json_limits){ .depth = 64, .nodes = 50000, .bytes = 4 << 20 })

#define REVIEW_NAMESPACE_MAX 64	 /* a label of DNS, with its NUL */
#define REVIEW_NAME_MAX	     254 /* a name of DNS, with its NUL */
#define REVIEW_TEXT_MAX	     1000

struct review_owner {
	char api_version[REVIEW_NAME_MAX];
	char kind[REVIEW_NAMESPACE_MAX];
	char name[REVIEW_NAME_MAX];
	char uid[REVIEW_NAMESPACE_MAX];
};

/* For counters and Events. What the request does not say is "". */
struct review_outcome {
	enum mutate_verdict verdict;
	enum mutate_reason reason;
	bool dry_run; /* then nothing outside of the answer may change: no Event */
	char namespace[REVIEW_NAMESPACE_MAX];
	char pod[REVIEW_NAME_MAX]; /* its name, else its generateName */
	struct review_owner owner; /* the controller that made the pod */
	char profile[REVIEW_NAME_MAX];
	char text[REVIEW_TEXT_MAX]; /* of a refusal, else its warnings; "": all is well */
};

/* Appends the answer. -1 when the bytes are no AdmissionReview v1 (ERROR_PROTOCOL or
 * ERROR_INVALID: HTTP 400; ERROR_EXHAUSTED past a limit: 413) or memory is short; *outcome is then
 * not set. A refusal is an answer. */
int review_answer(const struct injector_config *config, const struct cluster_versions *versions,
		  const void *body, size_t len, struct buf *answer, struct review_outcome *outcome,
		  struct error *err) MUST_USE;
