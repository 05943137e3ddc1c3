/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>

#include "agent/base/wipe.h"
#include "agent/io/http_client.h"
#include "certs/trust.h"
#include "tests/io/tls_server.h"

#define HELLO	    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define CANARY_HEAD "C4n4ry-s3cr3t-"
#define CANARY_TAIL "0f-the-v4lue"

static struct loop *loop;
static struct http_client *client;
static struct trust *trust;
static struct tls_pair ca, other_ca, leaf;
static struct error err;
static char directory[64];
static char url[64];

static void trust_in(const struct tls_pair *pair)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long len;

	(void)PEM_write_bio_X509(bio, pair->certificate);
	len = BIO_get_mem_data(bio, &data);
	trust = trust_read(data, (size_t)len, &err);
	cr_assert_not_null(trust);
	(void)BIO_free(bio);
}

/* Criterion's own libraries use OpenSSL before any test is run. */
__attribute__((constructor)) static void install_first(void)
{
	(void)wipe_install();
}

static void setup(void)
{
	CRYPTO_free_fn installed;

	CRYPTO_get_mem_functions(NULL, NULL, &installed);
	cr_assert_neq(installed, CRYPTO_free, "OpenSSL wipes what it frees");
	ca = tls_make("our CA", NULL, NULL, -60, 3600);
	other_ca = tls_make("other CA", NULL, NULL, -60, 3600);
	leaf = tls_make("server", "DNS:localhost,IP:127.0.0.1", &ca, -60, 3600);
	(void)snprintf(directory, sizeof(directory), "/tmp/agent-tls-test-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	cr_assert_eq(chdir(directory), 0);
	loop = loop_new(&err);
	client = http_client_new(loop, clock_system(), &err);
}

static void teardown(void)
{
	static const char *const names[] = { "ca.pem", "cert.pem", "key.pem" };

	client = http_client_free(client);
	loop = loop_free(loop);
	trust = trust_unref(trust);
	tls_pair_free(&ca);
	tls_pair_free(&other_ca);
	tls_pair_free(&leaf);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		(void)unlink(names[i]);
	cr_expect_eq(rmdir(directory), 0);
}

struct asked {
	struct http_transfer transfer;
	bool good;
	size_t len;
	char first[8];
	struct error error;
};

static void on_done(struct http_transfer *transfer, const struct reply *reply,
		    const struct error *error)
{
	struct asked *asked = CONTAINER_OF(transfer, struct asked, transfer);

	asked->good = reply != NULL;
	asked->len = reply != NULL ? reply->len : 0;
	if (error != NULL)
		asked->error = *error;
	loop_stop(loop);
}

/* One GET over a pool of its own, which is closed after. */
static struct asked ask(const struct endpoint *endpoint, const char *headers)
{
	AUTO(request_deinit) struct request request = REQUEST_INIT;
	struct http_pool *pool = http_pool_new(client, endpoint, trust_store(trust), &err);
	struct asked asked = { .transfer.done = on_done };

	cr_assert_not_null(pool, "%s", err.text);
	request_reset(&request);
	buf_puts(&request.path, "/v1/x");
	buf_puts(&request.headers, headers);
	cr_assert_eq(http_send(pool, &request, 5000, &asked.transfer, &err), 0);
	loop_run(loop);
	(void)http_pool_free(pool);
	return asked;
}

static struct endpoint endpoint_of(const char *host, const struct tls_server *server)
{
	(void)snprintf(url, sizeof(url), "https://%s:%u", host, server->port);
	return (struct endpoint){ .url = url };
}

Test(tls, believes_a_server_that_the_bundle_vouches_for, .init = setup, .fini = teardown)
{
	struct tls_server server = tls_start(&leaf, NULL, TLS1_3_VERSION, HELLO);
	struct endpoint endpoint = endpoint_of("localhost", &server);
	struct asked asked;

	trust_in(&ca);
	asked = ask(&endpoint, "");
	cr_expect(asked.good, "%s", asked.error.text);
	cr_expect_eq(asked.len, 5);
	endpoint = endpoint_of("127.0.0.1", &server);
	cr_expect(ask(&endpoint, "").good);
	tls_stop(&server);
}

Test(tls, refuses_a_server_of_another_ca_and_names_host_cause_and_option, .init = setup,
     .fini = teardown)
{
	struct tls_server server = tls_start(&leaf, NULL, TLS1_3_VERSION, HELLO);
	struct endpoint endpoint = endpoint_of("localhost", &server);
	struct asked asked;

	trust_in(&other_ca);
	asked = ask(&endpoint, "");
	cr_expect_not(asked.good);
	cr_expect_eq(error_exit_status(asked.error.code), 69);
	cr_expect_not_null(strstr(asked.error.text, url), "%s", asked.error.text);
	cr_expect_not_null(strstr(asked.error.text, "unable to get local issuer"), "%s",
			   asked.error.text);
	cr_expect_not_null(strstr(asked.error.text, "tls.ca_file"), "%s", asked.error.text);
	cr_expect_not(asked.transfer.request_sent, "nothing was said to it");
	tls_stop(&server);
}

/* libcurl's own habit: CAINFO widens the system's trust instead of replacing it. */
Test(tls, refuses_a_server_that_only_the_system_vouches_for, .init = setup, .fini = teardown)
{
	struct tls_server server = tls_start(&leaf, NULL, TLS1_3_VERSION, HELLO);
	struct endpoint endpoint = endpoint_of("localhost", &server);
	char name[32];

	tls_save("ca.pem", ca.certificate, NULL);
	(void)snprintf(name, sizeof(name), "%08lx.0", X509_subject_name_hash(ca.certificate));
	cr_assert_eq(symlink("ca.pem", name), 0);
	(void)setenv("SSL_CERT_DIR", directory, 1);
	(void)setenv("SSL_CERT_FILE", "ca.pem", 1);
	(void)setenv("CURL_CA_BUNDLE", "ca.pem", 1);
	trust_in(&other_ca);
	cr_expect_not(ask(&endpoint, "").good);
	(void)unlink(name);
	tls_stop(&server);
}

Test(tls, refuses_a_wrong_name_unless_server_name_says_it, .init = setup, .fini = teardown)
{
	struct tls_pair named = tls_make("server", "DNS:vault.internal", &ca, -60, 3600);
	struct tls_server server = tls_start(&named, NULL, TLS1_3_VERSION, HELLO);
	struct endpoint endpoint = endpoint_of("localhost", &server);
	struct asked asked;

	trust_in(&ca);
	asked = ask(&endpoint, "");
	cr_expect_not(asked.good);
	cr_expect_eq(asked.error.code, ERROR_UNAVAILABLE);
	cr_expect_not_null(strstr(asked.error.text, "tls.server_name"), "%s", asked.error.text);
	endpoint.server_name = "vault.internal";
	asked = ask(&endpoint, "");
	cr_expect(asked.good, "%s", asked.error.text);
	endpoint.server_name = "other.internal";
	cr_expect_not(ask(&endpoint, "").good);
	tls_stop(&server);
	tls_pair_free(&named);
}

Test(tls, says_that_a_certificate_is_over, .init = setup, .fini = teardown)
{
	struct tls_pair old = tls_make("server", "DNS:localhost", &ca, -3600, -60);
	struct tls_server server = tls_start(&old, NULL, TLS1_3_VERSION, HELLO);
	struct endpoint endpoint = endpoint_of("localhost", &server);
	struct asked asked;

	trust_in(&ca);
	asked = ask(&endpoint, "");
	cr_expect_not(asked.good);
	cr_expect_not_null(strstr(asked.error.text, "expired"), "%s", asked.error.text);
	cr_expect_not_null(strstr(asked.error.text, "clock"), "%s", asked.error.text);
	tls_stop(&server);
	tls_pair_free(&old);
}

Test(tls, speaks_1_2_and_nothing_older, .init = setup, .fini = teardown)
{
	struct tls_server old = tls_start(&leaf, NULL, TLS1_1_VERSION, HELLO);
	struct tls_server good = tls_start(&leaf, NULL, TLS1_2_VERSION, HELLO);
	struct endpoint endpoint = endpoint_of("localhost", &old);

	trust_in(&ca);
	cr_expect_eq(ask(&endpoint, "").error.code, ERROR_UNAVAILABLE);
	endpoint = endpoint_of("localhost", &good);
	cr_expect(ask(&endpoint, "").good);
	tls_stop(&old);
	tls_stop(&good);
}

Test(tls, shows_the_client_certificate, .init = setup, .fini = teardown)
{
	struct tls_pair me = tls_make("me", "DNS:me", &other_ca, -60, 3600);
	struct tls_server server = tls_start(&leaf, &other_ca, TLS1_2_VERSION, HELLO);
	struct endpoint endpoint = endpoint_of("localhost", &server);
	struct asked asked;

	trust_in(&ca);
	cr_expect_not(ask(&endpoint, "").good, "without one it is refused");
	tls_save("cert.pem", me.certificate, NULL);
	tls_save("key.pem", NULL, me.key);
	endpoint.cert_file = "cert.pem";
	endpoint.key_file = "key.pem";
	asked = ask(&endpoint, "");
	cr_expect(asked.good, "%s", asked.error.text);
	tls_stop(&server);
	tls_pair_free(&me);
}

Test(tls, refuses_an_identity_that_cannot_be_used_and_names_the_file, .init = setup,
     .fini = teardown)
{
	struct endpoint endpoint = { .url = "https://localhost:1",
				     .cert_file = "cert.pem",
				     .key_file = "key.pem" };

	trust_in(&ca);
	cr_expect_null(http_pool_new(client, &endpoint, trust_store(trust), &err));
	cr_expect_not_null(strstr(err.text, "cert.pem"));
	tls_save("cert.pem", leaf.certificate, NULL);
	tls_save("key.pem", NULL, other_ca.key);
	cr_expect_null(http_pool_new(client, &endpoint, trust_store(trust), &err));
	cr_expect_eq(err.code, ERROR_INVALID);
	cr_expect_not_null(strstr(err.text, "key.pem"), "%s", err.text);
	tls_save("key.pem", NULL, leaf.key);
	cr_assert_eq(chmod("key.pem", 0666), 0);
	cr_expect_null(http_pool_new(client, &endpoint, trust_store(trust), &err),
		       "others can write it");
	tls_save("key.pem", leaf.certificate, NULL);
	cr_assert_eq(chmod("key.pem", 0600), 0);
	cr_expect_null(http_pool_new(client, &endpoint, trust_store(trust), &err));
	cr_expect_not_null(strstr(err.text, "key.pem"));
}

Test(tls, refuses_plain_http_that_leaves_the_machine_and_strange_addresses, .init = setup,
     .fini = teardown)
{
	static const struct {
		const char *url;
		bool insecure, good;
	} rows[] = {
		{ "http://127.0.0.1:8200", false, true },
		{ "http://localhost:8200", false, true },
		{ "http://[::1]:8200", false, true },
		{ "http://10.0.0.1:8200", false, false },
		{ "http://10.0.0.1:8200", true, true },
		{ "http://localhost.evil:1", false, false },
		{ "https://10.0.0.1:8200", false, true },
		{ "ftp://127.0.0.1", true, false },
		{ "https://user:pw@host", true, false },
		{ "file:///etc/passwd", true, false },
		{ "https://", true, false },
	};

	trust_in(&ca);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct endpoint endpoint = { .url = rows[i].url,
					     .insecure_http = rows[i].insecure };
		struct http_pool *pool = http_pool_new(client, &endpoint, trust_store(trust), &err);

		cr_expect_eq(pool != NULL, rows[i].good, "row %zu: %s", i, err.text);
		if (!rows[i].good)
			cr_expect_eq(err.code, ERROR_INVALID, "row %zu", i);
		cr_expect_null(strstr(err.text, "pw"), "row %zu", i);
		(void)http_pool_free(pool);
	}
}

/* How often `needle` stands in the memory of this process that can be written; itself is kept in
 * two halves. */
static unsigned copies(const char *head, const char *tail)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	static char window[(1 << 20) + 64];
	size_t head_len = strlen(head), tail_len = strlen(tail);
	unsigned found = 0;
	unsigned long start, end;
	char rights[8], line[512];

	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) != 3 || rights[1] != 'w')
			continue;
		/* The terabytes that a sanitizer reserves are not where values go. */
		if (end - start > 1UL << 30)
			continue;
		for (unsigned long at = start; at < end; at += 1 << 20) {
			size_t want = end - at < sizeof(window) ? end - at : sizeof(window);
			ssize_t got;

			/* Not in the window itself. */
			if (at < (unsigned long)window + sizeof(window) &&
			    at + want > (unsigned long)window)
				continue;
			got = pread(memory, window, want, (off_t)at);
			for (ssize_t i = 0;
			     i + (ssize_t)(head_len + tail_len) <= got && i < 1 << 20; i++)
				if (memcmp(window + i, head, head_len) == 0 &&
				    memcmp(window + i + head_len, tail, tail_len) == 0)
					found++;
		}
		memset(window, 0, sizeof(window));
	}
	(void)fclose(maps);
	(void)close(memory);
	return found;
}

Test(tls, leaves_no_copy_of_a_value_or_token_in_freed_memory, .init = setup, .fini = teardown)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n";
	struct tls_server server;
	struct endpoint endpoint;
	struct buf reply = BUF_INIT(200), token = BUF_INIT(200);

	buf_printf(&reply, "%s%s%s", answer, CANARY_HEAD, CANARY_TAIL);
	server = tls_start(&leaf, NULL, TLS1_3_VERSION, reply.data);
	buf_deinit(&reply);
	endpoint = endpoint_of("localhost", &server);
	trust_in(&ca);
	for (int i = 0; i < 3; i++) {
		buf_printf(&token, "X-Vault-Token: %s%s\n", CANARY_TAIL, CANARY_HEAD);
		cr_expect_eq(ask(&endpoint, token.data).len, 26);
		buf_deinit(&token);
	}
	cr_expect_eq(copies(CANARY_HEAD, CANARY_TAIL), 0, "the value");
	cr_expect_eq(copies(CANARY_TAIL, CANARY_HEAD), 0, "the token");
	/* And the search does find what is there. */
	buf_printf(&token, "%s%s", CANARY_HEAD, CANARY_TAIL);
	cr_expect_eq(copies(CANARY_HEAD, CANARY_TAIL), 1);
	buf_deinit(&token);
	tls_stop(&server);
}
