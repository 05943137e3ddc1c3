#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would happen to a manifest's pod, in words or as the pod that comes out.
 */
#include "agent/base/buf.h"
#include "agent/base/json.h"
#include "injector/config.h"
#include "injector/versions.h"

enum explain_output { EXPLAIN_TEXT, EXPLAIN_YAML, EXPLAIN_JSON };

struct explain_request {
	const struct injector_config *config;
	const struct cluster_versions *versions;
	const char *namespace; /* of manifests that name none */
	enum explain_output output;
};

/* Appends to `out`; *refused becomes true when the pod would be refused. A manifest that makes no
 * pods is passed over: in words it is named. -1 for want of memory. */
int explain(const struct explain_request *request, const struct json_node *manifest,
	    struct buf *out, bool *refused, struct error *err) MUST_USE;
