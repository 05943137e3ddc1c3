#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests of bytes, by libcrypto.
 */
#include <stddef.h>
#include <stdint.h>

#include "agent/base/error.h"

enum { DIGEST_MAX = 64 };

struct digest {
	uint8_t bytes[DIGEST_MAX];
	size_t len;
};

/* `name` is what libcrypto calls it: "SHA256", "MD5". -1 with ERROR_INVALID when it has none of
 * that name, as of MD5 in FIPS mode. */
int digest_make(const char *name, const void *bytes, size_t len, struct digest *ret,
		struct error *err) MUST_USE;

/* The HMAC with this digest. */
int digest_hmac(const char *name, const void *key, size_t key_len, const void *bytes, size_t len,
		struct digest *ret, struct error *err) MUST_USE;
