#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates made in the test, and a blocking TLS server in a child process that answers each
 * request with one text. The child is ended by closing the pipe that it watches: when the test
 * dies, so does it.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct tls_pair {
	X509 *certificate;
	EVP_PKEY *key;
};

static inline void tls_pair_free(struct tls_pair *pair)
{
	X509_free(pair->certificate);
	EVP_PKEY_free(pair->key);
	*pair = (struct tls_pair){ 0 };
}

static inline void tls_extend(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	cr_assert_not_null(extension);
	(void)X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
}

/* `issuer` NULL: a CA that signs itself. `names` as "DNS:localhost,IP:127.0.0.1". Valid from now +
 * from_s to + to_s. */
static inline struct tls_pair tls_make(const char *common_name, const char *names,
				       const struct tls_pair *issuer, long from_s, long to_s)
{
	static long serial = 1;
	struct tls_pair pair = { X509_new(), EVP_EC_gen("P-256") };
	X509_NAME *name = X509_get_subject_name(pair.certificate);

	(void)X509_set_version(pair.certificate, 2);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(pair.certificate), serial++);
	(void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					 (const unsigned char *)common_name, -1, -1, 0);
	(void)X509_set_issuer_name(pair.certificate,
				   issuer != NULL ? X509_get_subject_name(issuer->certificate)
						  : name);
	(void)X509_gmtime_adj(X509_getm_notBefore(pair.certificate), from_s);
	(void)X509_gmtime_adj(X509_getm_notAfter(pair.certificate), to_s);
	(void)X509_set_pubkey(pair.certificate, pair.key);
	tls_extend(pair.certificate, NID_basic_constraints,
		   issuer == NULL ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (names != NULL)
		tls_extend(pair.certificate, NID_subject_alt_name, names);
	cr_assert_gt(
		X509_sign(pair.certificate, issuer != NULL ? issuer->key : pair.key, EVP_sha256()),
		0);
	return pair;
}

static inline void tls_save(const char *path, const X509 *certificate, const EVP_PKEY *key)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	if (certificate != NULL)
		(void)PEM_write_X509(file, certificate);
	if (key != NULL)
		(void)PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
	(void)fclose(file);
}

struct tls_server {
	pid_t pid;
	int stop;
	unsigned port;
};

/* Answers until the client goes; one client at a time is enough. */
static inline void tls_serve_one(SSL_CTX *context, int fd, const char *answer)
{
	SSL *ssl = SSL_new(context);
	char request[4096];
	int got;

	(void)SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1)
		while ((got = SSL_read(ssl, request, sizeof(request) - 1)) > 0) {
			request[got] = '\0';
			if (strstr(request, "\r\n\r\n") != NULL)
				(void)SSL_write(ssl, answer, (int)strlen(answer));
		}
	SSL_free(ssl);
	(void)close(fd);
}

static inline void tls_serve(SSL_CTX *context, int listener, int stop, const char *answer)
{
	struct pollfd polls[2] = { { listener, POLLIN, 0 }, { stop, POLLIN, 0 } };

	(void)signal(SIGPIPE, SIG_IGN);
	(void)alarm(60);
	for (;;) {
		(void)poll(polls, 2, -1);
		if (polls[1].revents != 0)
			_exit(0);
		tls_serve_one(context, accept(listener, NULL, NULL), answer);
	}
}

/* `client_ca` NULL: asks for no client certificate. */
static inline struct tls_server tls_start(const struct tls_pair *leaf,
					  const struct tls_pair *client_ca, int max_version,
					  const char *answer)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	struct tls_server server;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), pipes[2];

	cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(listener, 16), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	server.port = ntohs(address.sin_port);
	cr_assert_eq(pipe(pipes), 0);
	server.pid = fork();
	if (server.pid == 0) {
		SSL_CTX *context = SSL_CTX_new(TLS_server_method());

		(void)close(pipes[1]);
		(void)SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
		(void)SSL_CTX_set_max_proto_version(context, max_version);
		(void)SSL_CTX_set_security_level(context, 0);
		(void)SSL_CTX_use_certificate(context, leaf->certificate);
		(void)SSL_CTX_use_PrivateKey(context, leaf->key);
		if (client_ca != NULL) {
			(void)X509_STORE_add_cert(SSL_CTX_get_cert_store(context),
						  client_ca->certificate);
			SSL_CTX_set_verify(context,
					   SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		}
		tls_serve(context, listener, pipes[0], answer);
	}
	(void)close(listener);
	(void)close(pipes[0]);
	server.stop = pipes[1];
	return server;
}

static inline void tls_stop(struct tls_server *server)
{
	(void)close(server->stop);
	/* A second server holds a copy of the first one's pipe. */
	(void)kill(server->pid, SIGTERM);
	(void)waitpid(server->pid, NULL, 0);
}
