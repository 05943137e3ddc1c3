#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an authority lies in a Secret: certificate, key and those before it, each under its key.
 */
#include "agent/base/json.h"
#include "certs/authority.h"

/* NULL when there is none in it that can be used: then another is made. */
struct authority *authority_secret_read(const struct json_node *secret);

/* Appends the Secret as it was before, with its labels and its resourceVersion, and this authority
 * as all of its data. */
int authority_secret_write(const struct authority *authority, const struct json_node *before,
			   struct buf *out, struct error *err) MUST_USE;
