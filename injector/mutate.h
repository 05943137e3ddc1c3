#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod in, a pod out: a pure function of the pod, the operator's configuration and the cluster's
 * versions. No network, no clock, no chance.
 */
#include "agent/base/json_edit.h"
#include "injector/config.h"
#include "injector/versions.h"

enum mutate_verdict { MUTATE_SKIP, MUTATE_INJECT, MUTATE_REFUSE, MUTATE_VERDICTS };

/* Why, for machines: words of metrics and Events. Their names: mutate_reason_name. */
enum mutate_reason {
	REASON_NONE, /* injected */
	/* skipped */
	REASON_NOT_ANNOTATED,
	REASON_DISABLED,
	REASON_ALREADY_INJECTED,
	REASON_AGENT_ABSENT, /* says that it is injected, but our container is not there */
	REASON_SYSTEM_NAMESPACE,
	REASON_OWN_NAMESPACE,
	REASON_MIRROR_POD,
	REASON_EPHEMERAL_CONTAINERS,
	REASON_WINDOWS,
	REASON_HOST_NETWORK,
	REASON_NOT_PENDING,
	REASON_NOT_A_POD,
	REASON_NOT_CREATE,
	REASON_DOUBT, /* our own patch did not pass our own check */
	/* refused */
	REASON_ANNOTATION, /* an unknown one, or a wrong or missing value */
	REASON_PROFILE,	   /* no such profile, or not for this namespace */
	REASON_NOT_ALLOWED,
	REASON_CONFLICT,  /* a name, path or variable is taken */
	REASON_CONTAINER, /* names one that is not there */
	REASON_NO_COMMAND,
	REASON_CLUSTER_TOO_OLD,
	REASON_UNSUPPORTED,
	REASON_STRICT,
	MUTATE_REASONS,
};

#define MUTATE_TEXT_MAX	    600
#define MUTATE_WARNINGS_MAX 16
#define MUTATE_WARNING_MAX  250 /* what an API server shows whole */

struct mutate_request {
	const struct injector_config *config;
	const struct cluster_versions *versions;
	const char *namespace; /* the request's; a pod may not say its own */
	const struct json_node *pod;
};

struct mutation {
	enum mutate_verdict verdict;
	enum mutate_reason reason;
	const struct json_node
		*pod;		    /* MUTATE_INJECT: shares with the request's what is unchanged */
	const char *profile;	    /* of the pod, once known; else NULL */
	char text[MUTATE_TEXT_MAX]; /* MUTATE_REFUSE: annotation, value and remedy, one sentence */
	struct strings warnings;
};

/* Decides, whatever the pod holds. -1 only for want of memory. The new pod lives in `edit` and in
 * the document of the request's; free `ret` with mutation_deinit in any case. */
int mutate(const struct mutate_request *request, struct json_edit *edit, struct mutation *ret,
	   struct error *err) MUST_USE;
void mutation_deinit(struct mutation *mutation);

/* Adds a warning, shortened to what is shown whole; past MUTATE_WARNINGS_MAX, and where memory is
 * short, it is dropped: a warning never costs the pod. */
void mutation_warn(struct mutation *mutation, const char *format, ...) PRINTF_LIKE(2, 3);

/* "host_network"; "" for REASON_NONE. */
const char *mutate_reason_name(enum mutate_reason reason);
const char *mutate_verdict_name(enum mutate_verdict verdict);
