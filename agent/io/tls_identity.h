#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a connection shows of us: a certificate with its chain, and its key.
 */
#include <stddef.h>
#include <stdint.h>

#include "agent/base/error.h"

struct tls_identity;

/* Reads two PEM files, which may be one. ERROR_INVALID names the file and what is wrong with it. */
struct tls_identity *tls_identity_read(const char *cert_file, const char *key_file,
				       struct error *err) MUST_USE;

/* The same from memory; the names stand in errors. */
struct tls_pem {
	const char *name;
	const void *bytes;
	size_t len;
};
struct tls_identity *tls_identity_parse(const struct tls_pem *cert, const struct tls_pem *key,
					struct error *err) MUST_USE;

struct tls_identity *tls_identity_free(
	struct tls_identity *identity); /* returns NULL; NULL is allowed */

/* When its certificate ends, in ms since 1970. */
int64_t tls_identity_expires(const struct tls_identity *identity);
