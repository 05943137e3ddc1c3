#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree as YAML that every reader of YAML takes the same way, and people too.
 */
#include "agent/base/buf.h"
#include "agent/base/json.h"

enum yaml_style {
	YAML_STYLE_BLOCK,   /* as manifests are written */
	YAML_STYLE_COMPACT, /* what holds scalars alone stands on one line */
};

void yaml_write(struct buf *out, const struct json_node *root, enum yaml_style style);
