#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * age v1 files with X25519 recipients: the key files of age-keygen, armored files, to several
 * recipients. Other kinds of keys (ssh, plugins, passphrases, post-quantum) are named and refused.
 */
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/error.h"

#define AGE_KEY_LEN 32
/* Keys in one key file, and stanzas in one header. */
#define AGE_KEYS_MAX 1024

struct age_identity {
	uint8_t secret[AGE_KEY_LEN];
	uint8_t recipient[AGE_KEY_LEN];
};

/* The keys of a key file, in its order. */
struct age_identities {
	struct age_identity *items;
	size_t count;
};

/* Reads a key file: comments, blank lines, one key a line; adds to what is there. ERROR_INVALID
 * names file and line. */
int age_identities_read(struct age_identities *keys, const char *text, size_t len, const char *file,
			struct error *err) MUST_USE;
void age_identities_free(struct age_identities *keys); /* wipes; for AUTO too */

/* A new random key. */
void age_identity_make(struct age_identity *ret);
/* "AGE-SECRET-KEY-1…" and "age1…" */
void age_identity_write(struct buf *buf, const struct age_identity *key);
void age_recipient_write(struct buf *buf, const uint8_t recipient[AGE_KEY_LEN]);
int age_recipient_read(const char *text, uint8_t ret[AGE_KEY_LEN], struct error *err) MUST_USE;

/* Appends the content of an armored or bare age file. ERROR_INVALID when no key fits,
 * ERROR_BAD_DATA when the file is damaged. */
int age_decrypt(const char *file, size_t len, const struct age_identities *keys, struct buf *plain,
		struct error *err) MUST_USE;

/* Appends an armored age file that each of the recipients can read. */
int age_encrypt(const uint8_t (*recipients)[AGE_KEY_LEN], size_t count, const void *plain,
		size_t len, struct buf *armored, struct error *err) MUST_USE;
