/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/vault_help.h"

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

static struct vault_options at(char **address, const char *url)
{
	*address = text(url);
	return (struct vault_options){ .address = { .items = address, .count = 1 },
				       .auth = { .method = VAULT_TOKEN } };
}

Test(vault, options_default_to_a_token_and_pass_their_own_check)
{
	struct vault_options options = { .insecure_http = false };
	const struct option *auth = option_find(vault_backend.options, "auth");
	struct error err = ERROR_INIT;

	cr_assert_eq(vault_backend.options_size, sizeof(options));
	cr_assert_eq(option_defaults(vault_backend.options, &options, &err), 0, "%s", err.text);
	cr_expect_eq(options.auth.method, VAULT_TOKEN);
	cr_expect_not(options.insecure_http);
	cr_expect_eq(vault_backend.check(&options, &err), 0, "%s", err.text);
	cr_assert_eq(
		option_read(option_find(auth->members, "method"), &options.auth, "approle", &err),
		0);
	cr_expect_eq(options.auth.method, VAULT_APPROLE);
	cr_assert_eq(option_read(option_find(auth->members, "method"), &options.auth, "kubernetes",
				 &err),
		     0);
	cr_expect_eq(options.auth.method, VAULT_KUBERNETES);
	option_free(vault_backend.options, &options);
}

Test(vault, takes_addresses_and_drops_a_trailing_slash)
{
	static const char *const good[][2] = {
		{ "https://vault.example:8200", "https://vault.example:8200" },
		{ "https://vault.example/", "https://vault.example" },
		{ "https://[2001:db8::1]:8200", "https://[2001:db8::1]:8200" },
		{ "http://127.0.0.1:8200", "http://127.0.0.1:8200" },
		{ "http://127.3.2.1", "http://127.3.2.1" },
		{ "http://localhost:1", "http://localhost:1" },
		{ "http://[::1]:65535", "http://[::1]:65535" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		char *address;
		struct vault_options options = at(&address, good[i][0]);
		struct endpoint endpoint;
		struct error err = ERROR_INIT;
		struct backend *backend;

		cr_expect_eq(vault_backend.check(&options, &err), 0, "%s", err.text);
		backend = try_open(&options, NULL, &err);
		cr_assert_not_null(backend, "%s", err.text);
		cr_expect(vault_backend.endpoint(backend, 0, &endpoint));
		cr_expect_str_eq(endpoint.url, good[i][1]);
		cr_expect_not(vault_backend.endpoint(backend, 1, &endpoint));
		vault_backend.close(backend);
	}
}

Test(vault, refuses_addresses_that_are_none)
{
	static const char *const bad[] = {
		"",
		"vault:8200",
		"ftp://vault",
		"https://",
		"https://:8200",
		"https://vault/ui",
		"https://vault:0",
		"https://vault:65536",
		"https://vault:",
		"https://vault:82x",
		"https://u@vault",
		"https://vault?x",
		"https://[::1",
		"https://va ult",
		"https://vault#x",
		"https://v\xc3\xa4ult",
		"https://vault//",
		"HTTPS://vault",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *address;
		struct vault_options options = at(&address, bad[i]);
		struct error err = ERROR_INIT;

		cr_expect_eq(vault_backend.check(&options, &err), -1, "'%s' was taken", bad[i]);
		expect_says(&err, ERROR_INVALID, "address: ");
	}
}

Test(vault, refuses_plain_http_unless_loopback_or_asked_for)
{
	static const char *const plain[] = { "http://vault:8200", "http://127.evil.example",
					     "http://128.0.0.1",  "http://localhost.example",
					     "http://[::2]",	  "http://0.0.0.0" };

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		char *address;
		struct vault_options options = at(&address, plain[i]);
		struct error err = ERROR_INIT;

		cr_expect_eq(vault_backend.check(&options, &err), -1, "'%s' was taken", plain[i]);
		expect_says(&err, ERROR_INVALID, "insecure_http");
		options.insecure_http = true;
		cr_expect_eq(vault_backend.check(&options, &err), 0, "%s", err.text);
	}
}

Test(vault, address_comes_from_the_environment_when_none_is_configured)
{
	static const char *const both[] = { "VAULT_ADDR", "https://v", "BAO_ADDR", "https://b",
					    NULL };
	static const char *const one[] = { "VAULT_ADDR", "https://v", NULL };
	static const char *const bad[] = { "BAO_ADDR", "b", NULL };
	struct vault_options options = { .auth = { .method = VAULT_TOKEN } };
	struct error err = ERROR_INIT;
	struct endpoint endpoint;
	struct backend *backend = try_open(&options, both, &err);

	cr_expect(vault_backend.endpoint(backend, 0, &endpoint));
	cr_expect_str_eq(endpoint.url, "https://b");
	vault_backend.close(backend);
	backend = try_open(&options, one, &err);
	cr_expect(vault_backend.endpoint(backend, 0, &endpoint));
	cr_expect_str_eq(endpoint.url, "https://v");
	vault_backend.close(backend);
	cr_expect_null(try_open(&options, NULL, &err));
	expect_says(&err, ERROR_INVALID, "$BAO_ADDR");
	cr_expect_null(try_open(&options, bad, &err));
	expect_says(&err, ERROR_INVALID, "$BAO_ADDR");
}

struct contradiction {
	struct vault_options options;
	const char *says; /* NULL: fine */
};

Test(vault, names_the_option_that_is_missing_or_contradicts)
{
	const struct contradiction table[] = {
		{ { .auth = { .method = VAULT_TOKEN } }, NULL },
		{ { .auth = { .method = VAULT_TOKEN, .role = text("r") } }, "auth.role: " },
		{ { .auth = { .method = VAULT_TOKEN, .mount = text("token") } }, "auth.mount: " },
		{ { .auth = { .method = VAULT_KUBERNETES, .role = text("r") } }, NULL },
		{ { .auth = { .method = VAULT_KUBERNETES } }, "auth.role: missing" },
		{ { .auth = { .method = VAULT_KUBERNETES,
			      .role = text("r"),
			      .mount = text("auth/k") } },
		  "auth.mount: " },
		{ { .auth = { .method = VAULT_KUBERNETES,
			      .role = text("r"),
			      .mount = text("a/../b") } },
		  "auth.mount: " },
		{ { .auth = { .method = VAULT_JWT } }, "auth.token_file: missing" },
		{ { .auth = { .method = VAULT_JWT, .token_file = text("/t") } }, NULL },
		{ { .auth = { .method = VAULT_TOKEN_FILE } }, "auth.token_file: missing" },
		{ { .auth = { .method = VAULT_APPROLE } }, "auth.role_id_file: missing" },
		{ { .auth = { .method = VAULT_APPROLE, .role_id_file = text("/r") } }, NULL },
		{ { .auth = { .method = VAULT_APPROLE,
			      .role_id_file = text("/r"),
			      .token_file = text("/t") } },
		  "auth.token_file: " },
		{ { .auth = { .method = VAULT_APPROLE,
			      .role_id_file = text("/r"),
			      .secret_id_wrapped = true } },
		  "auth.secret_id_file: missing" },
		{ { .auth = { .method = VAULT_JWT,
			      .token_file = text("/t"),
			      .secret_id_file = text("/s") } },
		  "auth.secret_id_file: " },
		{ { .auth = { .method = VAULT_CERT } }, "tls.cert_file: missing" },
		{ { .auth = { .method = VAULT_CERT },
		    .tls = { .cert_file = text("c"), .key_file = text("k") } },
		  NULL },
		{ { .auth = { .method = VAULT_TOKEN }, .tls = { .cert_file = text("c") } },
		  "tls.key_file: missing" },
		{ { .auth = { .method = VAULT_TOKEN }, .tls = { .key_file = text("c") } },
		  "tls.cert_file: missing" },
		{ { .auth = { .method = VAULT_TOKEN }, .namespace = text("a\nX-Evil: 1") },
		  "namespace: " },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct error err = ERROR_INIT;
		int result = vault_backend.check(&table[i].options, &err);

		if (table[i].says == NULL) {
			cr_expect_eq(result, 0, "row %zu: %s", i, err.text);
			continue;
		}
		cr_expect_eq(result, -1, "row %zu", i);
		expect_says(&err, ERROR_INVALID, table[i].says);
		cr_expect_eq(strncmp(err.text, table[i].says, strlen(table[i].says)), 0, "%s",
			     err.text);
	}
}

Test(vault, policy_has_both_forms_until_the_mount_is_known)
{
	static const char versions[] =
		"{\"data\":{\"path\":\"secret/\",\"type\":\"kv\",\"options\":{\"version\":\"2\"}}}";
	struct vault_options options = { .auth = { .method = VAULT_TOKEN } };
	struct backend *backend = open_vault(&options);
	struct secret_version *session = make_session_version("s.x");
	struct secret_spec spec = { .path = text("secret/d\"b") };
	struct secret_spec literal = { .path = text("secret/d\"b?version=3"),
				       .verbatim = VERBATIM_YES };
	struct secret_spec write = { .path = text("/pki/issue/web"), .write = text("{}") };
	struct buf policy = BUF_INIT(4096);
	struct error err;
	struct exchange *x;

	vault_backend.policy(backend, &spec, &policy);
	expect_text(&policy,
		    "path \"secret/d\\\"b\" {\n  capabilities = [\"read\"]\n}\n"
		    "path \"secret/data/d\\\"b\" {\n  capabilities = [\"read\"]\n}\n");
	buf_reset(&policy);
	vault_backend.policy(backend, &literal, &policy);
	expect_text(&policy, "path \"secret/d\\\"b\" {\n  capabilities = [\"read\"]\n}\n");
	x = vault_backend.fetch(backend, session, &spec, &err);
	cr_expect_eq(begin(x, &err), EXCHANGE_NEED);
	exchange_freep(&x);
	x = vault_backend.need(backend, session, "mount:secret", &err);
	cr_expect_eq(begin(x, &err), EXCHANGE_SEND);
	cr_expect_eq(answer(x, 200, versions, &err), EXCHANGE_DONE);
	exchange_freep(&x);
	buf_reset(&policy);
	vault_backend.policy(backend, &spec, &policy);
	vault_backend.policy(backend, &write, &policy);
	expect_text(&policy,
		    "path \"secret/data/d\\\"b\" {\n  capabilities = [\"read\"]\n}\n"
		    "path \"pki/issue/web\" {\n  capabilities = [\"update\"]\n}\n");
	buf_deinit(&policy);
	(void)secret_version_unref(session);
	vault_backend.close(backend);
}
