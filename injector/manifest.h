#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests as people keep them: YAML or JSON, several in one file, pods or what makes pods.
 */
#include "agent/base/json.h"

/* The next document of a text: *text and *len move on. False at the end. */
bool manifest_next(const char **text, size_t *len, const char **document, size_t *document_len);

/* One document as JSON; NULL with ERROR_INVALID that names line and column. */
struct json_doc *manifest_read(const char *document, size_t len, struct error *err) MUST_USE;

/* What becomes a pod: the document itself, or the template in a Deployment, Job, CronJob and so on;
 * NULL when it makes no pods. */
const struct json_node *manifest_pod(const struct json_node *root);
