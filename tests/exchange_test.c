/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>

#include "agent/exchange.h"
#include "tests/io/small_server.h"

/* A backend whose conversations do what their test says: need a fact, send requests, and end. */
struct backend {
	struct endpoint endpoints[3];
	size_t count;
	bool knows;
	bool need_fails;
};

struct talk {
	struct exchange x;
	struct backend *backend;
	enum request_kind kind;
	const char *path;
	const char *key; /* needed first */
	bool learns;	 /* this is the `need` conversation */
	bool once;
	bool ends_at_once;
	bool needs_for_ever;
	int last_status;
};

static struct loop *loop;
static struct http_client *client;
static struct wire *wire;
static struct backend backend;
static struct small_server servers[3];
static struct error err;
static unsigned alive; /* conversations */
static unsigned outstanding;
static int last_status; /* that a conversation was given */

static enum exchange_next step(struct exchange *x, const struct reply *reply, struct error *error)
{
	struct talk *talk = CONTAINER_OF(x, struct talk, x);

	if (reply != NULL) {
		talk->last_status = reply->status;
		last_status = reply->status;
		if (talk->learns)
			talk->backend->knows = true;
		if (reply->status != 200)
			return error_set(error, ERROR_DENIED, "status %d", reply->status),
			       EXCHANGE_FAILED;
		x->result = secret_version_new(error);
		cr_expect_eq(secret_version_add_bytes(x->result, "body", FIELD_STRING, reply->body,
						      reply->len, error),
			     0);
		return EXCHANGE_DONE;
	}
	if (talk->ends_at_once)
		return EXCHANGE_DONE;
	if (talk->key != NULL && (!talk->backend->knows || talk->needs_for_ever)) {
		(void)snprintf(x->need, sizeof(x->need), "%s", talk->key);
		return EXCHANGE_NEED;
	}
	request_reset(&x->request);
	x->request.kind = talk->kind;
	x->request.once = talk->once;
	buf_puts(&x->request.path, talk->path);
	return EXCHANGE_SEND;
}

static void talk_free(struct exchange *x)
{
	alive--;
	free(CONTAINER_OF(x, struct talk, x));
}

static const struct exchange_ops talk_ops = { step, talk_free };

static struct talk *talk_new(const char *path)
{
	struct talk *talk = calloc(1, sizeof(*talk));

	talk->x.ops = &talk_ops;
	talk->x.request = REQUEST_INIT;
	talk->backend = &backend;
	talk->path = path;
	alive++;
	return talk;
}

static bool endpoint(const struct backend *b, size_t i, struct endpoint *ret)
{
	if (i >= b->count)
		return false;
	*ret = b->endpoints[i];
	return true;
}

static struct exchange *need(struct backend *b, const struct secret_version *session,
			     const char *key, struct error *error)
{
	struct talk *talk;

	(void)session;
	if (b->need_fails) {
		(void)error_set(error, ERROR_DENIED, "not for you: %s", key);
		return NULL;
	}
	talk = talk_new("/learn");
	talk->learns = true;
	return &talk->x;
}

static const struct backend_ops ops = { .type = "test", .endpoint = endpoint, .need = need };

static void setup(void)
{
	loop = loop_new(&err);
	client = http_client_new(loop, clock_system(), &err);
	for (size_t i = 0; i < 3; i++)
		servers[i].fd = -1;
}

static void teardown(void)
{
	wire = wire_free(wire);
	cr_expect_eq(alive, 0, "every conversation is freed");
	client = http_client_free(client);
	for (size_t i = 0; i < 3; i++)
		small_stop(&servers[i]);
	loop = loop_free(loop);
}

typedef const char *answer_fn(struct small_server *, const char *);

static void serve(size_t count, answer_fn *const *answers)
{
	for (size_t i = 0; i < count; i++) {
		small_start(&servers[i], loop, answers[i]);
		backend.endpoints[i].url = servers[i].url;
	}
	backend.count = count;
	wire = wire_new(&ops, &backend, loop, client, clock_system(), &err);
	cr_assert_not_null(wire, "%s", err.text);
}

struct ran {
	struct run run;
	unsigned done;
	bool good;
	char body[64];
	struct error error;
};

static void on_done(struct run *run, struct secret_version *result, const struct error *error)
{
	struct ran *ran = CONTAINER_OF(run, struct ran, run);
	const struct field *field = result != NULL ? secret_version_field(result, "body") : NULL;

	ran->done++;
	ran->good = error == NULL;
	if (field != NULL)
		(void)snprintf(ran->body, sizeof(ran->body), "%.*s", (int)secret_len(field->value),
			       (const char *)secret_bytes(field->value));
	if (error != NULL)
		ran->error = *error;
	if (--outstanding == 0)
		loop_stop(loop);
}

static void start(struct ran *ran, struct talk *talk)
{
	*ran = (struct ran){ .run.done = on_done };
	outstanding++;
	cr_assert_eq(wire_run(wire, &talk->x, NULL, &ran->run, &err), 0, "%s", err.text);
	cr_expect_eq(ran->done, 0, "never from within wire_run");
}

static struct ran ran;

static void run_it(struct talk *talk)
{
	start(&ran, talk);
	loop_run(loop);
	cr_expect_eq(ran.done, 1);
}

static const char *hello(struct small_server *server, const char *request)
{
	(void)server;
	(void)request;
	return "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
}

static const char *sealed(struct small_server *server, const char *request)
{
	(void)server;
	(void)request;
	return "HTTP/1.1 503 Sealed\r\nContent-Length: 0\r\n\r\n";
}

static const char *silent(struct small_server *server, const char *request)
{
	(void)server;
	(void)request;
	return NULL;
}

static const char *cut(struct small_server *server, const char *request)
{
	(void)request;
	server->close_after = true;
	return "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhel";
}

Test(exchange, yields_the_result_of_a_conversation, .init = setup, .fini = teardown)
{
	struct talk *talk;

	serve(1, (answer_fn *[]){ hello });
	run_it(talk_new("/a"));
	cr_expect(ran.good, "%s", ran.error.text);
	cr_expect_str_eq(ran.body, "hello");
	cr_expect_eq(wire_requests(wire), 1);
	talk = talk_new("/a");
	talk->ends_at_once = true;
	run_it(talk);
	cr_expect(ran.good);
	cr_expect_eq(wire_requests(wire), 1);
}

Test(exchange, asks_the_next_address_and_stays_with_the_one_that_answers, .init = setup,
     .fini = teardown)
{
	serve(3, (answer_fn *[]){ sealed, hello, hello });
	small_stop(&servers[1]);
	run_it(talk_new("/a"));
	cr_expect(ran.good, "%s", ran.error.text);
	cr_expect_eq(servers[0].requests, 1);
	cr_expect_eq(servers[2].requests, 1);
	run_it(talk_new("/a"));
	cr_expect(ran.good);
	cr_expect_eq(servers[0].requests, 1);
	cr_expect_eq(servers[2].requests, 2);
	cr_expect_eq(wire_requests(wire), 4);
}

Test(exchange, hands_the_last_answer_to_the_backend_when_no_address_is_better, .init = setup,
     .fini = teardown)
{
	serve(2, (answer_fn *[]){ sealed, sealed });
	run_it(talk_new("/a"));
	cr_expect_not(ran.good);
	cr_expect_eq(last_status, 503);
	cr_expect_eq(wire_requests(wire), 2, "each once");
	small_stop(&servers[0]);
	small_stop(&servers[1]);
	run_it(talk_new("/a"));
	cr_expect_eq(ran.error.code, ERROR_UNAVAILABLE);
	cr_expect_not(ran.run.orphan);
}

Test(exchange, does_not_repeat_what_may_have_made_something, .init = setup, .fini = teardown)
{
	struct talk *talk;

	serve(2, (answer_fn *[]){ cut, hello });
	talk = talk_new("/creds");
	talk->once = true;
	run_it(talk);
	cr_expect_not(ran.good);
	cr_expect(ran.run.orphan);
	cr_expect_eq(servers[1].requests, 0);
	/* Whoever tries again later is not sent to the address that failed. */
	talk = talk_new("/creds");
	talk->once = true;
	run_it(talk);
	cr_expect(ran.good);
	cr_expect_not(ran.run.orphan);
	/* A plain read goes on at once. */
	small_stop(&servers[1]);
	small_start(&servers[2], loop, cut);
	run_it(talk_new("/a"));
	cr_expect_not(ran.good);
	cr_expect_not(ran.run.orphan);
	cr_expect_eq(servers[0].requests, 2);
}

Test(exchange, repeats_what_never_left, .init = setup, .fini = teardown)
{
	struct talk *talk;

	serve(2, (answer_fn *[]){ hello, hello });
	small_stop(&servers[0]);
	talk = talk_new("/creds");
	talk->once = true;
	run_it(talk);
	cr_expect(ran.good, "%s", ran.error.text);
	cr_expect_not(ran.run.orphan);
}

static const char *stale_thrice(struct small_server *server, const char *request)
{
	if (server->requests <= 3)
		return "HTTP/1.1 412 Stale\r\nContent-Length: 0\r\n\r\n";
	return hello(server, request);
}

static const char *stale(struct small_server *server, const char *request)
{
	(void)server;
	(void)request;
	return "HTTP/1.1 412 Stale\r\nContent-Length: 0\r\n\r\n";
}

Test(exchange, asks_a_stale_server_three_times_more_and_no_oftener, .init = setup, .fini = teardown)
{
	serve(2, (answer_fn *[]){ stale_thrice, hello });
	run_it(talk_new("/a"));
	cr_expect(ran.good);
	cr_expect_eq(servers[0].requests, 4);
	servers[0].answer = stale;
	run_it(talk_new("/a"));
	cr_expect_not(ran.good);
	cr_expect_eq(last_status, 412);
	cr_expect_eq(servers[0].requests, 8);
	cr_expect_eq(servers[1].requests, 0);
}

static char location[128];

static const char *redirect(struct small_server *server, const char *request)
{
	static char answer[256];

	if (strstr(request, "/there") != NULL)
		return hello(server, request);
	(void)snprintf(answer, sizeof(answer),
		       "HTTP/1.1 307 Elsewhere\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n",
		       location);
	return answer;
}

Test(exchange, follows_one_307_to_a_configured_address, .init = setup, .fini = teardown)
{
	serve(2, (answer_fn *[]){ redirect, hello });
	(void)snprintf(location, sizeof(location), "/v1/there?x=1#y");
	run_it(talk_new("/a"));
	cr_expect(ran.good, "%s", ran.error.text);
	cr_expect_eq(strncmp(servers[0].last, "GET /v1/there?x=1 ", 18), 0, "%s", servers[0].last);
	(void)snprintf(location, sizeof(location), "HTTP://127.0.0.1:%u/b", servers[1].port);
	run_it(talk_new("/a"));
	cr_expect(ran.good, "%s", ran.error.text);
	cr_expect_eq(strncmp(servers[1].last, "GET /b ", 7), 0);
	/* The address that was named is the one to ask from now on. */
	run_it(talk_new("/c"));
	cr_expect_eq(strncmp(servers[1].last, "GET /c ", 7), 0);
}

Test(exchange, follows_no_307_to_a_stranger_and_no_second_one, .init = setup, .fini = teardown)
{
	static const struct {
		const char *location;
		enum error_code code;
		const char *says;
	} rows[] = {
		{ "https://evil.example/v1/a", ERROR_UNAVAILABLE, "https://evil.example:443" },
		{ "http://127.0.0.1:1/v1/a", ERROR_UNAVAILABLE, "`address`" },
		{ "//evil.example/v1/a", ERROR_PROTOCOL, "no http" },
		{ "http://u@127.0.0.1/v1/a", ERROR_PROTOCOL, "no http" },
		{ "ftp://127.0.0.1/", ERROR_PROTOCOL, "no http" },
		{ "", ERROR_PROTOCOL, "without saying" },
		{ "/a", ERROR_UNAVAILABLE, "once more" },
	};

	serve(1, (answer_fn *[]){ redirect });
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t before = wire_requests(wire);

		(void)snprintf(location, sizeof(location), "%s", rows[i].location);
		run_it(talk_new("/a"));
		cr_expect_eq(ran.error.code, rows[i].code, "row %zu: %s", i, ran.error.text);
		cr_expect_not_null(strstr(ran.error.text, rows[i].says), "row %zu: %s", i,
				   ran.error.text);
		cr_expect_eq(wire_requests(wire) - before,
			     strcmp(rows[i].location, "/a") == 0 ? 2 : 1);
	}
}

Test(exchange, learns_a_fact_once_for_all_who_ask, .init = setup, .fini = teardown)
{
	struct ran all[50];

	serve(1, (answer_fn *[]){ hello });
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct talk *talk = talk_new("/a");

		talk->key = "mount:secret/";
		start(&all[i], talk);
	}
	loop_run(loop);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		cr_expect(all[i].good, "%s", all[i].error.text);
	cr_expect_eq(servers[0].requests, ARRAY_SIZE(all) + 1);
}

static const char *denied(struct small_server *server, const char *request)
{
	(void)server;
	(void)request;
	return "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n";
}

Test(exchange, a_fact_that_cannot_be_learned_fails_all_who_wait_once, .init = setup,
     .fini = teardown)
{
	struct ran all[5];
	struct talk *talk;

	serve(1, (answer_fn *[]){ denied });
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		talk = talk_new("/a");
		talk->key = "mount:secret/";
		start(&all[i], talk);
	}
	loop_run(loop);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		cr_expect_eq(all[i].done, 1);
		cr_expect_eq(all[i].error.code, ERROR_DENIED);
	}
	cr_expect_eq(servers[0].requests, 1);

	backend.knows = false;
	backend.need_fails = true;
	talk = talk_new("/a");
	talk->key = "mount:secret/";
	run_it(talk);
	cr_expect_not_null(strstr(ran.error.text, "not for you"));
}

Test(exchange, does_not_ask_for_a_fact_for_ever, .init = setup, .fini = teardown)
{
	struct talk *talk;

	serve(1, (answer_fn *[]){ hello });
	talk = talk_new("/a");
	talk->key = "mount:secret/";
	talk->needs_for_ever = true;
	run_it(talk);
	cr_expect_eq(ran.error.code, ERROR_PROTOCOL);
	cr_expect_lt(servers[0].requests, 20);
}

Test(exchange, reads_files_and_says_what_is_wrong_with_them, .init = setup, .fini = teardown)
{
	struct talk *talk;
	char path[] = "/tmp/agent-exchange-test-XXXXXX";
	int fd = mkstemp(path);

	cr_assert_eq(write(fd, "content", 7), 7);
	wire = wire_new(&ops, &backend, loop, NULL, clock_system(), &err);
	talk = talk_new(path);
	talk->kind = REQUEST_FILE;
	run_it(talk);
	cr_expect(ran.good, "%s", ran.error.text);
	cr_expect_str_eq(ran.body, "content");
	cr_assert_eq(unlink(path), 0);
	(void)close(fd);
	talk = talk_new(path);
	talk->kind = REQUEST_FILE;
	run_it(talk);
	cr_expect_eq(ran.error.code, ERROR_NOT_FOUND);
	run_it(talk_new("/a"));
	cr_expect_eq(ran.error.code, ERROR_INVALID, "no address");
}

/* One run in each place that a run can be in. */
static void start_everywhere(struct ran all[4])
{
	struct talk *talk;

	start(&all[0], talk_new("/flying"));
	talk = talk_new("/waiting");
	talk->key = "fact";
	start(&all[1], talk);
	talk = talk_new("/dev/null");
	talk->kind = REQUEST_FILE;
	start(&all[2], talk);
	talk = talk_new("/ready");
	talk->ends_at_once = true;
	start(&all[3], talk);
}

Test(exchange, cancels_each_run_once_wherever_it_is, .init = setup, .fini = teardown)
{
	struct ran all[4];

	serve(1, (answer_fn *[]){ silent });
	start_everywhere(all);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		wire_cancel(&all[i].run);
		wire_cancel(&all[i].run);
		cr_expect_eq(all[i].done, 0);
	}
	loop_run(loop);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		cr_expect_eq(all[i].done, 1);
		cr_expect_eq(all[i].error.code, ERROR_CANCELED);
		wire_cancel(&all[i].run);
	}
}

Test(exchange, a_wire_that_goes_cancels_what_runs_before_it_returns, .init = setup,
     .fini = teardown)
{
	struct ran all[4];

	serve(1, (answer_fn *[]){ silent });
	start_everywhere(all);
	wire = wire_free(wire);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		cr_expect_eq(all[i].done, 1);
		cr_expect_eq(all[i].error.code, ERROR_CANCELED);
	}
}

static void on_done_free(struct run *run, struct secret_version *result, const struct error *error)
{
	wire = wire_free(wire);
	on_done(run, result, error);
}

Test(exchange, a_wire_may_be_freed_from_a_result, .init = setup, .fini = teardown)
{
	struct ran all[3];

	serve(1, (answer_fn *[]){ hello });
	start(&all[0], talk_new("/a"));
	start(&all[1], talk_new("/a"));
	start(&all[2], talk_new("/a"));
	all[0].run.done = on_done_free;
	loop_run(loop);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		cr_expect_eq(all[i].done, 1);
	cr_expect_null(wire);
}

Test(exchange, new_pools_leave_what_is_under_way_alone, .init = setup, .fini = teardown)
{
	struct ran first;

	serve(1, (answer_fn *[]){ hello });
	start(&first, talk_new("/a"));
	cr_expect_eq(wire_reopen(wire, &err), 0);
	loop_run(loop);
	cr_expect(first.good, "%s", first.error.text);
	run_it(talk_new("/a"));
	cr_expect(ran.good);
	cr_expect_eq(servers[0].accepted, 2);

	backend.endpoints[0].url = "https://127.0.0.1:1";
	backend.endpoints[0].ca_file = "/nonexistent/ca.pem";
	cr_expect_eq(wire_reopen(wire, &err), -1);
	cr_expect_eq(err.code, ERROR_INVALID);
	cr_expect_not_null(strstr(err.text, "/nonexistent/ca.pem"));
	run_it(talk_new("/a"));
	cr_expect(ran.good, "the old pools stay");
}
