/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "backends/sops_document.h"

/* An encrypted document of a plain one, for a key that nobody keeps. */
static void encrypt(struct sops_document *document, enum sops_format format, const char *plain)
{
	struct age_identity key;
	uint8_t recipients[1][AGE_KEY_LEN];
	struct error err = ERROR_INIT;

	age_identity_make(&key);
	memcpy(recipients[0], key.recipient, AGE_KEY_LEN);
	cr_assert_eq(sops_document_encrypt(document, format, plain, strlen(plain), "file",
					   (const uint8_t(*)[AGE_KEY_LEN])recipients, 1, NULL,
					   &err),
		     0, "%s: %s", plain, err.text);
	cr_assert_eq(sops_document_seal(document, 0, &err), 0, "%s: %s", plain, err.text);
}

static void expect_plain(struct sops_document *document, const char *plain, const char *expected)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(1 << 20);
	struct error err = ERROR_INIT;

	cr_assert_eq(sops_document_seal(document, 0, &err), 0, "%s: %s", plain, err.text);
	cr_assert_eq(sops_document_write(document, document->tree.format, &out, &err), 0, "%s",
		     err.text);
	cr_expect_str_eq(buf_string(&out), expected, "%s\nbecame\n%s\nnot\n%s", plain,
			 buf_string(&out), expected);
}

struct edit {
	enum sops_format format;
	const char *plain;
	const char *path;
	const char *value; /* NULL: removed */
	const char *expected;
};

static const struct edit edits[] = {
	/* Replaced in its place, everything around as it was. */
	{ SOPS_YAML, "a:   1 # c\nb: 2\n", "a", "x", "a:   x # c\nb: 2\n" },
	{ SOPS_YAML, "a: |\n  x\n  y\nb: 2\n", "a", "z", "a: z\nb: 2\n" },
	{ SOPS_YAML, "a:\nb: 2\n", "a", "z", "a: z\nb: 2\n" },
	{ SOPS_YAML, "a_unencrypted: |\n  x\n", "a_unencrypted", "z", "a_unencrypted: z\n" },
	{ SOPS_YAML, "{a: 1, b: [x]}\n", "b.0", "z", "{a: 1, b: [z]}\n" },
	{ SOPS_YAML, "ü: é\nb: ö\n", "b", "ä", "ü: é\nb: ä\n" },
	{ SOPS_YAML, "a: 1\r\nb: 2\r\n", "b", "3", "a: 1\r\nb: \"3\"\r\n" },
	/* Added where its kind stands. */
	{ SOPS_YAML, "", "a.b", "x", "a:\n    b: x\n" },
	{ SOPS_YAML, "a:\n  b: 1\n# end\nc: 2\n", "a.d", "x", "a:\n  b: 1\n  d: x\n# end\nc: 2\n" },
	{ SOPS_YAML, "a:\n  b: 1", "c", "x", "a:\n  b: 1\nc: x\n" },
	{ SOPS_YAML, "a: [1]\n", "a.1", "x", "a: [1, x]\n" },
	{ SOPS_YAML, "a:\n- 1\nb: 2\n", "a.1", "x", "a:\n- 1\n- x\nb: 2\n" },
	{ SOPS_YAML, "a:\n    - b: 1\n", "a.0.c", "x", "a:\n    - b: 1\n      c: x\n" },
	{ SOPS_YAML, "a:\n    - - 1\n", "a.0.1", "x", "a:\n    - - 1\n      - x\n" },
	{ SOPS_YAML, "a: {}\n", "a.b", "x", "a: {\"b\": x}\n" },
	{ SOPS_YAML, "a: &x {}\n", "a.b", "x", "a: &x {\"b\": x}\n" },
	{ SOPS_YAML, "a: &x\n- 1\n", "a.1", "x", "a: &x\n- 1\n- x\n" },
	{ SOPS_YAML,
	  "\xef\xbb\xbf"
	  "a: 1\n",
	  "b", "x", "a: 1\nb: x\n" },
	{ SOPS_YAML, "    # c\n", "a", "x", "    # c\na: x\n" },
	{ SOPS_JSON, "{}", "a", "x", "{\n\t\"a\": \"x\"\n}" },
	{ SOPS_JSON, "{\n  \"a\": 1\n}\n", "b", "x", "{\n  \"a\": 1,\n  \"b\": \"x\"\n}\n" },
	{ SOPS_JSON, "{\"a\":[1]}\n", "a.1", "x", "{\"a\":[1, \"x\"]\n}\n" },
	{ SOPS_DOTENV, "A=1\n# c\n", "B", "x\ny", "A=1\nB=x\\ny\n# c\n" },
	/* Removed with its line, or its comma. */
	{ SOPS_YAML, "a: 1\n# c\nb:\n  c: |\n    x\n\nd: 2\n", "b", NULL, "a: 1\n# c\nd: 2\n" },
	{ SOPS_YAML, "a:\n    b: 1\nc: 2\n", "a.b", NULL, "a: {}\nc: 2\n" },
	{ SOPS_YAML, "a:\n    - b: 1\n      c: 2\n", "a.0.b", NULL, "a:\n    - c: 2\n" },
	{ SOPS_YAML, "a:\n    - 1\n    - 2\n", "a.0", NULL, "a:\n    - 2\n" },
	{ SOPS_YAML, "a:\n    - 1\n", "a.0", NULL, "a: []\n" },
	{ SOPS_YAML, "a:\n- -1\n- 2\n", "a.0", NULL, "a:\n- 2\n" },
	{ SOPS_YAML, "a:\n- - 1\n  - 2\n- 3\n", "a.0", NULL, "a:\n- 3\n" },
	{ SOPS_YAML, "a:\n- - 1\n  - 2\n- 3\n", "a.0.0", NULL, "a:\n- - 2\n- 3\n" },
	{ SOPS_YAML, "a: {b: 1, c: 2}\n", "a.b", NULL, "a: {c: 2}\n" },
	{ SOPS_YAML, "a: {b: 1, c: 2}\n", "a.c", NULL, "a: {b: 1}\n" },
	{ SOPS_YAML, "a: {b: 1}\n", "a.b", NULL, "a: {}\n" },
	{ SOPS_YAML, "a: 1\n", "a", NULL, "" },
	{ SOPS_JSON, "{\"a\": 1, \"b\": 2}", "a", NULL, "{\"b\": 2\n}" },
	{ SOPS_JSON, "{\"a\": {\"b\": 2}}", "a.b", NULL, "{\"a\": {}\n}" },
	{ SOPS_DOTENV, "A=1\nB=2\n", "A", NULL, "B=2\n" },
};

Test(sops_edit, changes_what_it_names_and_nothing_around)
{
	for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
		AUTO(sops_document_free) struct sops_document document = { .file = NULL };
		const struct edit *edit = &edits[i];
		struct error err = ERROR_INIT;
		int status;

		encrypt(&document, edit->format, edit->plain);
		if (edit->value != NULL)
			status = sops_document_set(&document, edit->path, SOPS_STRING, edit->value,
						   strlen(edit->value), &err);
		else
			status = sops_document_remove(&document, edit->path, &err);
		cr_assert_eq(status, 0, "%s: %s", edit->plain, err.text);
		expect_plain(&document, edit->plain, edit->expected);
	}
}

static const struct {
	enum sops_format format;
	const char *plain, *added, *expected;
} merges[] = {
	{ SOPS_YAML, "a:\n    b: 1\n# end\nz: 2\n", "a: {b: 2, c: x}\nd: 0x1f\n",
	  "a:\n    b: 2\n    c: x\n# end\nz: 2\nd: 31\n" },
	{ SOPS_YAML, "a:\n    b: 1\n",
	  "a: {c: {d: [1, {e: f, g: [h]}, [2]]}, i: {}, j: []}\nk: null\n",
	  "a:\n    b: 1\n    c:\n        d:\n            - 1\n            - e: f\n              "
	  "g:\n"
	  "                  - h\n            - - 2\n    i: {}\n    j: []\nk: null\n" },
	{ SOPS_YAML, "a:\n- 1\n- b: 2\n", "a: [x, {c: d}, z]\n", "a:\n- x\n- b: 2\n  c: d\n- z\n" },
	{ SOPS_YAML, "a: {b: [1]}\n", "a: {b: [2, 3], c: {d: {}}}\n",
	  "a: {b: [2, 3], \"c\": {\"d\": {}}}\n" },
	{ SOPS_YAML, "", "a.b: 1\n'': ''\n", "a.b: 1\n\"\": \"\"\n" },
	{ SOPS_YAML, "a: 1\nb: 2\n", "{}\n", "a: 1\nb: 2\n" },
	{ SOPS_JSON, "{\n  \"a\": 1\n}\n", "b: {c: [1, true]}\nd: \"1\"\n",
	  "{\n  \"a\": 1,\n  \"b\": {\"c\": [1, true]},\n  \"d\": \"1\"\n}\n" },
	{ SOPS_DOTENV, "A=1\n# c\n", "A: 2\nB: two\n", "A=2\nB=two\n# c\n" },
};

static void read_yaml(struct sops_tree *tree, const char *text)
{
	struct error err = ERROR_INIT;

	cr_assert_eq(sops_tree_read(tree, SOPS_YAML, text, strlen(text), "added", &err), 0, "%s",
		     err.text);
}

Test(sops_edit, merging_adds_what_is_not_there_and_sets_what_is)
{
	for (size_t i = 0; i < ARRAY_SIZE(merges); i++) {
		AUTO(sops_document_free) struct sops_document document = { .file = NULL };
		AUTO(sops_tree_free) struct sops_tree added = { .count = 0 };
		struct error err = ERROR_INIT;

		encrypt(&document, merges[i].format, merges[i].plain);
		read_yaml(&added, merges[i].added);
		cr_assert_eq(sops_document_merge(&document, added.root, &err), 0, "%s: %s",
			     merges[i].added, err.text);
		expect_plain(&document, merges[i].plain, merges[i].expected);
	}
}

Test(sops_edit, merging_says_what_stands_in_the_way)
{
	static const struct {
		enum sops_format format;
		const char *plain, *added, *says;
	} cases[] = {
		{ SOPS_YAML, "a:\n    b: 1\n", "a: {b: {c: 1}}\n",
		  "file:2: 'a.b' is a value here, and a map in what is added" },
		{ SOPS_YAML, "a: [1]\n", "a: {b: 1}\n",
		  "file:1: 'a' is a list here, and a map in what is added" },
		{ SOPS_YAML, "a: 1\n", "sops: {b: 1}\n", "decrypt it first" },
		{ SOPS_DOTENV, "A=1\n", "B: [1]\n", "'B': a dotenv file holds no levels" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(sops_document_free) struct sops_document document = { .file = NULL };
		AUTO(sops_tree_free) struct sops_tree added = { .count = 0 };
		struct error err = ERROR_INIT;

		encrypt(&document, cases[i].format, cases[i].plain);
		read_yaml(&added, cases[i].added);
		cr_expect_lt(sops_document_merge(&document, added.root, &err), 0);
		cr_expect_not_null(strstr(err.text, cases[i].says), "%s", err.text);
	}
}

Test(sops_edit, refuses_what_the_document_cannot_hold)
{
	static const struct {
		enum sops_format format;
		const char *plain, *path, *value;
		enum error_code code;
	} cases[] = {
		{ SOPS_YAML, "a: 1\n", "a.b", "x", ERROR_BAD_DATA },
		{ SOPS_YAML, "a: {b: 1}\n", "a", "x", ERROR_BAD_DATA },
		{ SOPS_YAML, "a: [1]\n", "a.b", "x", ERROR_BAD_DATA },
		{ SOPS_YAML, "a: [1]\n", "a.2", "x", ERROR_BAD_DATA },
		{ SOPS_YAML, "a: 1\n", "sops.x", "x", ERROR_INVALID },
		{ SOPS_YAML, "a: 1\n", "", "x", ERROR_INVALID },
		{ SOPS_YAML, "a: 1\n", "a..b", "x", ERROR_INVALID },
		{ SOPS_YAML, "a: 1\n", "b", "\xff", ERROR_BAD_DATA },
		{ SOPS_DOTENV, "A=1\n", "a.b", "x", ERROR_INVALID },
		{ SOPS_DOTENV, "A=1\n", "/a=b", "x", ERROR_INVALID },
		{ SOPS_DOTENV, "A=1\n", "sops_x", "x", ERROR_INVALID },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(sops_document_free) struct sops_document document = { .file = NULL };
		struct error err = ERROR_INIT;

		encrypt(&document, cases[i].format, cases[i].plain);
		cr_expect_lt(sops_document_set(&document, cases[i].path, SOPS_STRING,
					       cases[i].value, strlen(cases[i].value), &err),
			     0, "%s", cases[i].path);
		cr_expect_eq(err.code, cases[i].code, "%s: %s", cases[i].path, err.text);
	}
}

Test(sops_edit, a_document_that_cannot_be_encrypted_says_where)
{
	static const struct {
		enum sops_format format;
		const char *plain, *says;
	} cases[] = {
		{ SOPS_YAML, "a: 1\nb: 2\na: 3\n", "line 3: the key 'a' is there twice" },
		{ SOPS_JSON, "{\"a\": 1,\n\"a\": 2}", "line 2" },
		{ SOPS_DOTENV, "A=1\n\nA=2\n", "line 3: the key 'A' is there twice" },
		{ SOPS_DOTENV, "A=1\nnothing\n", "line 2" },
		{ SOPS_YAML, "- a\n", "line 1: a document must be a map" },
		{ SOPS_JSON, "[1]", "must be an object" },
		{ SOPS_YAML, "1: x\n", "line 1: a key is not a string" },
		{ SOPS_YAML, "a: 1\n---\nb: 2\n", "several documents" },
		{ SOPS_YAML, "a: &x [*x]\n", "an alias names what it stands in" },
		{ SOPS_YAML, "a: !!binary aGk=\n", "line 1: the tag '!!binary'" },
		{ SOPS_YAML, "a: [\n", "not YAML" },
		{ SOPS_YAML, "a: 1\nb: 9223372036854775808\n", "line 2: the integer is larger" },
		{ SOPS_YAML, "sops: 1\n", "encrypted already" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(sops_document_free) struct sops_document document = { .file = NULL };
		static const uint8_t recipient[1][AGE_KEY_LEN] = { { 9 } };
		struct error err = ERROR_INIT;

		cr_expect_lt(sops_document_encrypt(&document, cases[i].format, cases[i].plain,
						   strlen(cases[i].plain), "file", recipient, 1,
						   NULL, &err),
			     0, "%s", cases[i].plain);
		cr_expect_not_null(strstr(err.text, "file"), "%s", err.text);
		cr_expect_not_null(strstr(err.text, cases[i].says), "%s", err.text);
	}
}

Test(sops_edit, nests_up_to_64_and_no_deeper)
{
	for (unsigned depth = 63; depth <= 66; depth++) {
		AUTO(sops_tree_free) struct sops_tree tree = { .count = 0 };
		AUTO(buf_deinit) struct buf yaml = BUF_INIT(4096);
		struct error err = ERROR_INIT;
		int status[2];

		buf_puts(&yaml, "{\"a\": ");
		for (unsigned i = 1; i < depth; i++)
			buf_putc(&yaml, '[');
		for (unsigned i = 1; i < depth; i++)
			buf_putc(&yaml, ']');
		buf_putc(&yaml, '}');
		for (enum sops_format format = SOPS_YAML; format <= SOPS_JSON; format++) {
			status[format] =
				sops_tree_read(&tree, format, yaml.data, yaml.len, "f", &err);
			sops_tree_free(&tree);
		}
		cr_expect_eq(status[SOPS_YAML], depth <= 64 ? 0 : -1, "%u", depth);
		cr_expect_eq(status[SOPS_JSON], depth <= 64 ? 0 : -1, "%u", depth);
	}
}
