/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/io/tls_identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <time.h>

#include "agent/io/file.h"
#include "agent/io/tls.h"

enum { PEM_FILE_MAX = 1 << 20 };

struct tls_identity {
	X509 *certificate;
	STACK_OF(X509) * chain;
	EVP_PKEY *key;
};

DEFINE_FREEP(identity_freep, struct tls_identity, tls_identity_free)

static void bio_freep(BIO **bio)
{
	(void)BIO_free(*bio);
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

/* A file that is not there is no secret that is missing: the configuration is wrong. */
static struct tls_identity *unusable(struct error *err, const char *what)
{
	(void)error_wrap(err, "%s", what);
	err->code = ERROR_INVALID;
	return NULL;
}

static int parse_certificates(struct tls_identity *identity, const struct tls_pem *pem,
			      struct error *err)
{
	AUTO(bio_freep) BIO *bio = BIO_new_mem_buf(pem->bytes, (int)pem->len);
	X509 *next;

	identity->chain = sk_X509_new_null();
	if (bio == NULL || identity->chain == NULL)
		return error_no_memory(err);
	identity->certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	if (identity->certificate == NULL) {
		ERR_clear_error();
		return error_set(err, ERROR_INVALID, "%s does not start with a certificate in PEM",
				 pem->name);
	}
	while ((next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (sk_X509_push(identity->chain, next) == 0) {
			X509_free(next);
			return error_no_memory(err);
		}
	}
	ERR_clear_error();
	return 0;
}

static int parse_key(struct tls_identity *identity, const struct tls_pem *pem, struct error *err)
{
	AUTO(bio_freep) BIO *bio = BIO_new_mem_buf(pem->bytes, (int)pem->len);

	if (bio == NULL)
		return error_no_memory(err);
	identity->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	ERR_clear_error();
	if (identity->key == NULL)
		return error_set(
			err, ERROR_INVALID,
			"%s holds no private key in PEM that can be used (without a pass phrase)",
			pem->name);
	return 0;
}

struct tls_identity *tls_identity_parse(const struct tls_pem *cert, const struct tls_pem *key,
					struct error *err)
{
	AUTO(identity_freep) struct tls_identity *identity = calloc(1, sizeof(*identity));

	if (identity == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	if (parse_certificates(identity, cert, err) < 0 || parse_key(identity, key, err) < 0)
		return NULL;
	if (X509_check_private_key(identity->certificate, identity->key) != 1) {
		ERR_clear_error();
		(void)error_set(err, ERROR_INVALID,
				"the key in %s is not the one of the certificate in %s", key->name,
				cert->name);
		return NULL;
	}
	return STEAL(identity);
}

struct tls_identity *tls_identity_read(const char *cert_file, const char *key_file,
				       struct error *err)
{
	AUTO(buf_deinit) struct buf cert = BUF_INIT(PEM_FILE_MAX);
	AUTO(buf_deinit) struct buf key = BUF_INIT(PEM_FILE_MAX);

	if (file_read(cert_file, PEM_FILE_MAX, false, &cert, err) < 0)
		return unusable(err, "certificate");
	if (file_read(key_file, PEM_FILE_MAX, true, &key, err) < 0)
		return unusable(err, "key");
	return tls_identity_parse(&(struct tls_pem){ cert_file, buf_string(&cert), cert.len },
				  &(struct tls_pem){ key_file, buf_string(&key), key.len }, err);
}

struct tls_identity *tls_identity_free(struct tls_identity *identity)
{
	if (identity == NULL)
		return NULL;
	X509_free(identity->certificate);
	sk_X509_pop_free(identity->chain, X509_free);
	EVP_PKEY_free(identity->key);
	free(identity);
	return NULL;
}

int tls_show(SSL_CTX *context, const struct tls_identity *identity)
{
	if (SSL_CTX_use_certificate(context, identity->certificate) != 1 ||
	    SSL_CTX_set1_chain(context, identity->chain) != 1 ||
	    SSL_CTX_use_PrivateKey(context, identity->key) != 1)
		return -1;
	return 0;
}

int64_t tls_identity_expires(const struct tls_identity *identity)
{
	struct tm end;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(identity->certificate), &end) != 1)
		return 0;
	return (int64_t)timegm(&end) * 1000;
}
