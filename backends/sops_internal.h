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

/* A value of the decrypted text, and where it stands encrypted in the source. */
struct sops_origin {
	size_t plain; /* its first byte there */
	struct sops_span sealed;
};
struct sops_origins {
	struct sops_origin *items; /* by `plain` */
	size_t count;
};
void sops_origins_free(struct sops_origins *origins);

/* The open document decrypted in its own format, and where everything came from. */
int sops_document_plain(const struct sops_document *document, struct buf *out,
			struct sops_origins *origins, struct error *err) MUST_USE;

/* The plain text of a comment, whose place is that of a collection around it. */
int sops_unseal_comment(const struct sops_document *document, const struct sops_sealed *sealed,
			const struct sops_walk *walk, struct buf *plain,
			struct error *err) MUST_USE;
