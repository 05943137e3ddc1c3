#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom we believe: the certificates of one bundle, read once and shared by every connection that it
 * is meant for. A decoded copy per connection of the public roots costs 1.1 MB and 18 ms each; here
 * only those are decoded that a server's chain asks for (certs/roots.h).
 */
#include <stddef.h>

#include "agent/base/error.h"

/* Where the public roots lie on Debian, Ubuntu, Alpine, SUSE and in our image; and how large a
 * bundle may be. */
#define TRUST_PUBLIC_ROOTS "/etc/ssl/certs/ca-certificates.crt"
#define TRUST_BUNDLE_MAX   ((size_t)4 << 20)

struct x509_store_st; /* OpenSSL's X509_STORE */

struct trust;

/* NULL with ERROR_INVALID when the bundle holds no certificate or one that cannot be read. Copies
 * what it needs. */
struct trust *trust_read(const void *pem, size_t len, struct error *err) MUST_USE;

struct trust *trust_ref(struct trust *trust);
struct trust *trust_unref(struct trust *trust); /* returns NULL; NULL is allowed */

/* Lives as long as the trust, or as whoever took a reference of OpenSSL's own. */
struct x509_store_st *trust_store(const struct trust *trust);

/* Certificates in the bundle. */
size_t trust_count(const struct trust *trust);

static inline void trust_unrefp(struct trust **trust)
{
	*trust = trust_unref(*trust);
}
