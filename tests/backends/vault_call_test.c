/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/vault_help.h"

#include "agent/base/wipe.h"

static const struct vault_options options = { .auth = { .method = VAULT_TOKEN } };

static struct secret_version *leased(const char *id)
{
	struct error err;
	struct secret_version *version = secret_version_new(&err);

	version->lease =
		(struct lease){ .kind = LEASE_TIMED, .id = wipe_strdup(id), .renewable = true };
	return version;
}

Test(vault_call, session_renews_itself)
{
	struct backend *backend = open_vault(&options);
	struct secret_version *session = make_session_version("s.me");
	struct error err;
	struct exchange *x = vault_backend.renew(backend, session, session, &err);

	cr_assert_eq(begin(x, &err), EXCHANGE_SEND);
	cr_expect_str_eq(x->request.method, "POST");
	expect_text(&x->request.path, "/v1/auth/token/renew-self");
	cr_expect_not_null(strstr(buf_string(&x->request.headers), "X-Vault-Token: s.me\n"));
	cr_assert_eq(answer(x, 200,
			    "{\"auth\":{\"client_token\":\"s.me\",\"lease_duration\":90,"
			    "\"renewable\":true}}",
			    &err),
		     EXCHANGE_DONE);
	cr_expect_eq(x->result->count, 0);
	cr_expect_eq(x->result->lease.duration_ms, 90000);
	cr_expect(x->result->lease.renewable);
	cr_expect_eq(x->result->lease.issued.boot_ms, SENT_BOOT_MS);
	exchange_freep(&x);
	(void)secret_version_unref(session);
	vault_backend.close(backend);
}

Test(vault_call, lease_renews_by_its_id)
{
	struct backend *backend = open_vault(&options);
	struct secret_version *session = make_session_version("s.me");
	struct secret_version *version = leased("database/creds/web/a\"b");
	struct error err;
	struct exchange *x = vault_backend.renew(backend, session, version, &err);

	cr_assert_eq(begin(x, &err), EXCHANGE_SEND);
	expect_text(&x->request.path, "/v1/sys/leases/renew");
	expect_text(&x->request.body, "{\"lease_id\":\"database/creds/web/a\\\"b\"}");
	cr_assert_eq(answer(x, 200,
			    "{\"lease_id\":\"x\",\"lease_duration\":30,\"renewable\":false}", &err),
		     EXCHANGE_DONE);
	cr_expect_str_eq(x->result->lease.id, "database/creds/web/a\"b");
	cr_expect_eq(x->result->lease.duration_ms, 30000);
	cr_expect_not(x->result->lease.renewable);
	exchange_freep(&x);
	(void)secret_version_unref(version);
	(void)secret_version_unref(session);
	vault_backend.close(backend);
}

Test(vault_call, renewal_by_nothing_is_an_end_and_not_for_ever)
{
	struct backend *backend = open_vault(&options);
	struct secret_version *session = make_session_version("s.me");
	struct error err;
	struct exchange *x = vault_backend.renew(backend, session, session, &err);

	cr_assert_eq(begin(x, &err), EXCHANGE_SEND);
	cr_assert_eq(answer(x, 200, "{\"auth\":{\"lease_duration\":0,\"renewable\":true}}", &err),
		     EXCHANGE_DONE);
	cr_expect_eq(x->result->lease.duration_ms, 1000);
	exchange_freep(&x);
	(void)secret_version_unref(session);
	vault_backend.close(backend);
}

Test(vault_call, secret_without_lease_and_missing_session_are_refused)
{
	struct backend *backend = open_vault(&options);
	struct secret_version *session = make_session_version("s.me");
	struct error err;
	struct secret_version *plain = secret_version_new(&err);

	cr_expect_null(vault_backend.renew(backend, session, plain, &err));
	cr_expect_eq(err.code, ERROR_INVALID);
	cr_expect_null(vault_backend.probe(backend, NULL, &err));
	cr_expect_eq(err.code, ERROR_UNAUTHENTICATED);
	cr_expect_null(vault_backend.need(backend, session, "mount:never", &err));
	cr_expect_eq(err.code, ERROR_INVALID);
	(void)secret_version_unref(plain);
	(void)secret_version_unref(session);
	vault_backend.close(backend);
}

enum { SESSION, LEASE, REVOKE, PROBE };

static const struct {
	int call, status;
	const char *body;
	enum error_code code; /* ERROR_NONE: done */
} outcomes[] = {
	{ SESSION, 400, "{\"errors\":[\"lease is not renewable\"]}", ERROR_UNAUTHENTICATED },
	{ SESSION, 403, "{\"errors\":[\"permission denied\"]}", ERROR_UNAUTHENTICATED },
	{ SESSION, 429, "", ERROR_UNAVAILABLE },
	{ SESSION, 500, "", ERROR_UNAVAILABLE },
	{ SESSION, 200, "{\"auth\":{}}", ERROR_PROTOCOL },
	{ SESSION, 200, "{\"lease_duration\":4}", ERROR_PROTOCOL },
	{ SESSION, 200, "{\"auth\":{\"lease_duration\":4", ERROR_PROTOCOL },
	{ SESSION, 200, "{\"auth\":{\"lease_duration\":4},\"errors\":[\"x\"]}", ERROR_PROTOCOL },
	{ SESSION, 204, "", ERROR_PROTOCOL },
	{ LEASE, 400, "{\"errors\":[\"lease not found\"]}", ERROR_NOT_FOUND },
	{ LEASE, 404, "", ERROR_NOT_FOUND },
	{ LEASE, 403, "{\"errors\":[\"permission denied\"]}", ERROR_DENIED },
	{ LEASE, 412, "", ERROR_UNAVAILABLE },
	{ LEASE, 472, "", ERROR_UNAVAILABLE },
	{ LEASE, 473, "", ERROR_UNAVAILABLE },
	{ LEASE, 503, "", ERROR_UNAVAILABLE },
	{ LEASE, 200, "{}", ERROR_PROTOCOL },
	{ LEASE, 200, "{\"lease_duration\":1.5}", ERROR_PROTOCOL },
	{ REVOKE, 204, "", ERROR_NONE },
	{ REVOKE, 200, "", ERROR_NONE },
	{ REVOKE, 403, "", ERROR_UNAUTHENTICATED },
	{ REVOKE, 502, "", ERROR_UNAVAILABLE },
	{ PROBE, 200, "{\"data\":{\"ttl\":1}}", ERROR_NONE },
	{ PROBE, 403, "{\"errors\":[\"permission denied\"]}", ERROR_UNAUTHENTICATED },
	{ PROBE, 404, "", ERROR_NOT_FOUND },
	{ PROBE, 429, "", ERROR_UNAVAILABLE },
	{ PROBE, 503, "", ERROR_UNAVAILABLE },
};

Test(vault_call, every_outcome_has_its_code)
{
	struct backend *backend = open_vault(&options);
	struct secret_version *session = make_session_version("s.canary");
	struct secret_version *version = leased("id");

	for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++) {
		struct error err;
		struct exchange *x = NULL;

		if (outcomes[i].call == REVOKE)
			x = vault_backend.revoke(backend, session, &err);
		else if (outcomes[i].call == PROBE)
			x = vault_backend.probe(backend, session, &err);
		else
			x = vault_backend.renew(backend, session,
						outcomes[i].call == LEASE ? version : session,
						&err);
		cr_assert_eq(begin(x, &err), EXCHANGE_SEND);
		cr_expect_eq(answer(x, outcomes[i].status, outcomes[i].body, &err),
			     outcomes[i].code == ERROR_NONE ? EXCHANGE_DONE : EXCHANGE_FAILED,
			     "row %zu", i);
		cr_expect_eq(err.code, outcomes[i].code, "row %zu: %s", i, err.text);
		cr_expect_null(strstr(err.text, "canary"));
		exchange_freep(&x);
	}
	(void)secret_version_unref(version);
	(void)secret_version_unref(session);
	vault_backend.close(backend);
}

Test(vault_call, probe_and_revoke_ask_about_the_session_itself)
{
	struct backend *backend = open_vault(&options);
	struct secret_version *session = make_session_version("s.me");
	struct error err;
	struct exchange *x = vault_backend.probe(backend, session, &err);

	cr_assert_eq(begin(x, &err), EXCHANGE_SEND);
	cr_expect_str_eq(x->request.method, "GET");
	expect_text(&x->request.path, "/v1/auth/token/lookup-self");
	exchange_freep(&x);
	x = vault_backend.revoke(backend, session, &err);
	cr_assert_eq(begin(x, &err), EXCHANGE_SEND);
	cr_expect_str_eq(x->request.method, "POST");
	expect_text(&x->request.path, "/v1/auth/token/revoke-self");
	cr_expect_eq(begin(x, &err), EXCHANGE_FAILED);
	exchange_freep(&x);
	(void)secret_version_unref(session);
	vault_backend.close(backend);
}
