/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sink/file_set.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRIES = 4 };

static char db[] = "db", user[] = "user", password[] = "password", missing[] = "missing";
static char user_path[] = "DB_USER", password_path[] = "DB_PASSWORD", missing_path[] = "MISSING",
	    json_path[] = "db.json";

static struct config_entry entries[ENTRIES] = {
	{ .path = user_path,
	  .secret = db,
	  .field = user,
	  .format = FORMAT_KUBELET_ENV,
	  .mode = 0440,
	  .owner = -1,
	  .group = -1,
	  .variable = user_path },
	{ .path = password_path,
	  .secret = db,
	  .field = password,
	  .format = FORMAT_KUBELET_ENV,
	  .mode = 0440,
	  .owner = -1,
	  .group = -1,
	  .variable = password_path },
	{ .path = missing_path,
	  .secret = db,
	  .field = missing,
	  .format = FORMAT_KUBELET_ENV,
	  .mode = 0440,
	  .owner = -1,
	  .group = -1,
	  .variable = missing_path },
	{ .path = json_path,
	  .secret = db,
	  .format = FORMAT_JSON,
	  .mode = 0440,
	  .owner = -1,
	  .group = -1 },
};
static const struct config_files config = { .entries = entries, .entry_count = ENTRIES };
static struct secret_spec spec = { .name = db };
static struct store store;
static struct file_set set;
static struct files_problem problems[2 * ENTRIES];
static size_t problem_count;

static void setup(void)
{
	struct error err;

	cr_assert_eq(store_init(&store, &spec, 1, &err), 0);
}

static void teardown(void)
{
	file_set_deinit(&set);
	store_deinit(&store);
}

TestSuite(file_set, .init = setup, .fini = teardown);

static void put(const char *user_value, const char *password_value)
{
	struct store_entry *stored = &store.entries[0];
	struct error err = ERROR_INIT;

	(void)secret_version_unref(stored->version);
	stored->version = secret_version_new(&err);
	stored->state = STATE_FRESH;
	stored->published++;
	cr_assert_eq(secret_version_add_bytes(stored->version, user, FIELD_STRING, user_value,
					      strlen(user_value), &err) |
			     secret_version_add_bytes(stored->version, password, FIELD_STRING,
						      password_value, strlen(password_value), &err),
		     0);
}

static void build(int standing)
{
	struct error err = ERROR_INIT;

	file_set_deinit(&set);
	set = (struct file_set){ .uid = geteuid(), .gid = getegid() };
	cr_assert_eq(
		file_set_build(&set, &config, &store, standing, problems, &problem_count, &err), 0,
		"%s", err.text);
}

static const char *content_of(const char *path)
{
	for (size_t i = 0; i < set.count; i++)
		if (strcmp(set.files[i].path, path) == 0)
			return set_file_bytes(&set.files[i]);
	return NULL;
}

Test(file_set, bad_variable_is_left_out_and_harms_no_other_file)
{
	put("u", "it's");
	build(-1);
	cr_expect_str_eq(content_of(user_path), "DB_USER='u'\n");
	cr_expect_str_eq(content_of(json_path), "{\"user\":\"u\",\"password\":\"it's\"}\n");
	cr_expect_null(content_of(password_path));
	cr_expect_null(content_of(missing_path));
	cr_assert_eq(problem_count, 2);
	cr_expect_str_eq(problems[0].variable, password_path);
	cr_expect_str_eq(
		problems[0].error.text,
		"variable DB_PASSWORD of secret db: the value holds a single quote, which a "
		"kubelet cannot read from a file; set env-method: run");
	cr_expect_str_eq(problems[1].variable, missing_path);
	cr_expect_eq(problems[1].error.code, ERROR_NOT_FOUND);
}

Test(file_set, variable_that_went_bad_does_not_keep_its_old_value_beside_new_ones)
{
	char directory[] = "/tmp/agent-set-XXXXXX";
	int standing, file;

	cr_assert_not_null(mkdtemp(directory));
	standing = open(directory, O_RDONLY | O_DIRECTORY);
	file = openat(standing, password_path, O_WRONLY | O_CREAT, 0600);
	cr_assert(file >= 0 && write(file, "DB_PASSWORD='old'\n", 18) == 18);
	put("new", "it's");
	build(standing);
	cr_expect_str_eq(content_of(user_path), "DB_USER='new'\n");
	cr_expect_null(content_of(password_path));
	(void)close(file);
	(void)unlinkat(standing, password_path, 0);
	(void)close(standing);
	(void)rmdir(directory);
}

Test(file_set, pointer_names_what_is_inside_of_a_field)
{
	static const char data[] = "{\"a/b~%\":\"deep\",\"port\":5432,\"long\":\"";
	static char text[FIELD_VALUE_MAX + 200];
	char deep[] = "/data/a~1b~0%", port[] = "/data/port", lost[] = "/data/lost";
	struct error err = ERROR_INIT;

	memset(text, 'x', sizeof(text));
	memcpy(text, data, strlen(data));
	memcpy(text + sizeof(text) - 2, "\"}", 2);
	put("u", "p");
	cr_assert_eq(secret_version_add_bytes(store.entries[0].version, "data", FIELD_JSON, text,
					      sizeof(text), &err),
		     0);
	entries[0].field = deep;
	entries[1].field = lost;
	entries[2].variable = NULL;
	entries[2].format = FORMAT_FIELD;
	entries[2].field = port;
	entries[3].format = FORMAT_GO_JSON;
	build(-1);
	cr_expect_str_eq(content_of(user_path), "DB_USER='deep'\n");
	cr_expect_str_eq(content_of(missing_path), "5432");
	cr_expect_not_null(content_of(json_path), "a nested secret may be longer than a value");
	cr_assert_eq(problem_count, 1);
	cr_expect_str_eq(problems[0].variable, password_path);
	cr_expect_eq(problems[0].error.code, ERROR_NOT_FOUND);
}

Test(file_set, only_field_needs_no_name)
{
	entries[2].field = NULL;
	put("u", "p");
	build(-1);
	cr_assert_eq(problem_count, 1);
	cr_expect_str_eq(problems[0].error.text,
			 "variable MISSING of secret db: the secret has 2 fields; say which with "
			 "'field'");
	store.entries[0].version = secret_version_unref(store.entries[0].version);
	store.entries[0].version = secret_version_new(&problems[0].error);
	cr_assert_eq(secret_version_add_bytes(store.entries[0].version, user, FIELD_STRING, "u", 1,
					      &problems[0].error),
		     0);
	entries[1].field = NULL;
	build(-1);
	cr_expect_eq(problem_count, 0);
	cr_expect_str_eq(content_of(password_path), "DB_PASSWORD='u'\n");
}
