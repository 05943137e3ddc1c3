/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <openssl/x509.h>

#include "certs/trust.h"
#include "tests/io/tls_server.h"

static struct error err;

static char *pem_of(const struct tls_pair *pairs, size_t count, long *len)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *copy;

	for (size_t i = 0; i < count; i++)
		(void)PEM_write_bio_X509(bio, pairs[i].certificate);
	*len = BIO_get_mem_data(bio, &data);
	copy = malloc((size_t)*len + 100);
	memcpy(copy, data, (size_t)*len);
	(void)BIO_free(bio);
	return copy;
}

/* Whether the bundle vouches for the certificate. */
static bool vouches(const struct trust *trust, const struct tls_pair *leaf)
{
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	bool good;

	cr_assert_eq(X509_STORE_CTX_init(context, trust_store(trust), leaf->certificate, NULL), 1);
	good = X509_verify_cert(context) == 1;
	X509_STORE_CTX_free(context);
	return good;
}

Test(trust, vouches_for_what_its_bundle_signed_and_for_nothing_else)
{
	struct tls_pair cas[2] = { tls_make("ca 0", NULL, NULL, -60, 3600),
				   tls_make("ca 1", NULL, NULL, -60, 3600) };
	struct tls_pair stranger = tls_make("ca 2", NULL, NULL, -60, 3600);
	struct tls_pair ours = tls_make("leaf", "DNS:a", &cas[1], -60, 3600);
	struct tls_pair theirs = tls_make("leaf", "DNS:a", &stranger, -60, 3600);
	long len;
	AUTO(freep) char *pem = pem_of(cas, 2, &len);
	struct trust *trust = trust_read(pem, (size_t)len, &err);

	cr_assert_not_null(trust, "%s", err.text);
	cr_expect_eq(trust_count(trust), 2);
	cr_expect(vouches(trust, &ours));
	cr_expect_not(vouches(trust, &theirs));
	cr_expect(trust_ref(trust) == trust);
	cr_expect_null(trust_unref(trust));
	cr_expect(vouches(trust, &ours));
	cr_expect_null(trust_unref(trust));
	tls_pair_free(&cas[0]);
	tls_pair_free(&cas[1]);
	tls_pair_free(&stranger);
	tls_pair_free(&ours);
	tls_pair_free(&theirs);
}

Test(trust, a_bundle_may_hold_an_intermediate_alone)
{
	struct tls_pair root = tls_make("root", NULL, NULL, -60, 3600);
	struct tls_pair middle = tls_make("middle", NULL, NULL, -60, 3600), leaf;
	long len;
	char *pem;
	struct trust *trust;

	(void)X509_set_issuer_name(middle.certificate, X509_get_subject_name(root.certificate));
	(void)X509_sign(middle.certificate, root.key, EVP_sha256());
	leaf = tls_make("leaf", "DNS:a", &middle, -60, 3600);
	pem = pem_of(&middle, 1, &len);
	trust = trust_read(pem, (size_t)len, &err);
	cr_assert_not_null(trust);
	cr_expect(vouches(trust, &leaf));
	(void)trust_unref(trust);
	free(pem);
	tls_pair_free(&root);
	tls_pair_free(&middle);
	tls_pair_free(&leaf);
}

Test(trust, refuses_a_bundle_that_is_none_or_is_broken)
{
	static const char *const none[] = {
		"", "not a certificate",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"
	};
	struct tls_pair ca = tls_make("ca", NULL, NULL, -60, 3600);
	long len;
	AUTO(freep) char *pem = pem_of(&ca, 1, &len);

	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		cr_expect_null(trust_read(none[i], strlen(none[i]), &err), "row %zu", i);
		cr_expect_eq(err.code, ERROR_INVALID, "row %zu", i);
	}
	/* A good one before does not excuse a broken one. */
	(void)snprintf(pem + len, 100,
		       "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	cr_expect_null(trust_read(pem, strlen(pem), &err));
	cr_expect_not_null(strstr(err.text, "certificate 2"), "%s", err.text);
	tls_pair_free(&ca);
}
