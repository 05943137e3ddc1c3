/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/vault_help.h"

static struct reply reply_of(int status, const char *body)
{
	return (struct reply){
		.status = status, .body = body, .len = strlen(body), .retry_after_ms = -1
	};
}

Test(vault_reply, status_of_a_read_has_its_code_and_is_in_the_text)
{
	static const struct {
		int status;
		enum error_code code;
	} table[] = {
		{ 100, ERROR_PROTOCOL },    { 201, ERROR_PROTOCOL },	{ 301, ERROR_UNAVAILABLE },
		{ 307, ERROR_UNAVAILABLE }, { 400, ERROR_INVALID },	{ 401, ERROR_DENIED },
		{ 402, ERROR_DENIED },	    { 403, ERROR_DENIED },	{ 404, ERROR_NOT_FOUND },
		{ 405, ERROR_INVALID },	    { 408, ERROR_UNAVAILABLE }, { 412, ERROR_UNAVAILABLE },
		{ 413, ERROR_INVALID },	    { 418, ERROR_PROTOCOL },	{ 429, ERROR_UNAVAILABLE },
		{ 471, ERROR_PROTOCOL },    { 472, ERROR_UNAVAILABLE }, { 473, ERROR_UNAVAILABLE },
		{ 474, ERROR_PROTOCOL },    { 500, ERROR_UNAVAILABLE }, { 501, ERROR_UNAVAILABLE },
		{ 502, ERROR_UNAVAILABLE }, { 503, ERROR_UNAVAILABLE }, { 504, ERROR_UNAVAILABLE },
		{ 599, ERROR_UNAVAILABLE }, { 600, ERROR_PROTOCOL },	{ 999, ERROR_PROTOCOL },
		{ 0, ERROR_PROTOCOL },	    { 1000, ERROR_PROTOCOL },	{ -1, ERROR_PROTOCOL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct reply reply = reply_of(table[i].status, "{\"errors\":[]}");
		struct error err = ERROR_INIT;

		cr_expect_eq(vault_judge(VAULT_CALL_READ, "secret/db", &reply, &err), -1);
		cr_expect_eq(err.code, table[i].code, "%d: %s", table[i].status, err.text);
		cr_expect_not_null(strstr(err.text, "secret/db"));
	}
}

Test(vault_reply, retry_after_is_passed_on_when_trying_again_makes_sense)
{
	struct reply reply = reply_of(429, "");
	struct error err = ERROR_INIT;

	reply.retry_after_ms = 7000;
	cr_expect_eq(vault_judge(VAULT_CALL_READ, "x", &reply, &err), -1);
	cr_expect_eq(err.retry_after_ms, 7000);
	reply.status = 403;
	cr_expect_eq(vault_judge(VAULT_CALL_READ, "x", &reply, &err), -1);
	cr_expect_eq(err.retry_after_ms, 0);
	reply = reply_of(503, "");
	cr_expect_eq(vault_judge(VAULT_CALL_READ, "x", &reply, &err), -1);
	cr_expect_eq(err.retry_after_ms, 0);
}

Test(vault_reply, servers_words_are_told_in_ours_and_never_quoted)
{
	static const struct {
		int status;
		const char *body;
		const char *shown;
	} table[] = {
		{ 403, "{\"errors\":[\"1 error occurred:\\n\\t* permission denied\\n\\n\",7]}",
		  "(403: permission denied)" },
		{ 403, "{\"errors\":[\"Permission denied canary\",\"invalid token canary\"]}",
		  "(403: permission denied; invalid token)" },
		{ 400, "{\"errors\":[\"role \\\"canary\\\" could not be found\"]}",
		  "(400: there is no such role)" },
		{ 500, "{\"errors\":[\"dial postgres://root:canary@db: refused\"]}",
		  "(500; the server's log says more)" },
		{ 500, "canary", "(500; the server's log says more)" },
		{ 500, "{\"errors\":{\"canary\":1}}", "(500)" },
		{ 500, "{\"errors\":[],\"canary\":1}", "(500)" },
		{ 500, "", "(500)" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct reply reply = reply_of(table[i].status, table[i].body);
		struct error err = ERROR_INIT;

		cr_expect_eq(vault_judge(VAULT_CALL_LOGIN, "x", &reply, &err), -1);
		cr_expect_not_null(strstr(err.text, table[i].shown), "%s", err.text);
		cr_expect_null(strstr(err.text, "canary"), "%s", err.text);
	}
}

Test(vault_reply, sealed_server_is_called_sealed)
{
	struct reply sealed = reply_of(503, "{\"errors\":[\"Vault is sealed\"]}");
	struct reply other = reply_of(503, "{\"errors\":[\"overloaded\"]}");
	struct reply upgrade = reply_of(400,
					"{\"errors\":[\"Upgrading from non-versioned to versioned "
					"data. This backend will be unavailable\"]}");
	struct error err = ERROR_INIT;

	cr_expect_eq(vault_judge(VAULT_CALL_READ, "x", &sealed, &err), -1);
	expect_says(&err, ERROR_UNAVAILABLE, "the server is sealed");
	cr_expect_eq(vault_judge(VAULT_CALL_READ, "x", &other, &err), -1);
	cr_expect_null(strstr(err.text, "sealed"));
	cr_expect_eq(vault_judge(VAULT_CALL_READ, "x", &upgrade, &err), -1);
	cr_expect_eq(err.code, ERROR_UNAVAILABLE);
}

Test(vault_reply, tokens_are_visible_ascii)
{
	cr_expect(vault_token_is_sane("s.a-b_~!", 8));
	cr_expect_not(vault_token_is_sane("", 0));
	cr_expect_not(vault_token_is_sane("a\0b", 3));
	cr_expect_not(vault_token_is_sane("a b", 3));
	cr_expect_not(vault_token_is_sane("a\rb", 3));
	cr_expect_not(vault_token_is_sane("a\x7f", 2));
	cr_expect_not(vault_token_is_sane("\xc3\xa9", 2));
}
