/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/config/fake_backends.h"

/* A remote that needs nothing, as one whose address comes from the environment. */
static const struct option no_options[] = { { 0 } };
static const struct backend_ops fake_plain = { .type = "plain",
					       .options = no_options,
					       .endpoint = remote_endpoint };
static const struct backend_ops *const types[] = { &fake_remote, &fake_store, &fake_plain, NULL };

static struct config *fresh(void)
{
	struct error err;
	struct config *config = config_new(&err);

	cr_assert_not_null(config);
	return config;
}

static void add(struct config *config, const char *variable, const char *ref)
{
	struct error err = ERROR_INIT;

	cr_assert_eq(config_add_reference(config, types, variable, ref, &err), 0, "%s", err.text);
}

static void expect_variable(const struct config *config, size_t i, const char *secret,
			    const char *field)
{
	cr_assert_lt(i, config->variable_count);
	cr_expect_str_eq(config->variables[i].secret, secret);
	cr_expect_str_eq(config->variables[i].field, field);
}

Test(references, to_a_server_make_one_backend_and_one_secret_per_path)
{
	struct config *config = fresh();

	add(config, "A", "plain://secret/db#user");
	add(config, "B", "plain://secret/db#/pass%20word/x");
	add(config, "C", "plain://secret/app#key");
	cr_expect_eq(config->backend_count, 1);
	cr_expect_str_eq(config->backends[0].name, "plain");
	cr_expect_eq(config->secret_count, 2);
	cr_expect_str_eq(config->secrets[0].name, "plain:secret/db");
	cr_expect_str_eq(config->secrets[0].path, "secret/db");
	cr_expect_eq(config->secrets[0].refresh_ms, 300000);
	expect_variable(config, 0, "plain:secret/db", "user");
	expect_variable(config, 1, "plain:secret/db", "/pass word/x");
	expect_variable(config, 2, "plain:secret/app", "key");
	(void)config_free(config);
}

Test(references, to_a_file_make_one_whole_document_per_file)
{
	struct config *config = fresh();

	add(config, "A", "store://one.yaml#/app/key");
	add(config, "B", "store://one.yaml#app.other");
	add(config, "C", "store://../two.yaml#/a~1b/~0c");
	cr_expect_eq(config->backend_count, 2);
	cr_expect_str_eq(config->backends[0].name, "store:one.yaml");
	cr_expect_str_eq(((const struct store_options *)config->backends[1].options)->file,
			 "../two.yaml");
	cr_expect_eq(config->secret_count, 2);
	cr_expect_null(config->secrets[0].path);
	expect_variable(config, 0, "store:one.yaml", "app.key");
	expect_variable(config, 1, "store:one.yaml", "app.other");
	expect_variable(config, 2, "store:../two.yaml", "a/b.~c");
	(void)config_free(config);
}

Test(references, use_what_a_configuration_declares)
{
	struct config *config = config_good(
		"backends: { prod: { type: remote, address: a } }\n"
		"secrets: { db: { backend: prod, path: secret/db } }\n");

	add(config, "A", "db.password");
	add(config, "B", "remote://secret/db#user");
	add(config, "C", "prod://secret/other#x");
	cr_expect_eq(config->backend_count, 1);
	cr_expect_eq(config->secret_count, 2);
	expect_variable(config, 0, "db", "password");
	expect_variable(config, 1, "db", "user");
	expect_variable(config, 2, "prod:secret/other", "x");
	(void)config_free(config);
}

Test(references, without_a_field_are_every_field)
{
	struct config *config = fresh();
	char *secret = NULL, *field = NULL;
	struct error err;

	cr_expect_eq(config_resolve_reference(config, types, "plain://a/b", &secret, &field, &err),
		     0);
	cr_expect_str_eq(secret, "plain:a/b");
	cr_expect_null(field);
	cr_expect_eq(config->variable_count, 0);
	free(secret);
	(void)config_free(config);
}

Test(references, that_cannot_be_meant_are_refused_by_name)
{
	static const struct {
		const char *ref, *text;
		enum error_code code;
	} rows[] = {
		{ "db.password", "reference 'db.password': there is no secret 'db'",
		  ERROR_NOT_FOUND },
		{ "plian://a#b",
		  "reference 'plian://a#b': there is no backend 'plian' (did you mean "
		  "'plain'?)",
		  ERROR_USAGE },
		{ "plain://#b", "reference 'plain://#b': no path after '://'", ERROR_USAGE },
		{ "plain://a#", "reference 'plain://a#': no field after '#'", ERROR_USAGE },
		{ "plain://a#%zz",
		  "reference 'plain://a#%zz': after '#': a % without two hexadecimal "
		  "digits: write it as %25",
		  ERROR_USAGE },
		{ "store://a#/x~2",
		  "reference 'store://a#/x~2': a '~' in a pointer is written ~0, a '/' "
		  "in a name ~1",
		  ERROR_USAGE },
		{ "", "reference '': there is no secret ''", ERROR_NOT_FOUND },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct config *config = fresh();
		struct error err = ERROR_INIT;

		cr_expect_eq(config_add_reference(config, types, "A", rows[i].ref, &err), -1);
		cr_expect_eq(err.code, rows[i].code);
		cr_expect_str_eq(err.text, rows[i].text);
		(void)config_free(config);
	}
}

Test(references, that_their_backend_refuses_say_why)
{
	struct config *config = config_good("backends: { local: { type: store, file: /s } }\n");
	struct error err = ERROR_INIT;

	add(config, "A", "store:///s#x");
	cr_expect_str_eq(config->variables[0].secret, "local");
	cr_expect_eq(config_add_reference(config, types, "A", "store:///s#y", &err), -1);
	cr_expect_str_eq(err.text, "'A' is given twice");
	(void)config_free(config);
}

Test(references, variables_have_the_shells_names)
{
	cr_expect(config_variable_is_valid("A"));
	cr_expect(config_variable_is_valid("_a9_Z"));
	cr_expect_not(config_variable_is_valid(""));
	cr_expect_not(config_variable_is_valid("9A"));
	cr_expect_not(config_variable_is_valid("A-B"));
	cr_expect_not(config_variable_is_valid("A=B"));
}
