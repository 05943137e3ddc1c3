/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/json_edit.h"

#include <criterion/criterion.h>
#include <string.h>

enum { TEXT_MOST = 1 << 16 };

static struct json_doc *read(const char *text)
{
	const struct json_limits limits = { .depth = 16, .nodes = 1000, .bytes = TEXT_MOST };
	struct error err;
	struct json_doc *doc = json_doc_read(text, strlen(text), &limits, &err);

	cr_assert_not_null(doc, "%s", err.text);
	return doc;
}

static void expect(const struct json_node *node, const char *text)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(TEXT_MOST);

	json_write(&out, node);
	cr_expect_str_eq(buf_string(&out), text);
}

Test(json_edit, builds_from_nothing)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	struct json_node *map = json_new(&edit, JSON_IS_MAP), *list;
	struct error err;

	json_put_string(&edit, map, "text", "a\"b");
	json_put_integer(&edit, map, "number", INT64_MIN);
	json_put_bool(&edit, map, "truth", true);
	list = json_open_member(&edit, map, "list", JSON_IS_LIST);
	json_append(list, json_new(&edit, JSON_IS_NULL));
	json_insert(list, 0, json_new_integer(&edit, 1));
	json_insert(list, 1, json_new_bytes(&edit, "x", 1));
	expect(map,
	       "{\"text\":\"a\\\"b\",\"number\":-9223372036854775808,\"truth\":true,"
	       "\"list\":[1,\"x\",null]}");
	cr_expect_eq(list->count, 3);
	cr_expect_eq(json_edit_check(&edit, &err), 0);
}

Test(json_edit, leaves_the_document_as_it_is)
{
	static const char text[] = "{\"a\":{\"b\":[1,2],\"c\":3},\"d\":4}";
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	AUTO(json_doc_freep) struct json_doc *doc = read(text);
	struct json_node *root = json_clone(&edit, json_doc_root(doc)), *list;

	json_open(&edit, root);
	list = json_open_member(&edit, json_open_member(&edit, root, "a", JSON_IS_MAP), "b",
				JSON_IS_LIST);
	json_append(list, json_new_integer(&edit, 9));
	json_remove(root, json_get(root, "d"));
	json_put_string(&edit, root, "a2", "x");
	expect(root, "{\"a\":{\"b\":[1,2,9],\"c\":3},\"a2\":\"x\"}");
	expect(json_doc_root(doc), text);
}

Test(json_edit, knows_what_it_shares)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	AUTO(json_doc_freep) struct json_doc *doc = read("{\"a\":{\"x\":1},\"b\":{\"y\":2}}");
	const struct json_node *old = json_doc_root(doc);
	struct json_node *root = json_clone(&edit, old);

	cr_expect(json_is_shared(old, root));
	json_open(&edit, root);
	json_put_integer(&edit, json_open_member(&edit, root, "a", JSON_IS_MAP), "z", 1);
	cr_expect_not(json_is_shared(old, root));
	cr_expect_not(json_is_shared(json_get(old, "a"), json_get(root, "a")));
	cr_expect(json_is_shared(json_get(old, "b"), json_get(root, "b")));
	/* Two new values are never known to be one. */
	cr_expect_not(json_is_shared(json_new(&edit, JSON_IS_NULL), json_new(&edit, JSON_IS_NULL)));
}

Test(json_edit, clones_of_changed_values_are_apart)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	struct json_node *one = json_new(&edit, JSON_IS_MAP), *other;

	json_put(&edit, one, "in", json_new(&edit, JSON_IS_LIST));
	other = json_clone(&edit, one);
	json_append(json_open_member(&edit, other, "in", JSON_IS_LIST), json_new_integer(&edit, 1));
	expect(one, "{\"in\":[]}");
	expect(other, "{\"in\":[1]}");
}

Test(json_edit, detached_values_outlive_their_document)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	struct json_doc *doc = read("{\"a\":[\"text\",1e3,true,null,{}]}");
	struct json_node *copy = json_detach(&edit, json_doc_root(doc));

	cr_expect_not(json_is_shared(copy, json_doc_root(doc)));
	doc = json_doc_free(doc);
	expect(copy, "{\"a\":[\"text\",1e3,true,null,{}]}");
}

Test(json_edit, replaces_where_the_member_stands)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	AUTO(json_doc_freep) struct json_doc *doc = read("{\"a\":1,\"b\":null,\"c\":\"x\"}");
	struct json_node *root = json_clone(&edit, json_doc_root(doc));

	json_open(&edit, root);
	json_put_integer(&edit, root, "a", 2);
	/* What is null or of another type makes room. */
	cr_expect_eq(json_open_member(&edit, root, "b", JSON_IS_LIST)->count, 0);
	cr_expect_eq(json_open_member(&edit, root, "c", JSON_IS_MAP)->count, 0);
	expect(root, "{\"a\":2,\"b\":[],\"c\":{}}");
	cr_expect_eq(root->count, 3);
}

Test(json_edit, compares_by_meaning)
{
	static const struct {
		const char *one, *other;
		bool equal;
	} cases[] = {
		{ "1", "1.0", true },
		{ "1e2", "100", true },
		{ "1", "2", false },
		{ "1", "\"1\"", false },
		{ "1e999", "2e999", false },
		{ "1e999", "1e999", true },
		{ "[1,2]", "[2,1]", false },
		{ "[1]", "[1,1]", false },
		{ "{\"a\":1,\"b\":{}}", "{\"b\":{},\"a\":1}", true },
		{ "{\"a\":1}", "{\"b\":1}", false },
		{ "{\"a\":1}", "{\"a\":1,\"b\":1}", false },
		{ "{\"a\\u0000b\":1,\"a\":2}", "{\"a\":2,\"a\\u0000b\":1}", true },
		{ "\"a\\u0000b\"", "\"a\\u0000c\"", false },
		{ "null", "false", false },
		{ "true", "false", false },
		{ "[]", "{}", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(json_doc_freep) struct json_doc *one = read(cases[i].one);
		AUTO(json_doc_freep) struct json_doc *other = read(cases[i].other);

		cr_expect_eq(json_equal(json_doc_root(one), json_doc_root(other)), cases[i].equal,
			     "%s, %s", cases[i].one, cases[i].other);
		cr_expect_eq(json_equal(json_doc_root(other), json_doc_root(one)), cases[i].equal,
			     "%s, %s", cases[i].other, cases[i].one);
	}
}

Test(json_edit, takes_nothing_for_nothing)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;

	json_put(&edit, NULL, "a", json_new(&edit, JSON_IS_NULL));
	json_append(NULL, json_new(&edit, JSON_IS_NULL));
	json_remove(NULL, NULL);
	json_open(&edit, NULL);
	cr_expect_null(json_copy(&edit, NULL));
	cr_expect_null(json_open_member(&edit, NULL, "a", JSON_IS_MAP));
	cr_expect_null(json_item(NULL, 0));
	cr_expect_not(edit.failed);
}
