/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/vault_help.h"

#define AUTH(token_, seconds_, renewable_)                                                         \
	"{\"auth\":{\"client_token\":\"" token_                                                    \
	"\",\"accessor\":\"acc\",\"lease_duration\":" seconds_ ",\"renewable\":" renewable_ "}}"

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

/* Steps through the file of a login and checks what was asked. */
static void give_file(struct exchange *x, enum exchange_next asked, const char *file,
		      const char *content, enum exchange_next then)
{
	struct error err;

	cr_assert_eq(asked, EXCHANGE_SEND);
	cr_expect_eq(x->request.kind, REQUEST_FILE);
	cr_expect(x->request.file_secret);
	expect_text(&x->request.path, file);
	cr_expect_eq(answer(x, 200, content, &err), then, "%s", err.text);
}

Test(vault_login, token_is_looked_up_and_never_ours_to_revoke)
{
	struct vault_options options = { .auth = { .method = VAULT_TOKEN },
					 .namespace = text("team/a") };
	struct backend *backend = open_vault(&options);
	struct error err;
	struct exchange *x = vault_backend.login(backend, &err);

	cr_assert_eq(begin(x, &err), EXCHANGE_SEND);
	cr_expect_str_eq(x->request.method, "GET");
	expect_text(&x->request.path, "/v1/auth/token/lookup-self");
	expect_text(&x->request.headers,
		    "X-Vault-Request: true\nX-Vault-Namespace: team/a\nX-Vault-Token: s.dev\n");
	cr_assert_eq(answer(x, 200,
			    "{\"data\":{\"ttl\":3600,\"renewable\":true,\"accessor\":\"acc\"}}",
			    &err),
		     EXCHANGE_DONE);
	cr_expect(field_is(x->result, SESSION_TOKEN, "s.dev"));
	cr_expect_not_null(secret_version_field(x->result, SESSION_BORROWED));
	cr_expect_eq(x->result->lease.kind, LEASE_TIMED);
	cr_expect_eq(x->result->lease.duration_ms, 3600000);
	cr_expect(x->result->lease.renewable);
	cr_expect_eq(x->result->lease.issued.boot_ms, SENT_BOOT_MS);
	cr_expect_eq(x->result->fetched.real_ms, SENT_REAL_MS + 40);
	exchange_freep(&x);
	vault_backend.close(backend);
}

Test(vault_login, token_without_end_has_no_duration)
{
	struct vault_options options = { .auth = { .method = VAULT_TOKEN } };
	struct backend *backend = open_vault(&options);
	struct error err;
	struct exchange *x = vault_backend.login(backend, &err);

	cr_assert_eq(begin(x, &err), EXCHANGE_SEND);
	cr_assert_eq(answer(x, 200, "{\"data\":{\"ttl\":0,\"renewable\":true}}", &err),
		     EXCHANGE_DONE);
	cr_expect_eq(x->result->lease.duration_ms, 0);
	cr_expect_not(x->result->lease.renewable);
	exchange_freep(&x);
	vault_backend.close(backend);
}

Test(vault_login, token_that_is_missing_or_no_token_is_refused_before_any_request)
{
	static const char *const none[] = { "BAO_ADDR", "https://v", NULL };
	static const char *const bad[] = { "BAO_ADDR", "https://v", "BAO_TOKEN", "s.a\nX: y",
					   NULL };
	static const char *const empty[] = { "BAO_ADDR", "https://v", "BAO_TOKEN", "", NULL };
	const char *const *environments[] = { none, bad, empty };
	struct vault_options options = { .auth = { .method = VAULT_TOKEN } };

	for (size_t i = 0; i < ARRAY_SIZE(environments); i++) {
		struct error err;
		struct backend *backend = try_open(&options, environments[i], &err);
		struct exchange *x = vault_backend.login(backend, &err);

		cr_expect_eq(begin(x, &err), EXCHANGE_FAILED);
		expect_says(&err, ERROR_INVALID, "$BAO_TOKEN");
		cr_expect_null(strstr(err.text, "s.a"));
		exchange_freep(&x);
		vault_backend.close(backend);
	}
}

Test(vault_login, token_file_is_trimmed_and_read_at_each_login)
{
	struct vault_options options = { .auth = { .method = VAULT_TOKEN_FILE,
						   .token_file = text("/t") } };
	struct backend *backend = open_vault(&options);
	static const char *const tokens[] = { "s.one\n", "s.two \r\n" };

	for (size_t i = 0; i < 2; i++) {
		struct error err;
		struct exchange *x = vault_backend.login(backend, &err);

		give_file(x, begin(x, &err), "/t", tokens[i], EXCHANGE_SEND);
		expect_text(&x->request.path, "/v1/auth/token/lookup-self");
		cr_expect_not(x->request.file_secret);
		cr_expect_eq(x->request.kind, REQUEST_HTTP);
		cr_assert_eq(answer(x, 200, "{\"data\":{\"ttl\":60,\"renewable\":false}}", &err),
			     EXCHANGE_DONE);
		cr_expect(field_is(x->result, SESSION_TOKEN, i == 0 ? "s.one" : "s.two"));
		cr_expect_not_null(secret_version_field(x->result, SESSION_BORROWED));
		exchange_freep(&x);
	}
	vault_backend.close(backend);
}

Test(vault_login, kubernetes_posts_role_and_token_of_the_default_file)
{
	struct vault_options options = { .auth = { .method = VAULT_KUBERNETES,
						   .role = text("we\"b"),
						   .mount = text("k8s/eu") } };
	struct backend *backend = open_vault(&options);
	struct error err;
	struct exchange *x = vault_backend.login(backend, &err);

	give_file(x, begin(x, &err), "/var/run/secrets/kubernetes.io/serviceaccount/token",
		  "a.b.c\n", EXCHANGE_SEND);
	cr_expect_str_eq(x->request.method, "POST");
	cr_expect(x->request.once);
	expect_text(&x->request.path, "/v1/auth/k8s/eu/login");
	expect_text(&x->request.body, "{\"role\":\"we\\\"b\",\"jwt\":\"a.b.c\"}");
	cr_expect_null(strstr(buf_string(&x->request.headers), "X-Vault-Token"));
	cr_assert_eq(answer(x, 200, AUTH("hvs.abc", "2764800", "true"), &err), EXCHANGE_DONE);
	cr_expect(field_is(x->result, SESSION_TOKEN, "hvs.abc"));
	cr_expect_null(secret_version_field(x->result, SESSION_BORROWED));
	cr_expect_eq(x->result->lease.duration_ms, INT64_C(2764800000));
	exchange_freep(&x);
	vault_backend.close(backend);
}

Test(vault_login, jwt_may_leave_the_role_to_the_server)
{
	struct vault_options options = { .auth = { .method = VAULT_JWT,
						   .token_file = text("/jwt") } };
	struct backend *backend = open_vault(&options);
	struct error err;
	struct exchange *x = vault_backend.login(backend, &err);

	give_file(x, begin(x, &err), "/jwt", "a.b.c", EXCHANGE_SEND);
	expect_text(&x->request.path, "/v1/auth/jwt/login");
	expect_text(&x->request.body, "{\"jwt\":\"a.b.c\"}");
	exchange_freep(&x);
	vault_backend.close(backend);
}

Test(vault_login, cert_posts_the_role_as_name)
{
	struct vault_options options = { .auth = { .method = VAULT_CERT, .role = text("web") },
					 .tls = { .cert_file = text("c"), .key_file = text("k") } };
	struct backend *backend = open_vault(&options);
	struct error err;
	struct exchange *x = vault_backend.login(backend, &err);
	struct endpoint endpoint;

	cr_assert_eq(begin(x, &err), EXCHANGE_SEND);
	expect_text(&x->request.path, "/v1/auth/cert/login");
	expect_text(&x->request.body, "{\"name\":\"web\"}");
	cr_expect(vault_backend.endpoint(backend, 0, &endpoint));
	cr_expect_str_eq(endpoint.cert_file, "c");
	cr_expect_str_eq(endpoint.key_file, "k");
	exchange_freep(&x);
	vault_backend.close(backend);
}

Test(vault_login, approle_posts_role_id_and_secret_id)
{
	struct vault_options options = { .auth = { .method = VAULT_APPROLE,
						   .role_id_file = text("/r") } };
	struct backend *backend = open_vault(&options);
	struct error err;
	struct exchange *x = vault_backend.login(backend, &err);

	give_file(x, begin(x, &err), "/r", "role\n", EXCHANGE_SEND);
	expect_text(&x->request.path, "/v1/auth/approle/login");
	expect_text(&x->request.body, "{\"role_id\":\"role\"}");
	exchange_freep(&x);

	options.auth.secret_id_file = text("/s");
	x = vault_backend.login(backend, &err);
	give_file(x, begin(x, &err), "/r", "role\n", EXCHANGE_SEND);
	give_file(x, EXCHANGE_SEND, "/s", "sec\n", EXCHANGE_SEND);
	expect_text(&x->request.body, "{\"role_id\":\"role\",\"secret_id\":\"sec\"}");
	exchange_freep(&x);
	vault_backend.close(backend);
}

static const struct vault_options wrapped_options = {
	.auth = { .method = VAULT_APPROLE, .secret_id_wrapped = true },
};

/* To the point where the wrapping token is looked up (or, when it is known, to the login). */
static struct exchange *begin_wrapped(struct backend *backend, const char *token)
{
	struct error err;
	struct exchange *x = vault_backend.login(backend, &err);

	give_file(x, begin(x, &err), "/r", "role", EXCHANGE_SEND);
	give_file(x, EXCHANGE_SEND, "/s", token, EXCHANGE_SEND);
	return x;
}

#define CREATION(path_) "{\"data\":{\"creation_path\":\"" path_ "\",\"creation_ttl\":60}}"

Test(vault_login, wrapped_secret_id_is_unwrapped_once_and_kept_until_the_file_changes)
{
	struct vault_options options = wrapped_options;
	struct backend *backend;
	struct exchange *x;
	struct error err;

	options.auth.role_id_file = text("/r");
	options.auth.secret_id_file = text("/s");
	backend = open_vault(&options);
	x = begin_wrapped(backend, "s.wrap");
	expect_text(&x->request.path, "/v1/sys/wrapping/lookup");
	expect_text(&x->request.body, "{\"token\":\"s.wrap\"}");
	cr_expect_eq(answer(x, 200, CREATION("auth/approle/role/web/secret-id"), &err),
		     EXCHANGE_SEND, "%s", err.text);
	expect_text(&x->request.path, "/v1/sys/wrapping/unwrap");
	cr_expect(x->request.once);
	cr_expect_not_null(strstr(buf_string(&x->request.headers), "X-Vault-Token: s.wrap\n"));
	cr_expect_eq(answer(x, 200, "{\"data\":{\"secret_id\":\"sec\"}}", &err), EXCHANGE_SEND);
	expect_text(&x->request.body, "{\"role_id\":\"role\",\"secret_id\":\"sec\"}");
	cr_expect_eq(answer(x, 503, "", &err), EXCHANGE_FAILED);
	exchange_freep(&x);

	x = begin_wrapped(backend, "s.wrap\n");
	expect_text(&x->request.path, "/v1/auth/approle/login");
	expect_text(&x->request.body, "{\"role_id\":\"role\",\"secret_id\":\"sec\"}");
	exchange_freep(&x);

	x = begin_wrapped(backend, "s.other");
	expect_text(&x->request.path, "/v1/sys/wrapping/lookup");
	exchange_freep(&x);
	vault_backend.close(backend);
}

Test(vault_login, wrapping_token_of_another_origin_is_never_unwrapped)
{
	static const char *const replies[] = {
		CREATION("auth/approle/role/web/secret-id/x"),
		CREATION("auth/approle/role//secret-id"),
		CREATION("auth/other/role/web/secret-id"),
		CREATION("secret/data/web"),
		CREATION("auth/approle/role/a/b/secret-id"),
		CREATION("auth/approlex/role/a/secret-id"),
		"{\"data\":{}}",
		"{}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		struct vault_options options = wrapped_options;
		struct backend *backend;
		struct exchange *x;
		struct error err;

		options.auth.role_id_file = text("/r");
		options.auth.secret_id_file = text("/s");
		backend = open_vault(&options);
		x = begin_wrapped(backend, "s.wrap");
		cr_expect_eq(answer(x, 200, replies[i], &err), EXCHANGE_FAILED);
		expect_says(&err, ERROR_DENIED, "was not made by auth/approle/role/NAME/secret-id");
		exchange_freep(&x);
		vault_backend.close(backend);
	}
}

Test(vault_login, wrapping_token_of_another_role_is_refused_when_a_role_is_set)
{
	struct vault_options options = wrapped_options;
	struct backend *backend;
	struct exchange *x;
	struct error err;

	options.auth.role_id_file = text("/r");
	options.auth.secret_id_file = text("/s");
	options.auth.role = text("web");
	backend = open_vault(&options);
	x = begin_wrapped(backend, "s.wrap");
	cr_expect_eq(answer(x, 200, CREATION("auth/approle/role/webs/secret-id"), &err),
		     EXCHANGE_FAILED);
	expect_says(&err, ERROR_DENIED, "role/web/secret-id");
	exchange_freep(&x);
	vault_backend.close(backend);
}

Test(vault_login, consumed_wrapping_token_says_what_to_do)
{
	struct vault_options options = wrapped_options;
	struct backend *backend;
	struct exchange *x;
	struct error err;

	options.auth.role_id_file = text("/r");
	options.auth.secret_id_file = text("/s");
	backend = open_vault(&options);
	x = begin_wrapped(backend, "s.wrap");
	cr_expect_eq(answer(x, 400,
			    "{\"errors\":[\"wrapping token is not valid or does not exist\"]}",
			    &err),
		     EXCHANGE_FAILED);
	expect_says(&err, ERROR_DENIED, "was used already");
	expect_says(&err, ERROR_DENIED, "/s");
	exchange_freep(&x);
	vault_backend.close(backend);
}

Test(vault_login, credential_files_are_checked)
{
	static const struct {
		const char *content;
		size_t len;
	} bad[] = { { "", 0 },	   { " \n\n", 3 },    { "a\0b", 3 },
		    { "a\nb", 3 }, { "\xff\xfe", 2 }, { "a\tb\n", 4 } };
	struct vault_options options = { .auth = { .method = VAULT_JWT,
						   .token_file = text("/jwt") } };
	struct backend *backend = open_vault(&options);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err;
		struct exchange *x = vault_backend.login(backend, &err);

		(void)begin(x, &err);
		cr_expect_eq(answer_bytes(x, 200, bad[i].content, bad[i].len, &err),
			     EXCHANGE_FAILED, "row %zu", i);
		expect_says(&err, ERROR_INVALID, "/jwt");
		exchange_freep(&x);
	}
	vault_backend.close(backend);
}

Test(vault_login, credential_and_token_keep_their_limits)
{
	struct vault_options options = { .auth = { .method = VAULT_JWT,
						   .token_file = text("/jwt") } };
	struct vault_options file = { .auth = { .method = VAULT_TOKEN_FILE,
						.token_file = text("/t") } };
	struct backend *backend = open_vault(&options), *token = open_vault(&file);
	static char bytes[VAULT_CREDENTIAL_MAX + 2];

	memset(bytes, 'x', sizeof(bytes));
	for (int off = -1; off <= 1; off++) {
		struct error err;
		struct exchange *x = vault_backend.login(backend, &err);

		(void)begin(x, &err);
		cr_expect_eq(x->request.reply_max, VAULT_CREDENTIAL_MAX);
		cr_expect_eq(answer_bytes(x, 200, bytes, VAULT_CREDENTIAL_MAX + (size_t)off, &err),
			     off <= 0 ? EXCHANGE_SEND : EXCHANGE_FAILED, "%d: %s", off, err.text);
		exchange_freep(&x);
		x = vault_backend.login(token, &err);
		(void)begin(x, &err);
		cr_expect_eq(answer_bytes(x, 200, bytes, VAULT_TOKEN_MAX + (size_t)off, &err),
			     off <= 0 ? EXCHANGE_SEND : EXCHANGE_FAILED, "%d: %s", off, err.text);
		exchange_freep(&x);
	}
	vault_backend.close(backend);
	vault_backend.close(token);
}

static const struct {
	int status;
	const char *body;
	enum error_code code;
} refusals[] = {
	{ 400, "{\"errors\":[\"invalid role name \\\"x\\\"\"]}", ERROR_DENIED },
	{ 400, "{\"errors\":[\"missing client token\"]}", ERROR_DENIED },
	{ 400, "not json", ERROR_DENIED },
	{ 403, "{\"errors\":[\"permission denied\"]}", ERROR_DENIED },
	{ 404, "{\"errors\":[]}", ERROR_DENIED },
	{ 307, "", ERROR_UNAVAILABLE },
	{ 412, "", ERROR_UNAVAILABLE },
	{ 429, "{\"errors\":[]}", ERROR_UNAVAILABLE },
	{ 472, "", ERROR_UNAVAILABLE },
	{ 473, "", ERROR_UNAVAILABLE },
	{ 500, "<html>", ERROR_UNAVAILABLE },
	{ 501, "", ERROR_UNAVAILABLE },
	{ 503, "{\"errors\":[\"Vault is sealed\"]}", ERROR_UNAVAILABLE },
	{ 302, "", ERROR_UNAVAILABLE },
	{ 204, "", ERROR_PROTOCOL },
	{ 200, "", ERROR_PROTOCOL },
	{ 200, "[]", ERROR_PROTOCOL },
	{ 200, "null", ERROR_PROTOCOL },
	{ 200, "{}", ERROR_PROTOCOL },
	{ 200, "{\"auth\":null}", ERROR_PROTOCOL },
	{ 200, "{\"auth\":{\"client_token\":\"\",\"lease_duration\":1}}", ERROR_PROTOCOL },
	{ 200, "{\"auth\":{\"client_token\":7,\"lease_duration\":1}}", ERROR_PROTOCOL },
	{ 200, "{\"auth\":{\"client_token\":\"a b\",\"lease_duration\":1}}", ERROR_PROTOCOL },
	{ 200, "{\"auth\":{\"client_token\":\"a\\nb\",\"lease_duration\":1}}", ERROR_PROTOCOL },
	{ 200, "{\"auth\":{\"client_token\":\"a\\u0000b\",\"lease_duration\":1}}", ERROR_PROTOCOL },
	{ 200, "{\"auth\":{\"client_token\":\"a\"}}", ERROR_PROTOCOL },
	{ 200, "{\"auth\":{\"client_token\":\"a\",\"lease_duration\":1e999}}", ERROR_PROTOCOL },
	{ 200, "{\"auth\":{\"client_token\":\"a\",\"lease_duration\":\"1\"}}", ERROR_PROTOCOL },
	{ 200, "{\"auth\":{\"client_token\":\"a\",\"lease_duration\":1},\"errors\":[\"x\"]}",
	  ERROR_PROTOCOL },
	{ 200, "{\"auth\":{\"client_token\":\"a\",\"client_token\":\"b\",\"lease_duration\":1}}",
	  ERROR_PROTOCOL },
	{ 200, "{\"auth\":{\"client_token\":\"a\",\"lease_dur", ERROR_PROTOCOL },
	{ 200, "{\"auth\":{\"client_token\":\"\xff\",\"lease_duration\":1}}", ERROR_PROTOCOL },
};

Test(vault_login, every_refusal_and_every_nonsense_has_its_code)
{
	struct vault_options options = { .auth = { .method = VAULT_JWT,
						   .token_file = text("/jwt") } };
	struct backend *backend = open_vault(&options);

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		struct error err;
		struct exchange *x = vault_backend.login(backend, &err);

		give_file(x, begin(x, &err), "/jwt", "canary.jwt", EXCHANGE_SEND);
		cr_expect_eq(answer(x, refusals[i].status, refusals[i].body, &err), EXCHANGE_FAILED,
			     "row %zu", i);
		cr_expect_eq(err.code, refusals[i].code, "row %zu: %s", i, err.text);
		cr_expect_null(x->result);
		cr_expect_null(strstr(err.text, "canary"));
		cr_expect_not_null(strstr(err.text, "auth/jwt/login"), "%s", err.text);
		exchange_freep(&x);
	}
	vault_backend.close(backend);
}

Test(vault_login, lease_durations_are_kept_sane)
{
	static const struct {
		const char *body;
		int64_t duration_ms;
	} table[] = {
		{ AUTH("a", "0", "true"), 0 },
		{ AUTH("a", "-5", "true"), 1000 },
		{ AUTH("a", "1", "true"), 1000 },
		{ AUTH("a", "9007199254740992", "true"), VAULT_LEASE_MAX_S * 1000 },
		{ AUTH("a", "3153599999", "true"), (VAULT_LEASE_MAX_S - 1) * 1000 },
		{ AUTH("a", "3153600000", "true"), VAULT_LEASE_MAX_S * 1000 },
		{ AUTH("a", "3153600001", "true"), VAULT_LEASE_MAX_S * 1000 },
	};
	struct vault_options options = { .auth = { .method = VAULT_JWT,
						   .token_file = text("/jwt") } };
	struct backend *backend = open_vault(&options);

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct error err;
		struct exchange *x = vault_backend.login(backend, &err);

		give_file(x, begin(x, &err), "/jwt", "j", EXCHANGE_SEND);
		cr_assert_eq(answer(x, 200, table[i].body, &err), EXCHANGE_DONE, "%s", err.text);
		cr_expect_eq(x->result->lease.duration_ms, table[i].duration_ms, "row %zu", i);
		exchange_freep(&x);
	}
	vault_backend.close(backend);
}

Test(vault_login, dead_token_of_the_user_is_denied_by_name)
{
	struct vault_options options = { .auth = { .method = VAULT_TOKEN } };
	struct backend *backend = open_vault(&options);
	struct error err;
	struct exchange *x = vault_backend.login(backend, &err);

	(void)begin(x, &err);
	cr_expect_eq(answer(x, 403, "{\"errors\":[\"permission denied\"]}", &err), EXCHANGE_FAILED);
	expect_says(&err, ERROR_DENIED, "$VAULT_TOKEN");
	exchange_freep(&x);
	x = vault_backend.login(backend, &err);
	(void)begin(x, &err);
	cr_expect_eq(answer(x, 200, "{\"data\":{\"ttl\":\"soon\"}}", &err), EXCHANGE_FAILED);
	cr_expect_eq(err.code, ERROR_PROTOCOL);
	exchange_freep(&x);
	vault_backend.close(backend);
}
