/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <openssl/pem.h>

#include "certs/roots.h"
#include "tests/io/tls_server.h"

static struct error err;

static struct roots *read_der(const unsigned char *der, long len)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct roots *roots;
	char *pem;
	long pem_len;

	(void)PEM_write_bio(bio, PEM_STRING_X509, "", der, len);
	pem_len = BIO_get_mem_data(bio, &pem);
	roots = roots_read(pem, (size_t)pem_len, &err);
	(void)BIO_free(bio);
	return roots;
}

static unsigned char *der_of(const struct tls_pair *pair, int *len)
{
	unsigned char *der = NULL;

	*len = i2d_X509(pair->certificate, &der);
	cr_assert_gt(*len, 0);
	return der;
}

Test(roots, gives_each_certificate_once_and_only_to_its_subject)
{
	struct tls_pair ca = tls_make("ca", NULL, NULL, -60, 3600);
	struct tls_pair other = tls_make("other", NULL, NULL, -60, 3600);
	const X509_NAME *subject = X509_get_subject_name(ca.certificate);
	int len;
	unsigned char *der = der_of(&ca, &len);
	struct roots *roots = read_der(der, len);
	size_t at = 0;
	X509 *taken;

	cr_assert_not_null(roots, "%s", err.text);
	cr_expect_eq(roots_count(roots), 1);
	cr_expect_null(roots_take(roots, X509_get_subject_name(other.certificate), &at));
	at = 0;
	taken = roots_take(roots, subject, &at);
	cr_expect_eq(X509_cmp(taken, ca.certificate), 0);
	X509_free(taken);
	cr_expect_null(roots_take(roots, subject, &at));
	at = 0;
	cr_expect_null(roots_take(roots, subject, &at));
	(void)roots_free(roots);
	OPENSSL_free(der);
	tls_pair_free(&ca);
	tls_pair_free(&other);
}

/* What has the outline of a certificate may still be none inside: nobody can be believed because of
 * it, and nothing else suffers. */
Test(roots, passes_over_what_cannot_be_decoded)
{
	struct tls_pair ca = tls_make("ca", NULL, NULL, -60, 3600);
	int len;
	unsigned char *der = der_of(&ca, &len);
	unsigned char *time = memmem(der, (size_t)len, "\x17\x0d", 2);
	struct roots *roots;
	size_t at = 0;

	cr_assert_not_null(time);
	time[0] = V_ASN1_INTEGER;
	roots = read_der(der, len);
	cr_assert_not_null(roots, "%s", err.text);
	cr_expect_null(roots_take(roots, X509_get_subject_name(ca.certificate), &at));
	(void)roots_free(roots);
	OPENSSL_free(der);
	tls_pair_free(&ca);
}

Test(roots, refuses_what_is_cut_short_or_longer_than_it_says)
{
	struct tls_pair ca = tls_make("ca", NULL, NULL, -60, 3600);
	int len;
	unsigned char *der = der_of(&ca, &len), *longer = malloc((size_t)len + 1);

	for (int cut = 0; cut < len; cut++)
		cr_expect_null(read_der(der, cut), "%d of %d bytes", cut, len);
	memcpy(longer, der, (size_t)len);
	longer[len] = 0;
	cr_expect_null(read_der(longer, len + 1));
	cr_expect_eq(err.code, ERROR_INVALID);
	free(longer);
	OPENSSL_free(der);
	tls_pair_free(&ca);
}

/* Under the sanitizers: no byte can be changed so that reading or taking leaves its bounds. */
Test(roots, survives_any_byte)
{
	struct tls_pair ca = tls_make("ca", NULL, NULL, -60, 3600);
	int len;
	unsigned char *der = der_of(&ca, &len);
	static const unsigned char flips[] = { 0x01, 0x20, 0x80, 0xff };

	for (int i = 0; i < len; i++)
		for (size_t k = 0; k < ARRAY_SIZE(flips); k++) {
			struct roots *roots;
			size_t at = 0;

			der[i] ^= flips[k];
			roots = read_der(der, len);
			der[i] ^= flips[k];
			if (roots == NULL)
				continue;
			cr_expect_eq(roots_count(roots), 1);
			X509_free(roots_take(roots, X509_get_subject_name(ca.certificate), &at));
			(void)roots_free(roots);
		}
	OPENSSL_free(der);
	tls_pair_free(&ca);
}

Test(roots, passes_over_other_blocks_and_asks_nobody_for_a_pass_phrase)
{
	static const char other[] =
		"text\n-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
	static const char locked[] =
		"-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n"
		"DEK-Info: AES-256-CBC,000102030405060708090A0B0C0D0E0F\n\n"
		"AAAAAAAAAAAAAAAAAAAAAA==\n-----END CERTIFICATE-----\n";
	struct roots *roots = roots_read(other, sizeof(other) - 1, &err);

	cr_assert_not_null(roots, "%s", err.text);
	cr_expect_eq(roots_count(roots), 0);
	(void)roots_free(roots);
	cr_expect_null(roots_read(locked, sizeof(locked) - 1, &err));
	cr_expect_not_null(strstr(err.text, "certificate 1"), "%s", err.text);
}
