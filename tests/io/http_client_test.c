/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "agent/base/text.h"
#include "agent/io/http_client.h"
#include "tests/io/small_server.h"

static struct loop *loop;
static struct http_client *client;
static struct http_pool *pool;
static struct small_server server;
static struct error err;

static void setup(void)
{
	loop = loop_new(&err);
	client = http_client_new(loop, clock_system(), &err);
	cr_assert_not_null(client);
}

/* loop_free aborts when a handle of libuv was left behind. */
static void teardown(void)
{
	pool = http_pool_free(pool);
	client = http_client_free(client);
	small_stop(&server);
	loop = loop_free(loop);
}

static void serve(const char *(*answer)(struct small_server *, const char *))
{
	struct endpoint endpoint = { 0 };

	small_start(&server, loop, answer);
	endpoint.url = server.url;
	pool = http_pool_new(client, &endpoint, NULL, &err);
	cr_assert_not_null(pool, "%s", err.text);
}

/* One request of a test, with what came of it. */
struct asked {
	struct http_transfer transfer;
	struct request request;
	unsigned done;
	bool good;
	int status;
	char body[256];
	char location[128];
	int64_t retry_after_ms;
	struct stamp sent, received;
	struct error error;
};

static unsigned outstanding;

static void on_done(struct http_transfer *transfer, const struct reply *reply,
		    const struct error *error)
{
	struct asked *asked = CONTAINER_OF(transfer, struct asked, transfer);

	asked->done++;
	asked->good = reply != NULL;
	cr_expect((reply != NULL) != (error != NULL));
	if (reply != NULL) {
		asked->status = reply->status;
		asked->retry_after_ms = reply->retry_after_ms;
		asked->sent = reply->sent;
		asked->received = reply->received;
		cr_expect_eq(reply->body[reply->len], '\0');
		(void)snprintf(asked->body, sizeof(asked->body), "%s", reply->body);
		(void)snprintf(asked->location, sizeof(asked->location), "%s",
			       reply->location != NULL ? reply->location : "");
	} else {
		asked->error = *error;
	}
	if (--outstanding == 0)
		loop_stop(loop);
}

static void prepare(struct asked *asked)
{
	*asked = (struct asked){ .transfer.done = on_done, .request = REQUEST_INIT };
	request_reset(&asked->request);
	buf_puts(&asked->request.path, "/v1/secret?x=1");
}

static void send_it(struct asked *asked, int64_t timeout_ms)
{
	outstanding++;
	cr_assert_eq(http_send(pool, &asked->request, timeout_ms, &asked->transfer, &err), 0, "%s",
		     err.text);
	cr_expect_eq(asked->done, 0, "never from within http_send");
	request_deinit(&asked->request);
}

static void ask(struct asked *asked)
{
	prepare(asked);
	send_it(asked, 0);
	loop_run(loop);
	cr_expect_eq(asked->done, 1);
}

static const char *answer_hello(struct small_server *s, const char *request)
{
	(void)s;
	(void)request;
	return "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nRetry-After: 7\r\nLocation: "
	       "/there\r\n\r\nhello";
}

Test(http_client, gives_the_reply_with_its_stamps_and_headers, .init = setup, .fini = teardown)
{
	struct asked asked;
	struct stamp before = clock_now(clock_system());

	serve(answer_hello);
	ask(&asked);
	cr_expect(asked.good, "%s", asked.error.text);
	cr_expect_eq(asked.status, 200);
	cr_expect_str_eq(asked.body, "hello");
	cr_expect_str_eq(asked.location, "/there");
	cr_expect_eq(asked.retry_after_ms, 7000);
	cr_expect(asked.transfer.reply_began);
	cr_expect(asked.transfer.request_sent);
	cr_expect_geq(asked.sent.boot_ms, before.boot_ms);
	cr_expect_geq(asked.received.boot_ms, asked.sent.boot_ms);
}

Test(http_client, sends_method_headers_and_body_as_given_and_nothing_of_its_own_taste,
     .init = setup, .fini = teardown)
{
	struct asked asked;

	serve(answer_hello);
	prepare(&asked);
	asked.request.method = "PUT";
	buf_puts(&asked.request.headers, "X-Vault-Token: tok\nX-Empty:\nX-Vault-Request: true\n");
	buf_puts(&asked.request.body, "{\"a\":1}");
	send_it(&asked, 0);
	loop_run(loop);
	cr_expect(asked.good);
	cr_expect_eq(strncmp(server.last, "PUT /v1/secret?x=1 HTTP/1.1\r\n", 29), 0, "%s",
		     server.last);
	cr_expect_not_null(strstr(server.last, "\r\nX-Vault-Token: tok\r\n"));
	cr_expect_not_null(strstr(server.last, "\r\nX-Empty:\r\n"));
	cr_expect_not_null(strstr(server.last, "\r\nX-Vault-Request: true\r\n"));
	cr_expect_not_null(strstr(server.last, "\r\n\r\n{\"a\":1}"));
	cr_expect_null(strstr(server.last, "Expect"));
	cr_expect_null(strstr(server.last, "Content-Type"));
	cr_expect_null(strstr(server.last, "Accept-Encoding"));
	/* An empty body is sent as such, and a GET has none. */
	prepare(&asked);
	asked.request.method = "POST";
	send_it(&asked, 0);
	loop_run(loop);
	cr_expect_not_null(strstr(server.last, "\r\nContent-Length: 0\r\n"));
	ask(&asked);
	cr_expect_eq(strncmp(server.last, "GET ", 4), 0);
	cr_expect_null(strstr(server.last, "Content-Length"));
	cr_expect_eq(server.accepted, 1, "kept alive");
}

Test(http_client, refuses_requests_that_would_be_other_requests, .init = setup, .fini = teardown)
{
	static const char *const headers[] = { "no colon\n", "A: b\r\nC: d\n", "\rA: b\n" };
	struct asked asked;

	serve(answer_hello);
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		prepare(&asked);
		buf_puts(&asked.request.headers, headers[i]);
		cr_expect_eq(http_send(pool, &asked.request, 0, &asked.transfer, &err), -1,
			     "row %zu", i);
		cr_expect_eq(err.code, ERROR_INVALID);
		request_deinit(&asked.request);
	}
	prepare(&asked);
	buf_reset(&asked.request.path);
	buf_puts(&asked.request.path, "@evil/");
	cr_expect_eq(http_send(pool, &asked.request, 0, &asked.transfer, &err), -1);
	request_deinit(&asked.request);
}

Test(http_client, says_that_nobody_answers_and_where, .init = setup, .fini = teardown)
{
	struct asked asked;

	serve(answer_hello);
	small_stop(&server);
	ask(&asked);
	cr_expect_not(asked.good);
	cr_expect_eq(asked.error.code, ERROR_UNAVAILABLE);
	cr_expect_not_null(strstr(asked.error.text, server.url), "%s", asked.error.text);
	cr_expect_null(strstr(asked.error.text, "secret"), "the path is nobody's business");
	cr_expect_not(asked.transfer.reply_began);
	cr_expect_not(asked.transfer.request_sent);
}

static const char *answer_silence(struct small_server *s, const char *request)
{
	(void)s;
	(void)request;
	return NULL;
}

Test(http_client, gives_up_on_a_server_that_never_answers, .init = setup, .fini = teardown)
{
	struct asked asked;

	serve(answer_silence);
	prepare(&asked);
	send_it(&asked, 50);
	loop_run(loop);
	cr_expect_eq(asked.error.code, ERROR_UNAVAILABLE);
	cr_expect(asked.transfer.request_sent);
	cr_expect_not(asked.transfer.reply_began);
}

Test(http_client, cancels_what_waits_and_what_flies_from_the_loop_once_each, .init = setup,
     .fini = teardown)
{
	struct asked asked[HTTP_CONNECTIONS_MAX + 2];

	serve(answer_silence);
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		prepare(&asked[i]);
		send_it(&asked[i], 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		http_cancel(&asked[i].transfer);
		http_cancel(&asked[i].transfer);
		cr_expect_eq(asked[i].done, 0);
	}
	loop_run(loop);
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		cr_expect_eq(asked[i].done, 1);
		cr_expect_eq(asked[i].error.code, ERROR_CANCELED);
		http_cancel(&asked[i].transfer);
	}
}

Test(http_client, a_pool_that_goes_takes_its_transfers_along, .init = setup, .fini = teardown)
{
	struct asked asked[HTTP_CONNECTIONS_MAX + 2];

	serve(answer_silence);
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		prepare(&asked[i]);
		send_it(&asked[i], 0);
	}
	http_cancel(&asked[0].transfer);
	pool = http_pool_free(pool);
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		cr_expect_eq(asked[i].done, 1);
		cr_expect_eq(asked[i].error.code, ERROR_CANCELED);
	}
}

static void on_done_free_pool(struct http_transfer *transfer, const struct reply *reply,
			      const struct error *error)
{
	pool = http_pool_free(pool);
	on_done(transfer, reply, error);
}

Test(http_client, a_pool_may_be_freed_from_a_reply, .init = setup, .fini = teardown)
{
	struct asked asked[4];

	serve(answer_hello);
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		prepare(&asked[i]);
		if (i == 0)
			asked[i].transfer.done = on_done_free_pool;
		send_it(&asked[i], 0);
	}
	loop_run(loop);
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
		cr_expect_eq(asked[i].done, 1);
	cr_expect_null(pool);
	cr_expect_str_eq(asked[0].body, "hello", "the reply outlives the pool for this call");
}

static const char *scripted;

static const char *answer_scripted(struct small_server *s, const char *request)
{
	(void)s;
	(void)request;
	return scripted;
}

Test(http_client, counts_the_reply_at_its_limit_with_and_without_a_length, .init = setup,
     .fini = teardown)
{
	static const struct {
		const char *answer;
		bool good;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789", true },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1234567890", true },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n12345678901", false },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n5\r\n12345\r\n5\r\n67890\r\n0\r\n\r\n",
		  true },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n5\r\n12345\r\n6\r\n678901\r\n0\r\n\r\n",
		  false },
	};
	struct asked asked;

	serve(answer_scripted);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		scripted = rows[i].answer;
		prepare(&asked);
		asked.request.reply_max = 10;
		send_it(&asked, 0);
		loop_run(loop);
		cr_expect_eq(asked.good, rows[i].good, "row %zu: %s", i, asked.error.text);
		if (!rows[i].good) {
			cr_expect_eq(asked.error.code, ERROR_EXHAUSTED, "row %zu", i);
			cr_expect_not_null(strstr(asked.error.text, "10 bytes"));
		}
	}
}

Test(http_client, takes_64_headers_and_not_one_more, .init = setup, .fini = teardown)
{
	struct asked asked;

	serve(answer_scripted);
	for (unsigned count = HTTP_HEADERS_MAX - 1; count <= HTTP_HEADERS_MAX + 1; count++) {
		AUTO(buf_deinit) struct buf answer = BUF_INIT(8192);

		buf_puts(&answer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
		for (unsigned i = 1; i < count; i++)
			buf_printf(&answer, "X-%u: y\r\n", i);
		buf_puts(&answer, "\r\n");
		scripted = answer.data;
		ask(&asked);
		cr_expect_eq(asked.good, count <= HTTP_HEADERS_MAX, "%u", count);
		if (!asked.good)
			cr_expect_eq(asked.error.code, ERROR_EXHAUSTED);
	}
}

Test(http_client, a_reply_that_is_cut_is_no_reply, .init = setup, .fini = teardown)
{
	static const struct {
		const char *answer;
		bool began;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", true },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", true },
		{ "HTTP/1.1 200 OK\r\nContent-Le", true },
		{ "", false },
		{ "SSH-2.0-OpenSSH\r\n", false },
	};
	struct asked asked;

	serve(answer_scripted);
	server.close_after = true;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		scripted = rows[i].answer;
		ask(&asked);
		cr_expect_not(asked.good, "row %zu", i);
		cr_expect_eq(asked.error.code, ERROR_UNAVAILABLE, "row %zu", i);
		cr_expect(asked.transfer.request_sent, "row %zu", i);
		cr_expect_eq(asked.transfer.reply_began, rows[i].began, "row %zu", i);
	}
}

static struct stamp noon(const struct clock *clock)
{
	(void)clock;
	return (struct stamp){ 1000, 1795608000000 }; /* Wed, 25 Nov 2026 12:00:00 GMT */
}

Test(http_client, reads_retry_after_in_seconds_and_dates_within_its_bounds, .init = setup,
     .fini = teardown)
{
	static const struct clock fixed = { noon, NULL };
	static const struct {
		const char *value;
		int64_t ms;
	} rows[] = {
		{ "5", 5000 },
		{ "0", 1000 },
		{ "1", 1000 },
		{ "300", 300000 },
		{ "301", 300000 },
		{ "99999999999999999999999", 300000 },
		{ "-1", -1 },
		{ "5 apples", -1 },
		{ "", -1 },
		{ "soon", -1 },
		{ "Wed, 25 Nov 2026 12:00:30 GMT", 30000 },
		{ "Wed, 25 Nov 2026 11:00:00 GMT", 1000 },
		{ "Wed, 25 Nov 2026 18:00:00 GMT", 300000 },
	};
	struct asked asked;

	client = http_client_free(client);
	client = http_client_new(loop, &fixed, &err);
	serve(answer_scripted);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char answer[200];

		(void)snprintf(answer, sizeof(answer),
			       "HTTP/1.1 503 No\r\nContent-Length: 0\r\nretry-after: %s\r\n\r\n",
			       rows[i].value);
		scripted = answer;
		ask(&asked);
		cr_expect_eq(asked.status, 503);
		cr_expect_eq(asked.retry_after_ms, rows[i].ms, "row %zu: %lld", i,
			     (long long)asked.retry_after_ms);
	}
}

Test(http_client, follows_nothing_by_itself_and_forgets_what_interim_replies_say, .init = setup,
     .fini = teardown)
{
	struct asked asked;

	serve(answer_scripted);
	scripted = "HTTP/1.1 307 There\r\nContent-Length: 0\r\nLocation: /other\r\n\r\n";
	ask(&asked);
	cr_expect_eq(asked.status, 307);
	cr_expect_eq(server.requests, 1);
	scripted =
		"HTTP/1.1 103 Hints\r\nLocation: /bad\r\nRetry-After: 9\r\n\r\n"
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	ask(&asked);
	cr_expect_eq(asked.status, 200);
	cr_expect_str_eq(asked.location, "");
	cr_expect_eq(asked.retry_after_ms, -1);
}

Test(http_client, opens_no_more_than_its_connections_and_lets_the_others_wait, .init = setup,
     .fini = teardown)
{
	struct asked asked[4 * HTTP_CONNECTIONS_MAX];

	serve(answer_hello);
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		prepare(&asked[i]);
		send_it(&asked[i], 0);
	}
	loop_run(loop);
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
		cr_expect(asked[i].good, "%s", asked[i].error.text);
	cr_expect_eq(server.accepted, HTTP_CONNECTIONS_MAX);
}

static void when_over(void *context)
{
	(void)context;
	loop_stop(loop);
}

Test(http_client, an_idle_pool_keeps_one_connection, .init = setup, .fini = teardown)
{
	struct asked asked[HTTP_CONNECTIONS_MAX];
	struct loop_timer *timer = loop_timer_new(loop, when_over, NULL, &err);

	serve(answer_hello);
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		prepare(&asked[i]);
		send_it(&asked[i], 0);
	}
	loop_run(loop);
	cr_expect_eq(server.closed, 0);
	loop_timer_set(timer, clock_now(clock_system()).boot_ms + HTTP_IDLE_OTHERS_MS + 500);
	loop_run(loop);
	cr_expect_eq(server.closed, HTTP_CONNECTIONS_MAX - 1);
	ask(&asked[0]);
	cr_expect(asked[0].good);
	cr_expect_eq(server.accepted, HTTP_CONNECTIONS_MAX, "the one that was kept");
	(void)loop_timer_free(timer);
}

Test(http_client, takes_no_proxy_from_the_environment, .init = setup, .fini = teardown)
{
	struct asked asked;

	(void)setenv("http_proxy", "http://127.0.0.1:1", 1);
	(void)setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	serve(answer_hello);
	ask(&asked);
	cr_expect(asked.good, "%s", asked.error.text);
}
