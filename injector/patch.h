#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 6902: the difference of two documents as a list of operations, and its application. The same
 * two documents give the same bytes; what they share is passed over without a look.
 */
#include "agent/base/buf.h"
#include "agent/base/json_edit.h"

/* Appends the operations that make `after` out of `before`, "[]" where nothing differs. A parent
 * that is not there is added once, with all that is in it. */
void patch_write(const struct json_node *before, const struct json_node *after, struct buf *out);

/* The document with all operations applied, in `edit`; `document` stays as it is. NULL with
 * ERROR_INVALID that names the first operation that cannot be, or ERROR_EXHAUSTED. */
const struct json_node *patch_apply(struct json_edit *edit, const struct json_node *document,
				    const struct json_node *patch, struct error *err) MUST_USE;
