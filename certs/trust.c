/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/trust.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

struct trust {
	size_t refs;
	size_t count;
	X509_STORE *store;
};

static void bio_freep(BIO **bio)
{
	(void)BIO_free(*bio);
}

static void x509_freep(X509 **certificate)
{
	X509_free(*certificate);
}

/* Adds every certificate; other PEM blocks and text between them are passed over, as every reader
 * does. */
static int add_all(struct trust *trust, BIO *pem, struct error *err)
{
	for (;;) {
		AUTO(x509_freep) X509 *certificate = PEM_read_bio_X509(pem, NULL, NULL, NULL);
		unsigned long last = ERR_peek_last_error();

		if (certificate == NULL) {
			ERR_clear_error();
			if (ERR_GET_LIB(last) == ERR_LIB_PEM &&
			    ERR_GET_REASON(last) == PEM_R_NO_START_LINE)
				return 0;
			return error_set(err, ERROR_INVALID,
					 "certificate %zu of the bundle cannot be read",
					 trust->count + 1);
		}
		/* The same one twice is harmless: OpenSSL keeps one. */
		if (X509_STORE_add_cert(trust->store, certificate) != 1) {
			ERR_clear_error();
			return error_no_memory(err);
		}
		trust->count++;
	}
}

struct trust *trust_read(const void *pem, size_t len, struct error *err)
{
	AUTO(trust_unrefp) struct trust *trust = NULL;
	AUTO(bio_freep) BIO *bio = NULL;

	if (len > TRUST_BUNDLE_MAX) {
		(void)error_set(err, ERROR_INVALID, "the bundle is larger than %zu bytes",
				TRUST_BUNDLE_MAX);
		return NULL;
	}
	trust = calloc(1, sizeof(*trust));
	bio = BIO_new_mem_buf(pem, (int)len);
	if (trust == NULL || bio == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	trust->refs = 1;
	trust->store = X509_STORE_new();
	if (trust->store == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	if (add_all(trust, bio, err) < 0)
		return NULL;
	if (trust->count == 0) {
		(void)error_set(
			err, ERROR_INVALID,
			"there is no certificate in PEM (-----BEGIN CERTIFICATE-----) in it");
		return NULL;
	}
	/* A bundle may end at an intermediate: what the user put there is what he trusts. */
	(void)X509_STORE_set_flags(trust->store,
				   X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
	return STEAL(trust);
}

struct trust *trust_ref(struct trust *trust)
{
	trust->refs++;
	return trust;
}

struct trust *trust_unref(struct trust *trust)
{
	if (trust == NULL || --trust->refs > 0)
		return NULL;
	X509_STORE_free(trust->store);
	free(trust);
	return NULL;
}

struct x509_store_st *trust_store(const struct trust *trust)
{
	return trust->store;
}

size_t trust_count(const struct trust *trust)
{
	return trust->count;
}
