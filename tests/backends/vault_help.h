#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Vault that is a table of canned replies.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "backends/vault.h"
#include "backends/vault_common.h"

#define SENT_BOOT_MS INT64_C(5000000)
#define SENT_REAL_MS INT64_C(1800000000000) /* 2027-01-15T08:00:00Z */

/* The environment of the tests: NAME, value, NAME, value, …, NULL. */
static inline struct secret *fake_lookup(void *environment, const char *name)
{
	const char *const *pair = environment;
	struct error err;

	for (; pair != NULL && *pair != NULL; pair += 2)
		if (strcmp(*pair, name) == 0)
			return secret_new(pair[1], strlen(pair[1]), &err);
	return NULL;
}

static inline struct backend *try_open(const struct vault_options *options,
				       const char *const *environment, struct error *err)
{
	struct backend_config config = {
		.name = "main",
		.options = options,
		.lookup = fake_lookup,
		.environment = (void *)(uintptr_t)environment,
	};

	return vault_backend.open(&config, err);
}

/* A backend at https://vault:8200 with these options. */
static inline struct backend *open_vault(const struct vault_options *options)
{
	static const char *const environment[] = { "BAO_ADDR", "https://vault:8200", "VAULT_TOKEN",
						   "s.dev", NULL };
	struct error err = ERROR_INIT;
	struct backend *backend = try_open(options, environment, &err);

	cr_assert_not_null(backend, "%s", err.text);
	return backend;
}

static inline enum exchange_next answer_bytes(struct exchange *x, int status, const void *body,
					      size_t len, struct error *err)
{
	struct reply reply = {
		.kind = x->request.kind,
		.status = status,
		.body = body,
		.len = len,
		.retry_after_ms = -1,
		.sent = { .boot_ms = SENT_BOOT_MS, .real_ms = SENT_REAL_MS },
		.received = { .boot_ms = SENT_BOOT_MS + 40, .real_ms = SENT_REAL_MS + 40 },
	};

	*err = ERROR_INIT;
	return x->ops->step(x, &reply, err);
}

static inline enum exchange_next answer(struct exchange *x, int status, const char *body,
					struct error *err)
{
	return answer_bytes(x, status, body, strlen(body), err);
}

static inline enum exchange_next begin(struct exchange *x, struct error *err)
{
	*err = ERROR_INIT;
	return x->ops->step(x, NULL, err);
}

static inline struct secret_version *make_session_version(const char *token)
{
	struct error err = ERROR_INIT;
	struct secret_version *session = secret_version_new(&err);

	cr_assert_eq(secret_version_add_bytes(session, SESSION_TOKEN, FIELD_STRING, token,
					      strlen(token), &err),
		     0);
	session->lease.kind = LEASE_TIMED;
	session->lease.renewable = true;
	return session;
}

static inline bool field_is(const struct secret_version *version, const char *name,
			    const char *value)
{
	const struct field *field = secret_version_field(version, name);

	return field != NULL && secret_len(field->value) == strlen(value) &&
	       memcmp(secret_bytes(field->value), value, strlen(value)) == 0;
}

#define expect_text(buf_, text_)                                                                   \
	cr_expect_str_eq(buf_string(buf_), (text_), "is '%s', should be '%s'", buf_string(buf_),   \
			 (text_))

#define expect_says(err_, code_, words_)                                                           \
	do {                                                                                       \
		cr_expect_eq((err_)->code, (code_), "code is %s: %s",                              \
			     error_code_name((err_)->code), (err_)->text);                         \
		cr_expect_not_null(strstr((err_)->text, (words_)), "'%s' does not say '%s'",       \
				   (err_)->text, (words_));                                        \
	} while (0)
