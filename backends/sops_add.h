#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New members of a map or a list, written where its last member ends.
 */
#include "backends/sops_document.h"

/* Members of another tree, borrowed; of a list they have no key. */
struct sops_members {
	const struct sops_node **items;
	size_t count, capacity;
};
int sops_members_put(struct sops_members *members, const struct sops_node *node,
		     struct error *err) MUST_USE;
void sops_members_free(struct sops_members *members); /* for AUTO */

/* Appends the edits that add the members, with everything below them and empty values, to `home`, a
 * collection of the document. ERROR_INVALID for what a dotenv file cannot hold. */
int sops_add(const struct sops_document *document, const struct sops_node *home,
	     const struct sops_members *members, struct sops_edits *edits,
	     struct error *err) MUST_USE;

/* The column of the members of a block: of the dash in a list, of the key in a map. */
size_t sops_block_column(const struct sops_document *document, const struct sops_node *node);

size_t sops_line_start(const char *text, size_t at);

/* The start of the line after the one that `end` is on or right behind. */
size_t sops_next_line(const struct buf *source, size_t end);
