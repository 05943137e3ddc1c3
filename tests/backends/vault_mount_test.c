/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/vault_help.h"

#define MOUNT(path_, type_, options_)                                                              \
	"{\"path\":\"" path_ "\",\"type\":\"" type_ "\",\"options\":" options_ "}"
#define V2 "{\"version\":\"2\"}"

static void learn(struct vault_mounts *mounts, const char *sample, const char *data, int expected)
{
	struct json_limits limits = JSON_REPLY_LIMITS;
	struct error err = ERROR_INIT;
	struct json_doc *doc = NULL;

	if (data != NULL) {
		doc = json_doc_read(data, strlen(data), &limits, &err);
		cr_assert_not_null(doc, "%s", err.text);
	}
	cr_expect_eq(
		vault_mounts_learn(mounts, sample, doc != NULL ? json_doc_root(doc) : NULL, &err),
		expected, "%s", err.text);
	if (expected < 0)
		cr_expect_eq(err.code, ERROR_PROTOCOL);
	(void)json_doc_free(doc);
}

/* The key that must be learned for `path`, "" where nothing is missing. */
static const char *need_of(struct vault_mounts *mounts, const char *path)
{
	static char need[256];
	const struct vault_mount *mount;
	struct error err = ERROR_INIT;

	need[0] = '\0';
	cr_expect_geq(vault_mounts_resolve(mounts, path, &mount, need, sizeof(need), &err), 0, "%s",
		      err.text);
	return need;
}

static const char *api_path(struct vault_mounts *mounts, const char *path)
{
	static char text[300];
	struct buf buf = BUF_INIT(sizeof(text) - 1);

	vault_mount_api_path(&buf, vault_mounts_find(mounts, path), path);
	(void)snprintf(text, sizeof(text), "%s", buf_string(&buf));
	buf_deinit(&buf);
	return text;
}

Test(vault_mount, one_question_settles_a_mount_for_all_below_it)
{
	struct vault_mounts mounts = { .items = NULL };

	cr_expect_str_eq(need_of(&mounts, "secret/db"), "mount:secret");
	cr_expect_str_eq(need_of(&mounts, "secret/app/x"), "mount:secret");
	cr_expect_str_eq(vault_mounts_sample(&mounts, "mount:secret"), "secret/db");
	learn(&mounts, "secret/db", MOUNT("secret/", "kv", V2), 0);
	cr_expect_str_eq(need_of(&mounts, "secret/db"), "");
	cr_expect_str_eq(need_of(&mounts, "secret/other"), "");
	cr_expect_str_eq(need_of(&mounts, "secrets/other"), "mount:secrets");
	cr_expect_null(vault_mounts_sample(&mounts, "mount:secret"));
	cr_expect_null(vault_mounts_sample(&mounts, "mount:nobody"));
	cr_expect_null(vault_mounts_sample(&mounts, "session:secret"));
	vault_mounts_deinit(&mounts);
}

Test(vault_mount, mounts_of_several_segments_ask_again_only_where_they_differ)
{
	struct vault_mounts mounts = { .items = NULL };

	cr_expect_str_eq(need_of(&mounts, "team/kv/a"), "mount:team");
	cr_expect_str_eq(need_of(&mounts, "team/pki/issue/x"), "mount:team");
	learn(&mounts, "team/kv/a", MOUNT("team/kv/", "kv", "null"), 0);
	cr_expect_str_eq(need_of(&mounts, "team/kv/b"), "");
	cr_expect_str_eq(need_of(&mounts, "team/pki/issue/x"), "mount:team/pki");
	cr_expect_str_eq(need_of(&mounts, "team/pki/issue/y"), "mount:team/pki");
	learn(&mounts, "team/pki/issue/x", MOUNT("team/pki/", "pki", "null"), 0);
	cr_expect_str_eq(need_of(&mounts, "team/pki/issue/y"), "");
	cr_expect_eq(vault_mounts_find(&mounts, "team/pki/issue/y")->kind, VAULT_MOUNT_OTHER);
	cr_expect_eq(vault_mounts_find(&mounts, "team/kv")->kind, VAULT_MOUNT_KV1);
	cr_expect_null(vault_mounts_find(&mounts, "team/kvx"));
	vault_mounts_deinit(&mounts);
}

Test(vault_mount, silence_is_remembered_until_it_is_forgotten)
{
	struct vault_mounts mounts = { .items = NULL };

	cr_expect_str_eq(need_of(&mounts, "a/b/c"), "mount:a");
	learn(&mounts, "a/b/c", NULL, 0);
	cr_expect_str_eq(need_of(&mounts, "a/b/c"), "");
	cr_expect_str_eq(api_path(&mounts, "a/b/c"), "a/b/c");
	cr_expect_str_eq(need_of(&mounts, "a/b/d"), "mount:a/b/d");
	cr_expect_str_eq(need_of(&mounts, "a/x"), "mount:a/x");
	vault_mounts_forget(&mounts, "a/b/c");
	cr_expect_str_eq(need_of(&mounts, "a/b/c"), "mount:a");
	learn(&mounts, "a/b/c", MOUNT("a/", "kv", V2), 0);
	vault_mounts_forget(&mounts, "a/b/c");
	cr_expect_str_eq(api_path(&mounts, "a/b/c"), "a/data/b/c");
	vault_mounts_deinit(&mounts);
}

Test(vault_mount, data_is_put_after_a_v2_mount_unless_it_is_there)
{
	struct vault_mounts mounts = { .items = NULL };

	learn(&mounts, "team/kv/db", MOUNT("team/kv/", "kv", V2), 0);
	learn(&mounts, "old/db", MOUNT("old/", "kv", "{\"version\":\"1\"}"), 0);
	learn(&mounts, "older/db", MOUNT("older/", "generic", "null"), 0);
	learn(&mounts, "db/creds/x", MOUNT("db/", "database", V2), 0);
	cr_expect_str_eq(api_path(&mounts, "team/kv/db"), "team/kv/data/db");
	cr_expect_str_eq(api_path(&mounts, "team/kv/data/db"), "team/kv/data/db");
	cr_expect_str_eq(api_path(&mounts, "team/kv/database"), "team/kv/data/database");
	cr_expect_str_eq(api_path(&mounts, "team/kv/data"), "team/kv/data/data");
	cr_expect_str_eq(api_path(&mounts, "old/db"), "old/db");
	cr_expect_str_eq(api_path(&mounts, "older/db"), "older/db");
	cr_expect_str_eq(api_path(&mounts, "db/creds/x"), "db/creds/x");
	cr_expect_str_eq(api_path(&mounts, "unknown/x"), "unknown/x");
	vault_mounts_deinit(&mounts);
}

Test(vault_mount, namespace_before_the_mount_is_dropped)
{
	struct vault_mounts mounts = { .items = NULL };

	learn(&mounts, "secret/db", MOUNT("team/a/secret/", "kv", V2), 0);
	cr_expect_str_eq(api_path(&mounts, "secret/db"), "secret/data/db");
	vault_mounts_deinit(&mounts);
}

Test(vault_mount, nonsense_teaches_nothing)
{
	static const char *const bad[] = {
		MOUNT("other/", "kv", V2),
		MOUNT("", "kv", V2),
		MOUNT("/", "kv", V2),
		MOUNT("secre", "kv", V2),
		"{\"type\":\"kv\"}",
		"{\"path\":\"secret/\"}",
		"{\"path\":7,\"type\":\"kv\"}",
		"{\"path\":\"secret/db/x/\",\"type\":\"kv\"}",
	};
	struct vault_mounts mounts = { .items = NULL };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		learn(&mounts, "secret/db", bad[i], -1);
	cr_expect_str_eq(need_of(&mounts, "secret/db"), "mount:secret");
	vault_mounts_deinit(&mounts);
}

Test(vault_mount, paths_are_checked)
{
	static const char *const bad[] = { "",	   "/",	  "//a", "a//b", "a/",	 "a/../b", "..",
					   "a/..", "./a", "a?b", "a#b",	 "a\nb", "a\x7f" };
	struct error err;
	char *path = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_expect_eq(vault_path_read(bad[i], &path, &err), -1, "'%s' was taken", bad[i]);
		expect_says(&err, ERROR_INVALID, "path");
	}
	cr_expect_eq(vault_path_read(NULL, &path, &err), -1);
	cr_expect_eq(vault_path_read("/a/..b/c d/.e", &path, &err), 0, "%s", err.text);
	cr_expect_str_eq(path, "a/..b/c d/.e");
	free(path);
}

Test(vault_mount, path_keeps_its_limit)
{
	char text[VAULT_PATH_MAX + 3] = { 0 };
	struct error err;
	char *path = NULL;

	memset(text, 'p', VAULT_PATH_MAX - 1);
	for (int off = -1; off <= 1; off++) {
		int result = vault_path_read(text, &path, &err);

		cr_expect_eq(result, off <= 0 ? 0 : -1, "%d", off);
		if (result == 0)
			free(path);
		text[strlen(text)] = 'p';
	}
}

Test(vault_mount, path_whose_key_is_too_long_is_read_as_written)
{
	struct vault_mounts mounts = { .items = NULL };
	char path[256] = { 0 };

	memset(path, 'm', 249);
	cr_expect_eq(strlen(need_of(&mounts, path)), 255);
	path[249] = 'm';
	cr_expect_str_eq(need_of(&mounts, path), "");
	vault_mounts_deinit(&mounts);
}

Test(vault_mount, remembers_at_most_its_limit)
{
	struct vault_mounts mounts = { .items = NULL };
	const struct vault_mount *mount;
	char path[32], need[256];
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < VAULT_MOUNTS_MAX; i++) {
		(void)snprintf(path, sizeof(path), "m%zu/x", i);
		cr_assert_eq(vault_mounts_resolve(&mounts, path, &mount, need, sizeof(need), &err),
			     0);
	}
	cr_expect_eq(vault_mounts_resolve(&mounts, "m0/y", &mount, need, sizeof(need), &err), 0);
	cr_expect_eq(vault_mounts_resolve(&mounts, "one/more", &mount, need, sizeof(need), &err),
		     -1);
	cr_expect_eq(err.code, ERROR_EXHAUSTED);
	vault_mounts_deinit(&mounts);
}
