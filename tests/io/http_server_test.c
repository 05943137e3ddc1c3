/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/io/http_server.h"

#include <criterion/criterion.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "agent/io/listen.h"
#include "tests/io/http_harness.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

static struct harness harness;
static struct http_server *server;
static struct http_head last;
static char seen[512];
static size_t served;
static struct secret *large;

/* /echo, /large (a secret of 1 MiB), /wait (until it has expired or `seen` says go). */
static void serve(void *context, struct http_call *call, const struct http_head *head)
{
	cr_expect_eq(context, &harness);
	served++;
	last = *head;
	seen[0] = '\0';
	for (size_t i = 0; i < head->segment_count; i++)
		(void)snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "[%s]",
			       head->segments[i]);
	(void)snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "?%s", head->query);
	if (head->segment_count == 1 && strcmp(head->segments[0], "large") == 0)
		http_answer(call, &(struct http_answer){ .status = 200, .secret = large });
	else if (head->segment_count == 1 && strcmp(head->segments[0], "wait") == 0 &&
		 !head->expired)
		http_defer(call, 30000);
	else
		http_answer(call, &(struct http_answer){
					  .status = head->expired ? 304 : 200,
					  .etag = "7",
					  .type = "text/plain",
					  .body = seen,
					  .len = strlen(seen),
				  });
}

static void open_with(struct http_listen listen)
{
	struct error err = ERROR_INIT;

	harness_open(&harness);
	listen.path = harness.path;
	if (listen.mode == 0)
		listen.mode = 0600;
	server = http_server_new(harness.loop, &harness_clock, &listen, serve, &harness, &err);
	cr_assert_not_null(server, "%s", err.text);
}

static void open_server(void)
{
	open_with((struct http_listen){ 0 });
}

static void close_server(void)
{
	server = http_server_close(server);
	harness_pass(&harness, HTTP_SERVER_CLOSE_MS);
	harness_close(&harness);
}

TestSuite(http_server, .init = open_server, .fini = close_server);
TestSuite(http_server_made);

Test(http_server, answers_a_get_with_its_head_and_keeps_the_connection)
{
	int fd = client_open(&harness);
	const char *reply = client_ask(&harness, fd, GET("/a%20b/c?wait=3s"));

	cr_expect_str_eq(reply,
			 "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nETag: \"7\"\r\n"
			 "Content-Type: text/plain\r\nContent-Length: 16\r\n\r\n"
			 "[a b][c]?wait=3s");
	cr_expect_eq(last.peer.uid, getuid());
	cr_expect_eq(last.peer.gid, getgid());
	cr_expect_eq(last.peer.pid, getpid());
	cr_expect_eq(status_of(client_ask(&harness, fd, GET("/again"))), 200);
	cr_expect_not(client_closed(&harness, fd));
	(void)close(fd);
}

Test(http_server, answers_each_request_by_its_rules)
{
	static const struct {
		unsigned status;
		const char *request;
	} cases[] = {
		{ 200, GET("/") },
		{ 200, "GET / HTTP/1.1\r\nhOsT: LocalHost:80\r\n\r\n" },
		{ 200,
		  "GET / HTTP/1.1\r\nHost: agent\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n" },
		{ 200, "\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n" },
		{ 200, "GET / HTTP/1.0\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost:\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: localhost:80x\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n" },
		{ 400, "GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n" },
		{ 400, "GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n" },
		{ 400, "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n" },
		{ 400, GET("/%") },
		{ 400, GET("/%0") },
		{ 400, GET("/%zz") },
		{ 400, GET("/a%00b") },
		{ 400, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 1\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: localhost\r\nx-forwarded-host:\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: localhost\r\nForwarded: for=1\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: localhost\r\nVIA: 1.1 x\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: a\r\n b\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n" },
		{ 400, "\x16\x03\x01\x02\n\n" },
		{ 404, GET("/1/2/3/4/5/6/7/8/9") },
		{ 405, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n" },
		{ 405, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n" },
		{ 405, "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n" },
		{ 405, "FETCH / HTTP/1.1\r\nHost: localhost\r\n\r\n" },
		{ 413, "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx" },
		{ 413, "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n" },
		{ 413, "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" },
		{ 505, "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_expect_eq(status_of(ask(&harness, cases[i].request)), cases[i].status,
			     "%u for: %s", status_of(harness.reply), cases[i].request);
	cr_expect_eq(served, 5, "a refused request reached the handler");
}

Test(http_server, says_which_method_is_allowed)
{
	cr_expect_not_null(strstr(ask(&harness, "DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
				  "\r\nAllow: GET\r\n"));
}

Test(http_server, closes_after_http_1_0_and_where_asked)
{
	static const char *const requests[] = {
		"GET / HTTP/1.0\r\n\r\n",
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		int fd = client_open(&harness);

		cr_expect_not_null(
			strstr(client_ask(&harness, fd, requests[i]), "\r\nConnection: close\r\n"));
		cr_expect(client_closed(&harness, fd));
		(void)close(fd);
	}
}

Test(http_server, refuses_a_head_past_its_limit_and_not_one_at_it)
{
	static const char start[] = "GET / HTTP/1.1\r\nHost: localhost\r\nX: ";
	static char request[HTTP_SERVER_HEAD_MAX + 8];

	for (int past = -1; past <= 1; past++) {
		size_t len = (size_t)(HTTP_SERVER_HEAD_MAX + past);
		int fd = client_open(&harness);

		memset(request, 'x', sizeof(request));
		memcpy(request, start, sizeof(start) - 1);
		memcpy(request + len - 4, "\r\n\r\n", 4);
		/* In pieces that do not end where a read would. */
		client_send(fd, request, 100);
		harness_turn(&harness);
		client_send(fd, request + 100, len - 100);
		cr_expect_eq(status_of(client_receive(&harness, fd)), past > 0 ? 431 : 200);
		(void)close(fd);
	}
}

Test(http_server, refuses_an_endless_head_as_soon_as_it_is_too_long)
{
	static char request[HTTP_SERVER_HEAD_MAX];
	int fd = client_open(&harness);

	memset(request, 'G', sizeof(request));
	client_send(fd, request, sizeof(request) - 1);
	cr_expect_eq(status_of(client_receive(&harness, fd)), 0);
	client_send(fd, request, 1);
	cr_expect_eq(status_of(client_receive(&harness, fd)), 431);
	(void)close(fd);
}

Test(http_server, answers_pipelined_requests_in_order)
{
	char requests[100 * 64] = "", expected[32];
	const char *at;
	int fd = client_open(&harness);

	for (int i = 0; i < 100; i++)
		(void)snprintf(requests + strlen(requests), 64,
			       "GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n", i);
	at = client_ask(&harness, fd, requests);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(expected, sizeof(expected), "\r\n\r\n[%d]?", i);
		at = strstr(at, expected);
		cr_assert_not_null(at, "answer %d is missing", i);
	}
	cr_expect_eq(served, 100);
	(void)close(fd);
}

Test(http_server, reads_a_request_that_comes_byte_by_byte)
{
	static const char request[] = GET("/drip");
	int fd = client_open(&harness);

	for (size_t i = 0; i + 1 < sizeof(request) - 1; i++) {
		client_send(fd, request + i, 1);
		cr_expect_eq(status_of(client_receive(&harness, fd)), 0);
	}
	client_send(fd, request + sizeof(request) - 2, 1);
	cr_expect_not_null(strstr(client_receive(&harness, fd), "[drip]"));
	(void)close(fd);
}

Test(http_server, ends_a_head_that_takes_too_long_however_busy_its_client)
{
	int fd = client_open(&harness);

	cr_expect_eq(status_of(client_ask(&harness, fd, GET("/"))), 200);
	harness_pass(&harness, 30000);
	client_send(fd, "GET ", 4);
	harness_turn(&harness);
	for (int64_t passed = 0; passed + 1000 < HTTP_SERVER_HEAD_MS; passed += 1000) {
		harness_pass(&harness, 1000);
		client_send(fd, "/", 1);
		cr_expect_eq(status_of(client_receive(&harness, fd)), 0);
	}
	harness_pass(&harness, 1000);
	cr_expect_eq(status_of(client_receive(&harness, fd)), 408);
	cr_expect(client_closed(&harness, fd));
	(void)close(fd);
}

Test(http_server, closes_an_idle_connection_when_its_time_is_over_and_not_before)
{
	int fd = client_open(&harness);

	harness_turn(&harness);
	harness_pass(&harness, HTTP_SERVER_IDLE_MS - 1);
	cr_expect_eq(status_of(client_ask(&harness, fd, GET("/"))), 200);
	harness_pass(&harness, HTTP_SERVER_IDLE_MS - 1);
	cr_expect_not(client_closed(&harness, fd));
	harness_pass(&harness, 1);
	cr_expect(client_closed(&harness, fd));
	cr_expect_eq(http_server_connections(server), 0);
	(void)close(fd);
}

static void make_large(void)
{
	static char bytes[1 << 20];
	struct error err = ERROR_INIT;

	memset(bytes, 's', sizeof(bytes));
	large = secret_new(bytes, sizeof(bytes), &err);
	cr_assert_not_null(large, "%s", err.text);
}

Test(http_server, hands_out_an_answer_larger_than_the_socket_takes)
{
	int fd = client_open(&harness);
	const char *body;

	make_large();
	body = strstr(client_ask(&harness, fd, GET("/large") GET("/next")), "\r\n\r\n");
	cr_assert_not_null(body);
	body += strlen("\r\n\r\n");
	cr_expect_eq(strspn(body, "s"), secret_len(large));
	cr_expect_not_null(strstr(body, "[next]"));
	(void)close(fd);
	harness_turn(&harness);
	large = secret_unref(large);
	cr_expect_eq(arena_stats().used_bytes, 0);
}

Test(http_server, closes_a_client_that_never_reads_and_serves_the_others)
{
	int fd = client_open(&harness);

	make_large();
	for (int i = 0; i < 10; i++)
		client_send(fd, GET("/large"), strlen(GET("/large")));
	harness_turn(&harness);
	cr_expect_eq(served, 1, "a second answer was made while the first was unsent");
	harness_pass(&harness, HTTP_SERVER_WRITE_MS - 1);
	cr_expect_eq(http_server_connections(server), 1);
	cr_expect_eq(status_of(ask(&harness, GET("/"))), 200);
	harness_pass(&harness, 1);
	cr_expect_eq(http_server_connections(server), 0);
	large = secret_unref(large);
	cr_expect_eq(arena_stats().used_bytes, 0);
	(void)close(fd);
}

Test(http_server, asks_again_for_a_deferred_request_when_woken_and_at_its_end)
{
	int fd = client_open(&harness);

	cr_expect_eq(status_of(client_ask(&harness, fd, GET("/wait") GET("/after"))), 0);
	harness_pass(&harness, 29999);
	http_server_wake(server);
	cr_expect_eq(served, 2);
	cr_expect_eq(status_of(client_receive(&harness, fd)), 0);
	harness_pass(&harness, 1);
	cr_expect_eq(status_of(client_receive(&harness, fd)), 304);
	cr_expect_not_null(strstr(harness.reply, "[after]"));
	cr_expect_eq(served, 4);
	(void)close(fd);
}

Test(http_server, forgets_a_deferred_request_whose_client_left)
{
	int fd = client_open(&harness);

	cr_expect_eq(status_of(client_ask(&harness, fd, GET("/wait"))), 0);
	(void)close(fd);
	harness_turn(&harness);
	cr_expect_eq(http_server_connections(server), 0);
	http_server_wake(server);
	cr_expect_eq(served, 1);
}

Test(http_server, answers_who_waits_when_it_closes)
{
	int waiting = client_open(&harness), idle = client_open(&harness);

	cr_expect_eq(status_of(client_ask(&harness, waiting, GET("/wait"))), 0);
	server = http_server_close(server);
	cr_expect_eq(status_of(client_receive(&harness, waiting)), 304);
	cr_expect(client_closed(&harness, waiting));
	cr_expect(client_closed(&harness, idle));
	cr_expect_eq(access(harness.path, F_OK), -1);
	(void)close(waiting);
	(void)close(idle);
}

Test(http_server, closes_descriptors_that_a_client_passes)
{
	struct {
		struct cmsghdr header;
		int fd;
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	static char request[] = GET("/");
	struct iovec piece = { request, sizeof(request) - 1 };
	struct msghdr message = { .msg_iov = &piece,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int fd = client_open(&harness), pipe_ends[2];
	char byte;

	cr_assert_eq(pipe2(pipe_ends, O_NONBLOCK | O_CLOEXEC), 0);
	control.fd = pipe_ends[1];
	cr_assert_eq(sendmsg(fd, &message, 0), (ssize_t)piece.iov_len);
	(void)close(pipe_ends[1]);
	cr_expect_eq(status_of(client_receive(&harness, fd)), 200);
	cr_expect_eq(read(pipe_ends[0], &byte, 1), 0, "the passed end is still open");
	(void)close(pipe_ends[0]);
	(void)close(fd);
}

Test(http_server_made, refuses_connections_past_the_limits)
{
	static const struct http_listen limits[] = {
		{ .connections_per_uid = 2 },
		{ .connections = 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		int fds[3];

		open_with(limits[i]);
		for (size_t j = 0; j < ARRAY_SIZE(fds); j++)
			fds[j] = client_open(&harness);
		harness_turn(&harness);
		cr_expect_eq(status_of(client_receive(&harness, fds[2])), 503);
		cr_expect(client_closed(&harness, fds[2]));
		cr_expect_eq(status_of(client_ask(&harness, fds[1], GET("/"))), 200);
		(void)close(fds[0]);
		(void)close(fds[2]);
		harness_turn(&harness);
		cr_expect_eq(status_of(ask(&harness, GET("/"))), 200);
		(void)close(fds[1]);
		close_server();
	}
}

Test(http_server_made, stops_accepting_before_descriptors_run_out_and_resumes)
{
	struct rlimit files, few;
	int fds[40], spare[15], answered = 0;
	size_t left = 0;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	few = (struct rlimit){ .rlim_cur = 80, .rlim_max = files.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	open_with((struct http_listen){ 0 });
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = client_open(&harness);
	harness_turn(&harness);
	cr_expect_lt(http_server_connections(server), ARRAY_SIZE(fds));
	cr_expect_gt(http_server_connections(server), 0);
	while (left < ARRAY_SIZE(spare) && (spare[left] = dup(0)) >= 0)
		left++;
	cr_expect_eq(left, ARRAY_SIZE(spare), "only %zu descriptors are left", left);
	while (left > 0)
		(void)close(spare[--left]);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		answered += status_of(client_ask(&harness, fds[i], GET("/"))) == 200;
		(void)close(fds[i]);
		harness_turn(&harness);
	}
	cr_expect_eq(answered, ARRAY_SIZE(fds), "some connections were dropped");
	close_server();
	(void)setrlimit(RLIMIT_NOFILE, &files);
}

/* A socket of this name that another process answers on, until it is told to end. */
static pid_t take_name(const char *path, int *ret_end)
{
	struct error err = ERROR_INIT;
	struct listen_name name;
	int ready[2], end[2];
	char byte;
	pid_t pid;

	cr_assert(pipe(ready) == 0 && pipe(end) == 0);
	pid = fork();
	if (pid == 0) {
		(void)close(end[1]);
		if (listen_unix(path, 0600, &name, &err) < 0)
			_exit(1);
		(void)!write(ready[1], "r", 1);
		(void)!read(end[0], &byte, 1);
		_exit(name.before == getppid() ? 0 : 2);
	}
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	*ret_end = end[1];
	return pid;
}

Test(http_server, gets_its_name_back_when_who_took_it_has_ended)
{
	struct error err = ERROR_INIT;
	int held = client_open(&harness), end, status;
	pid_t other;

	cr_expect_eq(status_of(client_ask(&harness, held, GET("/"))), 200);
	cr_expect_eq(http_server_before(server), -1);
	cr_expect_eq(http_server_see_to_name(server, &err), HTTP_NAME_OURS);

	other = take_name(harness.path, &end);
	cr_expect_eq(http_server_see_to_name(server, &err), HTTP_NAME_OTHERS);
	cr_expect_eq(status_of(client_ask(&harness, held, GET("/"))), 200);
	(void)close(end);
	cr_assert_eq(waitpid(other, &status, 0), other);
	cr_expect_eq(WEXITSTATUS(status), 0, "it knew whom it took the name from");

	/* It died: its name stands, and nobody answers. */
	cr_expect_eq(http_server_see_to_name(server, &err), HTTP_NAME_AGAIN, "%s", err.text);
	cr_expect_eq(status_of(client_ask(&harness, held, GET("/"))), 200);
	cr_expect_eq(status_of(ask(&harness, GET("/"))), 200);
	/* The name alone is removed. */
	cr_assert_eq(unlink(harness.path), 0);
	cr_expect_eq(http_server_see_to_name(server, &err), HTTP_NAME_AGAIN, "%s", err.text);
	cr_expect_eq(status_of(ask(&harness, GET("/"))), 200);
	(void)close(held);
}

Test(http_server_made, replaces_a_stale_socket_with_the_right_mode)
{
	struct stat status;
	struct http_server *first;

	open_with((struct http_listen){ .mode = 0600 });
	first = server;
	struct error err = ERROR_INIT;

	server = http_server_new(harness.loop, &harness_clock,
				 &(struct http_listen){ .path = harness.path, .mode = 0666 }, serve,
				 &harness, &err);
	cr_assert_not_null(server, "%s", err.text);
	cr_expect_eq(stat(harness.path, &status), 0);
	cr_expect_eq(status.st_mode & 07777, 0666);
	(void)http_server_close(first);
	harness_turn(&harness);
	cr_expect_eq(status_of(ask(&harness, GET("/"))), 200, "the name went with the first");
	close_server();
}

Test(http_server_made, refuses_names_that_it_cannot_take)
{
	static const char long_name[] =
		"/tmp/"
		"0123456789012345678901234567890123456789012345678901234567"
		"89012345678901234567890123456789012345678901";
	struct error err = ERROR_INIT;
	int fd;

	harness_open(&harness);
	cr_assert_eq(strlen(long_name), HTTP_SERVER_PATH_MAX);
	(void)close(fd = open(harness.path, O_CREAT | O_WRONLY, 0600));
	cr_expect_null(http_server_new(harness.loop, &harness_clock,
				       &(struct http_listen){ .path = harness.path }, serve, NULL,
				       &err));
	cr_expect_eq(err.code, ERROR_INVALID);
	cr_expect_not_null(strstr(err.text, "is no socket"));
	cr_expect_eq(access(harness.path, F_OK), 0, "the file was removed");
	(void)unlink(harness.path);
	server = http_server_new(harness.loop, &harness_clock,
				 &(struct http_listen){ .path = long_name, .mode = 0600 }, serve,
				 NULL, &err);
	cr_expect_not_null(server, "%s", err.text);
	(void)http_server_close(server);
	cr_expect_null(http_server_new(
		harness.loop, &harness_clock,
		&(struct http_listen){
			.path = "/tmp/x"
				"0123456789012345678901234567890123456789012345678901"
				"23456789012345678901234567890123456789012345678901" },
		serve, NULL, &err));
	cr_expect_eq(err.code, ERROR_INVALID);
	cr_expect_not_null(strstr(err.text, "107"));
	harness_close(&harness);
}

Test(http_server_made, says_that_its_directory_is_not_there)
{
	struct error err = ERROR_INIT;

	harness_open(&harness);
	cr_expect_null(http_server_new(harness.loop, &harness_clock,
				       &(struct http_listen){ .path = "/nonexistent/agent.sock" },
				       serve, NULL, &err));
	cr_expect_eq(err.code, ERROR_INVALID);
	cr_expect_not_null(strstr(err.text, "/nonexistent/agent.sock"));
	harness_close(&harness);
}

Test(http_server_made, listens_on_loopback_addresses_alone)
{
	static const char *const refused[] = { "0.0.0.0:0",	 "10.0.0.1:80", ":80",
					       "127.0.0.1",	 "127.0.0.1:",	"127.0.0.1:65536",
					       "example.org:80", "[::]:80",	"127.0.0.1:8x" };
	struct error err = ERROR_INIT;

	harness_open(&harness);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		err.code = ERROR_NONE;
		cr_expect_null(http_server_new(harness.loop, &harness_clock,
					       &(struct http_listen){ .address = refused[i] },
					       serve, NULL, &err));
		cr_expect_eq(err.code, ERROR_INVALID, "%s", refused[i]);
	}
	server = http_server_new(harness.loop, &harness_clock,
				 &(struct http_listen){ .address = "127.0.0.1:0" }, serve, NULL,
				 &err);
	cr_assert_not_null(server, "%s", err.text);
	cr_expect_neq(http_server_port(server), 0);
	(void)http_server_close(server);
	harness_close(&harness);
}

Test(http_etag, matches_one_of_a_list_whole)
{
	cr_expect(http_etag_matches("\"7\"", "7"));
	cr_expect(http_etag_matches("W/\"7\"", "7"));
	cr_expect(http_etag_matches("\"6\", \"7\"", "7"));
	cr_expect(http_etag_matches("*", "7"));
	cr_expect_not(http_etag_matches(NULL, "7"));
	cr_expect_not(http_etag_matches("7", "7"));
	cr_expect_not(http_etag_matches("\"77\"", "7"));
	cr_expect_not(http_etag_matches("\"7", "7"));
}
