#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two backends that exist only as option tables: `remote` is asked over a network, `store` is a
 * file.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/base/backend.h"
#include "agent/base/wipe.h"
#include "agent/config/config.h"

struct remote_auth {
	int method; /* none, token_file, kubernetes */
	char *role;
	char *token_file;
};

struct remote_options {
	struct strings address;
	char *namespace;
	bool insecure_http;
	int64_t timeout_ms;
	uint64_t reply_max;
	struct remote_auth auth;
};

struct store_options {
	char *file;
	char *key_file;
};

static const char *const methods[] = { "none", "token_file", "kubernetes", NULL };

static const struct option auth_table[] = {
	{ .name = "method",
	  .type = OPTION_CHOICE,
	  .offset = offsetof(struct remote_auth, method),
	  .choices = methods,
	  .fallback = "none",
	  .help = "How to sign in." },
	{ .name = "role",
	  .type = OPTION_STRING,
	  .offset = offsetof(struct remote_auth, role),
	  .help = "Whom to sign in as." },
	{ .name = "token_file",
	  .type = OPTION_PATH,
	  .offset = offsetof(struct remote_auth, token_file),
	  .help = "Where the token is." },
	{ 0 },
};

static const struct option remote_table[] = {
	{ .name = "address",
	  .type = OPTION_STRINGS,
	  .offset = offsetof(struct remote_options, address),
	  .required = true,
	  .help = "Where it listens." },
	{ .name = "namespace",
	  .type = OPTION_STRING,
	  .offset = offsetof(struct remote_options, namespace),
	  .help = "The namespace." },
	{ .name = "insecure_http",
	  .type = OPTION_BOOL,
	  .offset = offsetof(struct remote_options, insecure_http),
	  .help = "Allows http." },
	{ .name = "timeout",
	  .type = OPTION_DURATION,
	  .offset = offsetof(struct remote_options, timeout_ms),
	  .fallback = "15s",
	  .least = 1000,
	  .most = 60000,
	  .help = "How long a request may take." },
	{ .name = "reply_max",
	  .type = OPTION_SIZE,
	  .offset = offsetof(struct remote_options, reply_max),
	  .fallback = "1MiB",
	  .help = "The largest reply." },
	{ .name = "auth",
	  .type = OPTION_TABLE,
	  .offset = offsetof(struct remote_options, auth),
	  .members = auth_table,
	  .help = "How the workload proves who it is." },
	{ 0 },
};

static const struct option store_table[] = {
	{ .name = "file",
	  .type = OPTION_PATH,
	  .offset = offsetof(struct store_options, file),
	  .required = true,
	  .help = "The file." },
	{ .name = "key_file",
	  .type = OPTION_PATH,
	  .offset = offsetof(struct store_options, key_file),
	  .help = "The key." },
	{ 0 },
};

static int check_remote(const void *options, struct error *err)
{
	const struct remote_options *remote = options;

	if (remote->auth.method == 2 && remote->auth.role == NULL)
		return error_set(err, ERROR_INVALID, "auth.role: missing");
	if (remote->auth.method == 0 && remote->auth.token_file != NULL)
		return error_set(err, ERROR_INVALID, "auth.token_file: method none takes none");
	if (remote->address.count > 0 && strncmp(remote->address.items[0], "http://", 7) == 0 &&
	    !remote->insecure_http)
		return error_set(err, ERROR_INVALID, "address: plain http");
	return 0;
}

static bool remote_endpoint(const struct backend *backend, size_t i, struct endpoint *ret)
{
	(void)backend;
	(void)i;
	(void)ret;
	return false;
}

static const struct backend_ops fake_remote = {
	.type = "remote",
	.options = remote_table,
	.options_size = sizeof(struct remote_options),
	.verbatim = true,
	.check = check_remote,
	.endpoint = remote_endpoint,
};

static const struct backend_ops fake_store = {
	.type = "store",
	.options = store_table,
	.options_size = sizeof(struct store_options),
};

static const struct backend_ops *const fake_types[] = { &fake_remote, &fake_store, NULL };

/* The configuration of `text`, which must be good. */
UNUSED static struct config *config_good(const char *text)
{
	struct config_problems problems = { 0 };
	struct buf lines = BUF_INIT(1 << 20);
	struct config *config =
		config_parse(text, strlen(text), "/etc/agent/agent.yaml", fake_types, &problems);

	config_problems_print(&problems, &lines);
	cr_assert_str_eq(buf_string(&lines), "");
	cr_assert_not_null(config);
	config_problems_free(&problems);
	buf_deinit(&lines);
	return config;
}

/* The problems of `text`, which must be bad, a line each; free it with wipe_free. */
UNUSED static char *config_faults(const char *text)
{
	struct config_problems problems = { 0 };
	struct buf lines = BUF_INIT(1 << 20);
	struct config *config =
		config_parse(text, strlen(text), "agent.yaml", fake_types, &problems);

	cr_assert_null(config, "taken as good: %s", text);
	config_problems_print(&problems, &lines);
	config_problems_free(&problems);
	return buf_steal(&lines);
}
