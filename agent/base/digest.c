/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/digest.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static const EVP_MD *find(const char *name, struct error *err)
{
	const EVP_MD *digest = EVP_get_digestbyname(name);

	if (digest == NULL)
		(void)error_set(err, ERROR_INVALID, "libcrypto has no %s here", name);
	return digest;
}

int digest_make(const char *name, const void *bytes, size_t len, struct digest *ret,
		struct error *err)
{
	const EVP_MD *digest = find(name, err);
	unsigned made = 0;

	if (digest == NULL)
		return -1;
	if (EVP_Digest(bytes, len, ret->bytes, &made, digest, NULL) != 1)
		return error_set(err, ERROR_INVALID, "libcrypto refuses %s", name);
	ret->len = made;
	return 0;
}

int digest_hmac(const char *name, const void *key, size_t key_len, const void *bytes, size_t len,
		struct digest *ret, struct error *err)
{
	const EVP_MD *digest = find(name, err);
	unsigned made = 0;

	if (digest == NULL)
		return -1;
	if (key_len > INT_MAX ||
	    HMAC(digest, key_len > 0 ? key : "", (int)key_len, len > 0 ? bytes : (const void *)"",
		 len, ret->bytes, &made) == NULL)
		return error_set(err, ERROR_INVALID, "libcrypto refuses an HMAC with %s", name);
	ret->len = made;
	return 0;
}
