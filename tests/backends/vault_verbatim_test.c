/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/vault_help.h"

#define KV2 "{\"data\":{\"path\":\"secret/\",\"type\":\"kv\",\"options\":{\"version\":\"2\"}}}"
#define METADATA(more_)                                                                            \
	"{\"created_time\":\"2026-01-02T03:04:05Z\",\"custom_metadata\":null," more_               \
	"\"destroyed\":false,\"version\":7}"

static const struct vault_options options = { .auth = { .method = VAULT_TOKEN } };

static struct backend *backend;
static struct secret_version *session;

static void set_up(void)
{
	backend = open_vault(&options);
	session = make_session_version("s.canary");
}

static void tear_down(void)
{
	session = secret_version_unref(session);
	vault_backend.close(backend);
}

TestSuite(vault_verbatim, .init = set_up, .fini = tear_down);

static struct exchange *fetch(const char *path, enum secret_verbatim verbatim, const char *write)
{
	struct secret_spec spec = { .path = (char *)(uintptr_t)path,
				    .write = (char *)(uintptr_t)write,
				    .verbatim = verbatim };
	struct error err;
	struct exchange *x = vault_backend.fetch(backend, session, &spec, &err);

	cr_assert_not_null(x, "%s", err.text);
	return x;
}

/* One that needs no look-up of a mount. */
static struct exchange *ask(const char *path, const char *write)
{
	struct exchange *x = fetch(path, VERBATIM_YES, write);
	struct error err;

	cr_assert_eq(begin(x, &err), EXCHANGE_SEND, "%s", err.text);
	return x;
}

Test(vault_verbatim, asks_the_path_as_written_and_hands_out_the_answers_members)
{
	struct exchange *x = ask("secret/data/my db", NULL);
	struct error err;

	expect_text(&x->request.path, "/v1/secret/data/my%20db");
	cr_assert_eq(
		answer(x, 200,
		       "{\"lease_id\":\"\",\"lease_duration\":0,\"data\":{\"data\":{\"port\":"
		       "5432, \"e\":1E+5},\"metadata\":" METADATA("\"deletion_time\":\"\",") "}}",
		       &err),
		EXCHANGE_DONE, "%s", err.text);
	cr_expect_str_eq(x->result->id, "7");
	cr_expect_eq(x->result->count, 2);
	cr_expect(field_is(x->result, "data", "{\"port\":5432, \"e\":1E+5}"));
	cr_expect_eq(secret_version_field(x->result, "data")->type, FIELD_JSON);
	cr_expect(field_is(x->result, "metadata", METADATA("\"deletion_time\":\"\",")));
	cr_expect_eq(x->result->lease.kind, LEASE_NONE);
	exchange_freep(&x);
}

Test(vault_verbatim, of_a_mount_that_is_no_kv2_is_like_any_read)
{
	struct exchange *x = ask("kv1/data/db", NULL);
	struct error err;

	expect_text(&x->request.path, "/v1/kv1/data/db");
	/* The fields of one KV v1 secret may be called as KV v2's parts are. */
	cr_assert_eq(answer(x, 200,
			    "{\"lease_duration\":2764800,\"data\":{\"data\":{\"a\":1},\"metadata\":"
			    "{\"version\":3},\"on\":true}}",
			    &err),
		     EXCHANGE_DONE, "%s", err.text);
	cr_expect_eq(strlen(x->result->id), 16, "not '3': the content decides");
	cr_expect_eq(x->result->lease.kind, LEASE_NONE, "KV v1's duration is a hint");
	cr_expect(field_is(x->result, "on", "true"));
	exchange_freep(&x);
}

Test(vault_verbatim, keeps_leases_and_writes)
{
	static const char leased[] =
		"{\"lease_id\":\"database/creds/web/1\",\"lease_duration\":60,\"renewable\":true,"
		"\"data\":{\"username\":\"u\"}}";
	static const char *const writes[] = { NULL, "{\"common_name\":\"web\"}" };

	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		struct exchange *x = ask("database/creds/web", writes[i]);
		struct error err;

		cr_expect_str_eq(x->request.method, writes[i] != NULL ? "POST" : "GET");
		cr_expect(x->request.once, "it may make a credential");
		cr_assert_eq(answer(x, 200, leased, &err), EXCHANGE_DONE, "%s", err.text);
		cr_expect_str_eq(x->result->lease.id, "database/creds/web/1");
		cr_expect_eq(x->result->lease.duration_ms, 60000);
		cr_expect(x->result->lease.renewable);
		exchange_freep(&x);
	}
}

Test(vault_verbatim, path_may_end_with_a_query)
{
	static const char *const bad[] = { "a/b?c d", "a/b?c=1#2", "a/b?c=1?d", "?version=2" };
	struct exchange *x = ask("secret/data/db?version=3&a=%20", NULL);
	struct error err;

	expect_text(&x->request.path, "/v1/secret/data/db?version=3&a=%20");
	cr_expect_eq(answer(x, 403, "", &err), EXCHANGE_FAILED);
	expect_says(&err, ERROR_DENIED, "secret/data/db");
	exchange_freep(&x);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct secret_spec spec = { .path = (char *)(uintptr_t)bad[i],
					    .verbatim = VERBATIM_YES };

		cr_expect_null(vault_backend.fetch(backend, session, &spec, &err), "%s", bad[i]);
		expect_says(&err, ERROR_INVALID, "path");
	}
	x = vault_backend.capabilities(
		backend, session,
		&(struct secret_spec){ .path = (char *)(uintptr_t) "secret/data/db?version=3",
				       .verbatim = VERBATIM_YES },
		&err);
	cr_assert_eq(begin(x, &err), EXCHANGE_SEND);
	expect_text(&x->request.body, "{\"paths\":[\"secret/data/db\"]}");
	exchange_freep(&x);
}

Test(vault_verbatim, deleted_version_is_missing_whatever_the_status)
{
	static const struct {
		int status;
		const char *body;
		const char *says;
	} table[] = {
		{ 404,
		  "{\"data\":{\"data\":null,\"metadata\":" METADATA(
			  "\"deletion_time\":\"2026-01-03T00:00:00Z\",") "}}",
		  "version 7 was deleted" },
		{ 200,
		  "{\"data\":{\"data\":null,\"metadata\":" METADATA(
			  "\"deletion_time\":\"2026-01-03T00:00:00Z\",") "}}",
		  "version 7 was deleted" },
		{ 404, "{\"errors\":[]}", "nothing was ever written there (404)" },
		{ 404, "", "nothing was ever written there (404)" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct exchange *x = ask("secret/data/db", NULL);
		struct error err;

		cr_expect_eq(answer(x, table[i].status, table[i].body, &err), EXCHANGE_FAILED);
		expect_says(&err, ERROR_NOT_FOUND, table[i].says);
		exchange_freep(&x);
	}
}

Test(vault_verbatim, that_lacks_data_says_where_kv2_has_it)
{
	struct exchange *x = ask("secret/db", NULL);
	struct error err;

	cr_expect_eq(answer(x, 404, "{\"errors\":[],\"warnings\":[\"Invalid path\"]}", &err),
		     EXCHANGE_FAILED);
	expect_says(&err, ERROR_NOT_FOUND, "`verbatim: answer` finds it");
	exchange_freep(&x);
}

Test(vault_verbatim, answer_finds_the_path_as_always)
{
	struct exchange *x = fetch("secret/db", VERBATIM_ANSWER, NULL), *need;
	struct error err;

	cr_assert_eq(begin(x, &err), EXCHANGE_NEED);
	need = vault_backend.need(backend, session, x->need, &err);
	cr_assert_eq(begin(need, &err), EXCHANGE_SEND);
	cr_assert_eq(answer(need, 200, KV2, &err), EXCHANGE_DONE);
	exchange_freep(&need);
	cr_assert_eq(begin(x, &err), EXCHANGE_SEND);
	expect_text(&x->request.path, "/v1/secret/data/db");
	cr_assert_eq(answer(x, 200,
			    "{\"data\":{\"data\":{\"a\":null},\"metadata\":" METADATA(
				    "\"deletion_time\":\"\",") "}}",
			    &err),
		     EXCHANGE_DONE, "%s", err.text);
	cr_expect(field_is(x->result, "data", "{\"a\":null}"));
	cr_expect_str_eq(x->result->id, "7");
	exchange_freep(&x);
}

Test(vault_verbatim, nested_secret_may_be_longer_than_a_value)
{
	struct exchange *x = ask("secret/data/db", NULL);
	struct buf body = BUF_INIT(1 << 20);
	struct error err;

	buf_puts(&body, "{\"data\":{\"data\":{\"a\":\"");
	for (size_t i = 0; i <= FIELD_VALUE_MAX; i++)
		buf_putc(&body, 'x');
	buf_puts(&body, "\"}}}");
	cr_expect_eq(answer_bytes(x, 200, body.data, body.len, &err), EXCHANGE_DONE, "%s",
		     err.text);
	exchange_freep(&x);
	buf_deinit(&body);
}
