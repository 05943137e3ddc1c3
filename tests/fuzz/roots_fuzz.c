/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle of trust, as PEM and as the certificate in it: nothing is read beyond its end, and what
 * is given out is what OpenSSL makes of the same bytes. */
#include <assert.h>
#include <openssl/pem.h>
#include <stdint.h>
#include <stdlib.h>

#include "certs/roots.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_all(struct roots *roots, const X509_NAME *subject, const X509 *same)
{
	size_t at = 0, count = 0;
	X509 *certificate;

	while ((certificate = roots_take(roots, subject, &at)) != NULL) {
		assert(same == NULL || X509_cmp(certificate, same) == 0);
		X509_free(certificate);
		count++;
	}
	assert(count <= roots_count(roots) && (same == NULL || count == roots_count(roots)));
}

static void read_as(const void *pem, size_t len, const X509_NAME *subject, const X509 *same)
{
	struct error err = ERROR_INIT;
	struct roots *roots = roots_read(pem, len, &err);

	if (roots != NULL)
		take_all(roots, subject, same);
	(void)roots_free(roots);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *at = data;
	X509 *certificate = d2i_X509(NULL, &at, (long)size);
	X509_NAME *nobody = X509_NAME_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	long len;

	(void)PEM_write_bio(bio, PEM_STRING_X509, "", data, (long)size);
	len = BIO_get_mem_data(bio, &pem);
	if (certificate != NULL)
		read_as(pem, (size_t)len, X509_get_subject_name(certificate), certificate);
	else
		read_as(pem, (size_t)len, nobody, NULL);
	read_as(data, size, nobody, NULL);
	(void)BIO_free(bio);
	X509_NAME_free(nobody);
	X509_free(certificate);
	return 0;
}
