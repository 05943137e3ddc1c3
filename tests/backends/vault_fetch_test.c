/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/vault_help.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "agent/base/text.h"

#define MOUNT(path_, type_, options_)                                                              \
	"{\"data\":{\"path\":\"" path_ "\",\"type\":\"" type_ "\",\"options\":" options_ "}}"
#define KV1 MOUNT("secret/", "kv", "{\"version\":\"1\"}")
#define KV2 MOUNT("secret/", "kv", "{\"version\":\"2\"}")

static const struct vault_options options = { .auth = { .method = VAULT_TOKEN } };

struct fixture {
	struct backend *backend;
	struct secret_version *session;
};

static struct fixture set_up(void)
{
	return (struct fixture){ .backend = open_vault(&options),
				 .session = make_session_version("s.canary") };
}

static void tear_down(struct fixture *fixture)
{
	(void)secret_version_unref(fixture->session);
	vault_backend.close(fixture->backend);
}

/* Answers the need that `x` stands at. */
static void learn(const struct fixture *fixture, const struct exchange *x, int status,
		  const char *body)
{
	struct error err;
	struct exchange *need =
		vault_backend.need(fixture->backend, fixture->session, x->need, &err);

	cr_assert_not_null(need, "%s", err.text);
	cr_assert_eq(begin(need, &err), EXCHANGE_SEND);
	cr_expect_eq(answer(need, status, body, &err), EXCHANGE_DONE, "%s", err.text);
	exchange_freep(&need);
}

/* A fetch that has got to its own request. */
static struct exchange *ask(const struct fixture *fixture, const char *path, const char *write,
			    int status, const char *mount)
{
	struct secret_spec spec = { .path = (char *)(uintptr_t)path,
				    .write = (char *)(uintptr_t)write };
	struct error err;
	struct exchange *x = vault_backend.fetch(fixture->backend, fixture->session, &spec, &err);
	enum exchange_next next;

	cr_assert_not_null(x, "%s", err.text);
	next = begin(x, &err);
	if (next == EXCHANGE_NEED) {
		learn(fixture, x, status, mount);
		next = begin(x, &err);
	}
	cr_assert_eq(next, EXCHANGE_SEND, "%s", err.text);
	return x;
}

Test(vault_fetch, kv2_inserts_data_and_takes_version_and_fields)
{
	struct fixture fixture = set_up();
	struct exchange *x = ask(&fixture, "/secret/my db", NULL, 200, KV2);
	struct error err;

	expect_text(&x->request.path, "/v1/secret/data/my%20db");
	expect_text(&x->request.headers, "X-Vault-Request: true\nX-Vault-Token: s.canary\n");
	cr_expect_str_eq(x->request.method, "GET");
	cr_expect_not(x->request.once);
	cr_assert_eq(
		answer(x, 200,
		       "{\"lease_id\":\"\",\"lease_duration\":0,\"data\":{\"data\":{\"user\":"
		       "\"u\\n\","
		       "\"port\":5432,\"big\":1.50e3,\"tags\":[\"a\",  "
		       "1],\"on\":true,\"no\":null,\"e\":\"\"},"
		       "\"metadata\":{\"version\":12,\"deletion_time\":\"\",\"destroyed\":false}}}",
		       &err),
		EXCHANGE_DONE, "%s", err.text);
	cr_expect_str_eq(x->result->id, "12");
	cr_expect_eq(x->result->lease.kind, LEASE_NONE);
	cr_expect_eq(x->result->fetched.boot_ms, SENT_BOOT_MS + 40);
	cr_expect_eq(x->result->count, 7);
	cr_expect(field_is(x->result, "user", "u\n"));
	cr_expect_eq(secret_version_field(x->result, "user")->type, FIELD_STRING);
	cr_expect(field_is(x->result, "port", "5432"));
	cr_expect_eq(secret_version_field(x->result, "port")->type, FIELD_JSON);
	cr_expect(field_is(x->result, "big", "1.50e3"));
	cr_expect(field_is(x->result, "tags", "[\"a\",  1]"));
	cr_expect(field_is(x->result, "on", "true"));
	cr_expect(field_is(x->result, "no", "null"));
	cr_expect(field_is(x->result, "e", ""));
	cr_expect_str_eq(x->result->fields[0].name, "user");
	exchange_freep(&x);
	tear_down(&fixture);
}

Test(vault_fetch, second_secret_of_a_mount_costs_one_request)
{
	struct fixture fixture = set_up();
	struct exchange *x = ask(&fixture, "secret/a", NULL, 200, KV2);
	struct secret_spec spec = { .path = (char *)(uintptr_t) "secret/b" };
	struct error err;

	exchange_freep(&x);
	x = vault_backend.fetch(fixture.backend, fixture.session, &spec, &err);
	cr_expect_eq(begin(x, &err), EXCHANGE_SEND);
	expect_text(&x->request.path, "/v1/secret/data/b");
	exchange_freep(&x);
	tear_down(&fixture);
}

Test(vault_fetch, preflight_asks_about_the_whole_path)
{
	struct fixture fixture = set_up();
	struct secret_spec spec = { .path = (char *)(uintptr_t) "team/kv/a b" };
	struct error err;
	struct exchange *x = vault_backend.fetch(fixture.backend, fixture.session, &spec, &err);
	struct exchange *need;

	cr_assert_eq(begin(x, &err), EXCHANGE_NEED);
	cr_expect_str_eq(x->need, "mount:team");
	need = vault_backend.need(fixture.backend, fixture.session, x->need, &err);
	cr_assert_eq(begin(need, &err), EXCHANGE_SEND);
	expect_text(&need->request.path, "/v1/sys/internal/ui/mounts/team/kv/a%20b");
	exchange_freep(&need);
	exchange_freep(&x);
	tear_down(&fixture);
}

Test(vault_fetch, preflight_that_fails_is_no_answer)
{
	static const struct {
		int status;
		const char *body;
		enum error_code code;
	} table[] = {
		{ 500, "", ERROR_UNAVAILABLE },
		{ 429, "", ERROR_UNAVAILABLE },
		{ 412, "", ERROR_UNAVAILABLE },
		{ 400, "", ERROR_INVALID },
		{ 200, "{}", ERROR_PROTOCOL },
		{ 200, "{\"data\":[]}", ERROR_PROTOCOL },
		{ 200, "", ERROR_PROTOCOL },
		{ 204, "", ERROR_PROTOCOL },
		{ 200, "{\"data\":{}}", ERROR_PROTOCOL },
		{ 200, "{\"data\":{\"path\":\"secret/\",\"ty", ERROR_PROTOCOL },
		{ 200, MOUNT("elsewhere/", "kv", "null"), ERROR_PROTOCOL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct fixture fixture = set_up();
		struct secret_spec spec = { .path = (char *)(uintptr_t) "secret/a" };
		struct error err;
		struct exchange *x =
			vault_backend.fetch(fixture.backend, fixture.session, &spec, &err);
		struct exchange *need;

		cr_assert_eq(begin(x, &err), EXCHANGE_NEED);
		need = vault_backend.need(fixture.backend, fixture.session, x->need, &err);
		cr_assert_eq(begin(need, &err), EXCHANGE_SEND);
		cr_expect_eq(answer(need, table[i].status, table[i].body, &err), EXCHANGE_FAILED,
			     "row %zu", i);
		cr_expect_eq(err.code, table[i].code, "row %zu: %s", i, err.text);
		exchange_freep(&need);
		cr_expect_eq(begin(x, &err), EXCHANGE_NEED);
		exchange_freep(&x);
		tear_down(&fixture);
	}
}

Test(vault_fetch, kv1_ignores_the_leases_duration)
{
	struct fixture fixture = set_up();
	struct exchange *x = ask(&fixture, "secret/db", NULL, 200, KV1);
	struct error err;

	expect_text(&x->request.path, "/v1/secret/db");
	cr_assert_eq(answer(x, 200,
			    "{\"lease_duration\":2764800,\"data\":{\"a\":\"b\",\"ttl\":\"1h\"}}",
			    &err),
		     EXCHANGE_DONE);
	cr_expect_eq(x->result->lease.kind, LEASE_NONE);
	cr_expect_eq(strlen(x->result->id), 16);
	exchange_freep(&x);
	tear_down(&fixture);
}

Test(vault_fetch, server_that_will_not_tell_the_mount_is_read_as_written)
{
	static const int silent[] = { 403, 404 };

	for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
		struct fixture fixture = set_up();
		struct exchange *x = ask(&fixture, "secret/db", NULL, silent[i], "");
		struct error err;

		expect_text(&x->request.path, "/v1/secret/db");
		cr_expect(x->request.once);
		cr_assert_eq(
			answer(x, 200, "{\"lease_duration\":2764800,\"data\":{\"a\":\"b\"}}", &err),
			EXCHANGE_DONE);
		cr_expect_eq(x->result->lease.kind, LEASE_NONE);
		exchange_freep(&x);
		x = ask(&fixture, "secret/db", NULL, 500, "remembered: not asked again");
		cr_expect_eq(answer(x, 403, "", &err), EXCHANGE_FAILED);
		exchange_freep(&x);
		x = ask(&fixture, "secret/db", NULL, 200, KV2);
		expect_text(&x->request.path, "/v1/secret/data/db");
		exchange_freep(&x);
		tear_down(&fixture);
	}
}

Test(vault_fetch, dynamic_secret_has_its_lease_and_is_not_blindly_repeated)
{
	struct fixture fixture = set_up();
	struct exchange *x = ask(&fixture, "database/creds/web", NULL, 200,
				 MOUNT("database/", "database", "null"));
	struct error err;

	cr_expect(x->request.once);
	cr_assert_eq(answer(x, 200,
			    "{\"lease_id\":\"database/creds/web/"
			    "1\",\"lease_duration\":3600,\"renewable\":true,"
			    "\"data\":{\"username\":\"u\",\"password\":\"p\"}}",
			    &err),
		     EXCHANGE_DONE);
	cr_expect_eq(x->result->lease.kind, LEASE_TIMED);
	cr_expect_str_eq(x->result->lease.id, "database/creds/web/1");
	cr_expect_eq(x->result->lease.duration_ms, 3600000);
	cr_expect(x->result->lease.renewable);
	cr_expect_eq(x->result->lease.issued.real_ms, SENT_REAL_MS);
	exchange_freep(&x);
	tear_down(&fixture);
}

Test(vault_fetch, leases_of_other_engines)
{
	static const struct {
		const char *body;
		enum lease_kind kind;
		int64_t duration_ms;
		bool renewable;
	} table[] = {
		{ "{\"data\":{\"a\":1}}", LEASE_NONE, 0, false },
		{ "{\"lease_id\":\"\",\"lease_duration\":60,\"data\":{\"a\":1}}", LEASE_TIMED,
		  60000, false },
		{ "{\"lease_id\":\"i\",\"lease_duration\":60,\"data\":{\"a\":1}}", LEASE_TIMED,
		  60000, false },
		{ "{\"lease_id\":\"i\",\"lease_duration\":0,\"renewable\":true,\"data\":{\"a\":1}}",
		  LEASE_TIMED, 0, false },
		{ "{\"lease_id\":\"i\",\"lease_duration\":-1,\"renewable\":true,\"data\":{\"a\":1}"
		  "}",
		  LEASE_TIMED, 1000, true },
		{ "{\"lease_id\":\"i\",\"lease_duration\":9007199254740992,\"data\":{\"a\":1}}",
		  LEASE_TIMED, VAULT_LEASE_MAX_S * 1000, false },
		{ "{\"lease_id\":\"\",\"data\":{\"rotation_period\":86400,\"ttl\":300,\"password\":"
		  "\"p\"}}",
		  LEASE_ROTATION, 300000, false },
		{ "{\"data\":{\"rotation_schedule\":\"0 0 * * *\",\"ttl\":0,\"password\":\"p\"}}",
		  LEASE_ROTATION, 1000, false },
		{ "{\"data\":{\"ttl\":300}}", LEASE_NONE, 0, false },
		{ "{\"data\":{\"certificate\":\"no certificate\"}}", LEASE_NONE, 0, false },
	};
	struct fixture fixture = set_up();

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct exchange *x =
			ask(&fixture, "engine/x", NULL, 200, MOUNT("engine/", "custom", "null"));
		struct error err;

		cr_assert_eq(answer(x, 200, table[i].body, &err), EXCHANGE_DONE, "row %zu: %s", i,
			     err.text);
		cr_expect_eq(x->result->lease.kind, table[i].kind, "row %zu", i);
		cr_expect_eq(x->result->lease.duration_ms, table[i].duration_ms, "row %zu", i);
		cr_expect_eq(x->result->lease.renewable, table[i].renewable, "row %zu", i);
		exchange_freep(&x);
	}
	tear_down(&fixture);
}

/* A certificate that is valid from `from` until `until`, in seconds since 1970; in PEM, or DER in
 * base64. */
static void make_certificate(struct buf *text, time_t from, time_t until, bool der)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes;
	long len;

	(void)ASN1_TIME_set(X509_getm_notBefore(certificate), from);
	(void)ASN1_TIME_set(X509_getm_notAfter(certificate), until);
	(void)X509_set_pubkey(certificate, key);
	(void)X509_sign(certificate, key, EVP_sha256());
	cr_assert_eq(der ? i2d_X509_bio(bio, certificate) : PEM_write_bio_X509(bio, certificate),
		     1);
	len = BIO_get_mem_data(bio, &bytes);
	if (der)
		text_write_base64(text, bytes, (size_t)len);
	else
		buf_put(text, bytes, (size_t)len);
	(void)BIO_free(bio);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static void expect_certificate_lease(const char *write, bool der, int64_t valid_s, bool expected)
{
	struct fixture fixture = set_up();
	struct exchange *x =
		ask(&fixture, "pki/issue/web", write, 200, MOUNT("pki/", "pki", "null"));
	struct buf certificate = BUF_INIT(8192), body = BUF_INIT(16384);
	int64_t from = SENT_REAL_MS / 1000 - 30;
	struct error err;

	make_certificate(&certificate, from, from + valid_s, der);
	buf_puts(&body, "{\"lease_id\":\"\",\"data\":{\"certificate\":");
	text_write_json(&body, certificate.data, certificate.len);
	buf_puts(&body, "}}");
	cr_expect_str_eq(x->request.method, write != NULL ? "POST" : "GET");
	cr_expect(x->request.once);
	expect_text(&x->request.path, "/v1/pki/issue/web");
	expect_text(&x->request.body, write != NULL ? write : "");
	cr_assert_eq(answer(x, 200, buf_string(&body), &err), EXCHANGE_DONE, "%s", err.text);
	cr_expect_eq(x->result->lease.kind, expected ? LEASE_CERTIFICATE : LEASE_NONE);
	if (expected) {
		cr_expect_eq(x->result->lease.duration_ms, valid_s * 1000);
		cr_expect_eq(x->result->lease.issued.real_ms, SENT_REAL_MS - 30000);
		cr_expect_eq(x->result->lease.issued.boot_ms, SENT_BOOT_MS - 30000);
	}
	cr_expect(field_is(x->result, "certificate", buf_string(&certificate)));
	buf_deinit(&certificate);
	buf_deinit(&body);
	exchange_freep(&x);
	tear_down(&fixture);
}

Test(vault_fetch, issued_certificate_lives_from_its_not_before_to_its_not_after)
{
	static const char write[] = "{\"common_name\":\"web\"}";

	expect_certificate_lease(write, false, 86400, true);
	expect_certificate_lease(write, true, 86400, true);
	expect_certificate_lease(write, false, -1, false);
}

Test(vault_fetch, certificate_that_is_merely_read_is_static)
{
	expect_certificate_lease(NULL, false, 86400, false);
}

#define METADATA(deletion_, destroyed_)                                                            \
	"\"metadata\":{\"version\":3,\"deletion_time\":\"" deletion_                               \
	"\",\"destroyed\":" destroyed_ "}"
#define ABSENT(deletion_, destroyed_)                                                              \
	"{\"data\":{\"data\":null," METADATA(deletion_, destroyed_) "}}"
#define PAST   "2026-01-01T00:00:00.123456Z"
#define FUTURE "2099-01-01T00:00:00Z"

Test(vault_fetch, deleted_destroyed_and_never_written_are_told_apart)
{
	static const struct {
		int status;
		const char *body;
		enum error_code code; /* NONE: done */
		const char *says;
	} table[] = {
		{ 404, ABSENT(PAST, "false"), ERROR_NOT_FOUND,
		  "version 3 was deleted at 2026-01-01" },
		{ 404, ABSENT(FUTURE, "false"), ERROR_NOT_FOUND,
		  "version 3 was deleted at 2099-01-01" },
		{ 404, ABSENT("", "true"), ERROR_NOT_FOUND, "version 3 was destroyed" },
		{ 404, ABSENT(PAST, "true"), ERROR_NOT_FOUND, "version 3 was destroyed" },
		{ 404, "{\"errors\":[]}", ERROR_NOT_FOUND, "nothing was ever written" },
		{ 404, "<html>", ERROR_NOT_FOUND, "nothing was ever written" },
		{ 404, "", ERROR_NOT_FOUND, "nothing was ever written" },
		{ 404, ABSENT("never", "false"), ERROR_NOT_FOUND, "nothing was ever written" },
		{ 200, ABSENT(PAST, "false"), ERROR_NOT_FOUND, "version 3 was deleted" },
		{ 200, ABSENT(FUTURE, "false"), ERROR_PROTOCOL, "no data" },
		{ 200, ABSENT("", "true"), ERROR_NOT_FOUND, "version 3 was destroyed" },
		{ 200, ABSENT("", "false"), ERROR_PROTOCOL, "no data" },
		{ 200, "{\"data\":null}", ERROR_PROTOCOL, "no data" },
		{ 200, "{\"data\":{\"data\":{\"a\":\"b\"}," METADATA(FUTURE, "false") "}}",
		  ERROR_NONE, "" },
		{ 200, "{\"data\":{\"data\":{}," METADATA("", "false") "}}", ERROR_NONE, "" },
		{ 200, "{\"data\":{\"data\":[]," METADATA("", "false") "}}", ERROR_PROTOCOL,
		  "no data" },
	};
	struct fixture fixture = set_up();

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct exchange *x = ask(&fixture, "secret/db", NULL, 200, KV2);
		struct error err;

		cr_expect_eq(answer(x, table[i].status, table[i].body, &err),
			     table[i].code == ERROR_NONE ? EXCHANGE_DONE : EXCHANGE_FAILED,
			     "row %zu", i);
		if (table[i].code != ERROR_NONE) {
			expect_says(&err, table[i].code, table[i].says);
			expect_says(&err, table[i].code, "secret/db");
		}
		exchange_freep(&x);
	}
	tear_down(&fixture);
}

Test(vault_fetch, nonsense_is_refused_without_a_word_of_its_content)
{
	static const char *const bad[] = {
		"",
		" ",
		"null",
		"[]",
		"7",
		"\"canary\"",
		"{}",
		"{\"data\":null}",
		"{\"data\":{}}",
		"{\"data\":\"canary\"}",
		"{\"data\":[\"canary\"]}",
		"{\"data\":{\"a\":\"canary\"",
		"{\"data\":{\"a\":\"canary\"}}x",
		"{\"data\":{\"a\":\"canary\",\"a\":\"canary\"}}",
		"{\"data\":{\"a\":\"canary\xff\"}}",
		"{\"data\":{\"a\":\"canary\"},\"errors\":[\"canary\"]}",
		"{\"data\":{\"a\":canary}}",
		"<html>canary</html>",
	};
	struct fixture fixture = set_up();

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct exchange *x = ask(&fixture, "secret/db", NULL, 200, KV1);
		struct error err;

		cr_expect_eq(answer(x, 200, bad[i], &err), EXCHANGE_FAILED, "row %zu", i);
		cr_expect_eq(err.code, ERROR_PROTOCOL, "row %zu: %s", i, err.text);
		cr_expect_null(strstr(err.text, "canary"), "%s", err.text);
		cr_expect_null(x->result);
		exchange_freep(&x);
	}
	tear_down(&fixture);
}

Test(vault_fetch, every_cut_of_a_good_reply_is_refused)
{
	static const char good[] =
		"{\"lease_id\":\"i\",\"lease_duration\":1,\"data\":{\"a\":\"b\",\"c\":[1,{}]}}";
	struct fixture fixture = set_up();

	for (size_t len = 0; len < strlen(good); len++) {
		struct exchange *x =
			ask(&fixture, "engine/x", NULL, 200, MOUNT("engine/", "custom", "null"));
		struct error err;

		cr_expect_eq(answer_bytes(x, 200, good, len, &err), EXCHANGE_FAILED, "%zu", len);
		cr_expect_eq(err.code, ERROR_PROTOCOL);
		exchange_freep(&x);
	}
	tear_down(&fixture);
}

Test(vault_fetch, nul_is_kept_in_a_value_and_refused_in_a_name)
{
	struct fixture fixture = set_up();
	struct exchange *x = ask(&fixture, "secret/db", NULL, 200, KV1);
	const struct field *field;
	struct error err;

	cr_assert_eq(answer(x, 200, "{\"data\":{\"a\":\"b\\u0000c\"}}", &err), EXCHANGE_DONE, "%s",
		     err.text);
	field = secret_version_field(x->result, "a");
	cr_expect_eq(secret_len(field->value), 3);
	cr_expect_eq(memcmp(secret_bytes(field->value), "b\0c", 3), 0);
	exchange_freep(&x);
	x = ask(&fixture, "secret/db", NULL, 200, KV1);
	cr_expect_eq(answer(x, 200, "{\"data\":{\"a\\u0000b\":\"c\"}}", &err), EXCHANGE_FAILED);
	expect_says(&err, ERROR_BAD_DATA, "NUL");
	exchange_freep(&x);
	tear_down(&fixture);
}

Test(vault_fetch, depth_of_a_reply_keeps_its_limit)
{
	struct fixture fixture = set_up();

	/* The reply's own map and `data` are two levels. */
	for (int off = -1; off <= 1; off++) {
		struct buf body = BUF_INIT(1024);
		struct exchange *x = ask(&fixture, "secret/db", NULL, 200, KV1);
		struct error err;
		int depth = 32 - 2 + off;

		buf_puts(&body, "{\"data\":{\"a\":");
		for (int i = 0; i < depth; i++)
			buf_putc(&body, '[');
		for (int i = 0; i < depth; i++)
			buf_putc(&body, ']');
		buf_puts(&body, "}}");
		cr_expect_eq(answer(x, 200, buf_string(&body), &err),
			     off <= 0 ? EXCHANGE_DONE : EXCHANGE_FAILED, "%d: %s", off, err.text);
		buf_deinit(&body);
		exchange_freep(&x);
	}
	tear_down(&fixture);
}

Test(vault_fetch, value_keeps_its_limit_and_is_named_when_over)
{
	struct fixture fixture = set_up();

	for (int off = -1; off <= 1; off++) {
		struct buf body = BUF_INIT(1 << 20);
		struct exchange *x = ask(&fixture, "secret/db", NULL, 200, KV1);
		struct error err;

		buf_puts(&body, "{\"data\":{\"big\":\"");
		for (size_t i = 0; i < FIELD_VALUE_MAX + (size_t)off; i++)
			buf_putc(&body, 'x');
		buf_puts(&body, "\"}}");
		if (off <= 0) {
			cr_expect_eq(answer(x, 200, buf_string(&body), &err), EXCHANGE_DONE, "%s",
				     err.text);
		} else {
			cr_expect_eq(answer(x, 200, buf_string(&body), &err), EXCHANGE_FAILED);
			expect_says(&err, ERROR_BAD_DATA,
				    "field 'big' has 65537 bytes; at most 65536");
		}
		buf_deinit(&body);
		exchange_freep(&x);
	}
	tear_down(&fixture);
}

Test(vault_fetch, statuses_of_a_read_go_through_the_table)
{
	static const struct {
		int status;
		enum error_code code;
	} table[] = { { 204, ERROR_BAD_DATA },	  { 307, ERROR_UNAVAILABLE },
		      { 400, ERROR_INVALID },	  { 403, ERROR_DENIED },
		      { 404, ERROR_NOT_FOUND },	  { 405, ERROR_INVALID },
		      { 412, ERROR_UNAVAILABLE }, { 429, ERROR_UNAVAILABLE },
		      { 472, ERROR_UNAVAILABLE }, { 473, ERROR_UNAVAILABLE },
		      { 500, ERROR_UNAVAILABLE }, { 503, ERROR_UNAVAILABLE } };
	static const char *const writes[] = { NULL, "{}" };
	struct fixture fixture = set_up();

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		for (size_t j = 0; j < 2; j++) {
			struct exchange *x = ask(&fixture, "secret/db", writes[j], 200, KV1);
			struct error err;

			cr_expect_eq(answer(x, table[i].status, "", &err), EXCHANGE_FAILED);
			cr_expect_eq(err.code, table[i].code, "%d: %s", table[i].status, err.text);
			cr_expect_not_null(strstr(err.text, "secret/db"));
			exchange_freep(&x);
		}
	tear_down(&fixture);
}

Test(vault_fetch, what_cannot_be_asked_is_refused_before_any_request)
{
	static const char *const bad[] = {
		"", "/", "secret//db", "secret/../sys/raw", "secret/db?version=1", "a#b"
	};
	struct fixture fixture = set_up();
	struct secret_spec spec = { .path = (char *)(uintptr_t) "secret" };
	struct error err;
	struct exchange *x;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct secret_spec wrong = { .path = (char *)(uintptr_t)bad[i] };

		cr_expect_null(vault_backend.fetch(fixture.backend, fixture.session, &wrong, &err));
		expect_says(&err, ERROR_INVALID, "path");
	}
	cr_expect_null(vault_backend.fetch(fixture.backend, NULL, &spec, &err));
	cr_expect_eq(err.code, ERROR_UNAUTHENTICATED);
	x = vault_backend.fetch(fixture.backend, fixture.session, &spec, &err);
	cr_assert_eq(begin(x, &err), EXCHANGE_NEED);
	learn(&fixture, x, 200, KV2);
	cr_expect_eq(begin(x, &err), EXCHANGE_FAILED);
	expect_says(&err, ERROR_INVALID, "whole KV mount");
	exchange_freep(&x);
	tear_down(&fixture);
}

Test(vault_fetch, body_of_a_write_keeps_its_limit)
{
	struct fixture fixture = set_up();

	for (int off = -1; off <= 1; off++) {
		size_t len = REQUEST_BODY_MAX + (size_t)off;
		char *body = malloc(len + 1);
		struct secret_spec spec = { .path = (char *)(uintptr_t) "a/b", .write = body };
		struct error err;
		struct exchange *x;

		memset(body, ' ', len);
		body[len] = '\0';
		x = vault_backend.fetch(fixture.backend, fixture.session, &spec, &err);
		free(body);
		cr_expect(off <= 0 ? x != NULL : x == NULL);
		if (x == NULL)
			cr_expect_eq(err.code, ERROR_EXHAUSTED);
		else
			cr_expect_eq(begin(x, &err), EXCHANGE_SEND);
		exchange_freep(&x);
	}
	tear_down(&fixture);
}

Test(vault_fetch, capabilities_are_asked_for_the_api_path)
{
	static const char *const bad[] = { "{}", "{\"data\":{}}", "{\"capabilities\":7}",
					   "{\"capabilities\":[7]}", "" };
	struct fixture fixture = set_up();
	struct secret_spec spec = { .path = (char *)(uintptr_t) "secret/db" };
	struct error err;
	struct exchange *x =
		vault_backend.capabilities(fixture.backend, fixture.session, &spec, &err);

	cr_assert_eq(begin(x, &err), EXCHANGE_NEED);
	learn(&fixture, x, 200, KV2);
	cr_assert_eq(begin(x, &err), EXCHANGE_SEND);
	cr_expect_str_eq(x->request.method, "POST");
	expect_text(&x->request.path, "/v1/sys/capabilities-self");
	expect_text(&x->request.body, "{\"paths\":[\"secret/data/db\"]}");
	cr_assert_eq(answer(x, 200,
			    "{\"capabilities\":[\"read\"],\"data\":{\"secret/data/"
			    "db\":[\"list\",\"read\",\"read\"]}}",
			    &err),
		     EXCHANGE_DONE, "%s", err.text);
	cr_expect_eq(x->result->count, 2);
	cr_expect_not_null(secret_version_field(x->result, "read"));
	cr_expect_not_null(secret_version_field(x->result, "list"));
	exchange_freep(&x);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		x = vault_backend.capabilities(fixture.backend, fixture.session, &spec, &err);
		cr_assert_eq(begin(x, &err), EXCHANGE_SEND);
		cr_expect_eq(answer(x, 200, bad[i], &err), EXCHANGE_FAILED);
		cr_expect_eq(err.code, ERROR_PROTOCOL, "%s", err.text);
		exchange_freep(&x);
	}
	tear_down(&fixture);
}
