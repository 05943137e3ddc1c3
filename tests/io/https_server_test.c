/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/io/https_server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

#include "agent/io/tls_identity.h"
#include "certs/trust.h"
#include "tests/io/http_harness.h"
#include "tests/io/tls_server.h"

#define POST(length)                                                                               \
	"POST /mutate HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: " length       \
	"\r\n\r\n"

/* One end of a TLS connection, in the same thread as the server. */
struct client {
	SSL *ssl;
	int fd;
};

static struct harness harness;
static struct https_server *server;
static struct tls_pair authority, leaf;
static SSL_CTX *trusting;
static size_t served;
static size_t answer_len;
static const char *answer_bytes;

static void mutate(void *context, const struct https_request *request, struct https_answer *answer)
{
	cr_expect_eq(context, &harness);
	served++;
	if (answer_len > 0) {
		buf_put(answer->body, answer_bytes, answer_len);
		return;
	}
	buf_printf(answer->body, "%zu:%.8s", request->len, request->body);
}

static void live(void *context, const struct https_request *request, struct https_answer *answer)
{
	(void)context;
	cr_expect_eq(request->len, 0);
	served++;
	answer->status = 503;
	answer->type = "text/plain";
	buf_puts(answer->body, "not yet");
}

static const struct https_route routes[] = {
	{ "/mutate", "application/json", true, mutate },
	{ "/live", NULL, false, live },
	{ NULL, NULL, false, NULL },
};

static struct tls_identity *identity_of(const struct tls_pair *pair)
{
	struct error err = ERROR_INIT;
	struct tls_identity *identity;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/leaf.pem", harness.directory);
	tls_save(path, pair->certificate, pair->key);
	cr_assert_eq(chmod(path, 0600), 0);
	identity = tls_identity_read(path, path, &err);
	cr_assert_not_null(identity, "%s", err.text);
	(void)unlink(path);
	return identity;
}

static void open_with(X509_STORE *clients)
{
	const struct https_listen listen = {
		.address = "[::]:0",
		.routes = routes,
		.context = &harness,
		.clients = clients,
	};
	struct error err = ERROR_INIT;
	struct tls_identity *identity;

	harness_open(&harness);
	authority = tls_make("CA", NULL, NULL, -60, 3600);
	leaf = tls_make("webhook", "IP:127.0.0.1", &authority, -60, 3600);
	trusting = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_verify(trusting, SSL_VERIFY_PEER, NULL);
	(void)X509_STORE_add_cert(SSL_CTX_get_cert_store(trusting), authority.certificate);
	identity = identity_of(&leaf);
	server = https_server_new(harness.loop, &harness_clock, &listen, identity, &err);
	cr_assert_not_null(server, "%s", err.text);
	identity = tls_identity_free(identity);
}

static void open_server(void)
{
	open_with(NULL);
}

static void close_server(void)
{
	server = https_server_close(server);
	harness_pass(&harness, HTTPS_CLOSE_MS);
	harness_close(&harness);
	SSL_CTX_free(trusting);
	tls_pair_free(&authority);
	tls_pair_free(&leaf);
}

static int dial(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				       .sin_port = htons(https_server_port(server)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* False when the server does not want to talk. */
static bool shake(struct client *client, SSL_CTX *context)
{
	int result = 0;

	client->fd = dial();
	client->ssl = SSL_new(context);
	(void)SSL_set_fd(client->ssl, client->fd);
	for (int i = 0; i < 20 && result != 1; i++) {
		result = SSL_connect(client->ssl);
		harness_turn(&harness);
	}
	return result == 1;
}

static struct client client_new(void)
{
	struct client client;

	cr_assert(shake(&client, trusting));
	return client;
}

static void client_free(struct client *client)
{
	SSL_free(client->ssl);
	(void)close(client->fd);
	harness_turn(&harness);
}

/* With the server reading beside, until it has read all or closed. */
static void client_put(struct client *client, const char *bytes, size_t len)
{
	size_t sent = 0, wrote = 0;

	for (int idle = 0; sent < len && idle < 20;) {
		if (SSL_write_ex(client->ssl, bytes + sent, len - sent, &wrote) == 1) {
			sent += wrote;
			idle = 0;
		} else {
			idle++;
		}
		harness_turn(&harness);
	}
	for (size_t records = 0; records < len >> 14; records++)
		harness_turn(&harness);
}

static const char *client_get(struct client *client)
{
	size_t got = 0;

	harness.reply_len = 0;
	for (int idle = 0; idle < 4 && harness.reply_len < HARNESS_REPLY; idle++) {
		harness_turn(&harness);
		while (SSL_read_ex(client->ssl, harness.reply + harness.reply_len,
				   HARNESS_REPLY - harness.reply_len, &got) == 1) {
			harness.reply_len += got;
			idle = 0;
		}
	}
	harness.reply[harness.reply_len] = '\0';
	return harness.reply;
}

static unsigned client_says(struct client *client, const char *request)
{
	client_put(client, request, strlen(request));
	return status_of(client_get(client));
}

/* A request on a connection of its own. */
static unsigned say(const char *request)
{
	struct client client = client_new();
	unsigned status = client_says(&client, request);

	client_free(&client);
	return status;
}

static bool client_is_closed(struct client *client)
{
	char byte;

	(void)client_get(client);
	return recv(client->fd, &byte, 1, MSG_PEEK) == 0 || errno == ECONNRESET;
}

TestSuite(https_server, .init = open_server, .fini = close_server);
TestSuite(https_server_made);

Test(https_server, answers_post_and_get_on_one_connection)
{
	struct client client = client_new();

	for (int i = 0; i < 3; i++) {
		cr_expect_eq(client_says(&client, POST("7") "{\"a\":1}"), 200);
		cr_expect_str_eq(harness.reply,
				 "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n"
				 "Content-Type: application/json\r\n"
				 "Content-Length: 9\r\n\r\n7:{\"a\":1}");
		cr_expect_eq(client_says(&client, "GET /live HTTP/1.1\r\n\r\n"), 503);
		cr_expect_not_null(strstr(harness.reply, "text/plain"));
	}
	cr_expect_eq(https_server_counts(server)->requests, 6);
	client_free(&client);
	cr_expect_eq(https_server_counts(server)->connections, 0);
}

Test(https_server, takes_a_request_in_any_pieces)
{
	static const char request[] = POST("7") "{\"a\":1}" POST("7") "{\"b\":2}";
	struct client client;

	for (size_t cut = 1; cut < sizeof(request) - 1; cut++) {
		client = client_new();
		served = 0;
		client_put(&client, request, cut);
		client_put(&client, request + cut, sizeof(request) - 1 - cut);
		(void)client_get(&client);
		cr_expect_eq(served, 2, "cut at %zu", cut);
		cr_expect_not_null(strstr(harness.reply, "7:{\"b\":2}"), "cut at %zu", cut);
		client_free(&client);
	}
}

Test(https_server, a_client_that_pipelines_is_answered_and_then_sent_away)
{
	AUTO(buf_deinit) struct buf many = BUF_INIT(1 << 20);
	struct client client = client_new();

	for (int i = 0; i < 2 * HTTPS_PIPELINE_MAX; i++)
		buf_puts(&many, "GET /live HTTP/1.1\r\n\r\n");
	client_put(&client, many.data, many.len);
	cr_expect(client_is_closed(&client));
	cr_expect_not_null(strstr(harness.reply, "Connection: close"));
	cr_expect_eq(served, HTTPS_PIPELINE_MAX);
	client_free(&client);
}

Test(https_server, refuses_with_a_reason_that_the_client_can_read_and_closes)
{
	static const struct {
		const char *request;
		unsigned status;
		const char *text;
	} rows[] = {
		{ "POST /mutate HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: "
		  "2\r\n\r\n{}",
		  415, "Content-Type" },
		{ POST("8388608") "{", 413, "4 MiB" },
		{ "GET /mutate HTTP/1.1\r\n\r\n", 405, "Allow: POST\r\n" },
		{ "DELETE /live HTTP/1.1\r\n\r\n", 405, "Allow: GET\r\n" },
		{ "GET / HTTP/1.1\r\n\r\n", 404, "not found" },
		{ "hello\r\n\r\n", 400, "not a request" },
	};
	struct client client;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		client = client_new();
		cr_expect_eq(client_says(&client, rows[i].request), rows[i].status, "row %zu", i);
		cr_expect_not_null(strstr(harness.reply, rows[i].text), "row %zu: %s", i,
				   harness.reply);
		cr_expect_not_null(strstr(harness.reply, "Connection: close"), "row %zu", i);
		cr_expect(client_is_closed(&client), "row %zu", i);
		client_free(&client);
	}
	cr_expect_eq(served, 0);
	cr_expect_eq(https_server_counts(server)->refused, ARRAY_SIZE(rows));
	harness_pass(&harness, HTTPS_LINGER_MS);
	cr_expect_eq(https_server_counts(server)->connections, 0);
}

/* What was refused by its head alone gets no memory, however much of it comes. */
Test(https_server, a_body_of_8_mib_is_read_away_and_its_sender_told)
{
	struct client client = client_new();
	char *body = calloc(1, (size_t)8 << 20);

	client_put(&client, POST("8388608"), sizeof(POST("8388608")) - 1);
	client_put(&client, body, (size_t)8 << 20);
	cr_expect_eq(status_of(client_get(&client)), 413);
	client_free(&client);
	free(body);
}

Test(https_server, takes_a_body_of_its_limit)
{
	struct client client = client_new();
	char *body = malloc(HTTPS_BODY_MAX);

	memset(body, 'x', HTTPS_BODY_MAX);
	client_put(&client, POST("4194304"), sizeof(POST("4194304")) - 1);
	client_put(&client, body, HTTPS_BODY_MAX);
	cr_expect_str_eq(strstr(client_get(&client), "\r\n\r\n") + 4, "4194304:xxxxxxxx");
	client_free(&client);
	free(body);
}

Test(https_server, a_head_of_its_limit_is_read_and_one_byte_more_is_not)
{
	static const unsigned statuses[] = { 503, 503, 431 };
	char head[HTTPS_HEAD_MAX + 2];

	for (size_t i = 0; i < 3; i++) {
		size_t len = HTTPS_HEAD_MAX - 1 + i;
		int used = snprintf(head, sizeof(head), "GET /live HTTP/1.1\r\nX: ");

		memset(head + used, 'x', sizeof(head) - 1 - (size_t)used);
		memcpy(head + len - 4, "\r\n\r\n", 5);
		cr_expect_eq(say(head), statuses[i], "row %zu", i);
	}
}

Test(https_server, slow_clients_are_sent_away_when_their_time_is_over)
{
	static const struct {
		const char *part;
		unsigned status;
	} rows[] = {
		{ "", 0 },
		{ "P", 408 },
		{ POST("7"), 408 },
		{ POST("7") "{\"a\":1", 408 },
	};
	struct client client;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		client = client_new();
		client_put(&client, rows[i].part, strlen(rows[i].part));
		harness_pass(&harness, HTTPS_REQUEST_MS - 1);
		cr_expect_not(client_is_closed(&client), "row %zu", i);
		harness_pass(&harness, 1);
		cr_expect_eq(status_of(client_get(&client)), rows[i].status, "row %zu", i);
		cr_expect(client_is_closed(&client), "row %zu", i);
		client_free(&client);
	}
}

/* A drop each second does not stretch the time. */
Test(https_server, a_request_that_trickles_has_no_more_time_than_another)
{
	static const char request[] = POST("7");
	struct client client = client_new();
	size_t at = 0;

	for (int i = 0; i < 19; i++) {
		client_put(&client, request + at++, 1);
		harness_pass(&harness, HTTPS_REQUEST_MS / 20);
	}
	cr_expect_not(client_is_closed(&client));
	client_put(&client, request + at++, 1);
	harness_pass(&harness, HTTPS_REQUEST_MS / 20);
	cr_expect_eq(status_of(client_get(&client)), 408);
	client_free(&client);
}

Test(https_server, who_never_shakes_hands_or_rests_too_long_goes)
{
	struct client client = client_new();
	int fd = dial();

	cr_expect_eq(client_says(&client, "GET /live HTTP/1.1\r\n\r\n"), 503);
	harness_pass(&harness, HTTPS_HANDSHAKE_MS);
	cr_expect(client_closed(&harness, fd));
	cr_expect_eq(https_server_counts(server)->handshakes_failed, 1);
	harness_pass(&harness, HTTPS_IDLE_MS - HTTPS_HANDSHAKE_MS - 1);
	cr_expect_eq(client_says(&client, "GET /live HTTP/1.1\r\n\r\n"), 503);
	harness_pass(&harness, HTTPS_IDLE_MS);
	cr_expect(client_is_closed(&client));
	client_free(&client);
	(void)close(fd);
}

Test(https_server, serves_64_requests_at_once_and_tells_the_next_to_come_again)
{
	struct client clients[HTTPS_REQUESTS_MAX];

	for (size_t i = 0; i < HTTPS_REQUESTS_MAX; i++) {
		clients[i] = client_new();
		if (i == HTTPS_REQUESTS_MAX - 1)
			cr_expect_eq(say(POST("1") "1"), 200, "one place was left");
		client_put(&clients[i], POST("7") "{", sizeof(POST("7")));
	}
	cr_expect_eq(say(POST("1") "1"), 429);
	cr_expect_not_null(strstr(harness.reply, "Retry-After: 1\r\n"));
	cr_expect_eq(say("GET /live HTTP/1.1\r\n\r\n"), 503, "probes are answered all the same");
	cr_expect_eq(client_says(&clients[0], "\"a\":1}"), 200);
	cr_expect_eq(say(POST("1") "1"), 200, "its place is free again");
	for (size_t i = 0; i < HTTPS_REQUESTS_MAX; i++)
		client_free(&clients[i]);
	cr_expect_eq(https_server_counts(server)->refused_busy, 1);
}

/* Five bodies of 4 MiB, four of which have come but for `missing` bytes together. */
static unsigned with_bodies_missing(size_t missing)
{
	struct client clients[4];
	char *body = calloc(1, HTTPS_BODY_MAX);
	unsigned status;

	for (size_t i = 0; i < 4; i++) {
		clients[i] = client_new();
		client_put(&clients[i], POST("4194304"), sizeof(POST("4194304")) - 1);
		client_put(&clients[i], body, HTTPS_BODY_MAX - (i == 0 ? missing - 3 : 1));
	}
	status = say(POST("5") "12345");
	for (size_t i = 0; i < 4; i++)
		client_free(&clients[i]);
	free(body);
	return status;
}

Test(https_server, holds_16_mib_of_bodies_and_not_a_byte_more)
{
	cr_expect_eq(with_bodies_missing(6), 200);
	cr_expect_eq(with_bodies_missing(5), 200);
	cr_expect_eq(with_bodies_missing(4), 429);
	cr_expect_eq(say(POST("5") "12345"), 200, "and all of it comes free");
}

Test(https_server, idle_strangers_make_room_for_a_newcomer)
{
	enum { STRANGERS = HTTPS_CONNECTIONS_MAX + 44 };
	struct client api = client_new();
	int fds[STRANGERS];

	cr_expect_eq(client_says(&api, POST("7") "{\"a\":1}"), 200);
	for (size_t i = 0; i < STRANGERS; i++) {
		fds[i] = dial();
		harness_turn(&harness);
	}
	cr_expect_eq(https_server_counts(server)->connections, HTTPS_CONNECTIONS_MAX);
	cr_expect_eq(https_server_counts(server)->evicted, STRANGERS + 1 - HTTPS_CONNECTIONS_MAX);
	cr_expect_eq(client_says(&api, POST("7") "{\"a\":1}"), 200, "who was served stays longest");
	cr_expect_eq(say(POST("7") "{\"a\":1}"), 200);
	for (size_t i = 0; i < STRANGERS; i++)
		(void)close(fds[i]);
	client_free(&api);
}

Test(https_server, an_answer_that_is_not_taken_ends_with_the_requests_time)
{
	struct client client = client_new();
	const int little = 4096;
	char *bytes = calloc(1, HTTPS_ANSWER_MAX);

	(void)setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
	answer_bytes = bytes;
	answer_len = HTTPS_ANSWER_MAX;
	client_put(&client, POST("7") "{\"a\":1}", sizeof(POST("7") "{\"a\":1}") - 1);
	harness_pass(&harness, HTTPS_REQUEST_MS - 1);
	cr_expect_eq(https_server_counts(server)->connections, 1);
	harness_pass(&harness, 1);
	cr_expect_eq(https_server_counts(server)->connections, 0);
	client_free(&client);
	free(bytes);
}

Test(https_server, a_large_answer_arrives_whole_and_the_connection_goes_on)
{
	struct client client = client_new();
	const size_t large = (size_t)1 << 20;
	char *bytes = malloc(large);

	memset(bytes, 'y', large);
	answer_bytes = bytes;
	answer_len = large;
	client_put(&client, POST("7") "{\"a\":1}", sizeof(POST("7") "{\"a\":1}") - 1);
	client_put(&client, "GET /live HTTP/1.1\r\n\r\n", 22);
	(void)client_get(&client);
	cr_expect_gt(harness.reply_len, large);
	cr_expect_not_null(memmem(harness.reply + large, harness.reply_len - large, "not yet", 7));
	client_free(&client);
	free(bytes);
}

Test(https_server, an_answer_over_its_limit_is_an_error_of_ours)
{
	char *bytes = calloc(1, HTTPS_ANSWER_MAX + 1);

	answer_bytes = bytes;
	answer_len = HTTPS_ANSWER_MAX + 1;
	cr_expect_eq(say(POST("7") "{\"a\":1}"), 500);
	answer_len = 0;
	cr_expect_eq(say(POST("7") "{\"a\":1}"), 200);
	free(bytes);
}

Test(https_server, shows_a_new_certificate_to_new_connections_and_leaves_the_old_alone)
{
	struct tls_pair other = tls_make("other", "IP:127.0.0.1", &authority, -60, 7200);
	struct tls_identity *identity = identity_of(&other);
	struct client before = client_new(), after;
	struct error err = ERROR_INIT;

	cr_expect_eq(https_server_show(server, identity, &err), 0, "%s", err.text);
	after = client_new();
	cr_expect_eq(X509_cmp(SSL_get0_peer_certificate(after.ssl), other.certificate), 0);
	cr_expect_eq(client_says(&before, POST("7") "{\"a\":1}"), 200);
	cr_expect_eq(client_says(&after, POST("7") "{\"a\":1}"), 200);
	client_free(&before);
	client_free(&after);
	identity = tls_identity_free(identity);
	tls_pair_free(&other);
}

Test(https_server, a_server_that_retires_sends_its_clients_elsewhere_and_serves_them_until_then)
{
	struct client client = client_new();

	https_server_retire(server);
	cr_expect_eq(client_says(&client, POST("7") "{\"a\":1}"), 200);
	cr_expect_not_null(strstr(harness.reply, "Connection: close"));
	cr_expect(client_is_closed(&client));
	cr_expect_eq(say(POST("7") "{\"a\":1}"), 200);
	client_free(&client);
}

Test(https_server, a_request_in_flight_is_answered_when_the_server_closes)
{
	struct client client = client_new(), idle = client_new();

	client_put(&client, POST("7") "{\"a\":", sizeof(POST("7") "{\"a\":") - 1);
	server = https_server_close(server);
	cr_expect(client_is_closed(&idle));
	cr_expect_eq(client_says(&client, "1}"), 200);
	cr_expect(client_is_closed(&client));
	client_free(&client);
	client_free(&idle);
}

Test(https_server, speaks_no_tls_older_than_1_2)
{
	static const int versions[] = { TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION };
	struct client client;

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		(void)SSL_CTX_set_security_level(trusting, 0);
		(void)SSL_CTX_set_min_proto_version(trusting, versions[i]);
		(void)SSL_CTX_set_max_proto_version(trusting, versions[i]);
		cr_expect_eq(shake(&client, trusting), versions[i] >= TLS1_2_VERSION);
		client_free(&client);
	}
}

Test(https_server, garbage_instead_of_a_handshake_ends_the_connection)
{
	int fd = dial();

	cr_assert_gt(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 0);
	harness_turn(&harness);
	harness_turn(&harness);
	cr_expect_eq(https_server_counts(server)->connections, 0);
	(void)close(fd);
}

Test(https_server_made, asks_for_a_client_certificate_where_one_is_needed)
{
	struct tls_pair callers = tls_make("callers", NULL, NULL, -60, 3600);
	struct tls_pair good = tls_make("api", NULL, &callers, -60, 3600);
	struct tls_pair late = tls_make("api", NULL, &callers, -60, -30);
	X509_STORE *store = X509_STORE_new();
	struct client client;

	(void)X509_STORE_add_cert(store, callers.certificate);
	open_with(store);
	cr_expect_eq(say(POST("7") "{\"a\":1}"), 403);
	cr_expect_eq(say("GET /live HTTP/1.1\r\n\r\n"), 503, "a probe has none");
	(void)SSL_CTX_use_certificate(trusting, good.certificate);
	(void)SSL_CTX_use_PrivateKey(trusting, good.key);
	cr_expect_eq(say(POST("7") "{\"a\":1}"), 200);
	(void)SSL_CTX_use_certificate(trusting, late.certificate);
	(void)SSL_CTX_use_PrivateKey(trusting, late.key);
	/* With TLS 1.3 a client learns it with its first answer. */
	if (shake(&client, trusting))
		cr_expect_eq(client_says(&client, POST("7") "{\"a\":1}"), 0);
	client_free(&client);
	cr_expect_eq(served, 2);
	close_server();
	X509_STORE_free(store);
	tls_pair_free(&callers);
	tls_pair_free(&good);
	tls_pair_free(&late);
}

Test(https_server_made, an_address_that_cannot_be_read_is_refused_by_name)
{
	static const char *const addresses[] = { "8443",     ":8443",	  "localhost:8443",
						 "[::]",     "[::]:x",	  "[::]:65536",
						 "::1:8443", "[::g]:8443" };
	struct https_listen listen = { .routes = routes };
	struct tls_identity *identity;
	struct error err = ERROR_INIT;

	open_server();
	identity = identity_of(&leaf);
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		listen.address = addresses[i];
		cr_expect_null(
			https_server_new(harness.loop, &harness_clock, &listen, identity, &err),
			"%s", addresses[i]);
		cr_expect_eq(err.code, ERROR_INVALID);
		cr_expect_not_null(strstr(err.text, addresses[i]), "%s", err.text);
	}
	identity = tls_identity_free(identity);
	close_server();
}
