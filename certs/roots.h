#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificates of a bundle as they came, found by subject and decoded when one is asked for.
 * Of the 140 public roots a process needs one or two; decoded, all of them take 1.1 MB and 16 ms,
 * as bytes 160 KB and 2 ms.
 */
#include <openssl/x509.h>
#include <stddef.h>

#include "agent/base/error.h"

struct roots;

/* Takes every certificate of a PEM text; other blocks and text between them are passed over. NULL
 * with ERROR_INVALID when one of them is not built as a certificate is, with its number. */
struct roots *roots_read(const void *pem, size_t len, struct error *err) MUST_USE;
struct roots *roots_free(struct roots *roots); /* returns NULL; NULL is allowed */

size_t roots_count(const struct roots *roots);

/* The next one, from *at on, that may have this subject and was not taken yet: the caller owns it,
 * and *at stands behind it. NULL when there is none. A certificate that cannot be decoded is passed
 * over: nobody can be believed because of it. */
X509 *roots_take(struct roots *roots, const X509_NAME *subject, size_t *at) MUST_USE;
