#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An encrypted document: opened with age keys and checked against its MAC, edited in place, sealed
 * again.
 */
#include "backends/age.h"
#include "backends/sops_cipher.h"
#include "backends/sops_rules.h"
#include "backends/sops_tree.h"

struct sops_document {
	char *file;	   /* names it in errors */
	struct buf source; /* the bytes of the file as they would be written now */
	struct sops_tree
		tree; /* of `source`; decrypted after opening and sealing, and until an edit */
	struct sops_rules rules;
	uint8_t key[SOPS_KEY_LEN];
};

/* Reads, decrypts and checks. ERROR_BAD_DATA: damaged, changed or not to be read as YAML, JSON or
 * dotenv, with file and line. ERROR_INVALID: not a sops file, no key of ours, or what is not
 * supported yet. */
int sops_document_open(struct sops_document *document, enum sops_format format, const char *text,
		       size_t len, const char *file, const struct age_identities *keys,
		       struct error *err) MUST_USE;

/* Encrypts a plain document. With `like`, an open document, its key, rules and recipients are
 * taken, and what did not change stays as it is encrypted there; else `recipients` and the default
 * rule. Not sealed yet. */
int sops_document_encrypt(struct sops_document *document, enum sops_format format, const char *text,
			  size_t len, const char *file, const uint8_t (*recipients)[AGE_KEY_LEN],
			  size_t recipient_count, const struct sops_document *like,
			  struct error *err) MUST_USE;
void sops_document_free(struct sops_document *document); /* wipes; for AUTO too */

/* Sets or adds the value at a path; what lies on the way is made. ERROR_BAD_DATA when a value
 * stands where a map is needed or the other way round. Until it is sealed the tree is not
 * decrypted. */
int sops_document_set(struct sops_document *document, const char *path, enum sops_kind kind,
		      const char *value, size_t len, struct error *err) MUST_USE;
/* Sets or adds every value of another tree at its own path, lists item by item; what it has and
 * `from` lacks stays. ERROR_BAD_DATA when a value stands where a map or list is needed or the other
 * way round, ERROR_INVALID when `from` is encrypted itself. Until it is sealed the tree is not
 * decrypted. */
int sops_document_merge(struct sops_document *document, const struct sops_node *from,
			struct error *err) MUST_USE;
/* Removes a value, a list or a map. ERROR_NOT_FOUND when there is none. */
int sops_document_remove(struct sops_document *document, const char *path,
			 struct error *err) MUST_USE;
/* Writes the time and a new MAC into the metadata and opens what came out, which proves it. */
int sops_document_seal(struct sops_document *document, int64_t real_ms, struct error *err) MUST_USE;

/* The value at a path of an open document; the metadata is never found. ERROR_NOT_FOUND names what
 * there is. */
struct sops_node *sops_document_find(const struct sops_document *document, const char *path,
				     struct error *err);

/* Appends the decrypted document: in its own format as it stands, in another anew. */
int sops_document_write(const struct sops_document *document, enum sops_format format,
			struct buf *out, struct error *err) MUST_USE;

/* Appends the value of a node as JSON, indented. */
void sops_write_json(struct buf *out, const struct sops_node *node);
