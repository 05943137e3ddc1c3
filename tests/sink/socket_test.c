/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sink/socket.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include "agent/base/wipe.h"

#include "tests/io/http_harness.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define GET_IF(path, etag)                                                                         \
	"GET " path " HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \"" etag "\"\r\n\r\n"

static char *only_db[] = { "db" };
static struct secret_spec specs[] = { { .name = "db" }, { .name = "app" }, { .name = "later" } };
static struct config_variable variables[] = {
	{ .variable = "DB_PASSWORD", .secret = "db", .field = "password" },
	{ .variable = "APP", .secret = "app", .field = "/a" },
};

static struct harness harness;
static struct store store;
static struct config config = { .variables = variables, .variable_count = 2 };
static struct config_socket socket_config;
static struct socket_sink *sink;
static struct audit *audit;
static char audit_file[96];

static int view_status(void *context, struct buf *out)
{
	(void)context;
	buf_puts(out, "{\"status\":1}");
	return 0;
}

static int view_metrics(void *context, struct buf *out)
{
	(void)context;
	buf_puts(out, "agent_up 1\n");
	return 0;
}

static bool view_ready(void *context, struct buf *reason)
{
	if (!store_ready(context) && reason != NULL)
		buf_puts(reason, "a \"reason\"");
	return store_ready(context);
}

static const struct socket_views views = {
	.status = view_status, .metrics = view_metrics, .ready = view_ready, .context = &store
};

static void put(const char *name, const char *id, const char *field, const void *bytes, size_t len)
{
	struct store_entry *entry = store_find(&store, name);
	struct error err = ERROR_INIT;
	struct secret_version *version = secret_version_new(&err);

	(void)snprintf(version->id, sizeof(version->id), "%s", id);
	version->fetched = harness_now;
	cr_assert_eq(secret_version_add_bytes(version, field, FIELD_STRING, bytes, len, &err), 0);
	cr_assert_eq(secret_version_add_bytes(version, "port", FIELD_JSON, "5432", 4, &err), 0);
	(void)secret_version_unref(entry->version);
	entry->version = version;
	entry->state = STATE_FRESH;
}

static void open_sink(void)
{
	struct error err = ERROR_INIT;

	harness_open(&harness);
	cr_assert_eq(store_init(&store, specs, ARRAY_SIZE(specs), &err), 0);
	put("db", "3", "password", "hunter2", 7);
	put("app", "9", "a", "\xff\x00\x01", 3);
	socket_config.path = harness.path;
	socket_config.mode = 0600;
	(void)snprintf(audit_file, sizeof(audit_file), "%s.audit", harness.directory);
	audit = audit_open(audit_file, &harness_clock, &err);
	cr_assert_not_null(audit, "%s", err.text);
	sink = socket_sink_new(harness.loop, &harness_clock, &config, &socket_config, &store,
			       &views, audit, &err);
	cr_assert_not_null(sink, "%s", err.text);
}

static void close_sink(void)
{
	sink = socket_sink_close(sink);
	audit = audit_close(audit);
	(void)unlink(audit_file);
	store_deinit(&store);
	harness_pass(&harness, HTTP_SERVER_CLOSE_MS);
	harness_close(&harness);
	cr_expect_eq(arena_stats().used_bytes, 0);
}

static const char *audited(void)
{
	static char text[4096];
	int fd = open(audit_file, O_RDONLY | O_CLOEXEC);
	ssize_t got = read(fd, text, sizeof(text) - 1);

	(void)close(fd);
	text[got > 0 ? got : 0] = '\0';
	return text;
}

static const char *body_of(const char *reply)
{
	const char *body = strstr(reply, "\r\n\r\n");

	return body != NULL ? body + 4 : "";
}

TestSuite(socket_sink, .init = open_sink, .fini = close_sink);

Test(socket_sink, answers_a_field_with_its_bytes)
{
	const char *reply = ask(&harness, GET("/v1/secrets/db/password"));

	cr_expect_str_eq(reply,
			 "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nETag: \"3\"\r\n"
			 "Content-Type: application/octet-stream\r\nContent-Length: 7\r\n\r\n"
			 "hunter2");
	cr_expect_eq(status_of(ask(&harness, GET("/v1/secrets/app/%61"))), 200);
	cr_expect_eq(memcmp(body_of(harness.reply), "\xff\x00\x01", 3), 0);
	cr_expect_str_eq(body_of(ask(&harness, GET("/v1/secrets/db/port"))), "5432");
}

Test(socket_sink, answers_a_secret_as_json_with_its_age)
{
	harness_now.boot_ms += 90500;
	store_find(&store, "db")->state = STATE_STALE;
	cr_expect_str_eq(body_of(ask(&harness, GET("/v1/secrets/db"))),
			 "{\"name\":\"db\",\"version\":\"3\",\"fields\":{\"password\":\"hunter2\","
			 "\"port\":5432},"
			 "\"lease\":null,\"fetched_at\":\"2023-11-14T22:13:20Z\",\"age_seconds\":"
			 "90,\"stale\":true}\n");
}

Test(socket_sink, answers_the_lease_without_its_id_and_bytes_as_base64)
{
	struct secret_version *version = store_find(&store, "app")->version;
	const char *body;

	version->lease = (struct lease){ .kind = LEASE_TIMED,
					 .renewable = true,
					 .duration_ms = 60000,
					 .id = wipe_strdup("database/creds/web/abc"),
					 .issued = harness_now };
	body = body_of(ask(&harness, GET("/v1/secrets/app")));
	cr_expect_not_null(strstr(body,
				  "\"fields\":{\"port\":5432},\"fields_base64\":{\"a\":\"/wAB\"},"
				  "\"lease\":{\"duration_seconds\":60,\"renewable\":true,"
				  "\"expires_at\":\"2023-11-14T22:14:20Z\"},"),
			   "%s", body);
	cr_expect_null(strstr(body, "creds"));
}

Test(socket_sink, lists_what_the_caller_may_see_and_the_variables)
{
	struct config_allow rule = { .uid = getuid(), .secrets = { only_db, 1 } };

	cr_expect_str_eq(body_of(ask(&harness, GET("/v1/env"))),
			 "{\"DB_PASSWORD\":{\"secret\":\"db\",\"field\":\"password\"},\"APP\":{"
			 "\"secret\":\"app\",\"field\":\"/a\"}}\n");
	cr_expect_not_null(strstr(ask(&harness, GET("/v1/secrets")),
				  "{\"name\":\"later\",\"required\":true,\"version\":null}]}"));
	socket_config.allow = &rule;
	socket_config.allow_count = 1;
	cr_expect_str_eq(
		body_of(ask(&harness, GET("/v1/secrets"))),
		"{\"secrets\":[{\"name\":\"db\",\"required\":true,\"version\":\"3\",\"expires_at\":"
		"null,"
		"\"fetched_at\":\"2023-11-14T22:13:20Z\",\"age_seconds\":0,\"stale\":false}]}\n");
	cr_expect_str_eq(body_of(ask(&harness, GET("/v1/env"))),
			 "{\"DB_PASSWORD\":{\"secret\":\"db\",\"field\":\"password\"}}\n");
}

Test(socket_sink, tells_nothing_apart_that_the_caller_may_not_have)
{
	struct config_allow rules[] = { { .uid = getuid(), .secrets = { only_db, 1 } },
					{ .uid = getuid() + 1 } };
	char unknown[512];

	socket_config.allow = rules;
	socket_config.allow_count = 2;
	(void)snprintf(unknown, sizeof(unknown), "%s", ask(&harness, GET("/v1/secrets/nothing")));
	cr_expect_eq(status_of(unknown), 404);
	cr_expect_str_eq(ask(&harness, GET("/v1/secrets/app")), unknown);
	cr_expect_str_eq(ask(&harness, GET("/v1/secrets/app/a")), unknown);
	cr_expect_str_eq(ask(&harness, GET("/v1/secrets/later")), unknown);
	cr_expect_str_eq(ask(&harness, GET("/v1/secrets/later?wait=1s")), unknown);
	cr_expect_str_eq(ask(&harness, GET_IF("/v1/secrets/app", "9")), unknown);
	cr_expect_eq(status_of(ask(&harness, GET("/v1/secrets/db"))), 200);
}

Test(socket_sink, lets_nobody_in_but_its_own_uid_unless_a_rule_says_so)
{
	struct config_allow other = { .uid = getuid() + 1 }, any = { .any = true, .uid = -1 };

	cr_expect_eq(status_of(ask(&harness, GET("/v1/secrets/db"))), 200);
	socket_config.allow = &other;
	socket_config.allow_count = 1;
	cr_expect_eq(status_of(ask(&harness, GET("/v1/secrets/db"))), 404);
	socket_config.allow = &any;
	cr_expect_eq(status_of(ask(&harness, GET("/v1/secrets/db"))), 200);
}

/* The kernel notes the effective uid at connect; only root may change it. */
Test(socket_sink, another_uid_sees_nothing_without_a_rule_and_what_its_rule_says_with_one)
{
	enum { OTHER = 65534 };
	struct config_allow rule = { .uid = OTHER, .secrets = { only_db, 1 } };
	int fd;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(chmod(harness.directory, 0711), 0);
	cr_assert_eq(chmod(harness.path, 0666), 0);
	cr_assert_eq(seteuid(OTHER), 0);
	fd = client_open(&harness);
	cr_assert_eq(seteuid(0), 0);
	cr_expect_eq(status_of(client_ask(&harness, fd, GET("/v1/secrets/db"))), 404);
	cr_expect_str_eq(body_of(client_ask(&harness, fd, GET("/v1/secrets"))),
			 "{\"secrets\":[]}\n");
	cr_expect_str_eq(body_of(client_ask(&harness, fd, GET("/v1/env"))), "{}\n");
	socket_config.allow = &rule;
	socket_config.allow_count = 1;
	cr_expect_eq(status_of(client_ask(&harness, fd, GET("/v1/secrets/db"))), 200);
	cr_expect_eq(status_of(client_ask(&harness, fd, GET("/v1/secrets/app"))), 404);
	(void)close(fd);
}

Test(socket_sink, of_the_status_alone_shows_no_secret_to_anybody)
{
	const char *reply;

	socket_config.status_only = true;
	cr_expect_eq(status_of(ask(&harness, GET("/v1/secrets/db/password"))), 404);
	reply = ask(&harness, GET("/v1/secrets"));
	cr_expect_null(strstr(reply, "db"), "%s", reply);
	cr_expect_eq(status_of(ask(&harness, GET("/v1/status"))), 200);
	reply = ask(&harness, GET("/v1/ready"));
	cr_expect_eq(status_of(reply), 503);
	cr_expect_str_eq(body_of(reply), "{\"ready\":false,\"reason\":\"a \\\"reason\\\"\"}\n");
	socket_config.status_only = false;
}

Test(socket_sink, answers_by_what_it_has)
{
	static const struct {
		unsigned status;
		const char *request;
	} cases[] = {
		{ 304, GET_IF("/v1/secrets/db", "3") },
		{ 304, GET_IF("/v1/secrets/db/password", "3") },
		{ 200, GET_IF("/v1/secrets/db", "2") },
		{ 200, GET("/v1/secrets/db?wait=30s") },
		{ 400, GET("/v1/secrets/db?wait=soon") },
		{ 400, GET("/v1/secrets/db?wiat=30s") },
		{ 503, GET("/v1/secrets/later") },
		{ 404, GET("/v1/secrets/db/nothing") },
		{ 404, GET("/v1/secrets/db/password/x") },
		{ 404, GET("/v1/secrets/") },
		{ 404, GET("/v1/secrets/../secrets/db") },
		{ 404, GET("/v2/secrets/db") },
		{ 404, GET("/") },
		{ 200, GET("/v1/live") },
		{ 503, GET("/v1/ready") },
		{ 200, GET("/v1/status") },
		{ 200, GET("/metrics") },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_expect_eq(status_of(ask(&harness, cases[i].request)), cases[i].status,
			     "%u for: %s", status_of(harness.reply), cases[i].request);
	cr_expect_not_null(
		strstr(ask(&harness, GET("/v1/secrets/later")), "\r\nRetry-After: 1\r\n"));
	put("later", "1", "x", "y", 1);
	cr_expect_eq(status_of(ask(&harness, GET("/v1/ready"))), 200);
}

Test(socket_sink, refuses_a_value_past_its_limit_and_not_one_at_it)
{
	static char bytes[FIELD_VALUE_MAX + 1];

	memset(bytes, 'v', sizeof(bytes));
	put("db", "4", "password", bytes, FIELD_VALUE_MAX);
	cr_expect_eq(status_of(ask(&harness, GET("/v1/secrets/db/password"))), 200);
	cr_expect_eq(status_of(ask(&harness, GET("/v1/secrets/db"))), 200);
	put("db", "5", "password", bytes, FIELD_VALUE_MAX + 1);
	cr_expect_eq(status_of(ask(&harness, GET("/v1/secrets/db/password"))), 500);
	cr_expect_not_null(strstr(ask(&harness, GET("/v1/secrets/db")), "64 KiB"));
	cr_expect_eq(status_of(ask(&harness, GET("/v1/secrets/db/port"))), 200);
}

Test(socket_sink, long_poll_answers_at_the_next_version_of_that_secret_alone)
{
	int fd = client_open(&harness);

	cr_expect_eq(status_of(client_ask(&harness, fd,
					  GET_IF("/v1/secrets/db/password?wait=30s", "3"))),
		     0);
	put("app", "10", "a", "b", 1);
	socket_sink_changed(sink);
	cr_expect_eq(status_of(client_receive(&harness, fd)), 0);
	put("db", "4", "password", "new", 3);
	socket_sink_changed(sink);
	cr_expect_str_eq(body_of(client_receive(&harness, fd)), "new");
	cr_expect_eq(status_of(client_ask(&harness, fd, GET_IF("/v1/secrets/db?wait=30s", "4"))),
		     0);
	harness_pass(&harness, 29999);
	cr_expect_eq(status_of(client_receive(&harness, fd)), 0);
	harness_pass(&harness, 1);
	cr_expect_eq(status_of(client_receive(&harness, fd)), 304);
	(void)close(fd);
}

Test(socket_sink, long_poll_answers_at_the_first_version)
{
	int fd = client_open(&harness);

	cr_expect_eq(status_of(client_ask(&harness, fd, GET("/v1/secrets/later?wait=10m"))), 0);
	harness_pass(&harness, HTTP_SERVER_WAIT_MOST_MS - 1);
	put("later", "1", "x", "y", 1);
	socket_sink_changed(sink);
	cr_expect_eq(status_of(client_receive(&harness, fd)), 200);
	(void)close(fd);
}

/* The etag that the list has now. */
static void read_mark(char ret[32])
{
	const char *reply = ask(&harness, GET("/v1/secrets"));
	const char *at = strstr(reply, "ETag: \"");

	cr_assert_not_null(at, "%s", reply);
	(void)snprintf(ret, 32, "%.16s", at + strlen("ETag: \""));
}

Test(socket_sink, long_poll_of_the_list_answers_when_anything_changes_that_the_caller_may_see)
{
	struct config_allow rule = { .uid = getuid(), .secrets = { only_db, 1 } };
	char request[256], mark[32], other[32];
	int fd = client_open(&harness);

	read_mark(other);
	socket_config.allow = &rule;
	socket_config.allow_count = 1;
	read_mark(mark);
	cr_expect_str_neq(mark, other);
	(void)snprintf(request, sizeof(request), GET_IF("/v1/secrets?wait=30s", "%s"), mark);
	cr_expect_eq(status_of(client_ask(&harness, fd, request)), 0);
	put("app", "10", "a", "b", 1);
	socket_sink_changed(sink);
	cr_expect_eq(status_of(client_receive(&harness, fd)), 0);
	put("db", "4", "password", "new", 3);
	socket_sink_changed(sink);
	cr_expect_eq(status_of(client_receive(&harness, fd)), 200);
	/* What it was asked with is not so any more; and as it is now it stays. */
	cr_expect_eq(status_of(client_ask(&harness, fd, request)), 200);
	read_mark(mark);
	(void)snprintf(request, sizeof(request), GET_IF("/v1/secrets?wait=30s", "%s"), mark);
	cr_expect_eq(status_of(client_ask(&harness, fd, request)), 0);
	harness_pass(&harness, 30000);
	cr_expect_eq(status_of(client_receive(&harness, fd)), 304);
	(void)snprintf(request, sizeof(request), GET_IF("/v1/secrets", "%s"), mark);
	cr_expect_eq(status_of(client_ask(&harness, fd, request)), 304);
	cr_expect_eq(status_of(client_ask(&harness, fd, GET("/v1/secrets?wait=x"))), 400);
	(void)close(fd);
}

Test(socket_sink, a_version_that_is_replaced_while_it_is_sent_is_sent_whole)
{
	static char bytes[FIELD_VALUE_MAX];
	int fd = client_open(&harness);
	size_t olds = 0;

	memset(bytes, 'o', sizeof(bytes));
	put("db", "4", "password", bytes, sizeof(bytes));
	for (int i = 0; i < 12; i++)
		client_send(fd, GET("/v1/secrets/db/password"),
			    strlen(GET("/v1/secrets/db/password")));
	harness_turn(&harness);
	put("db", "5", "password", "new", 3);
	for (const char *at = client_receive(&harness, fd);
	     (at = strstr(at, "ETag: \"4\"")) != NULL; at++) {
		cr_expect_eq(strspn(strstr(at, "\r\n\r\n") + 4, "o"), sizeof(bytes));
		olds++;
	}
	cr_expect_gt(olds, 0);
	(void)close(fd);
}

Test(socket_sink, audits_each_read_with_its_caller_and_result)
{
	char expected[256];

	(void)ask(&harness, GET("/v1/secrets/db/password"));
	(void)snprintf(expected, sizeof(expected),
		       "{\"time\":\"2023-11-14T22:13:20Z\",\"event\":\"read\",\"uid\":%u,\"gid\":%"
		       "u,\"pid\":%d,"
		       "\"secret\":\"db\",\"version\":\"3\",\"result\":\"ok\"}\n",
		       getuid(), getgid(), getpid());
	cr_expect_str_eq(audited(), expected);
	(void)ask(&harness, GET("/v1/secrets/x%22%0a"));
	cr_expect_not_null(
		strstr(audited(), "\"secret\":\"x\\\"\\n\",\"result\":\"not_found\"}\n"));
	(void)ask(&harness, GET("/v1/secrets/%ff"));
	cr_expect_not_null(
		strstr(audited(), "\"secret\":\"base64:/w==\",\"result\":\"not_found\"}\n"));
	(void)ask(&harness, GET("/v1/secrets/later"));
	cr_expect_not_null(strstr(audited(), "\"secret\":\"later\",\"result\":\"not_fetched\"}\n"));
	audit_publish(audit, "db", "4");
	cr_expect_not_null(
		strstr(audited(), "\"event\":\"publish\",\"secret\":\"db\",\"version\":\"4\""));
	cr_expect_null(strstr(audited(), "hunter2"));
	cr_expect_eq(audit_dropped(audit), 0);
}

Test(socket_sink, closing_answers_who_waits_and_reads_nothing_after)
{
	int fd = client_open(&harness);

	cr_expect_eq(status_of(client_ask(&harness, fd, GET_IF("/v1/secrets/db?wait=30s", "3"))),
		     0);
	sink = socket_sink_close(sink);
	cr_expect_eq(status_of(client_receive(&harness, fd)), 304);
	cr_expect(client_closed(&harness, fd));
	(void)close(fd);
}

static int connect_to(const struct metrics_listener *listener)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				       .sin_port = htons(metrics_listener_port(listener)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* Also where whoever reaches the machine may ask; there every Host is ours. */
Test(metrics_listener, has_no_route_to_a_secret, .init = open_sink, .fini = close_sink)
{
	static const char *const hidden[] = { GET("/v1/secrets"), GET("/v1/secrets/db"),
					      GET("/v1/secrets/db/password"), GET("/v1/env"),
					      GET("/v1/status") };
	static const struct {
		const char *address;
		unsigned foreign; /* what a foreign Host gets */
	} table[] = { { "127.0.0.1:0", 400 }, { "localhost:0", 400 }, { "0.0.0.0:0", 200 } };

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct error err = ERROR_INIT;
		struct metrics_listener *listener = metrics_listener_new(
			harness.loop, &harness_clock, table[i].address, &views, &err);
		int fd;

		cr_assert_not_null(listener, "%s", err.text);
		fd = connect_to(listener);
		cr_expect_str_eq(
			body_of(client_ask(&harness, fd,
					   "GET /metrics HTTP/1.1\r\nHost: localhost:9\r\n\r\n")),
			"agent_up 1\n");
		for (size_t j = 0; j < ARRAY_SIZE(hidden); j++)
			cr_expect_eq(status_of(client_ask(&harness, fd, hidden[j])), 404, "%s",
				     hidden[j]);
		cr_expect_eq(status_of(client_ask(&harness, fd, GET("/v1/live"))), 200);
		cr_expect_eq(
			status_of(client_ask(&harness, fd,
					     "GET /metrics HTTP/1.1\r\nHost: 10.1.2.3:9\r\n\r\n")),
			table[i].foreign, "%s", table[i].address);
		(void)close(fd);
		(void)metrics_listener_close(listener);
	}
}

Test(metrics_listener, takes_few_connections, .init = open_sink, .fini = close_sink)
{
	struct error err = ERROR_INIT;
	struct metrics_listener *listener =
		metrics_listener_new(harness.loop, &harness_clock, "0.0.0.0:0", &views, &err);
	int fds[17];

	cr_assert_not_null(listener, "%s", err.text);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = connect_to(listener);
		cr_expect_eq(status_of(client_ask(&harness, fds[i], GET("/v1/live"))),
			     i < 16 ? 200 : 503, "%zu", i);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		(void)close(fds[i]);
	(void)metrics_listener_close(listener);
}

Test(audit, drops_and_counts_where_nobody_reads)
{
	struct error err = ERROR_INIT;
	struct http_peer peer = { .uid = 1, .gid = 2, .pid = 3 };
	char directory[] = "/tmp/agent-test-XXXXXX", path[64];
	int reader;

	cr_assert_not_null(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/fifo", directory);
	cr_assert_eq(mkfifo(path, 0600), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	audit = audit_open(path, &harness_clock, &err);
	cr_assert_not_null(audit, "%s", err.text);
	for (int i = 0; i < 2000; i++)
		audit_read(audit, &peer, "db", "1", AUDIT_OK);
	cr_expect_gt(audit_dropped(audit), 0);
	audit = audit_close(audit);
	(void)close(reader);
	(void)unlink(path);
	(void)rmdir(directory);
	cr_expect_null(audit_open("/nonexistent/audit", &harness_clock, &err));
	cr_expect_not_null(strstr(err.text, "/nonexistent/audit"));
}
