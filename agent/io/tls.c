/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/io/tls.h"

#include <openssl/x509_vfy.h>

#include "agent/base/macros.h"

int tls_setup_client(SSL_CTX *context, X509_STORE *store, const struct tls_identity *identity)
{
	(void)SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_NO_RENEGOTIATION);
	(void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set1_cert_store(context, store);
	return identity != NULL ? tls_show(context, identity) : 0;
}

/* Resumption would save a handshake's work and keep what it was agreed with alive: each connection
 * is made anew. Buffers of a connection that rests are given back. */
int tls_setup_server(SSL_CTX *context, X509_STORE *clients, const struct tls_identity *identity)
{
	(void)SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_NO_RENEGOTIATION |
						   SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
						   SSL_OP_CIPHER_SERVER_PREFERENCE);
	(void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
						SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(context, 1);
	if (SSL_CTX_set_num_tickets(context, 0) != 1 ||
	    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)
		return -1;
	if (clients != NULL) {
		/* Probes have no certificate; what needs one asks for it. */
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
		if (SSL_CTX_set1_verify_cert_store(context, clients) != 1)
			return -1;
	}
	return tls_show(context, identity);
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
