#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate authority of our own, as a value: made, read from PEM and written to it, and able
 * to sign leaves. No file, no network, no clock: the moment is always given, in ms since 1970.
 *
 * An authority carries the certificates of those that came before it, because nobody can see when a
 * client has loaded a new bundle: what they signed must be believed until it has ended.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/error.h"

/* Certificates begin this much before they are made, for clients whose clock is behind. */
#define AUTHORITY_BACKDATE_MS 300000
/* Of each of the three PEM texts. */
#define AUTHORITY_PEM_MAX ((size_t)64 << 10)
/* How many that came before are carried at most; the oldest go first. */
#define AUTHORITY_EARLIER_MAX 8

struct authority;

/* How it is kept, for instance in a Secret. */
struct authority_pem {
	struct buf cert;    /* its certificate */
	struct buf key;	    /* its key: secret */
	struct buf earlier; /* the certificates that came before, newest first; may be empty */
};

#define AUTHORITY_PEM_INIT                                                                         \
	((struct authority_pem){ BUF_INIT(AUTHORITY_PEM_MAX), BUF_INIT(AUTHORITY_PEM_MAX),         \
				 BUF_INIT(AUTHORITY_PEM_MAX) })

void authority_pem_deinit(struct authority_pem *pem);

/* A new key and certificate. It carries on `before` (NULL: none) with what that carries, and then
 * the certificates of `believed`, in PEM, which may be empty. */
struct authority *authority_new(const char *name, int64_t now_ms, int64_t life_ms,
				const struct authority *before, const struct buf *believed,
				struct error *err) MUST_USE;

/* ERROR_INVALID when the PEM cannot be read, the key is not the certificate's, or it is no CA's. */
struct authority *authority_read(const struct authority_pem *pem, struct error *err) MUST_USE;
int authority_write(const struct authority *authority, struct authority_pem *ret,
		    struct error *err) MUST_USE;
struct authority *authority_free(struct authority *authority); /* returns NULL */

int64_t authority_made_ms(const struct authority *authority);
int64_t authority_ends_ms(const struct authority *authority);
bool authority_is_first(const struct authority *authority); /* carries none before it */
bool authority_same(const struct authority *one, const struct authority *other); /* NULL allowed */

/* What clients are to believe: its own certificate, and, until `earlier_until_ms`, those before. */
int authority_write_bundle(const struct authority *authority, int64_t now_ms,
			   int64_t earlier_until_ms, struct buf *out, struct error *err) MUST_USE;

/* Whether a bundle in PEM has its certificate. */
bool authority_is_in(const struct authority *authority, const char *pem, size_t len);

/* A leaf for a server with these names (DNS names and addresses; at least one, ends with NULL), as
 * PEM; it ends with the authority at the latest. */
struct authority_leaf {
	struct buf cert;
	struct buf key; /* secret */
	int64_t ends_ms;
};

#define AUTHORITY_LEAF_INIT                                                                        \
	((struct authority_leaf){ BUF_INIT(AUTHORITY_PEM_MAX), BUF_INIT(AUTHORITY_PEM_MAX), 0 })

int authority_sign(const struct authority *authority, const char *const *names, int64_t now_ms,
		   int64_t life_ms, struct authority_leaf *ret, struct error *err) MUST_USE;
void authority_leaf_deinit(struct authority_leaf *leaf);

static inline void authority_freep(struct authority **authority)
{
	*authority = authority_free(*authority);
}
