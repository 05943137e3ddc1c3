/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/secret.h"
#include "agent/sink/files.h"

enum { SECRETS = 3, ENTRIES_MAX = 6 };

/* A sink on a directory of its own, over the secrets db, app and cert. */
struct fixture {
	struct clock clock; /* first: it is all that fixture_now gets */
	int64_t now_ms;
	char root[64], directory[80];
	struct secret_spec specs[SECRETS];
	struct config_entry entries[ENTRIES_MAX];
	struct config_files config;
	struct store store;
	struct files_sink *sink;
	struct error err;
};

static struct stamp fixture_now(const struct clock *clock)
{
	const struct fixture *f = (const void *)clock;

	return (struct stamp){ f->now_ms, f->now_ms };
}

static struct config_entry entry_of(const char *path, const char *secret, const char *field,
				    enum file_format format, unsigned mode)
{
	return (struct config_entry){ .path = strdup(path),
				      .secret = strdup(secret),
				      .field = field != NULL ? strdup(field) : NULL,
				      .format = format,
				      .mode = mode,
				      .owner = -1,
				      .group = -1 };
}

static void add_entry(struct fixture *f, struct config_entry entry)
{
	f->entries[f->config.entry_count++] = entry;
}

static void restart(struct fixture *f)
{
	f->sink = files_sink_free(f->sink);
	f->sink = files_sink_new(&f->config, &f->clock, &f->err);
	cr_assert_not_null(f->sink);
}

static void setup(struct fixture *f)
{
	static const char *const names[SECRETS] = { "db", "app", "cert" };

	*f = (struct fixture){ .clock = { .now = fixture_now }, .now_ms = 1000000 };
	(void)snprintf(f->root, sizeof(f->root), "%s/files-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	cr_assert_not_null(mkdtemp(f->root));
	(void)chmod(f->root, 0755);
	(void)snprintf(f->directory, sizeof(f->directory), "%s/out", f->root);
	for (size_t i = 0; i < SECRETS; i++)
		f->specs[i].name = strdup(names[i]);
	cr_assert_eq(store_init(&f->store, f->specs, SECRETS, &f->err), 0);
	f->config = (struct config_files){ .directory = f->directory,
					   .mode = 0400,
					   .owner = -1,
					   .group = -1,
					   .entries = f->entries };
	restart(f);
}

static void remove_tree(const char *path)
{
	DIR *listing = opendir(path);
	struct dirent *item;
	char inner[400];

	while (listing != NULL && (item = readdir(listing)) != NULL) {
		if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
			continue;
		(void)snprintf(inner, sizeof(inner), "%s/%s", path, item->d_name);
		if (unlink(inner) < 0)
			remove_tree(inner);
	}
	if (listing != NULL)
		(void)closedir(listing);
	(void)rmdir(path);
}

static void teardown(struct fixture *f)
{
	f->sink = files_sink_free(f->sink);
	store_deinit(&f->store);
	for (size_t i = 0; i < SECRETS; i++)
		free(f->specs[i].name);
	for (size_t i = 0; i < f->config.entry_count; i++) {
		free(f->entries[i].path);
		free(f->entries[i].secret);
		free(f->entries[i].field);
		free(f->entries[i].variable);
	}
	remove_tree(f->root);
}

/* name, value, name, value, NULL */
static void put(struct fixture *f, const char *secret, ...)
{
	struct store_entry *stored = store_find(&f->store, secret);
	const char *name, *value;
	va_list args;

	(void)secret_version_unref(stored->version);
	stored->version = secret_version_new(&f->err);
	va_start(args, secret);
	while ((name = va_arg(args, const char *)) != NULL) {
		value = va_arg(args, const char *);
		cr_assert_eq(secret_version_add_bytes(stored->version, name, FIELD_STRING, value,
						      strlen(value), &f->err),
			     0);
	}
	va_end(args);
	stored->state = STATE_FRESH;
	stored->published++;
}

static void take_away(struct fixture *f, const char *secret)
{
	struct store_entry *stored = store_find(&f->store, secret);

	stored->version = secret_version_unref(stored->version);
}

static int publish(struct fixture *f)
{
	f->err = ERROR_INIT;
	return files_sink_publish(f->sink, &f->store, &f->err);
}

static const char *path_in(const struct fixture *f, const char *name)
{
	static char paths[4][400];
	static unsigned next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", f->directory, name);
	return path;
}

static bool holds(const struct fixture *f, const char *name, const char *expected)
{
	AUTO(closep) int fd = open(path_in(f, name), O_RDONLY);
	char bytes[1024];
	ssize_t len = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1;

	return len >= 0 && (size_t)len == strlen(expected) &&
	       memcmp(bytes, expected, (size_t)len) == 0;
}

static bool there(const struct fixture *f, const char *name)
{
	struct stat status;

	return lstat(path_in(f, name), &status) == 0;
}

static mode_t mode_of(const struct fixture *f, const char *name)
{
	struct stat status;

	return stat(path_in(f, name), &status) == 0 ? status.st_mode & 07777 : 0;
}

static bool links_to(const struct fixture *f, const char *name, const char *expected)
{
	char target[256];
	ssize_t len = readlink(path_in(f, name), target, sizeof(target));

	return len > 0 && (size_t)len == strlen(expected) &&
	       memcmp(target, expected, (size_t)len) == 0;
}

static void write_file(const struct fixture *f, const char *name, const char *text)
{
	AUTO(closep) int fd = open(path_in(f, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static size_t generations(const struct fixture *f)
{
	DIR *listing = opendir(f->directory);
	struct dirent *item;
	size_t count = 0;

	while (listing != NULL && (item = readdir(listing)) != NULL)
		count += strncmp(item->d_name, "..gen-", 6) == 0;
	if (listing != NULL)
		(void)closedir(listing);
	return count;
}

static void default_entries(struct fixture *f)
{
	add_entry(f, entry_of("db", "db", NULL, FORMAT_FIELD, 0400));
	add_entry(f, entry_of("app.json", "app", NULL, FORMAT_JSON, 0400));
	add_entry(f, entry_of("tls/deep/key.pem", "cert", "key", FORMAT_FIELD, 0400));
}

static void default_versions(struct fixture *f)
{
	put(f, "db", "user", "u1", "password", "p1", NULL);
	put(f, "app", "key", "k1", NULL);
	put(f, "cert", "key", "c1", "other", "o", NULL);
}

Test(files_sink, publishes_every_entry_as_one_generation_behind_one_link)
{
	struct fixture f;

	setup(&f);
	default_entries(&f);
	restart(&f);
	default_versions(&f);
	cr_assert_eq(publish(&f), 1, "%s", f.err.text);
	cr_expect_null(files_sink_problem(f.sink, 0));
	cr_expect_eq(files_sink_generation(f.sink), 1);
	cr_expect(links_to(&f, "..data", "..gen-000001"));
	cr_expect(links_to(&f, "db", "..data/db"));
	cr_expect(links_to(&f, "app.json", "..data/app.json"));
	cr_expect(links_to(&f, "tls", "..data/tls"));
	cr_expect(holds(&f, "db/user", "u1"));
	cr_expect(holds(&f, "db/password", "p1"));
	cr_expect(holds(&f, "app.json", "{\"key\":\"k1\"}\n"));
	cr_expect(holds(&f, "tls/deep/key.pem", "c1"));
	cr_expect_not(there(&f, "..data/tls/deep/other"));
	cr_expect_not(there(&f, "..data_tmp"));
	teardown(&f);
}

Test(files_sink, same_content_publishes_nothing_and_a_change_makes_the_next_generation)
{
	struct fixture f;

	setup(&f);
	default_entries(&f);
	restart(&f);
	default_versions(&f);
	cr_assert_eq(publish(&f), 1);
	default_versions(&f);
	cr_expect_eq(publish(&f), 0);
	cr_expect_eq(files_sink_generation(f.sink), 1);
	put(&f, "db", "password", "p2", NULL);
	cr_expect_eq(publish(&f), 1);
	cr_expect_eq(files_sink_generation(f.sink), 2);
	cr_expect(holds(&f, "db/password", "p2"));
	cr_expect_not(there(&f, "db/user"));
	cr_expect(holds(&f, "..gen-000001/db/password", "p1"),
		  "the old one is whole for who opened it");
	teardown(&f);
}

Test(files_sink, restart_adopts_what_stands_and_keeps_its_number)
{
	struct fixture f;

	setup(&f);
	default_entries(&f);
	restart(&f);
	default_versions(&f);
	cr_assert_eq(publish(&f), 1);
	put(&f, "app", "key", "k2", NULL);
	cr_assert_eq(publish(&f), 1);
	restart(&f);
	cr_expect_eq(publish(&f), 0);
	cr_expect_eq(files_sink_generation(f.sink), 2);
	teardown(&f);
}

Test(files_sink, remembers_in_the_directory_what_the_application_was_told_of)
{
	struct fixture f;

	setup(&f);
	default_entries(&f);
	restart(&f);
	default_versions(&f);
	cr_expect_not(files_sink_told(f.sink), "nothing stands");
	cr_assert_eq(publish(&f), 1);
	cr_expect_not(files_sink_told(f.sink));
	cr_expect(files_sink_mark_told(f.sink, 1));
	cr_expect(files_sink_told(f.sink));
	restart(&f);
	cr_expect_eq(publish(&f), 0);
	cr_expect(files_sink_told(f.sink), "a restart knows it too");

	put(&f, "app", "key", "k2", NULL);
	cr_assert_eq(publish(&f), 1);
	cr_expect_not(files_sink_told(f.sink), "the mark is of the generation before");
	cr_expect_not(files_sink_mark_told(f.sink, 1), "what was told by now is old");
	restart(&f);
	cr_expect_eq(publish(&f), 0);
	cr_expect_not(files_sink_told(f.sink), "a process that was killed before it could tell");
	cr_expect(files_sink_mark_told(f.sink, 2));
	cr_expect(files_sink_told(f.sink));

	/* A mark that outlived its generations is not taken for the new ones'. */
	(void)unlink(path_in(&f, "..data"));
	remove_tree(path_in(&f, "..gen-000001"));
	remove_tree(path_in(&f, "..gen-000002"));
	restart(&f);
	cr_expect_eq(publish(&f), 1);
	cr_expect_eq(files_sink_generation(f.sink), 3);
	cr_expect_not(files_sink_told(f.sink));
	teardown(&f);
}

Test(files_sink, restart_repairs_whatever_differs)
{
	static const char *const wrongs[] = { "bytes",	 "mode",    "dirmode", "extra",
					      "missing", "symlink", "hardlink" };

	for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
		struct fixture f;

		setup(&f);
		default_entries(&f);
		restart(&f);
		default_versions(&f);
		cr_assert_eq(publish(&f), 1);
		if (i == 0)
			write_file(&f, "..data/db/password", "pX");
		if (i == 1)
			(void)chmod(path_in(&f, "..data/db/password"), 0444);
		if (i == 2)
			(void)chmod(path_in(&f, "..data/db"), 0755);
		if (i == 3)
			write_file(&f, "..data/db/extra", "");
		if (i == 4 || i == 5)
			(void)unlink(path_in(&f, "..data/db/user"));
		if (i == 5)
			cr_assert_eq(symlink("password", path_in(&f, "..data/db/user")), 0);
		if (i == 6)
			cr_assert_eq(link(path_in(&f, "..data/db/user"), path_in(&f, "stolen")), 0);
		restart(&f);
		cr_expect_eq(publish(&f), 1, "%s", wrongs[i]);
		cr_expect_eq(files_sink_generation(f.sink), 2, "%s", wrongs[i]);
		cr_expect(holds(&f, "db/password", "p1"), "%s", wrongs[i]);
		cr_expect(holds(&f, "db/user", "u1"), "%s", wrongs[i]);
		cr_expect_eq(mode_of(&f, "db/password"), 0400, "%s", wrongs[i]);
		cr_expect_eq(mode_of(&f, "db"), 0700, "%s", wrongs[i]);
		cr_expect_not(there(&f, "db/extra"), "%s", wrongs[i]);
		cr_expect_eq(publish(&f), 0, "%s", wrongs[i]);
		teardown(&f);
	}
}

Test(files_sink, restart_sees_to_stale_temporary_link_orphans_and_missing_names)
{
	struct fixture f;

	setup(&f);
	default_entries(&f);
	restart(&f);
	default_versions(&f);
	cr_assert_eq(publish(&f), 1);
	cr_assert_eq(symlink("..gen-000009", path_in(&f, "..data_tmp")), 0);
	(void)mkdir(path_in(&f, "..gen-000009"), 0700);
	(void)mkdir(path_in(&f, "..gen-000009/db"), 0700);
	write_file(&f, "..gen-000009/db/half", "");
	(void)unlink(path_in(&f, "db"));
	restart(&f);
	cr_expect_eq(publish(&f), 1, "a name came back");
	cr_expect_eq(files_sink_generation(f.sink), 1, "but nothing was published");
	cr_expect(holds(&f, "db/password", "p1"));
	cr_expect_not(there(&f, "..gen-000009"));
	put(&f, "app", "key", "k2", NULL);
	cr_expect_eq(publish(&f), 1, "%s", f.err.text);
	cr_expect(links_to(&f, "..data", "..gen-000002"));
	cr_expect_not(there(&f, "..data_tmp"));
	teardown(&f);
}

Test(files_sink, old_generations_live_60_s_and_16_at_most)
{
	struct fixture f;
	char value[16];

	setup(&f);
	default_entries(&f);
	restart(&f);
	default_versions(&f);
	cr_assert_eq(publish(&f), 1);
	cr_expect_eq(files_sink_collect(f.sink), DEADLINE_NEVER);
	f.now_ms += 1000;
	put(&f, "app", "key", "k2", NULL);
	cr_assert_eq(publish(&f), 1);
	cr_expect_eq(files_sink_collect(f.sink), f.now_ms + 60000);
	f.now_ms += 59999;
	(void)files_sink_collect(f.sink);
	cr_expect(there(&f, "..gen-000001"));
	f.now_ms += 1;
	cr_expect_eq(files_sink_collect(f.sink), DEADLINE_NEVER);
	cr_expect_not(there(&f, "..gen-000001"));
	for (unsigned i = 0; i < 30; i++) {
		(void)snprintf(value, sizeof(value), "v%u", i);
		put(&f, "app", "key", value, NULL);
		cr_assert_eq(publish(&f), 1);
		cr_assert_leq(generations(&f), 17);
	}
	cr_expect_eq(generations(&f), 17);
	cr_expect(links_to(&f, "..data", "..gen-000032"));
	cr_expect(there(&f, "..gen-000016"));
	cr_expect_not(there(&f, "..gen-000015"));
	restart(&f);
	cr_expect_eq(publish(&f), 0);
	cr_expect_eq(files_sink_collect(f.sink), f.now_ms + 60000,
		     "a restart leaves readers their time");
	f.now_ms += 60000;
	cr_expect_eq(files_sink_collect(f.sink), DEADLINE_NEVER);
	cr_expect_eq(generations(&f), 1);
	teardown(&f);
}

Test(files_sink, secrets_without_a_version_are_left_out_and_hold_nothing_back)
{
	struct fixture f;

	setup(&f);
	default_entries(&f);
	restart(&f);
	cr_expect_eq(publish(&f), 0, "nothing to publish");
	cr_expect_eq(files_sink_generation(f.sink), 0);
	cr_expect_not(there(&f, "..data"));
	put(&f, "db", "password", "p1", NULL);
	cr_expect_eq(publish(&f), 1);
	cr_expect(holds(&f, "db/password", "p1"));
	cr_expect_not(there(&f, "app.json"));
	put(&f, "app", "key", "k1", NULL);
	cr_expect_eq(publish(&f), 1);
	cr_expect(holds(&f, "app.json", "{\"key\":\"k1\"}\n"));
	take_away(&f, "db");
	cr_expect_eq(publish(&f), 1);
	cr_expect_not(there(&f, "db"), "its name goes with it");
	cr_expect(there(&f, "app.json"));
	take_away(&f, "app");
	cr_expect_eq(publish(&f), 1);
	cr_expect_not(there(&f, "app.json"));
	cr_expect_eq(publish(&f), 0);
	teardown(&f);
}

Test(files_sink, a_restart_takes_nothing_away_from_a_secret_not_yet_fetched)
{
	static const struct {
		enum secret_state state;
		bool kept;
	} cases[] = { { STATE_PENDING, true },
		      { STATE_FAILED, true },
		      { STATE_DENIED, false },
		      { STATE_MISSING, false } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture f;

		setup(&f);
		default_entries(&f);
		restart(&f);
		default_versions(&f);
		cr_assert_eq(publish(&f), 1);
		store_deinit(&f.store);
		cr_assert_eq(store_init(&f.store, f.specs, SECRETS, &f.err), 0);
		restart(&f);
		put(&f, "app", "key", "k2", NULL);
		store_find(&f.store, "db")->state = cases[i].state;
		cr_expect_eq(publish(&f), 1, "%s", f.err.text);
		cr_expect(holds(&f, "app.json", "{\"key\":\"k2\"}\n"));
		cr_expect_eq(holds(&f, "db/password", "p1"), cases[i].kept, "case %zu", i);
		cr_expect_eq(holds(&f, "db/user", "u1"), cases[i].kept, "case %zu", i);
		cr_expect(holds(&f, "tls/deep/key.pem", "c1"));
		teardown(&f);
	}
}

Test(files_sink, a_secret_that_cannot_be_written_fails_by_name_and_keeps_its_files)
{
	char large[FIELD_VALUE_MAX + 2], longest[255];
	struct fixture f;

	memset(large, 'x', sizeof(large));
	large[FIELD_VALUE_MAX] = '\0';
	memset(longest, 'n', sizeof(longest));
	longest[253] = '\0';
	setup(&f);
	default_entries(&f);
	restart(&f);
	default_versions(&f);
	cr_assert_eq(publish(&f), 1);
	put(&f, "db", "large", large, longest, "x", NULL);
	cr_expect_eq(publish(&f), 1, "exactly at the limits");
	cr_expect_null(files_sink_problem(f.sink, 0));
	default_versions(&f);
	cr_assert_eq(publish(&f), 1);

	large[FIELD_VALUE_MAX] = 'x';
	large[FIELD_VALUE_MAX + 1] = '\0';
	longest[253] = 'n';
	longest[254] = '\0';
	const char *names[] = { "large", longest, "a/b",    "..x",	 "..",
				".",	 "",	  "sp ace", "n\xc3\xa9", "new\nline" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char key[8];

		put(&f, "db", "password", "torn", names[i], i == 0 ? large : "v", NULL);
		(void)snprintf(key, sizeof(key), "k%zu", i + 2);
		put(&f, "app", "key", key, NULL);
		cr_expect_eq(publish(&f), 1, "%s: the others go on", names[i]);
		cr_assert_not_null(files_sink_problem(f.sink, 0), "%s", names[i]);
		cr_expect_str_eq(files_sink_problem(f.sink, 0)->secret, "db");
		cr_expect_eq(files_sink_problem(f.sink, 0)->error.code, ERROR_BAD_DATA);
		cr_expect_null(files_sink_problem(f.sink, 1));
		cr_expect(holds(&f, "db/password", "p1"), "%s: not half of the new version",
			  names[i]);
		cr_expect(holds(&f, "db/user", "u1"), "%s", names[i]);
		cr_expect_eq(publish(&f), 0, "%s: and it settles", names[i]);
	}
	put(&f, "cert", "other", "o", NULL);
	cr_expect_eq(publish(&f), 0);
	cr_expect(holds(&f, "tls/deep/key.pem", "c1"));
	cr_expect_eq(files_sink_problem(f.sink, 1)->error.code, ERROR_NOT_FOUND);
	default_versions(&f);
	cr_expect_eq(publish(&f), 1);
	cr_expect_null(files_sink_problem(f.sink, 0));
	teardown(&f);
}

Test(files_sink, all_entries_of_a_secret_are_of_one_version)
{
	struct fixture f;

	setup(&f);
	add_entry(&f, entry_of("a", "db", "password", FORMAT_FIELD, 0400));
	add_entry(&f, entry_of("b.env", "db", NULL, FORMAT_ENV, 0400));
	restart(&f);
	put(&f, "db", "password", "p1", NULL);
	cr_assert_eq(publish(&f), 1);
	put(&f, "db", "password", "p2", "PASSWORD", "collides", NULL);
	cr_expect_eq(publish(&f), 0);
	cr_expect_str_eq(files_sink_problem(f.sink, 0)->path, "b.env");
	cr_expect(holds(&f, "a", "p1"));
	cr_expect(holds(&f, "b.env", "PASSWORD='p1'\n"));
	teardown(&f);
}

Test(files_sink, colliding_paths_fail_the_later_secret_only)
{
	static const char *const paths[][2] = { { "x", "x" }, { "x", "x/y" }, { "x/y", "x" } };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct fixture f;

		setup(&f);
		add_entry(&f, entry_of(paths[i][0], "db", "password", FORMAT_FIELD, 0400));
		add_entry(&f, entry_of("x-z", "cert", "key", FORMAT_FIELD, 0400));
		add_entry(&f, entry_of(paths[i][1], "app", "key", FORMAT_FIELD, 0400));
		restart(&f);
		default_versions(&f);
		cr_expect_eq(publish(&f), 1, "%s", f.err.text);
		cr_assert_not_null(files_sink_problem(f.sink, 0));
		cr_expect_str_eq(files_sink_problem(f.sink, 0)->secret, "app");
		cr_expect(holds(&f, paths[i][0], "p1"));
		cr_expect(holds(&f, "x-z", "c1"));
		teardown(&f);
	}
}

Test(files_sink, paths_that_leave_the_directory_are_refused)
{
	static const char *const paths[] = {
		"../x", "a/../../x", "/x", "a//b", "", ".", "a/.", "..data/x", "..gen-000001", "a/"
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct fixture f;

		setup(&f);
		add_entry(&f, entry_of(paths[i], "db", "password", FORMAT_FIELD, 0400));
		add_entry(&f, entry_of("ok", "app", "key", FORMAT_FIELD, 0400));
		restart(&f);
		default_versions(&f);
		cr_expect_eq(publish(&f), 1, "%s", f.err.text);
		cr_assert_not_null(files_sink_problem(f.sink, 0), "%s", paths[i]);
		cr_expect_eq(files_sink_problem(f.sink, 0)->error.code, ERROR_INVALID);
		cr_expect(holds(&f, "ok", "k1"));
		cr_expect(access(path_in(&f, "../x"), F_OK) < 0);
		teardown(&f);
	}
}

Test(files_sink, modes_are_exact_under_any_umask_and_directories_open_to_who_may_read)
{
	static const struct {
		unsigned mode;
		mode_t directory;
	} cases[] = { { 0400, 0700 }, { 0440, 0750 }, { 0444, 0755 },
		      { 0404, 0705 }, { 0600, 0700 }, { 0640, 0750 } };
	static const mode_t umasks[] = { 0, 022, 077, 0177, 0777 };

	for (size_t i = 0; i < ARRAY_SIZE(cases) * ARRAY_SIZE(umasks); i++) {
		struct fixture f;
		size_t at = i / ARRAY_SIZE(umasks);

		setup(&f);
		add_entry(&f, entry_of("a/b", "db", NULL, FORMAT_FIELD, cases[at].mode));
		add_entry(&f, entry_of("own", "app", "key", FORMAT_FIELD, 0400));
		restart(&f);
		default_versions(&f);
		(void)umask(umasks[i % ARRAY_SIZE(umasks)]);
		cr_expect_eq(publish(&f), 1, "%s", f.err.text);
		cr_expect_eq(publish(&f), 0);
		(void)umask(022);
		cr_expect_eq(mode_of(&f, "a/b/password"), cases[at].mode);
		cr_expect_eq(mode_of(&f, "own"), 0400);
		cr_expect_eq(mode_of(&f, "a/b"), cases[at].directory);
		cr_expect_eq(mode_of(&f, "a"), cases[at].directory);
		cr_expect_eq(mode_of(&f, "..data"), cases[at].directory);
		cr_expect_eq(mode_of(&f, "."), cases[at].directory);
		teardown(&f);
	}
}

Test(files_sink, a_directory_of_a_group_gives_its_files_that_group)
{
	struct fixture f;
	struct stat status;

	if (geteuid() != 0)
		cr_skip("needs root to have a group that is not ours");
	setup(&f);
	default_entries(&f);
	f.entries[0].mode = 0440;
	f.entries[1].mode = 0440;
	f.entries[1].group = 4242;
	f.entries[2].owner = 4243;
	restart(&f);
	default_versions(&f);
	(void)mkdir(f.directory, 0700);
	cr_assert_eq(chown(f.directory, 0, 4241), 0);
	cr_assert_eq(chmod(f.directory, 02777), 0);
	cr_expect_eq(publish(&f), 1, "%s", f.err.text);
	cr_expect_eq(publish(&f), 0);
	cr_assert_eq(stat(path_in(&f, "db/password"), &status), 0);
	cr_expect_eq(status.st_gid, 4241);
	cr_assert_eq(stat(path_in(&f, "db"), &status), 0);
	cr_expect_eq(status.st_gid, 4241);
	cr_expect_eq(status.st_mode & 07777, 0750);
	cr_assert_eq(stat(path_in(&f, "app.json"), &status), 0);
	cr_expect_eq(status.st_gid, 4242);
	cr_assert_eq(stat(path_in(&f, "tls/deep/key.pem"), &status), 0);
	cr_expect_eq(status.st_uid, 4243);
	cr_expect_eq(mode_of(&f, "tls/deep"), 0705, "the owner of the file gets there as anybody");
	cr_expect_eq(mode_of(&f, "..data"), 0755, "two groups get there");
	cr_expect_eq(mode_of(&f, "."), 02777, "the user's directory is the user's");
	teardown(&f);
}

Test(files_sink, files_of_others_are_never_touched)
{
	struct fixture f;

	setup(&f);
	default_entries(&f);
	restart(&f);
	default_versions(&f);
	(void)mkdir(f.directory, 0755);
	write_file(&f, "notes", "mine");
	write_file(&f, "..gen-notes", "mine");
	(void)mkdir(path_in(&f, "..2024_dir"), 0755);
	cr_assert_eq(symlink("..data/db/password", path_in(&f, "alias")), 0);
	cr_assert_eq(symlink("elsewhere", path_in(&f, "dangling")), 0);
	cr_assert_eq(publish(&f), 1);
	put(&f, "db", "user", "u2", NULL);
	cr_assert_eq(publish(&f), 1);
	f.now_ms += 60000;
	(void)files_sink_collect(f.sink);
	cr_expect(holds(&f, "notes", "mine"));
	cr_expect(holds(&f, "..gen-notes", "mine"));
	cr_expect(there(&f, "..2024_dir"));
	cr_expect(links_to(&f, "alias", "..data/db/password"));
	cr_expect(links_to(&f, "dangling", "elsewhere"));
	teardown(&f);
}

Test(files_sink, what_stands_where_a_name_should_be_is_named_and_kept)
{
	struct fixture f;

	setup(&f);
	default_entries(&f);
	restart(&f);
	default_versions(&f);
	(void)mkdir(f.directory, 0755);
	write_file(&f, "app.json", "mine");
	cr_expect_eq(publish(&f), 1);
	cr_assert_not_null(files_sink_problem(f.sink, 0));
	cr_expect_str_eq(files_sink_problem(f.sink, 0)->secret, "app");
	cr_expect_not_null(
		strstr(files_sink_problem(f.sink, 0)->error.text, "app.json is in the way"));
	cr_expect(holds(&f, "app.json", "mine"));
	cr_expect(holds(&f, "..data/app.json", "{\"key\":\"k1\"}\n"));
	cr_expect(holds(&f, "db/password", "p1"));
	(void)unlink(path_in(&f, "app.json"));
	cr_expect_eq(publish(&f), 1, "the name can be made now");
	cr_expect(holds(&f, "app.json", "{\"key\":\"k1\"}\n"));
	teardown(&f);
}

Test(files_sink, a_volume_of_another_program_is_refused_whole)
{
	struct fixture f;

	setup(&f);
	default_entries(&f);
	restart(&f);
	default_versions(&f);
	(void)mkdir(f.directory, 0755);
	(void)mkdir(path_in(&f, "..2024_01"), 0755);
	cr_assert_eq(symlink("..2024_01", path_in(&f, "..data")), 0);
	cr_expect_eq(publish(&f), -1);
	cr_expect_eq(f.err.code, ERROR_INVALID);
	cr_expect_not_null(strstr(f.err.text, f.directory));
	cr_expect(links_to(&f, "..data", "..2024_01"));
	cr_expect_eq(generations(&f), 0);
	teardown(&f);
}

Test(files_sink, a_vanished_directory_is_made_anew)
{
	struct fixture f;

	setup(&f);
	default_entries(&f);
	restart(&f);
	default_versions(&f);
	(void)snprintf(f.directory, sizeof(f.directory), "%s/a/b/out", f.root);
	(void)umask(0077);
	cr_assert_eq(publish(&f), 1, "%s", f.err.text);
	(void)umask(022);
	cr_expect_eq(mode_of(&f, "../../b"), 0755, "parents let everybody through");
	put(&f, "db", "user", "u2", NULL);
	cr_assert_eq(publish(&f), 1);
	remove_tree(f.directory);
	cr_expect_eq(publish(&f), 1, "%s", f.err.text);
	cr_expect(holds(&f, "db/user", "u2"));
	f.now_ms += 60000;
	cr_expect_eq(files_sink_collect(f.sink), DEADLINE_NEVER);
	cr_expect(holds(&f, "db/user", "u2"));
	remove_tree(f.directory);
	cr_expect_eq(files_sink_collect(f.sink), DEADLINE_NEVER);
	teardown(&f);
}

/* Whether a file system could be mounted there; without root a loud skip, in CI a failure. */
static bool mounted(const char *path, const char *options)
{
	const char *ci = getenv("CI");

	(void)mkdir(path, 0755);
	if (mount("tmpfs", path, "tmpfs", 0, options) == 0)
		return true;
	if (ci != NULL && strcmp(ci, "true") == 0)
		cr_assert_fail("cannot mount a tmpfs: %s", strerror(errno));
	return false;
}

Test(files_sink, full_disk_keeps_last_generation_and_recovers)
{
	char big[40001];
	struct fixture f;

	setup(&f);
	default_entries(&f);
	restart(&f);
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	if (!mounted(f.directory, "size=100k")) {
		teardown(&f);
		cr_skip("mounting a small tmpfs needs root");
	}
	put(&f, "db", "password", big, NULL);
	cr_assert_eq(publish(&f), 1, "%s", f.err.text);
	memset(big, 'b', 100);
	put(&f, "db", "password", big, NULL);
	cr_assert_eq(publish(&f), 1, "%s", f.err.text);
	cr_expect_eq(generations(&f), 2);
	memset(big, 'c', 100);
	put(&f, "db", "password", big, NULL);
	cr_expect_eq(publish(&f), 1, "the old generation makes room: %s", f.err.text);
	cr_expect_eq(generations(&f), 2);
	f.now_ms += 60000;
	cr_expect_eq(files_sink_collect(f.sink), DEADLINE_NEVER);

	write_file(&f, "filler", big);
	put(&f, "app", "key", big, NULL);
	cr_expect_eq(publish(&f), -1);
	cr_expect_eq(f.err.code, ERROR_EXHAUSTED);
	cr_expect_not_null(strstr(f.err.text, f.directory));
	cr_expect_not_null(strstr(f.err.text, "more room"));
	cr_expect(there(&f, "db/password"));
	cr_expect(links_to(&f, "..data", "..gen-000003"));
	cr_expect_eq(generations(&f), 1, "what was begun is gone");
	(void)unlink(path_in(&f, "filler"));
	put(&f, "app", "key", "small", NULL);
	cr_expect_eq(publish(&f), 1, "%s", f.err.text);
	(void)umount2(f.directory, MNT_DETACH);
	teardown(&f);
}

Test(files_sink, read_only_directory_keeps_what_stands_and_recovers)
{
	struct fixture f;

	setup(&f);
	default_entries(&f);
	restart(&f);
	default_versions(&f);
	if (!mounted(f.directory, "size=1m")) {
		teardown(&f);
		cr_skip("mounting a tmpfs needs root");
	}
	cr_assert_eq(publish(&f), 1);
	cr_assert_eq(mount(NULL, f.directory, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	cr_expect_eq(publish(&f), 0, "nothing to do is no error");
	put(&f, "db", "password", "p2", NULL);
	cr_expect_eq(publish(&f), -1);
	cr_expect_eq(f.err.code, ERROR_FORBIDDEN);
	cr_expect_not_null(strstr(f.err.text, "mount it writable"), "%s", f.err.text);
	cr_expect(holds(&f, "db/password", "p1"));
	cr_assert_eq(mount(NULL, f.directory, NULL, MS_REMOUNT, NULL), 0);
	cr_expect_eq(publish(&f), 1, "%s", f.err.text);
	cr_expect(holds(&f, "db/password", "p2"));
	(void)umount2(f.directory, MNT_DETACH);
	teardown(&f);
}

Test(files_sink, any_sequence_of_changes_ends_in_what_the_store_holds)
{
	struct fixture f;
	unsigned state = 7;

	setup(&f);
	default_entries(&f);
	restart(&f);
	for (unsigned i = 0; i < 400; i++) {
		char value[16], name[8];
		const char *held;

		state = state * 1103515245 + 12345;
		(void)snprintf(value, sizeof(value), "v%u", state / 65536 % 8);
		(void)snprintf(name, sizeof(name), "f%u", state / 1024 % 3);
		if (state / 256 % 8 == 0)
			take_away(&f, "db");
		else
			put(&f, "db", name, value, NULL);
		if (state / 4096 % 8 == 0)
			restart(&f);
		f.now_ms += state / 65536 % 40000;
		cr_assert_geq(publish(&f), 0, "%s", f.err.text);
		cr_assert_eq(publish(&f), 0);
		(void)files_sink_collect(f.sink);
		held = store_find(&f.store, "db")->version != NULL ? name : NULL;
		for (unsigned j = 0; j < 3; j++) {
			char path[16];

			(void)snprintf(path, sizeof(path), "db/f%u", j);
			cr_assert_eq(there(&f, path), held != NULL && strcmp(held, path + 3) == 0);
			if (there(&f, path))
				cr_assert(holds(&f, path, value));
		}
	}
	teardown(&f);
}
