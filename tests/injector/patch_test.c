/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 6902 by cases of our own, and the one property that matters: the difference applied gives
 * what was meant.
 */
#include "injector/patch.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"

enum { TEXT_MOST = 1 << 20 };

static const struct json_limits limits = { .depth = 64, .nodes = 50000, .bytes = TEXT_MOST };

static struct json_doc *read(const char *text)
{
	struct error err;
	struct json_doc *doc = json_doc_read(text, strlen(text), &limits, &err);

	cr_assert_not_null(doc, "%s: %s", text, err.text);
	return doc;
}

struct apply_case {
	const char *what, *document, *patch;
	const char *result; /* NULL: refused */
	const char *fault;  /* part of the refusal */
};

static const struct apply_case apply_cases[] = {
	{ "nothing", "{\"a\":1}", "[]", "{\"a\":1}", NULL },
	{ "a member", "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/b\",\"value\":2}]",
	  "{\"a\":1,\"b\":2}", NULL },
	{ "a member that is there is replaced", "{\"a\":1}",
	  "[{\"op\":\"add\",\"path\":\"/a\",\"value\":[]}]", "{\"a\":[]}", NULL },
	{ "null is a value", "{}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":null}]",
	  "{\"a\":null}", NULL },
	{ "the empty key", "{}", "[{\"op\":\"add\",\"path\":\"/\",\"value\":1}]", "{\"\":1}",
	  NULL },
	{ "a slash in a key", "{\"a/b\":1}",
	  "[{\"op\":\"replace\",\"path\":\"/a~1b\",\"value\":2}]", "{\"a/b\":2}", NULL },
	{ "a tilde in a key", "{\"a~b\":1}",
	  "[{\"op\":\"replace\",\"path\":\"/a~0b\",\"value\":2}]", "{\"a~b\":2}", NULL },
	{ "~01 is ~1, not /", "{\"~1\":1,\"/\":2}", "[{\"op\":\"remove\",\"path\":\"/~01\"}]",
	  "{\"/\":2}", NULL },
	{ "~ and nothing behind", "{}", "[{\"op\":\"add\",\"path\":\"/a~\",\"value\":1}]", NULL,
	  "neither 0 nor 1" },
	{ "~2", "{}", "[{\"op\":\"add\",\"path\":\"/~2\",\"value\":1}]", NULL, "neither 0 nor 1" },
	{ "a number is a key in a map", "{\"0\":1}",
	  "[{\"op\":\"replace\",\"path\":\"/0\",\"value\":2}]", "{\"0\":2}", NULL },
	{ "- is a key in a map", "{}", "[{\"op\":\"add\",\"path\":\"/-\",\"value\":2}]",
	  "{\"-\":2}", NULL },
	{ "before the first", "[1,2]", "[{\"op\":\"add\",\"path\":\"/0\",\"value\":0}]", "[0,1,2]",
	  NULL },
	{ "between", "[1,3]", "[{\"op\":\"add\",\"path\":\"/1\",\"value\":2}]", "[1,2,3]", NULL },
	{ "behind the last, by number", "[1]", "[{\"op\":\"add\",\"path\":\"/1\",\"value\":2}]",
	  "[1,2]", NULL },
	{ "behind the last, by -", "[1]", "[{\"op\":\"add\",\"path\":\"/-\",\"value\":2}]", "[1,2]",
	  NULL },
	{ "two behind the last", "[1]", "[{\"op\":\"add\",\"path\":\"/2\",\"value\":2}]", NULL,
	  "no such place in a list" },
	{ "a leading zero", "[1,2]", "[{\"op\":\"remove\",\"path\":\"/01\"}]", NULL,
	  "no such place" },
	{ "a negative place", "[1]", "[{\"op\":\"remove\",\"path\":\"/-1\"}]", NULL,
	  "no such place" },
	{ "no number", "[1]", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":1}]", NULL,
	  "no such place" },
	{ "the last removed by its number", "[1,2]", "[{\"op\":\"remove\",\"path\":\"/1\"}]", "[1]",
	  NULL },
	{ "- removed", "[1,2]", "[{\"op\":\"remove\",\"path\":\"/-\"}]", NULL, "there is nothing" },
	{ "replaced in a list", "[1,2,3]", "[{\"op\":\"replace\",\"path\":\"/1\",\"value\":9}]",
	  "[1,9,3]", NULL },
	{ "a missing parent", "{}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}]", NULL,
	  "a parent of it is missing" },
	{ "a missing list", "{\"spec\":{}}",
	  "[{\"op\":\"add\",\"path\":\"/spec/volumes/-\",\"value\":1}]", NULL, "missing" },
	{ "into a text", "{\"a\":\"x\"}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}]", NULL,
	  "neither a map nor a list" },
	{ "into null", "{\"a\":null}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}]", NULL,
	  "neither a map nor a list" },
	{ "a member that is not there removed", "{}", "[{\"op\":\"remove\",\"path\":\"/a\"}]", NULL,
	  "there is nothing" },
	{ "a member that is not there replaced", "{}",
	  "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":1}]", NULL, "there is nothing" },
	{ "the whole replaced", "{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"\",\"value\":[1]}]",
	  "[1]", NULL },
	{ "the whole added", "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"\",\"value\":2}]", "2",
	  NULL },
	{ "the whole removed", "{}", "[{\"op\":\"remove\",\"path\":\"\"}]", NULL,
	  "cannot be removed" },
	{ "a test that holds", "{\"a\":[1,{\"b\":2}]}",
	  "[{\"op\":\"test\",\"path\":\"/a\",\"value\":[1.0,{\"b\":2}]}]", "{\"a\":[1,{\"b\":2}]}",
	  NULL },
	{ "a test that does not", "{\"a\":1}",
	  "[{\"op\":\"test\",\"path\":\"/a\",\"value\":\"1\"}]", NULL, "another one" },
	{ "a test of nothing", "{}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":null}]", NULL,
	  "there is nothing" },
	{ "a test in whatever order", "{\"a\":{\"x\":1,\"y\":2}}",
	  "[{\"op\":\"test\",\"path\":\"/a\",\"value\":{\"y\":2,\"x\":1}}]",
	  "{\"a\":{\"x\":1,\"y\":2}}", NULL },
	{ "a copy is one of its own", "{\"a\":{\"x\":1}}",
	  "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"},"
	  "{\"op\":\"add\",\"path\":\"/b/y\",\"value\":2}]",
	  "{\"a\":{\"x\":1},\"b\":{\"x\":1,\"y\":2}}", NULL },
	{ "a copy of what was changed is one of its own", "{\"a\":{\"x\":{}}}",
	  "[{\"op\":\"add\",\"path\":\"/a/x/q\",\"value\":1},"
	  "{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"},"
	  "{\"op\":\"add\",\"path\":\"/b/x/y\",\"value\":2}]",
	  "{\"a\":{\"x\":{\"q\":1}},\"b\":{\"x\":{\"q\":1,\"y\":2}}}", NULL },
	{ "a value added twice is two", "{}",
	  "[{\"op\":\"add\",\"path\":\"/a\",\"value\":{}},"
	  "{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"},"
	  "{\"op\":\"add\",\"path\":\"/a/x\",\"value\":1}]",
	  "{\"a\":{\"x\":1},\"b\":{}}", NULL },
	{ "a move", "{\"a\":[1,2]}", "[{\"op\":\"move\",\"from\":\"/a/0\",\"path\":\"/b\"}]",
	  "{\"a\":[2],\"b\":1}", NULL },
	{ "a move within a list", "[1,2,3]", "[{\"op\":\"move\",\"from\":\"/2\",\"path\":\"/0\"}]",
	  "[3,1,2]", NULL },
	{ "a move to where it is", "{\"a\":1}",
	  "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a\"}]", "{\"a\":1}", NULL },
	{ "a move into itself", "{\"a\":{}}",
	  "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}]", NULL, "into itself" },
	{ "a move of nothing", "{}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b\"}]", NULL,
	  "there is nothing" },
	{ "an operation that is none", "{}", "[{\"op\":\"merge\",\"path\":\"/a\"}]", NULL,
	  "is one of" },
	{ "no operation", "{}", "[{\"path\":\"/a\",\"value\":1}]", NULL, "is one of" },
	{ "no path", "{}", "[{\"op\":\"add\",\"value\":1}]", NULL, "a path is missing" },
	{ "a path that starts with no slash", "{}", "[{\"op\":\"add\",\"path\":\"a\",\"value\":1}]",
	  NULL, "does not start with /" },
	{ "no value", "{}", "[{\"op\":\"add\",\"path\":\"/a\"}]", NULL, "no value" },
	{ "no list", "{}", "{}", NULL, "a list of operations" },
	{ "the second fails, and is named", "{}",
	  "[{\"op\":\"add\",\"path\":\"/a\",\"value\":1},{\"op\":\"remove\",\"path\":\"/b\"}]",
	  NULL, "operation 1" },
	{ "what is not known in an operation is passed over", "{}",
	  "[{\"op\":\"add\",\"path\":\"/a\",\"value\":1,\"why\":\"x\"}]", "{\"a\":1}", NULL },
};

static void apply_one(const struct apply_case *one)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	AUTO(json_doc_freep) struct json_doc *document = read(one->document);
	AUTO(json_doc_freep) struct json_doc *patch = read(one->patch);
	AUTO(buf_deinit) struct buf result = BUF_INIT(TEXT_MOST);
	AUTO(buf_deinit) struct buf untouched = BUF_INIT(TEXT_MOST);
	const struct json_node *root;
	struct error err = ERROR_INIT;

	root = patch_apply(&edit, json_doc_root(document), json_doc_root(patch), &err);
	if (root != NULL)
		json_write(&result, root);
	json_write(&untouched, json_doc_root(document));
	cr_expect_str_eq(buf_string(&untouched), one->document, "%s: the document changed",
			 one->what);
	if (one->result != NULL) {
		cr_expect_str_eq(buf_string(&result), one->result, "%s: %s %s", one->what,
				 buf_string(&result), err.text);
		return;
	}
	cr_expect_null(root, "%s: gives %s", one->what, buf_string(&result));
	cr_expect_not_null(strstr(err.text, one->fault), "%s: %s", one->what, err.text);
}

Test(patch, applies_as_rfc_6902_says)
{
	for (size_t i = 0; i < ARRAY_SIZE(apply_cases); i++)
		apply_one(&apply_cases[i]);
}

/* ---- the difference ---- */

struct write_case {
	const char *what, *before, *after, *patch;
};

static const struct write_case write_cases[] = {
	{ "nothing", "{\"a\":[1,{}]}", "{\"a\":[1,{}]}", "[]" },
	{ "another order of members is no difference", "{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}",
	  "[]" },
	{ "a parent is added once, with all that is in it", "{}", "{\"a\":{\"b\":[1,2]}}",
	  "[{\"op\":\"add\",\"path\":\"/a\",\"value\":{\"b\":[1,2]}}]" },
	{ "keys are escaped", "{\"m\":{}}", "{\"m\":{\"a/b~c\":1}}",
	  "[{\"op\":\"add\",\"path\":\"/m/a~1b~0c\",\"value\":1}]" },
	{ "removals come first", "{\"a\":1,\"b\":2}", "{\"b\":3,\"c\":4}",
	  "[{\"op\":\"remove\",\"path\":\"/a\"},{\"op\":\"replace\",\"path\":\"/b\",\"value\":3},"
	  "{\"op\":\"add\",\"path\":\"/c\",\"value\":4}]" },
	{ "another type is a replacement", "{\"a\":[]}", "{\"a\":{}}",
	  "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":{}}]" },
	{ "the whole", "1", "2", "[{\"op\":\"replace\",\"path\":\"\",\"value\":2}]" },
	{ "appended", "[1]", "[1,2,3]",
	  "[{\"op\":\"add\",\"path\":\"/-\",\"value\":2},{\"op\":\"add\",\"path\":\"/"
	  "-\",\"value\":3}]" },
	{ "into an empty list", "[]", "[1]", "[{\"op\":\"add\",\"path\":\"/0\",\"value\":1}]" },
	{ "in front", "[{\"name\":\"a\"}]", "[{\"name\":\"x\"},{\"name\":\"a\"}]",
	  "[{\"op\":\"add\",\"path\":\"/0\",\"value\":{\"name\":\"x\"}}]" },
	{ "an item with a name that changed", "[{\"name\":\"a\",\"v\":1}]",
	  "[{\"name\":\"a\",\"v\":2,\"w\":3}]",
	  "[{\"op\":\"replace\",\"path\":\"/0/v\",\"value\":2},"
	  "{\"op\":\"add\",\"path\":\"/0/w\",\"value\":3}]" },
	{ "in front and changed behind", "[{\"name\":\"a\"}]",
	  "[{\"name\":\"x\"},{\"name\":\"a\",\"v\":1}]",
	  "[{\"op\":\"add\",\"path\":\"/0\",\"value\":{\"name\":\"x\"}},"
	  "{\"op\":\"add\",\"path\":\"/1/v\",\"value\":1}]" },
	{ "an item gone", "[1,2,3]", "[1,3]", "[{\"op\":\"remove\",\"path\":\"/1\"}]" },
	{ "all gone", "[1,2]", "[]",
	  "[{\"op\":\"remove\",\"path\":\"/0\"},{\"op\":\"remove\",\"path\":\"/0\"}]" },
};

Test(patch, says_the_difference_in_few_operations)
{
	for (size_t i = 0; i < ARRAY_SIZE(write_cases); i++) {
		AUTO(json_doc_freep) struct json_doc *before = read(write_cases[i].before);
		AUTO(json_doc_freep) struct json_doc *after = read(write_cases[i].after);
		AUTO(buf_deinit) struct buf patch = BUF_INIT(TEXT_MOST);

		patch_write(json_doc_root(before), json_doc_root(after), &patch);
		cr_expect_str_eq(buf_string(&patch), write_cases[i].patch, "%s: %s",
				 write_cases[i].what, buf_string(&patch));
	}
}

/* ---- random documents ---- */

enum { ROUNDS = 4000, DEPTH = 4, WIDTH = 5 };

static uint64_t state;

static unsigned below(unsigned limit)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % limit;
}

static void write_random(struct buf *out, unsigned depth)
{
	static const char *const keys[] = { "name", "a", "b/c", "d~e", "", "0", "-", "\\u0000x" };
	static const char *const scalars[] = { "null",	"true", "false", "1",	  "1.0",
					       "\"x\"", "\"\"", "\"y\"", "12345", "\"\\u00e9\"" };
	unsigned kind = depth > 0 ? below(3) : 2, count = below(WIDTH);
	unsigned first = below(ARRAY_SIZE(keys));

	if (kind == 2) {
		buf_puts(out, scalars[below(ARRAY_SIZE(scalars))]);
		return;
	}
	buf_putc(out, kind == 0 ? '{' : '[');
	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			buf_putc(out, ',');
		if (kind == 0)
			buf_printf(out, "\"%s\":", keys[(first + i) % ARRAY_SIZE(keys)]);
		write_random(out, depth - 1);
	}
	buf_putc(out, kind == 0 ? '}' : ']');
}

/* Another document that shares much with the first: pieces moved, changed, put in and taken out. */
static void disturb(struct json_edit *edit, struct json_node *node)
{
	struct json_node *child;

	json_open(edit, node);
	if (node->type != JSON_IS_MAP && node->type != JSON_IS_LIST)
		return;
	for (child = node->first; child != NULL; child = child->next)
		if (below(3) > 0)
			disturb(edit, child);
	if (below(3) == 0 && node->count > 0)
		json_remove(node, node->first);
	if (below(3) == 0 && node->count > 1)
		json_remove(node, node->first->next);
	if (below(2) == 0) {
		child = below(2) == 0 ? json_new_integer(edit, below(9)) : json_clone(edit, node);
		if (node->type == JSON_IS_LIST)
			json_insert(node, below(4), child);
		else
			json_put(edit, node, below(2) == 0 ? "a" : "new/~", child);
	}
}

static void check_difference(const struct json_node *before, const struct json_node *after)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	AUTO(buf_deinit) struct buf patch = BUF_INIT(TEXT_MOST);
	AUTO(buf_deinit) struct buf again = BUF_INIT(TEXT_MOST);
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	const struct json_node *applied;
	struct error err = ERROR_INIT;

	patch_write(before, after, &patch);
	patch_write(before, after, &again);
	cr_assert_str_eq(patch.data, again.data);
	doc = json_doc_read(patch.data, patch.len, &limits, &err);
	cr_assert_not_null(doc, "%s: %s", err.text, patch.data);
	applied = patch_apply(&edit, before, json_doc_root(doc), &err);
	cr_assert_not_null(applied, "%s: %s", err.text, patch.data);
	cr_assert(json_equal(applied, after), "%s", patch.data);
}

Test(patch, the_difference_applied_is_what_was_meant)
{
	state = 20261125;
	for (unsigned round = 0; round < ROUNDS; round++) {
		AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
		AUTO(buf_deinit) struct buf one = BUF_INIT(TEXT_MOST);
		AUTO(buf_deinit) struct buf other = BUF_INIT(TEXT_MOST);
		AUTO(json_doc_freep) struct json_doc *before = NULL;
		AUTO(json_doc_freep) struct json_doc *after = NULL;
		struct json_node *near;

		write_random(&one, DEPTH);
		write_random(&other, DEPTH);
		before = read(buf_string(&one));
		after = read(buf_string(&other));
		check_difference(json_doc_root(before), json_doc_root(after));
		near = json_copy(&edit, json_doc_root(before));
		disturb(&edit, near);
		check_difference(json_doc_root(before), near);
	}
}
