/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/vault_certificate.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

#include "agent/base/text.h"

static void x509_freep(X509 **certificate)
{
	X509_free(*certificate);
}

static void bio_freep(BIO **bio)
{
	(void)BIO_free(*bio);
}

static X509 *read_pem(const char *text, size_t len)
{
	AUTO(bio_freep) BIO *bio = NULL;

	if (len > INT_MAX)
		return NULL;
	bio = BIO_new_mem_buf(text, (int)len);
	return bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
}

static X509 *read_der(const char *text, size_t len)
{
	AUTO(buf_deinit) struct buf der = BUF_INIT(FIELD_VALUE_MAX);
	const unsigned char *bytes;
	struct error ignored;

	if (text_read_base64(&der, text, len, &ignored) < 0 || buf_check(&der, "", &ignored) < 0)
		return NULL;
	bytes = (const unsigned char *)buf_string(&der);
	return d2i_X509(NULL, &bytes, (long)der.len);
}

static bool read_time(const ASN1_TIME *time, int64_t *ret_ms)
{
	struct tm parts;

	if (time == NULL || ASN1_TIME_to_tm(time, &parts) != 1)
		return false;
	*ret_ms = (int64_t)timegm(&parts) * 1000;
	return true;
}

bool vault_certificate_lease(const char *text, size_t len, struct stamp now, struct lease *lease)
{
	AUTO(x509_freep) X509 *certificate = read_pem(text, len);
	int64_t from, until;

	if (certificate == NULL)
		certificate = read_der(text, len);
	ERR_clear_error();
	if (certificate == NULL || !read_time(X509_get0_notBefore(certificate), &from) ||
	    !read_time(X509_get0_notAfter(certificate), &until) || until <= from)
		return false;
	*lease = (struct lease){
		.kind = LEASE_CERTIFICATE,
		.duration_ms = until - from,
		.issued = { .boot_ms = now.boot_ms - (now.real_ms - from), .real_ms = from },
	};
	return true;
}
