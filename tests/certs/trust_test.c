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

static struct trust *read_trust(const struct tls_pair *pairs, size_t count)
{
	long len;
	AUTO(freep) char *pem = pem_of(pairs, count, &len);
	struct trust *trust = trust_read(pem, (size_t)len, &err);

	cr_assert_not_null(trust, "%s", err.text);
	return trust;
}

static void free_pairs(struct tls_pair *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		tls_pair_free(&pairs[i]);
}

/* What OpenSSL says of the certificate with the bundle: X509_V_OK, or what is wrong. */
static int verdict(const struct trust *trust, const struct tls_pair *leaf)
{
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	int found;

	cr_assert_eq(X509_STORE_CTX_init(context, trust_store(trust), leaf->certificate, NULL), 1);
	(void)X509_verify_cert(context);
	found = X509_STORE_CTX_get_error(context);
	X509_STORE_CTX_free(context);
	return found;
}

static bool vouches(const struct trust *trust, const struct tls_pair *leaf)
{
	return verdict(trust, leaf) == X509_V_OK;
}

/* Certificates that were decoded, which is where memory goes. */
static int decoded(const struct trust *trust)
{
	return sk_X509_OBJECT_num(X509_STORE_get0_objects(trust_store(trust)));
}

Test(trust, vouches_for_what_its_bundle_signed_and_for_nothing_else)
{
	struct tls_pair cas[2] = { tls_make("ca 0", NULL, NULL, -60, 3600),
				   tls_make("ca 1", NULL, NULL, -60, 3600) };
	struct tls_pair stranger = tls_make("ca 2", NULL, NULL, -60, 3600);
	struct tls_pair ours = tls_make("leaf", "DNS:a", &cas[1], -60, 3600);
	struct tls_pair theirs = tls_make("leaf", "DNS:a", &stranger, -60, 3600);
	struct trust *trust = read_trust(cas, 2);

	cr_expect_eq(trust_count(trust), 2);
	cr_expect(vouches(trust, &ours));
	cr_expect_not(vouches(trust, &theirs));
	cr_expect(trust_ref(trust) == trust);
	cr_expect_null(trust_unref(trust));
	cr_expect(vouches(trust, &ours));
	cr_expect_null(trust_unref(trust));
	free_pairs(cas, 2);
	free_pairs(&stranger, 1);
	free_pairs(&ours, 1);
	free_pairs(&theirs, 1);
}

Test(trust, a_bundle_may_hold_an_intermediate_alone)
{
	struct tls_pair root = tls_make("root", NULL, NULL, -60, 3600);
	struct tls_pair middle = tls_make("middle", NULL, NULL, -60, 3600), leaf;
	struct trust *trust;

	(void)X509_set_issuer_name(middle.certificate, X509_get_subject_name(root.certificate));
	(void)X509_sign(middle.certificate, root.key, EVP_sha256());
	leaf = tls_make("leaf", "DNS:a", &middle, -60, 3600);
	trust = read_trust(&middle, 1);
	cr_expect(vouches(trust, &leaf));
	(void)trust_unref(trust);
	free_pairs(&root, 1);
	free_pairs(&middle, 1);
	free_pairs(&leaf, 1);
}

Test(trust, decodes_what_a_chain_asks_for_and_keeps_it)
{
	struct tls_pair cas[40];
	struct tls_pair ours, theirs, stranger = tls_make("stranger", NULL, NULL, -60, 3600);
	struct trust *trust;

	for (size_t i = 0; i < ARRAY_SIZE(cas); i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "ca %zu", i);
		cas[i] = tls_make(name, NULL, NULL, -60, 3600);
	}
	ours = tls_make("leaf", "DNS:a", &cas[39], -60, 3600);
	theirs = tls_make("leaf", "DNS:a", &stranger, -60, 3600);
	trust = read_trust(cas, ARRAY_SIZE(cas));
	cr_expect_eq(trust_count(trust), ARRAY_SIZE(cas));
	cr_expect_eq(decoded(trust), 0);
	for (int times = 0; times < 3; times++) {
		cr_expect(vouches(trust, &ours));
		cr_expect_eq(verdict(trust, &theirs), X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
		cr_expect_eq(decoded(trust), 1);
	}
	cr_expect(vouches(trust, &cas[7]));
	cr_expect_eq(decoded(trust), 2);
	(void)trust_unref(trust);
	free_pairs(cas, ARRAY_SIZE(cas));
	free_pairs(&ours, 1);
	free_pairs(&theirs, 1);
	free_pairs(&stranger, 1);
}

/* As every CA does: with the issuer's key identifier, which tells roots of one name apart. */
static struct tls_pair make_identified(const char *name, const struct tls_pair *issuer)
{
	struct tls_pair pair = tls_make(name, NULL, issuer, -60, 3600);
	const struct tls_pair *signer = issuer != NULL ? issuer : &pair;
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, signer->certificate, pair.certificate, NULL, NULL, 0);
	extension =
		issuer == NULL
			? X509V3_EXT_conf_nid(NULL, &context, NID_subject_key_identifier, "hash")
			: X509V3_EXT_conf_nid(NULL, &context, NID_authority_key_identifier,
					      "keyid:always");
	cr_assert_not_null(extension);
	(void)X509_add_ext(pair.certificate, extension, -1);
	X509_EXTENSION_free(extension);
	cr_assert_gt(X509_sign(pair.certificate, signer->key, EVP_sha256()), 0);
	return pair;
}

/* A CA that was given a new key, with its old one beside it. */
Test(trust, roots_may_share_a_subject)
{
	struct tls_pair cas[3] = { make_identified("ca", NULL), make_identified("other", NULL),
				   make_identified("ca", NULL) };
	struct tls_pair leaves[2] = { make_identified("leaf", &cas[0]),
				      make_identified("leaf", &cas[2]) };

	for (size_t first = 0; first < 2; first++) {
		struct trust *trust = read_trust(cas, ARRAY_SIZE(cas));

		cr_expect(vouches(trust, &leaves[first]), "leaf %zu first", first);
		cr_expect(vouches(trust, &leaves[1 - first]), "leaf %zu first", first);
		cr_expect_eq(decoded(trust), 2);
		(void)trust_unref(trust);
	}
	free_pairs(cas, ARRAY_SIZE(cas));
	free_pairs(leaves, 2);
}

/* A root that was renewed with its key, while the bundle still has the old one. */
Test(trust, an_expired_root_does_not_hide_its_successor)
{
	struct tls_pair cas[2] = { tls_make("ca", NULL, NULL, -7200, -3600),
				   tls_make("ca", NULL, NULL, -60, 3600) };
	struct tls_pair leaf = tls_make("leaf", "DNS:a", &cas[0], -60, 3600);
	struct trust *trust;

	(void)X509_set_pubkey(cas[1].certificate, cas[0].key);
	(void)X509_sign(cas[1].certificate, cas[0].key, EVP_sha256());
	trust = read_trust(cas, 2);
	cr_expect(vouches(trust, &leaf));
	(void)trust_unref(trust);
	trust = read_trust(cas, 1);
	cr_expect_eq(verdict(trust, &leaf), X509_V_ERR_CERT_HAS_EXPIRED);
	(void)trust_unref(trust);
	free_pairs(cas, 2);
	free_pairs(&leaf, 1);
}

Test(trust, a_certificate_may_be_in_the_bundle_twice_and_itself_be_the_server_s)
{
	struct tls_pair ca = tls_make("ca", NULL, NULL, -60, 3600);
	struct tls_pair self = tls_make("self", "DNS:a", NULL, -60, 3600);
	struct tls_pair twice[3] = { ca, self, ca };
	struct tls_pair leaf = tls_make("leaf", "DNS:a", &ca, -60, 3600);
	struct trust *trust = read_trust(twice, 3);

	cr_expect(vouches(trust, &leaf));
	cr_expect(vouches(trust, &self));
	cr_expect_eq(decoded(trust), 2);
	(void)trust_unref(trust);
	free_pairs(&ca, 1);
	free_pairs(&self, 1);
	free_pairs(&leaf, 1);
}

/* RFC 5280 §7.1: case and white space do not tell names apart. */
Test(trust, finds_an_issuer_whose_name_is_spelled_otherwise)
{
	struct tls_pair ca = tls_make("Example  Root CA", NULL, NULL, -60, 3600);
	struct tls_pair other = tls_make("example root ca", NULL, NULL, -60, 3600);
	struct tls_pair spelled = { other.certificate, ca.key };
	struct tls_pair leaf = tls_make("leaf", "DNS:a", &spelled, -60, 3600);
	struct trust *trust = read_trust(&ca, 1);

	cr_expect(vouches(trust, &leaf));
	(void)trust_unref(trust);
	free_pairs(&other, 1);
	free_pairs(&ca, 1);
	free_pairs(&leaf, 1);
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
