/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/status.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct stamp now = { .boot_ms = 500000, .real_ms = 1700000000000 };
static struct secret_spec specs[] = { { .name = "db" }, { .name = "later" } };

static struct store store;
static struct buf text = BUF_INIT((size_t)1 << 20);

static void open_store(void)
{
	struct error err = ERROR_INIT;
	struct secret_version *version = secret_version_new(&err);

	cr_assert_eq(store_init(&store, specs, ARRAY_SIZE(specs), &err), 0);
	cr_assert_eq(secret_version_add_bytes(version, "p", FIELD_STRING, "canary", 6, &err), 0);
	(void)snprintf(version->id, sizeof(version->id), "3");
	version->fetched = (struct stamp){ now.boot_ms - 90500, now.real_ms - 90500 };
	version->lease = (struct lease){ .kind = LEASE_TIMED,
					 .duration_ms = 100000,
					 .issued = version->fetched };
	store.entries[0].version = version;
	store.entries[0].state = STATE_STALE;
	store.entries[0].next_refresh_boot_ms = now.boot_ms + 5000;
	(void)error_set(&store.entries[0].error, ERROR_UNAVAILABLE, "a \"quoted\" cause");
}

static void close_store(void)
{
	buf_deinit(&text);
	store_deinit(&store);
}

TestSuite(status, .init = open_store, .fini = close_store);

Test(status, is_the_documented_json)
{
	const struct files_problem problem = {
		.secret = "db",
		.path = "env/DB_PASSWORD",
		.variable = "DB_PASSWORD",
		.error = { .code = ERROR_BAD_DATA, .text = "a quote" },
	};
	const struct error denied = { .code = ERROR_DENIED, .text = "no\xff" };
	const struct status_backend backends[] = {
		{ .name = "vault", .state = "ready", .session_expires_real_ms = now.real_ms },
	};
	const struct status_sink sinks[] = {
		{ .name = "files:/run",
		  .state = "published",
		  .generation = 17,
		  .problems = &problem,
		  .problem_count = 1 },
		{ .name = "socket", .state = "failed", .error = &denied },
	};
	const struct status_fact facts[] = { { "seccomp", "on" }, { "landlock", "abi 4" } };
	const struct status_source source = { .store = &store,
					      .backends = backends,
					      .backend_count = 1,
					      .sinks = sinks,
					      .sink_count = 2,
					      .hardening = facts,
					      .hardening_count = 2 };

	status_write_json(&text, &source, now);
	cr_expect_str_eq(
		buf_string(&text),
		"{\"secrets\":[{\"name\":\"db\",\"state\":\"stale\",\"version\":\"3\","
		"\"fetched_at\":\"2023-11-14T22:11:49Z\",\"age_seconds\":90,"
		"\"next_refresh_at\":\"2023-11-14T22:13:25Z\",\"expires_at\":\"2023-11-14T22:13:"
		"29Z\","
		"\"error\":{\"code\":\"unavailable\",\"text\":\"a \\\"quoted\\\" cause\"}},"
		"{\"name\":\"later\",\"state\":\"pending\",\"version\":null,\"fetched_at\":null,"
		"\"age_seconds\":null,\"next_refresh_at\":null,\"expires_at\":null,\"error\":null}]"
		","
		"\"backends\":[{\"name\":\"vault\",\"state\":\"ready\","
		"\"session_expires_at\":\"2023-11-14T22:13:20Z\",\"error\":null}],"
		"\"sinks\":[{\"name\":\"files:/"
		"run\",\"state\":\"published\",\"generation\":17,\"error\":null,"
		"\"problems\":[{\"secret\":\"db\",\"path\":\"env/DB_PASSWORD\","
		"\"variable\":\"DB_PASSWORD\",\"error\":{\"code\":\"bad_data\",\"text\":\"a "
		"quote\"}}]},"
		"{\"name\":\"socket\",\"state\":\"failed\",\"generation\":0,"
		"\"error\":{\"code\":\"denied\",\"text\":\"(not UTF-8)\"},\"problems\":[]}],"
		"\"hardening\":{\"seccomp\":\"on\",\"landlock\":\"abi 4\"}}\n");
	cr_expect_null(strstr(buf_string(&text), "canary"));
}

Test(status, metrics_say_age_state_and_what_was_dropped)
{
	static const char *const lines[] = {
		"\nagent_ready 0\n",
		"\nagent_secret_age_seconds{secret=\"db\"} 90.5\n",
		"\nagent_secret_state{secret=\"db\",state=\"stale\"} 1\n",
		"\nagent_secret_state{secret=\"db\",state=\"fresh\"} 0\n",
		"\nagent_secret_state{secret=\"later\",state=\"pending\"} 1\n",
		"\nagent_secret_next_refresh_timestamp_seconds{secret=\"db\"} 1700000005\n",
		"\nagent_secret_expiry_timestamp_seconds{secret=\"db\"} 1700000009.5\n",
		"\nagent_requests_total{backend=\"a\\\"\\\\\\nb\"} 12\n",
		"\nagent_socket_requests_total{sink=\"socket\"} 7\n",
		"\nagent_file_unwritten{sink=\"files:/d\",secret=\"db\",path=\"db.pem\"} 1\n",
		"\nagent_file_unwritten{sink=\"files:/d\",secret=\"db\",path=\"env/A\",variable="
		"\"A\"} 1\n",
		"\nagent_sink_failed{sink=\"socket\"} 0\n",
		"\nagent_arena_bytes{kind=\"mapped\"} 65536\n",
		"\n# TYPE agent_orphans_total counter\nagent_orphans_total 3\n",
		"\n# TYPE agent_audit_dropped_total counter\nagent_audit_dropped_total 9\n",
	};
	const struct status_backend backends[] = { { .name = "a\"\\\nb", .requests = 12 } };
	const struct files_problem problems[] = {
		{ .secret = "db", .path = "db.pem" },
		{ .secret = "db", .path = "env/A", .variable = "A" },
	};
	const struct status_sink sinks[] = {
		{ .name = "socket", .reads = 7 },
		{ .name = "files:/d", .problems = problems, .problem_count = 2 },
	};
	const struct status_source source = { .store = &store,
					      .backends = backends,
					      .backend_count = 1,
					      .sinks = sinks,
					      .sink_count = 2,
					      .audit_dropped = 9,
					      .orphans = 3 };

	status_write_metrics(&text, &source, now);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		cr_expect_not_null(strstr(buf_string(&text), lines[i]), "missing:%s", lines[i]);
	cr_expect_null(strstr(buf_string(&text), "agent_secret_age_seconds{secret=\"later\""),
		       "an age of what is not there");
	cr_expect_null(strstr(buf_string(&text), "canary"));
}
