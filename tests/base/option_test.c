/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/base/option.h"

struct inner {
	char *file;
	int64_t wait_ms;
};

struct object {
	char *name;
	char *path;
	struct strings addresses;
	bool enabled;
	int64_t refresh_ms;
	uint64_t size;
	unsigned mode;
	uint64_t connections;
	int64_t owner;
	int level;
	char *write;
	struct inner inner;
};

static const char *const levels[] = { "error", "warn", "info", NULL };

static const struct option inner_rows[] = {
	{ .name = "file",
	  .type = OPTION_PATH,
	  .offset = offsetof(struct inner, file),
	  .fallback = "/etc/x" },
	{ .name = "wait",
	  .type = OPTION_DURATION,
	  .offset = offsetof(struct inner, wait_ms),
	  .fallback = "30s" },
	{ 0 },
};

static const struct option rows[] = {
	{ .name = "name", .type = OPTION_STRING, .offset = offsetof(struct object, name) },
	{ .name = "path", .type = OPTION_PATH, .offset = offsetof(struct object, path) },
	{ .name = "addresses",
	  .type = OPTION_STRINGS,
	  .offset = offsetof(struct object, addresses),
	  .fallback = "https://127.0.0.1:8200" },
	{ .name = "enabled",
	  .type = OPTION_BOOL,
	  .offset = offsetof(struct object, enabled),
	  .fallback = "true" },
	{ .name = "refresh",
	  .type = OPTION_DURATION,
	  .offset = offsetof(struct object, refresh_ms),
	  .fallback = "5m",
	  .least = 1000,
	  .most = 86400000 },
	{ .name = "size",
	  .type = OPTION_SIZE,
	  .offset = offsetof(struct object, size),
	  .fallback = "64KiB" },
	{ .name = "mode",
	  .type = OPTION_MODE,
	  .offset = offsetof(struct object, mode),
	  .fallback = "0440" },
	{ .name = "max_connections",
	  .type = OPTION_UNSIGNED,
	  .offset = offsetof(struct object, connections),
	  .fallback = "1024",
	  .least = 1,
	  .most = 4096 },
	{ .name = "owner", .type = OPTION_ID, .offset = offsetof(struct object, owner) },
	{ .name = "level",
	  .type = OPTION_CHOICE,
	  .offset = offsetof(struct object, level),
	  .fallback = "info",
	  .choices = levels },
	{ .name = "write",
	  .type = OPTION_JSON,
	  .offset = offsetof(struct object, write),
	  .fallback = "{}" },
	{ .name = "inner",
	  .type = OPTION_TABLE,
	  .offset = offsetof(struct object, inner),
	  .members = inner_rows },
	{ 0 },
};

static int read_row(struct object *object, const char *name, const char *text, struct error *err)
{
	return option_read(option_find(rows, name), object, text, err);
}

Test(option, defaults_fill_every_row)
{
	struct object object = { 0 };
	struct error err;

	cr_assert_eq(option_defaults(rows, &object, &err), 0, "%s", err.text);
	cr_assert_null(object.name);
	cr_assert_eq(object.addresses.count, 1);
	cr_assert_str_eq(object.addresses.items[0], "https://127.0.0.1:8200");
	cr_assert(object.enabled);
	cr_assert_eq(object.refresh_ms, 300000);
	cr_assert_eq(object.size, 65536);
	cr_assert_eq(object.mode, 0440);
	cr_assert_eq(object.connections, 1024);
	cr_assert_eq(object.owner, -1);
	cr_assert_eq(object.level, 2);
	cr_assert_str_eq(object.write, "{}");
	cr_assert_str_eq(object.inner.file, "/etc/x");
	cr_assert_eq(object.inner.wait_ms, 30000);
	option_free(rows, &object);
	cr_assert_null(object.inner.file);
	cr_assert_eq(object.addresses.count, 0);
	option_free(rows, &object);
}

Test(option, a_bad_default_names_its_row)
{
	static const struct option bad[] = {
		{ .name = "wait", .type = OPTION_DURATION, .fallback = "soon" }, { 0 }
	};
	struct error err;
	int64_t wait = 0;

	cr_assert_eq(option_defaults(bad, &wait, &err), -1);
	cr_assert_not_null(strstr(err.text, "default of wait: 'soon'"));
}

Test(option, scalars_are_read_in_place_of_what_was_there)
{
	struct object object = { 0 };
	struct error err;

	cr_assert_eq(option_defaults(rows, &object, &err), 0);
	cr_assert_eq(read_row(&object, "name", "one", &err), 0);
	cr_assert_eq(read_row(&object, "name", "two", &err), 0);
	cr_assert_str_eq(object.name, "two");
	cr_assert_eq(read_row(&object, "enabled", "false", &err), 0);
	cr_assert_not(object.enabled);
	cr_assert_eq(read_row(&object, "refresh", "1s", &err), 0);
	cr_assert_eq(object.refresh_ms, 1000);
	cr_assert_eq(read_row(&object, "owner", "0", &err), 0);
	cr_assert_eq(object.owner, 0);
	cr_assert_eq(read_row(&object, "owner", "4294967294", &err), 0);
	cr_assert_eq(read_row(&object, "level", "error", &err), 0);
	cr_assert_eq(object.level, 0);
	cr_assert_eq(read_row(&object, "mode", "0600", &err), 0);
	cr_assert_eq(object.mode, 0600);
	option_free(rows, &object);
}

Test(option, refused_values_leave_the_row_and_say_the_remedy)
{
	static const struct {
		const char *name, *text, *part;
	} refused[] = {
		{ "enabled", "yes", "neither true nor false" },
		{ "enabled", "", "neither true nor false" },
		{ "refresh", "999ms", "at least 1s" },
		{ "refresh", "25h", "at most 24h" },
		{ "refresh", "5", "not a duration" },
		{ "size", "big", "not a size" },
		{ "mode", "rw", "octal" },
		{ "max_connections", "0", "at least 1" },
		{ "max_connections", "4097", "at most 4096" },
		{ "max_connections", "-1", "not a whole number" },
		{ "owner", "4294967295", "at most 4294967294" },
		{ "owner", "root", "not a whole number" },
		{ "level", "inof", "error, warn, info; did you mean 'info'?" },
		{ "level", "everything", "error, warn, info" },
		{ "path", "", "empty path" },
		{ "addresses", "x", "list" },
		{ "inner", "x", "map" },
	};
	struct object object = { 0 };
	struct error err;

	cr_assert_eq(option_defaults(rows, &object, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		cr_assert_eq(read_row(&object, refused[i].name, refused[i].text, &err), -1,
			     "%s: %s", refused[i].name, refused[i].text);
		cr_assert_eq(err.code, ERROR_INVALID);
		cr_assert_not_null(strstr(err.text, refused[i].part), "%s", err.text);
	}
	cr_assert(object.enabled);
	cr_assert_eq(object.refresh_ms, 300000);
	cr_assert_eq(object.connections, 1024);
	cr_assert_eq(object.owner, -1);
	cr_assert_eq(object.level, 2);
	option_free(rows, &object);
}

Test(option, a_path_may_start_at_home)
{
	struct object object = { 0 };
	struct error err;

	cr_assert_eq(setenv("HOME", "/home/someone", 1), 0);
	cr_assert_eq(read_row(&object, "path", "~/.config/keys.txt", &err), 0);
	cr_assert_str_eq(object.path, "/home/someone/.config/keys.txt");
	cr_assert_eq(read_row(&object, "path", "relative/~/x", &err), 0);
	cr_assert_str_eq(object.path, "relative/~/x");
	cr_assert_eq(unsetenv("HOME"), 0);
	cr_assert_eq(read_row(&object, "path", "~/x", &err), -1);
	cr_assert_not_null(strstr(err.text, "$HOME"));
	option_free(rows, &object);
}

Test(option, misspelled_names_find_their_row)
{
	cr_assert_not_null(option_find(rows, "inner"));
	cr_assert_null(option_find(rows, "Inner"));
	cr_assert_str_eq(option_nearest(rows, "adresses"), "addresses");
	cr_assert_str_eq(option_nearest(rows, "refesh"), "refresh");
	cr_assert_str_eq(option_nearest(rows, "nmae"), "name");
	cr_assert_null(option_nearest(rows, "password"));
}

Test(option, a_least_alone_sets_no_upper_bound)
{
	static const struct option row = { .name = "count", .type = OPTION_UNSIGNED, .least = 2 };
	struct error err;
	uint64_t count = 0;

	cr_assert_eq(option_read(&row, &count, "1", &err), -1);
	cr_assert_eq(option_read(&row, &count, "18446744073709551615", &err), 0);
	cr_assert_eq(count, UINT64_MAX);
}

Test(option, strings_keep_their_order)
{
	struct strings strings = { 0 };
	struct error err;
	char text[2] = "a";

	for (int i = 0; i < 20; i++) {
		cr_assert_eq(strings_add(&strings, text, &err), 0);
		text[0]++;
	}
	cr_assert_eq(strings.count, 20);
	for (size_t i = 0; i < strings.count; i++)
		cr_assert_eq(strings.items[i][0], (char)('a' + (char)i));
	strings_free(&strings);
	cr_assert_null(strings.items);
	strings_free(&strings);
}

Test(option, written_values_are_the_same_text_exactly_when_they_are_equal)
{
	static char name[] = "a\nenabled=0", empty[] = "", file[] = "/f", one[] = "one";
	char *addresses[] = { one, one };
	const struct object objects[] = {
		{ .enabled = true },
		{ .enabled = false },
		{ .name = empty },
		{ .name = name },
		{ .path = file },
		{ .write = one },
		{ .addresses = { addresses, 1 } },
		{ .addresses = { addresses, 2 } },
		{ .refresh_ms = 1 },
		{ .size = UINT64_MAX },
		{ .mode = 0440 },
		{ .connections = 7 },
		{ .owner = -1 },
		{ .level = 2 },
		{ .inner = { .file = file } },
		{ .inner = { .wait_ms = 1 } },
	};
	struct buf texts[ARRAY_SIZE(objects)];

	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		texts[i] = BUF_INIT(4096);
		option_write(&texts[i], rows, &objects[i]);
		for (size_t j = 0; j <= i; j++)
			cr_expect_eq(strcmp(buf_string(&texts[i]), buf_string(&texts[j])) == 0,
				     option_equal(rows, &objects[i], &objects[j]), "%zu and %zu", i,
				     j);
	}
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		buf_deinit(&texts[i]);
}
