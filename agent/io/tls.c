/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/io/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#include "agent/io/file.h"

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
static int unusable(struct error *err, const char *what)
{
	(void)error_wrap(err, "%s", what);
	err->code = ERROR_INVALID;
	return -1;
}

static int read_certificates(struct tls_identity *identity, const char *file, struct error *err)
{
	AUTO(buf_deinit) struct buf pem = BUF_INIT(PEM_FILE_MAX);
	AUTO(bio_freep) BIO *bio = NULL;
	X509 *next;

	if (file_read(file, PEM_FILE_MAX, false, &pem, err) < 0)
		return unusable(err, "client certificate");
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	identity->chain = sk_X509_new_null();
	if (bio == NULL || identity->chain == NULL)
		return error_no_memory(err);
	identity->certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	if (identity->certificate == NULL) {
		ERR_clear_error();
		return error_set(err, ERROR_INVALID,
				 "%s does not start with a client certificate in PEM", file);
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

static int read_key(struct tls_identity *identity, const char *file, struct error *err)
{
	AUTO(buf_deinit) struct buf pem = BUF_INIT(PEM_FILE_MAX);
	AUTO(bio_freep) BIO *bio = NULL;

	if (file_read(file, PEM_FILE_MAX, true, &pem, err) < 0)
		return unusable(err, "client key");
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	if (bio == NULL)
		return error_no_memory(err);
	identity->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	ERR_clear_error();
	if (identity->key == NULL)
		return error_set(
			err, ERROR_INVALID,
			"%s holds no private key in PEM that can be used (without a pass phrase)",
			file);
	return 0;
}

struct tls_identity *tls_identity_read(const char *cert_file, const char *key_file,
				       struct error *err)
{
	AUTO(identity_freep) struct tls_identity *identity = calloc(1, sizeof(*identity));

	if (identity == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	if (read_certificates(identity, cert_file, err) < 0 ||
	    read_key(identity, key_file, err) < 0)
		return NULL;
	if (X509_check_private_key(identity->certificate, identity->key) != 1) {
		ERR_clear_error();
		(void)error_set(err, ERROR_INVALID,
				"the key in %s is not the one of the certificate in %s", key_file,
				cert_file);
		return NULL;
	}
	return STEAL(identity);
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

int tls_setup_client(SSL_CTX *context, X509_STORE *store, const struct tls_identity *identity)
{
	(void)SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_NO_RENEGOTIATION);
	(void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set1_cert_store(context, store);
	if (identity == NULL)
		return 0;
	if (SSL_CTX_use_certificate(context, identity->certificate) != 1 ||
	    SSL_CTX_set1_chain(context, identity->chain) != 1 ||
	    SSL_CTX_use_PrivateKey(context, identity->key) != 1)
		return -1;
	return 0;
}

/* What a user can do about each refusal; the first row whose code fits, the last for all others. */
static const struct {
	long code;
	const char *remedy;
} remedies[] = {
	{ X509_V_ERR_CERT_HAS_EXPIRED, "renew it at the server, or set this machine's clock" },
	{ X509_V_ERR_CERT_NOT_YET_VALID, "set this machine's clock, or the server's" },
	{ X509_V_ERR_HOSTNAME_MISMATCH,
	  "use a name that is in it as address, or set tls.server_name to one" },
	/* The chain is good and the name is not: libcurl checks it itself and leaves its "nothing
	   checked yet". */
	{ X509_V_ERR_UNSPECIFIED,
	  "use a name that is in it as address, or set tls.server_name to one" },
	{ -1, "set tls.ca_file to the CA that signed it" },
};

int tls_not_trusted(struct error *err, const char *origin, long verify_result, const char *detail)
{
	size_t row = 0;
	const char *wrong = verify_result != X509_V_ERR_UNSPECIFIED
				    ? X509_verify_cert_error_string(verify_result)
				    : detail;

	while (remedies[row].code != verify_result && row + 1 < ARRAY_SIZE(remedies))
		row++;
	return error_set(err, ERROR_UNAVAILABLE,
			 "the certificate of %.100s is not trusted: %.140s (%s)", origin, wrong,
			 remedies[row].remedy);
}
