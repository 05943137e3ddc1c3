#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a connection shows of us, what it believes, and how a refusal reads. For agent/io alone.
 */
#include <openssl/ssl.h>

#include "agent/base/buf.h"
#include "agent/base/error.h"

/* A certificate with its chain and key, read from two PEM files (which may be one). */
struct tls_identity;
struct tls_identity *tls_identity_read(const char *cert_file, const char *key_file,
				       struct error *err) MUST_USE;
struct tls_identity *tls_identity_free(
	struct tls_identity *identity); /* returns NULL; NULL is allowed */

/* Makes a client's context believe `store` alone and show `identity` (NULL: nothing); 0, or -1. */
int tls_setup_client(SSL_CTX *context, X509_STORE *store, const struct tls_identity *identity);

/* Fills *err for a server whose certificate was refused: what is wrong and which option mends it.
 * Returns -1. `verify_result` is OpenSSL's X509_V_*, `detail` what the handshake said. */
int tls_not_trusted(struct error *err, const char *origin, long verify_result, const char *detail);
