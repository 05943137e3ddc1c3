#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files that make up sops_document share.
 */
#include "backends/sops_document.h"

/* Copies the bytes and reads their structure; nothing is decrypted. Free it also after a failure.
 */
int sops_document_init(struct sops_document *document, enum sops_format format, const char *text,
		       size_t len, const char *file, struct error *err) MUST_USE;

/* Puts other bytes in the place of the source and reads their structure. */
int sops_document_replace(struct sops_document *document, struct buf *text,
			  struct error *err) MUST_USE;

/* What a value is bound to. */
const char *sops_place(const struct sops_walk *walk, const struct sops_node *node);

/* "str", "int", … */
const char *sops_type_name(enum sops_kind kind);
