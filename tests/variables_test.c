/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "agent/variables.h"

/* A store with secrets `db` and `app`, and what a test asks of it. */
struct fixture {
	struct secret_spec specs[3];
	struct config config;
	struct store store;
	struct run_request request;
	struct variables variables;
	struct error err;
};

static void fixture_init(struct fixture *f)
{
	static char db[] = "db", app[] = "app", spare[] = "spare";

	*f = (struct fixture){
		.specs = { { .name = db }, { .name = app }, { .name = spare, .optional = true } }
	};
	f->config.secrets = f->specs;
	f->config.secret_count = 3;
	cr_assert_eq(store_init(&f->store, f->specs, 3, &f->err), 0);
	for (size_t i = 0; i < 2; i++)
		f->store.entries[i].version = secret_version_new(&f->err);
}

static void fixture_deinit(struct fixture *f)
{
	variables_free(&f->variables);
	store_deinit(&f->store);
}

static void put(struct fixture *f, size_t secret, const char *name, enum field_type type,
		const char *value, size_t len)
{
	cr_assert_eq(secret_version_add_bytes(f->store.entries[secret].version, name, type, value,
					      len, &f->err),
		     0);
}

static void put_text(struct fixture *f, size_t secret, const char *name, const char *value)
{
	put(f, secret, name, FIELD_STRING, value, strlen(value));
}

static int compute(struct fixture *f)
{
	variables_free(&f->variables);
	return variables_compute(&f->store, &f->config, &f->request, &f->variables, &f->err);
}

static bool gives(const struct fixture *f, const char *name, const char *value)
{
	for (size_t i = 0; i < f->variables.count; i++) {
		const struct child_variable *at = &f->variables.items[i];

		if (strcmp(at->name, name) == 0 && secret_len(at->value) == strlen(value) &&
		    memcmp(secret_bytes(at->value), value, strlen(value)) == 0)
			return true;
	}
	return false;
}

#define FIXTURE(f)                                                                                 \
	AUTO(fixture_deinit) struct fixture f;                                                     \
	fixture_init(&f)

Test(variables, every_field_of_every_secret_without_a_mapping)
{
	FIXTURE(f);

	put_text(&f, 0, "db.pass-word", "one");
	put_text(&f, 1, "key", "two");
	cr_assert_eq(compute(&f), 0, "%s", f.err.text);
	cr_expect_eq(f.variables.count, 2);
	cr_expect(gives(&f, "DB_PASS_WORD", "one"));
	cr_expect(gives(&f, "KEY", "two"));
}

Test(variables, a_mapping_gives_what_it_names_and_nothing_else)
{
	static char name[] = "DATABASE", secret[] = "db", field[] = "password",
		    pointer[] = "/login/names/1";
	struct config_variable rows[] = { { name, secret, field }, { name, secret, pointer } };
	FIXTURE(f);

	put_text(&f, 0, "password", "one");
	put_text(&f, 0, "user", "two");
	put(&f, 0, "login", FIELD_JSON, "{\"names\":[\"a\",\"b c\"]}", 21);
	f.config.variables = rows;
	f.config.variable_count = 1;
	cr_assert_eq(compute(&f), 0, "%s", f.err.text);
	cr_expect_eq(f.variables.count, 1);
	cr_expect(gives(&f, "DATABASE", "one"));
	cr_expect(variables_need(&f.config, &f.request, "db"));
	cr_expect_not(variables_need(&f.config, &f.request, "app"));
	f.config.variables = &rows[1];
	cr_assert_eq(compute(&f), 0, "%s", f.err.text);
	cr_expect(gives(&f, "DATABASE", "b c"));
	rows[1].field = secret;
	cr_expect_eq(compute(&f), -1);
	cr_expect_eq(f.err.code, ERROR_NOT_FOUND);
	cr_expect_not_null(strstr(f.err.text, "DATABASE"));
	cr_expect_not_null(strstr(f.err.text, "password, user"));
}

Test(variables, two_that_collide_are_an_error_with_the_name)
{
	FIXTURE(f);

	put_text(&f, 0, "a-b", "one");
	put_text(&f, 1, "a.b", "two");
	cr_expect_eq(compute(&f), -1);
	cr_expect_eq(f.err.code, ERROR_BAD_DATA);
	cr_expect_not_null(strstr(f.err.text, "A_B"));
}

Test(variables, names_that_change_how_programs_run_must_be_named_by_the_user)
{
	static const char *const names[] = { "ld_preload",
					     "path",
					     "home",
					     "bash_env",
					     "node_options",
					     "pythonpath",
					     "ifs",
					     "git_ssh",
					     "http_proxy",
					     "perl5opt",
					     "LD_LIBRARY_PATH",
					     "env",
					     "java_tool_options",
					     "sslkeylogfile" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		FIXTURE(f);

		put_text(&f, 0, names[i], "canary");
		cr_expect_eq(compute(&f), -1, "%s", names[i]);
		cr_expect_eq(f.err.code, ERROR_BAD_DATA, "%s", names[i]);
		cr_expect_null(strstr(f.err.text, "canary"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char name[32], secret[] = "db", field[32];
		struct config_variable row = { name, secret, field };
		FIXTURE(f);

		(void)snprintf(name, sizeof(name), "%s", names[i]);
		(void)snprintf(field, sizeof(field), "%s", names[i]);
		put_text(&f, 0, names[i], "meant");
		f.config.variables = &row;
		f.config.variable_count = 1;
		cr_expect_eq(compute(&f), 0, "%s", names[i]);
	}
}

Test(variables, nul_and_the_kernels_limit_are_refused_by_name_and_one_byte_less_passes)
{
	static char large[VARIABLE_MAX];

	memset(large, 'x', sizeof(large));
	for (int over = 0; over < 2; over++) {
		FIXTURE(f);

		/* NAME=value and its NUL. */
		put(&f, 0, "name", FIELD_STRING, large,
		    VARIABLE_MAX - strlen("NAME=") - 1 + (size_t)over);
		cr_expect_eq(compute(&f), -over);
		cr_expect(over == 0 || strstr(f.err.text, "NAME") != NULL);
		cr_expect(over == 0 || f.err.code == ERROR_BAD_DATA);
	}
	FIXTURE(f);
	put(&f, 0, "name", FIELD_STRING, "a\0b", 3);
	cr_expect_eq(compute(&f), -1);
	cr_expect_eq(f.err.code, ERROR_BAD_DATA);
	cr_expect_not_null(strstr(f.err.text, "NAME"));
}

Test(variables, only_chooses_secrets_and_variables)
{
	static char app[] = "app", user[] = "USER_NAME", field[] = "user-name", none[] = "nobody";
	char *items[] = { app };
	FIXTURE(f);

	put_text(&f, 0, "user-name", "one");
	put_text(&f, 0, "path", "harmful, and left out");
	put_text(&f, 1, "key", "two");
	f.request.only = (struct strings){ items, 1 };
	cr_assert_eq(compute(&f), 0, "%s", f.err.text);
	cr_expect(f.variables.count == 1 && gives(&f, "KEY", "two"));
	cr_expect_not(variables_need(&f.config, &f.request, "db"));
	items[0] = user;
	cr_assert_eq(compute(&f), 0, "%s", f.err.text);
	cr_expect(f.variables.count == 1 && gives(&f, "USER_NAME", "one"));
	items[0] = field;
	cr_assert_eq(compute(&f), 0, "%s", f.err.text);
	cr_expect(gives(&f, "USER_NAME", "one"));
	items[0] = none;
	cr_expect_eq(compute(&f), -1);
	cr_expect_not_null(strstr(f.err.text, "nobody"));
}

Test(variables, a_secret_that_has_not_come_is_an_error_unless_optional)
{
	FIXTURE(f);

	put_text(&f, 0, "key", "one");
	cr_expect_eq(compute(&f), 0);
	f.store.entries[1].version = secret_version_unref(f.store.entries[1].version);
	(void)error_set(&f.store.entries[1].error, ERROR_DENIED, "not for you");
	cr_expect_eq(compute(&f), -1);
	cr_expect_eq(f.err.code, ERROR_DENIED);
	cr_expect_not_null(strstr(f.err.text, "app"));
}

Test(variables, literals_stand_below_secrets_and_files_beside_them)
{
	static char key[] = "KEY", other[] = "OTHER", value[] = "plain", path[] = "/tmp/f",
		    db[] = "db";
	struct run_literal literals[] = { { key, value }, { other, value } };
	struct run_file file = { path, db, NULL };
	FIXTURE(f);

	put_text(&f, 0, "key", "one");
	f.request.literals = literals;
	f.request.literal_count = 2;
	f.request.all = true;
	f.request.files = &file;
	f.request.file_count = 1;
	cr_assert_eq(compute(&f), 0, "%s", f.err.text);
	cr_expect_eq(f.variables.count, 3);
	cr_expect(gives(&f, "KEY", "one") && gives(&f, "OTHER", "plain") &&
		  gives(&f, "/tmp/f", "one"));
	cr_expect(f.variables.items[2].file);
	put_text(&f, 0, "second", "x");
	cr_expect_eq(compute(&f), -1);
	cr_expect_not_null(strstr(f.err.text, "/tmp/f"));
}
