#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A version as JSON and back, whole: fields, lease and stamps. Only for a file that nobody else
 * reads: it holds the bytes of secrets.
 */
#include "agent/base/buf.h"
#include "agent/base/json.h"
#include "agent/base/model.h"

void hand_over_put_version(struct buf *out, const struct secret_version *version);

/* *ret has an id of this process. ERROR_BAD_DATA for anything that was not written by the function
 * above. */
int hand_over_read_version(const struct json_node *node, struct secret_version **ret,
			   struct error *err) MUST_USE;
