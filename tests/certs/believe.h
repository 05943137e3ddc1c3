#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client that believes a bundle makes of a server's certificate.
 */
#include <criterion/criterion.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "agent/base/buf.h"
#include "certs/trust.h"

static inline X509 *certificate_of(const struct buf *pem)
{
	BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
	X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	(void)BIO_free(bio);
	cr_assert_not_null(certificate);
	return certificate;
}

/* X509_V_OK or why not, at that moment. */
static inline int verdict_on(const struct buf *bundle, const struct buf *leaf, const char *host,
			     int64_t at_ms)
{
	struct error err = ERROR_INIT;
	struct trust *trust = trust_read(bundle->data, bundle->len, &err);
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509 *certificate = certificate_of(leaf);
	int result;

	cr_assert_not_null(trust, "%s", err.text);
	(void)X509_STORE_CTX_init(context, trust_store(trust), certificate, NULL);
	X509_STORE_CTX_set_time(context, 0, at_ms / 1000);
	(void)X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
	(void)X509_VERIFY_PARAM_set1_host(X509_STORE_CTX_get0_param(context), host, 0);
	result = X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
	X509_STORE_CTX_free(context);
	X509_free(certificate);
	trust = trust_unref(trust);
	ERR_clear_error();
	return result;
}
