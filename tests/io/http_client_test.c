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
