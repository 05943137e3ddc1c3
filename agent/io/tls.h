#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a connection is set up: what it shows, what it believes, and how a refusal reads. For
 * agent/io alone.
 */
#include <openssl/ssl.h>

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/io/tls_identity.h"

/* Makes a client's context believe `store` alone and show `identity` (NULL: nothing); 0, or -1. */
int tls_setup_client(SSL_CTX *context, X509_STORE *store, const struct tls_identity *identity);

/* Makes a server's context show `identity` and, where `clients` is given, ask for a certificate
 * that it believes; 0, or -1. */
int tls_setup_server(SSL_CTX *context, X509_STORE *clients, const struct tls_identity *identity);

/* Makes a context show `identity`; 0, or -1. */
int tls_show(SSL_CTX *context, const struct tls_identity *identity);

/* Fills *err for a server whose certificate was refused: what is wrong and which option mends it.
 * Returns -1. `verify_result` is OpenSSL's X509_V_*, `detail` what the handshake said. */
int tls_not_trusted(struct error *err, const char *origin, long verify_result, const char *detail);
