#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a document under `sops` (in dotenv: the lines sops_…): who may read it, and how it is
 * sealed.
 */
#include "backends/age.h"
#include "backends/sops_cipher.h"
#include "backends/sops_rules.h"
#include "backends/sops_tree.h"

#define SOPS_METADATA "sops"
/* The version of sops whose files we write. */
#define SOPS_VERSION "3.11.0"

/* The metadata of a tree; ERROR_INVALID when it has none. */
struct sops_node *sops_metadata(const struct sops_tree *tree, struct error *err) MUST_USE;

/* Finds the document's key with one of ours. ERROR_INVALID when none fits or its kinds are not
 * supported yet. */
int sops_metadata_key(const struct sops_node *metadata, const struct age_identities *keys,
		      uint8_t ret[SOPS_KEY_LEN], struct error *err) MUST_USE;

/* Appends new metadata with an empty MAC to a plain document of that format, whose tree is given.
 */
int sops_metadata_append(const struct sops_tree *tree, const char *text, size_t len,
			 const uint8_t key[SOPS_KEY_LEN], const uint8_t (*recipients)[AGE_KEY_LEN],
			 size_t count, struct buf *out, struct error *err) MUST_USE;
/* As sops_metadata_append, with the metadata that stands in another document of the same format. */
int sops_metadata_copy(const struct sops_tree *tree, const char *text, size_t len,
		       const struct sops_tree *from, const char *from_text, struct buf *out,
		       struct error *err) MUST_USE;
