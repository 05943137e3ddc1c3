/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys are of P-256: small, quick to make, and known to every client. A certificate's subject says
 * when it was made, so that two authorities of one name are told apart by name too, which is how a
 * chain is looked up first.
 */
#include "certs/authority.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SERIAL_BYTES = 16, COMMON_NAME_MAX = 64, NAMES_TEXT_MAX = 4096 };

struct authority {
	X509 *certificate;
	EVP_PKEY *key;
	STACK_OF(X509) * earlier; /* newest first */
};

static void bio_freep(BIO **bio)
{
	(void)BIO_free(*bio);
}

static void x509_freep(X509 **certificate)
{
	X509_free(*certificate);
}

static void key_freep(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

/* A key that asks for a pass phrase gets none, and never a prompt on the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *context)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)context;
	return -1;
}

static int openssl_failed(struct error *err, const char *what)
{
	ERR_clear_error();
	return error_set(err, ERROR_EXHAUSTED, "OpenSSL cannot %s", what);
}

static int64_t time_of(const ASN1_TIME *time)
{
	struct tm broken = { 0 };

	if (ASN1_TIME_to_tm(time, &broken) != 1)
		return 0;
	return (int64_t)timegm(&broken) * 1000;
}

/* ---- making certificates ---- */

static int set_serial(X509 *certificate)
{
	unsigned char bytes[SERIAL_BYTES];
	ASN1_INTEGER *serial = X509_get_serialNumber(certificate);
	BIGNUM *number;
	int set;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return 0;
	bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, and never short */
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	set = number != NULL && BN_to_ASN1_INTEGER(number, serial) != NULL;
	BN_free(number);
	return set;
}

static int set_times(X509 *certificate, int64_t from_ms, int64_t to_ms)
{
	return ASN1_TIME_set(X509_getm_notBefore(certificate), from_ms / 1000) != NULL &&
	       ASN1_TIME_set(X509_getm_notAfter(certificate), to_ms / 1000) != NULL;
}

static int add_extension(X509 *certificate, X509 *issuer, int id, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;
	int added;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, id, value);
	added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return added;
}

/* Everything but what tells an authority from a leaf. `issuer` NULL: signs itself. */
static X509 *draft(const char *common_name, EVP_PKEY *key, X509 *issuer, int64_t from_ms,
		   int64_t to_ms)
{
	AUTO(x509_freep) X509 *certificate = X509_new();
	X509_NAME *subject;

	if (certificate == NULL || X509_set_version(certificate, X509_VERSION_3) != 1 ||
	    !set_serial(certificate) || !set_times(certificate, from_ms, to_ms) ||
	    X509_set_pubkey(certificate, key) != 1)
		return NULL;
	subject = X509_get_subject_name(certificate);
	if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
				       (const unsigned char *)common_name, -1, -1, 0) != 1 ||
	    X509_set_issuer_name(certificate,
				 issuer != NULL ? X509_get_subject_name(issuer) : subject) != 1 ||
	    !add_extension(certificate, certificate, NID_subject_key_identifier, "hash"))
		return NULL;
	return STEAL(certificate);
}

static X509 *make_root(const char *name, EVP_PKEY *key, int64_t now_ms, int64_t life_ms)
{
	AUTO(x509_freep) X509 *certificate = NULL;
	char common_name[COMMON_NAME_MAX + 1];

	(void)snprintf(common_name, sizeof(common_name), "%.40s %lld", name,
		       (long long)(now_ms / 1000));
	certificate =
		draft(common_name, key, NULL, now_ms - AUTHORITY_BACKDATE_MS, now_ms + life_ms);
	if (certificate == NULL ||
	    !add_extension(certificate, certificate, NID_basic_constraints,
			   "critical,CA:TRUE,pathlen:0") ||
	    !add_extension(certificate, certificate, NID_key_usage,
			   "critical,keyCertSign,cRLSign") ||
	    X509_sign(certificate, key, EVP_sha256()) == 0)
		return NULL;
	return STEAL(certificate);
}

/* "DNS:a.b.svc,IP:127.0.0.1"; false when a name holds what would be read as more than a name. */
static bool write_names(struct buf *out, const char *const *names)
{
	unsigned char address[sizeof(struct in6_addr)];

	for (size_t i = 0; names[i] != NULL; i++) {
		bool is_address = inet_pton(AF_INET, names[i], address) == 1 ||
				  inet_pton(AF_INET6, names[i], address) == 1;

		if (names[i][0] == '\0' || strpbrk(names[i], ", \t\n@") != NULL ||
		    (!is_address && strchr(names[i], ':') != NULL))
			return false;
		buf_printf(out, "%s%s:%s", i > 0 ? "," : "", is_address ? "IP" : "DNS", names[i]);
	}
	return out->len > 0 && !out->failed;
}

static X509 *make_leaf(const struct authority *authority, const char *name, const char *names,
		       EVP_PKEY *key, int64_t now_ms, int64_t ends_ms)
{
	AUTO(x509_freep) X509 *certificate = NULL;
	char common_name[COMMON_NAME_MAX + 1];

	(void)snprintf(common_name, sizeof(common_name), "%.64s", name);
	certificate = draft(common_name, key, authority->certificate,
			    now_ms - AUTHORITY_BACKDATE_MS, ends_ms);
	if (certificate == NULL ||
	    !add_extension(certificate, authority->certificate, NID_authority_key_identifier,
			   "keyid:always") ||
	    !add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:FALSE") ||
	    !add_extension(certificate, certificate, NID_key_usage, "critical,digitalSignature") ||
	    !add_extension(certificate, certificate, NID_ext_key_usage, "serverAuth") ||
	    !add_extension(certificate, certificate, NID_subject_alt_name, names) ||
	    X509_sign(certificate, authority->key, EVP_sha256()) == 0)
		return NULL;
	return STEAL(certificate);
}

/* ---- PEM ---- */

static int put_bio(BIO *bio, struct buf *out, const char *what, struct error *err)
{
	const char *bytes = NULL;
	long len = BIO_get_mem_data(bio, &bytes);

	buf_put(out, bytes, len > 0 ? (size_t)len : 0);
	return buf_check(out, what, err);
}

static int put_certificate(X509 *certificate, struct buf *out, struct error *err)
{
	AUTO(bio_freep) BIO *bio = BIO_new(BIO_s_mem());

	if (bio == NULL || PEM_write_bio_X509(bio, certificate) != 1)
		return openssl_failed(err, "write a certificate");
	return put_bio(bio, out, "the certificate", err);
}

static int put_key(EVP_PKEY *key, struct buf *out, struct error *err)
{
	AUTO(bio_freep) BIO *bio = BIO_new(BIO_s_mem());

	if (bio == NULL || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
		return openssl_failed(err, "write a key");
	return put_bio(bio, out, "the key", err);
}

static X509 *next_certificate(BIO *bio)
{
	X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	ERR_clear_error();
	return certificate;
}

static BIO *bio_of(const struct buf *pem)
{
	return BIO_new_mem_buf(buf_string(pem), (int)pem->len);
}

/* ---- the authority ---- */

struct authority *authority_free(struct authority *authority)
{
	if (authority == NULL)
		return NULL;
	X509_free(authority->certificate);
	EVP_PKEY_free(authority->key);
	sk_X509_pop_free(authority->earlier, X509_free);
	free(authority);
	return NULL;
}

static struct authority *authority_empty(struct error *err)
{
	AUTO(authority_freep) struct authority *authority = calloc(1, sizeof(*authority));

	if (authority != NULL)
		authority->earlier = sk_X509_new_null();
	if (authority == NULL || authority->earlier == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	return STEAL(authority);
}

static bool carries(const struct authority *authority, const X509 *certificate)
{
	for (int i = 0; i < sk_X509_num(authority->earlier); i++)
		if (X509_cmp(sk_X509_value(authority->earlier, i), certificate) == 0)
			return true;
	return false;
}

/* Past the most that are carried the oldest are left out. */
static int carry(struct authority *authority, X509 *certificate)
{
	if (sk_X509_num(authority->earlier) >= AUTHORITY_EARLIER_MAX ||
	    carries(authority, certificate))
		return 1;
	if (X509_up_ref(certificate) != 1)
		return 0;
	if (sk_X509_push(authority->earlier, certificate) > 0)
		return 1;
	X509_free(certificate);
	return 0;
}

static int carry_all(struct authority *authority, const struct authority *before)
{
	int carried = carry(authority, before->certificate);

	for (int i = 0; carried == 1 && i < sk_X509_num(before->earlier); i++)
		carried = carry(authority, sk_X509_value(before->earlier, i));
	return carried;
}

static int carry_pem(struct authority *authority, const struct buf *pem)
{
	AUTO(bio_freep) BIO *bio = bio_of(pem);
	X509 *certificate;
	int carried = bio != NULL;

	while (carried == 1 && (certificate = next_certificate(bio)) != NULL) {
		carried = carry(authority, certificate);
		X509_free(certificate);
	}
	return carried;
}

struct authority *authority_new(const char *name, int64_t now_ms, int64_t life_ms,
				const struct authority *before, const struct buf *believed,
				struct error *err)
{
	AUTO(authority_freep) struct authority *authority = authority_empty(err);

	if (authority == NULL)
		return NULL;
	authority->key = EVP_EC_gen("P-256");
	if (authority->key != NULL)
		authority->certificate = make_root(name, authority->key, now_ms, life_ms);
	if (authority->certificate == NULL || (before != NULL && !carry_all(authority, before)) ||
	    !carry_pem(authority, believed)) {
		(void)openssl_failed(err, "make a certificate authority");
		return NULL;
	}
	return STEAL(authority);
}

static int read_own(struct authority *authority, const struct authority_pem *pem, struct error *err)
{
	AUTO(bio_freep) BIO *cert = bio_of(&pem->cert);
	AUTO(bio_freep) BIO *key = bio_of(&pem->key);

	if (cert == NULL || key == NULL)
		return error_no_memory(err);
	authority->certificate = next_certificate(cert);
	if (authority->certificate == NULL)
		return error_set(err, ERROR_INVALID, "the authority's certificate is no PEM");
	authority->key = PEM_read_bio_PrivateKey(key, NULL, no_passphrase, NULL);
	ERR_clear_error();
	if (authority->key == NULL)
		return error_set(err, ERROR_INVALID,
				 "the authority's key is no PEM (without a pass phrase)");
	if (X509_check_private_key(authority->certificate, authority->key) != 1) {
		ERR_clear_error();
		return error_set(err, ERROR_INVALID,
				 "the authority's key is not the one of its certificate");
	}
	if (X509_check_ca(authority->certificate) != 1)
		return error_set(err, ERROR_INVALID,
				 "the authority's certificate is not one of a CA");
	return 0;
}

struct authority *authority_read(const struct authority_pem *pem, struct error *err)
{
	AUTO(authority_freep) struct authority *authority = authority_empty(err);

	if (authority == NULL || read_own(authority, pem, err) < 0)
		return NULL;
	if (!carry_pem(authority, &pem->earlier)) {
		(void)error_no_memory(err);
		return NULL;
	}
	return STEAL(authority);
}

int authority_write(const struct authority *authority, struct authority_pem *ret, struct error *err)
{
	if (put_certificate(authority->certificate, &ret->cert, err) < 0 ||
	    put_key(authority->key, &ret->key, err) < 0)
		return -1;
	for (int i = 0; i < sk_X509_num(authority->earlier); i++)
		if (put_certificate(sk_X509_value(authority->earlier, i), &ret->earlier, err) < 0)
			return -1;
	return 0;
}

void authority_pem_deinit(struct authority_pem *pem)
{
	buf_deinit(&pem->cert);
	buf_deinit(&pem->key);
	buf_deinit(&pem->earlier);
}

int64_t authority_made_ms(const struct authority *authority)
{
	return time_of(X509_get0_notBefore(authority->certificate)) + AUTHORITY_BACKDATE_MS;
}

int64_t authority_ends_ms(const struct authority *authority)
{
	return time_of(X509_get0_notAfter(authority->certificate));
}

bool authority_is_first(const struct authority *authority)
{
	return sk_X509_num(authority->earlier) == 0;
}

bool authority_same(const struct authority *one, const struct authority *other)
{
	if (one == NULL || other == NULL)
		return one == other;
	return X509_cmp(one->certificate, other->certificate) == 0;
}

int authority_write_bundle(const struct authority *authority, int64_t now_ms,
			   int64_t earlier_until_ms, struct buf *out, struct error *err)
{
	if (put_certificate(authority->certificate, out, err) < 0)
		return -1;
	for (int i = 0; now_ms < earlier_until_ms && i < sk_X509_num(authority->earlier); i++) {
		X509 *earlier = sk_X509_value(authority->earlier, i);

		if (time_of(X509_get0_notAfter(earlier)) > now_ms &&
		    put_certificate(earlier, out, err) < 0)
			return -1;
	}
	return 0;
}

bool authority_is_in(const struct authority *authority, const char *pem, size_t len)
{
	AUTO(bio_freep) BIO *bio = BIO_new_mem_buf(pem, (int)len);
	bool found = false;
	X509 *certificate;

	while (bio != NULL && !found && (certificate = next_certificate(bio)) != NULL) {
		found = X509_cmp(certificate, authority->certificate) == 0;
		X509_free(certificate);
	}
	return found;
}

/* ---- leaves ---- */

int authority_sign(const struct authority *authority, const char *const *names, int64_t now_ms,
		   int64_t life_ms, struct authority_leaf *ret, struct error *err)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(NAMES_TEXT_MAX);
	AUTO(key_freep) EVP_PKEY *key = NULL;
	AUTO(x509_freep) X509 *certificate = NULL;
	int64_t ends_ms = now_ms + life_ms;

	if (!write_names(&text, names))
		return error_set(err, ERROR_INVALID,
				 "a certificate needs names, such as injector.secrets.svc");
	if (ends_ms > authority_ends_ms(authority))
		ends_ms = authority_ends_ms(authority);
	key = EVP_EC_gen("P-256");
	if (key != NULL)
		certificate = make_leaf(authority, names[0], text.data, key, now_ms, ends_ms);
	if (certificate == NULL)
		return openssl_failed(err, "sign a certificate");
	if (put_certificate(certificate, &ret->cert, err) < 0 || put_key(key, &ret->key, err) < 0)
		return -1;
	ret->ends_ms = time_of(X509_get0_notAfter(certificate));
	return 0;
}

void authority_leaf_deinit(struct authority_leaf *leaf)
{
	buf_deinit(&leaf->cert);
	buf_deinit(&leaf->key);
}
