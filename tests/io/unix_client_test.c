/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/io/unix_client.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/io/listen.h"
#include "tests/io/http_harness.h"

static char directory[] = "/tmp/agent-test-XXXXXX", path[96];
static pid_t server;

static void make_directory(void)
{
	cr_assert_not_null(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/agent.sock", directory);
}

static void end_server(void)
{
	if (server > 0) {
		(void)kill(server, SIGKILL);
		(void)waitpid(server, NULL, 0);
	}
	(void)unlink(path);
	(void)rmdir(directory);
}

/* A process that sends `bytes` to whoever connects; `last`: and closes then. */
static void answer_with(const char *bytes, size_t len, bool last)
{
	struct listen_name name;
	struct error err = ERROR_INIT;
	int fd = listen_unix(path, 0600, &name, &err), accepted;
	char request[512];

	cr_assert_geq(fd, 0, "%s", err.text);
	(void)fcntl(fd, F_SETFL, 0);
	server = fork();
	if (server > 0) {
		(void)close(fd);
		return;
	}
	accepted = accept(fd, NULL, NULL);
	(void)recv(accepted, request, sizeof(request), 0);
	(void)send(accepted, bytes, len, MSG_NOSIGNAL);
	if (last)
		(void)close(accepted);
	for (;;)
		(void)pause();
}

static int get(struct unix_get get_, struct unix_reply *reply, struct error *err)
{
	get_.socket = get_.socket != NULL ? get_.socket : path;
	get_.target = get_.target != NULL ? get_.target : "/";
	return unix_client_get(clock_system(), &get_, reply, err);
}

TestSuite(unix_client, .init = make_directory, .fini = end_server);

static void serve(void *context, struct http_call *call, const struct http_head *head)
{
	(void)context;
	http_answer(call, &(struct http_answer){
				  .status = head->if_none_match != NULL ? 304 : 200,
				  .etag = "7",
				  .body = "a\0b",
				  .len = 3,
			  });
}

Test(unix_client, gets_what_our_own_server_answers)
{
	AUTO(unix_reply_deinit) struct unix_reply reply = { 0 };
	struct error err = ERROR_INIT;
	int ready[2];
	char byte = 0;

	cr_assert_eq(pipe(ready), 0);
	server = fork();
	if (server == 0) {
		struct loop *loop = loop_new(&err);
		struct http_server *made = http_server_new(
			loop, clock_system(), &(struct http_listen){ .path = path, .mode = 0600 },
			serve, NULL, &err);

		if (made == NULL || write(ready[1], &byte, 1) != 1)
			_exit(1);
		loop_run(loop);
		_exit(0);
	}
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	cr_expect_eq(get((struct unix_get){ 0 }, &reply, &err), 0, "%s", err.text);
	cr_expect_eq(reply.status, 200);
	cr_expect_str_eq(reply.etag, "7");
	cr_expect_eq(reply.body.len, 3);
	cr_expect_eq(memcmp(reply.body.data, "a\0b", 3), 0);
	unix_reply_deinit(&reply);
	cr_expect_eq(get((struct unix_get){ .if_none_match = "7" }, &reply, &err), 0, "%s",
		     err.text);
	cr_expect_eq(reply.status, 304);
	cr_expect_eq(reply.body.len, 0);
}

Test(unix_client, says_that_nobody_listens)
{
	struct unix_reply reply;
	struct error err = ERROR_INIT;
	static const char too_long[] =
		"/tmp/"
		"01234567890123456789012345678901234567890123456789012345678"
		"9012345678901234567890123456789012345678901234567890";

	cr_expect_eq(get((struct unix_get){ 0 }, &reply, &err), -1);
	cr_expect_eq(err.code, ERROR_UNAVAILABLE);
	cr_expect_not_null(strstr(err.text, path));
	cr_expect_eq(get((struct unix_get){ .socket = too_long }, &reply, &err), -1);
	cr_expect_eq(err.code, ERROR_INVALID);
	cr_expect_not_null(strstr(err.text, "107"));
}

Test(unix_client, refuses_an_answer_past_its_limit_and_not_one_at_it)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
	struct unix_reply reply;
	struct error err = ERROR_INIT;

	answer_with(answer, sizeof(answer) - 1, false);
	cr_expect_eq(get((struct unix_get){ .reply_max = 5 }, &reply, &err), 0, "%s", err.text);
	cr_expect_str_eq(buf_string(&reply.body), "hello");
	unix_reply_deinit(&reply);
	end_server();
	cr_assert_eq(mkdir(directory, 0700), 0);
	answer_with(answer, sizeof(answer) - 1, false);
	cr_expect_eq(get((struct unix_get){ .reply_max = 4 }, &reply, &err), -1);
	cr_expect_eq(err.code, ERROR_EXHAUSTED);
}

Test(unix_client, refuses_garbage)
{
	struct unix_reply reply;
	struct error err = ERROR_INIT;

	answer_with("SSH-2.0-OpenSSH\r\n\r\n", 19, false);
	cr_expect_eq(get((struct unix_get){ 0 }, &reply, &err), -1);
	cr_expect_eq(err.code, ERROR_PROTOCOL);
}

Test(unix_client, refuses_an_answer_that_is_cut)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello";
	struct unix_reply reply;
	struct error err = ERROR_INIT;

	answer_with(answer, sizeof(answer) - 1, true);
	cr_expect_eq(get((struct unix_get){ 0 }, &reply, &err), -1);
	cr_expect_eq(err.code, ERROR_PROTOCOL);
}

Test(unix_client, gives_up_when_its_time_is_over)
{
	struct unix_reply reply;
	struct error err = ERROR_INIT;

	answer_with("HTTP/1.1 200 OK\r\n", 17, false);
	cr_expect_eq(get((struct unix_get){ .timeout_ms = 1 }, &reply, &err), -1);
	cr_expect_eq(err.code, ERROR_UNAVAILABLE);
	cr_expect_not_null(strstr(err.text, "in time"));
}

Test(unix_client, says_that_the_agent_ended_before_it_answered)
{
	struct unix_reply reply;
	struct error err = ERROR_INIT;

	answer_with("", 0, true);
	cr_expect_eq(get((struct unix_get){ 0 }, &reply, &err), -1);
	cr_expect_eq(err.code, ERROR_UNAVAILABLE);
	cr_expect_not_null(strstr(err.text, "ended before"));
}

Test(unix_client, is_canceled_by_bytes_and_by_an_end)
{
	struct unix_reply reply;
	struct error err = ERROR_INIT;
	int ends[2];

	answer_with("HTTP/1.1 200 OK\r\n", 17, false);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	cr_expect_eq(
		get((struct unix_get){ .timeout_ms = 1, .canceled_by = &ends[0] }, &reply, &err),
		-1);
	cr_expect_eq(err.code, ERROR_UNAVAILABLE);
	cr_assert_eq(write(ends[1], "x", 1), 1);
	cr_expect_eq(get((struct unix_get){ .canceled_by = &ends[0] }, &reply, &err), -1);
	cr_expect_eq(err.code, ERROR_CANCELED);
	(void)close(ends[1]);
	cr_expect_eq(get((struct unix_get){ .canceled_by = &ends[0] }, &reply, &err), -1);
	cr_expect_eq(err.code, ERROR_CANCELED);
}
