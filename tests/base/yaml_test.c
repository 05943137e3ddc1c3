/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/base/buf.h"
#include "agent/base/yaml.h"

static struct yaml_doc *read_text(const char *text, struct error *err)
{
	return yaml_doc_read(text, strlen(text), &YAML_CONFIG_LIMITS, NULL, err);
}

Test(yaml, nodes_know_their_places_and_order)
{
	static const char text[] =
		"# comment\n"
		"secrets:\n"
		"  db: { backend: vault, refresh: 5m }\n"
		"  \"k\u00e4y\":   \"5\"\n"
		"list: [a, 'b']\n";
	AUTO(yaml_doc_freep) struct yaml_doc *doc = NULL;
	const struct yaml_node *secrets, *db, *key, *list;
	struct error err;

	doc = read_text(text, &err);
	cr_assert_not_null(doc, "%s", err.text);
	cr_assert_eq(yaml_doc_root(doc)->type, YAML_IS_MAP);
	cr_assert_null(yaml_doc_root(doc)->text);
	cr_assert_eq(yaml_doc_root(doc)->count, 2);
	secrets = yaml_doc_root(doc)->first;
	cr_assert_str_eq(secrets->key, "secrets");
	cr_assert_eq(secrets->key_mark.line, 2);
	cr_assert_eq(secrets->key_mark.column, 1);
	cr_assert_eq(secrets->mark.line, 3);
	cr_assert_eq(secrets->mark.column, 3);
	db = secrets->first;
	cr_assert_eq(db->mark.column, 7);
	cr_assert_eq(db->count, 2);
	cr_assert_eq(yaml_get(db, "refresh")->key_mark.column, 25);
	cr_assert_eq(yaml_get(db, "refresh")->mark.column, 34);
	cr_assert_str_eq(yaml_get(db, "refresh")->text, "5m");
	key = db->next;
	cr_assert_str_eq(key->key, "k\u00e4y");
	cr_assert_eq(key->mark.line, 4);
	cr_assert_eq(key->mark.column, 12);
	cr_assert(key->quoted);
	cr_assert_eq(key->core, YAML_CORE_STRING);
	list = secrets->next;
	cr_assert_eq(list->type, YAML_IS_LIST);
	cr_assert_eq(list->count, 2);
	cr_assert_null(list->first->key);
	cr_assert_not(list->first->quoted);
	cr_assert(list->first->next->quoted);
	cr_assert_null(list->next);
}

Test(yaml, plain_scalars_follow_the_core_schema)
{
	static const struct {
		const char *text;
		enum yaml_core core;
	} rows[] = {
		{ "", YAML_CORE_NULL },		  { "~", YAML_CORE_NULL },
		{ "null", YAML_CORE_NULL },	  { "Null", YAML_CORE_NULL },
		{ "nULL", YAML_CORE_STRING },	  { "true", YAML_CORE_BOOL },
		{ "FALSE", YAML_CORE_BOOL },	  { "yes", YAML_CORE_STRING },
		{ "on", YAML_CORE_STRING },	  { "tRue", YAML_CORE_STRING },
		{ "0", YAML_CORE_INT },		  { "-12", YAML_CORE_INT },
		{ "+12", YAML_CORE_INT },	  { "0440", YAML_CORE_INT },
		{ "0o17", YAML_CORE_INT },	  { "0xfF", YAML_CORE_INT },
		{ "0o18", YAML_CORE_STRING },	  { "0x", YAML_CORE_STRING },
		{ "-0x1", YAML_CORE_STRING },	  { "1_000", YAML_CORE_STRING },
		{ "12:30:45", YAML_CORE_STRING }, { "1.5", YAML_CORE_FLOAT },
		{ "1.", YAML_CORE_FLOAT },	  { ".5", YAML_CORE_FLOAT },
		{ "-1e3", YAML_CORE_FLOAT },	  { "1e+3", YAML_CORE_FLOAT },
		{ ".inf", YAML_CORE_FLOAT },	  { "-.INF", YAML_CORE_FLOAT },
		{ ".NaN", YAML_CORE_FLOAT },	  { "-.nan", YAML_CORE_STRING },
		{ ".", YAML_CORE_STRING },	  { "1e", YAML_CORE_STRING },
		{ ".e3", YAML_CORE_STRING },	  { "1.2.3", YAML_CORE_STRING },
		{ "5m", YAML_CORE_STRING },	  { "2026-11-24", YAML_CORE_STRING },
		{ "\"5\"", YAML_CORE_STRING },	  { "'true'", YAML_CORE_STRING },
		{ "|\n  5\n", YAML_CORE_STRING }, { "''", YAML_CORE_STRING },
		{ "!!str 5", YAML_CORE_STRING },  { "! 5", YAML_CORE_STRING },
		{ "!!int \"5\"", YAML_CORE_INT }, { "!!float 5", YAML_CORE_FLOAT },
		{ "!local 5", YAML_CORE_STRING },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(yaml_doc_freep) struct yaml_doc *doc = NULL;
		AUTO(buf_deinit) struct buf buf = BUF_INIT(100);
		struct error err;

		buf_printf(&buf, "k: %s", rows[i].text);
		doc = read_text(buf.data, &err);
		cr_assert_not_null(doc, "%s: %s", rows[i].text, err.text);
		cr_assert_eq(yaml_doc_root(doc)->first->core, rows[i].core, "%s", rows[i].text);
	}
}

Test(yaml, an_empty_document_is_null)
{
	static const char *const texts[] = { "", "\n", "# only a comment\n", "---\n", "~" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		AUTO(yaml_doc_freep) struct yaml_doc *doc = NULL;
		struct error err;

		doc = read_text(texts[i], &err);
		cr_assert_not_null(doc, "%s", err.text);
		cr_assert_eq(yaml_doc_root(doc)->type, YAML_IS_SCALAR);
		cr_assert_eq(yaml_doc_root(doc)->core, YAML_CORE_NULL);
		cr_assert_eq(yaml_doc_root(doc)->text_len, strlen(yaml_doc_root(doc)->text));
	}
}

Test(yaml, what_is_refused_is_refused_at_its_place)
{
	static const struct {
		const char *text, *part;
		size_t line, column;
	} rows[] = {
		{ "a: 1\nb: 2\na: 3\n", "'a' is there twice", 3, 1 },
		{ "x: {k: 1, k: 2}\n", "'k' is there twice", 1, 11 },
		{ "a: 1\n'a': 3\n", "'a' is there twice", 2, 1 },
		{ "{1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0, 7: 0, 8: 0, 5: 0, 9: 0}",
		  "'5' is there twice", 1, 50 },
		{ "a: &x 1\n", "anchors", 1, 4 },
		{ "a: &x\n  b: 1\n", "anchors", 1, 4 },
		{ "a: &x [1]\n", "anchors", 1, 4 },
		{ "&x a: 1\n", "anchor", 1, 1 },
		{ "a: *x\n", "aliases", 1, 4 },
		{ "*x : 1\n", "a key must be", 1, 1 },
		{ "a: 1\n---\nb: 2\n", "more than one document", 2, 1 },
		{ "? [a, b]\n: 1\n", "a key must be", 1, 3 },
		{ "? {a: b}\n: 1\n", "a key must be", 1, 3 },
		{ "!!str a: 1\n", "no tag", 1, 1 },
		{ "\"a\\0b\": 1\n", "NUL", 1, 1 },
		{ "a: !!int x\n", "tag says", 1, 4 },
		{ "a: 1\n b: 2\n", "", 2, 3 },
		{ "a:\n\tb: 2\n", "tab", 2, 1 },
		{ "a: [1, 2\n", "", 2, 1 },
		{ "a: \"x\n", "", 2, 1 },
		{ "ok: 1\nbad: \xff\n", "UTF-8", 2, 6 },
		{ "a: \x01\n", "", 1, 4 },
		{ "a: 'x' y\n", "", 1, 8 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(yaml_doc_freep) struct yaml_doc *doc = NULL;
		struct yaml_mark where = { 0 };
		struct error err = ERROR_INIT;

		doc = yaml_doc_read(rows[i].text, strlen(rows[i].text), &YAML_CONFIG_LIMITS, &where,
				    &err);
		cr_assert_null(doc, "accepted: %s", rows[i].text);
		cr_assert_eq(err.code, ERROR_INVALID, "%s: %s", rows[i].text, err.text);
		cr_assert_not_null(strstr(err.text, rows[i].part), "%s: %s", rows[i].text,
				   err.text);
		cr_assert_eq(where.line, rows[i].line, "%s: line %zu (%s)", rows[i].text,
			     where.line, err.text);
		cr_assert_eq(where.column, rows[i].column, "%s: column %zu (%s)", rows[i].text,
			     where.column, err.text);
	}
}

Test(yaml, without_a_place_to_put_it_the_text_names_the_line)
{
	AUTO(yaml_doc_freep) struct yaml_doc *doc = NULL;
	struct error err;

	doc = read_text("a: 1\na: 2\n", &err);
	cr_assert_null(doc);
	cr_assert_str_eq(err.text, "line 2, column 1: the key 'a' is there twice");
}

Test(yaml, depth_at_the_limit_and_one_past)
{
	for (unsigned depth = 63; depth <= 65; depth++) {
		AUTO(yaml_doc_freep) struct yaml_doc *doc = NULL;
		AUTO(buf_deinit) struct buf buf = BUF_INIT(1000);
		struct error err = ERROR_INIT;

		for (unsigned i = 0; i < depth; i++)
			buf_putc(&buf, '[');
		for (unsigned i = 0; i < depth; i++)
			buf_putc(&buf, ']');
		doc = read_text(buf.data, &err);
		cr_assert_eq(doc != NULL, depth <= 64, "%u: %s", depth, err.text);
		cr_assert_eq(err.code, depth <= 64 ? ERROR_NONE : ERROR_EXHAUSTED);
	}
}

Test(yaml, nodes_and_bytes_at_the_limit_and_one_past)
{
	static const char text[] = "{a: 1, b: [2]}";

	for (unsigned nodes = 5; nodes <= 7; nodes++) {
		struct yaml_limits limits = { .depth = 2, .nodes = nodes, .bytes = 100 };
		AUTO(yaml_doc_freep) struct yaml_doc *doc = NULL;
		struct error err = ERROR_INIT;

		doc = yaml_doc_read(text, sizeof(text) - 1, &limits, NULL, &err);
		cr_assert_eq(doc != NULL, nodes >= 6, "%u: %s", nodes, err.text);
		cr_assert_eq(err.code, nodes >= 6 ? ERROR_NONE : ERROR_EXHAUSTED);
	}
	for (size_t bytes = sizeof(text) - 2; bytes <= sizeof(text); bytes++) {
		struct yaml_limits limits = { .depth = 2, .nodes = 10, .bytes = bytes };
		AUTO(yaml_doc_freep) struct yaml_doc *doc = NULL;
		struct error err = ERROR_INIT;

		doc = yaml_doc_read(text, sizeof(text) - 1, &limits, NULL, &err);
		cr_assert_eq(doc != NULL, bytes >= sizeof(text) - 1);
		cr_assert_eq(err.code, doc != NULL ? ERROR_NONE : ERROR_EXHAUSTED);
	}
}

Test(yaml, block_scalars_and_escapes_decode)
{
	AUTO(yaml_doc_freep) struct yaml_doc *doc = NULL;
	const struct yaml_node *root;
	struct error err;

	doc = read_text("a: |\n  one\n  two\nb: >-\n  one\n  two\nc: \"x\\u00e4\\n\\0y\"\n", &err);
	cr_assert_not_null(doc, "%s", err.text);
	root = yaml_doc_root(doc);
	cr_assert_str_eq(yaml_get(root, "a")->text, "one\ntwo\n");
	cr_assert(yaml_get(root, "a")->quoted);
	cr_assert_str_eq(yaml_get(root, "b")->text, "one two");
	cr_assert_eq(yaml_get(root, "c")->text_len, 6);
	cr_assert_eq(memcmp(yaml_get(root, "c")->text, "x\xc3\xa4\n\0y", 7), 0);
}

Test(yaml, tags_are_told)
{
	AUTO(yaml_doc_freep) struct yaml_doc *doc = NULL;
	const struct yaml_node *root;
	struct error err;

	doc = read_text("a: !env HOME\nb: !!map {}\nc: x\n", &err);
	cr_assert_not_null(doc, "%s", err.text);
	root = yaml_doc_root(doc);
	cr_assert_str_eq(yaml_get(root, "a")->tag, "!env");
	cr_assert_str_eq(yaml_get(root, "b")->tag, "tag:yaml.org,2002:map");
	cr_assert_null(yaml_get(root, "c")->tag);
}

Test(yaml, look_ups_chain_through_what_is_not_there)
{
	AUTO(yaml_doc_freep) struct yaml_doc *doc = NULL;
	struct error err;

	doc = read_text("a: {b: c}\nl: [x]\n", &err);
	cr_assert_not_null(doc);
	cr_assert_str_eq(yaml_get(yaml_get(yaml_doc_root(doc), "a"), "b")->text, "c");
	cr_assert_null(yaml_get(yaml_get(yaml_doc_root(doc), "no"), "b"));
	cr_assert_null(yaml_get(yaml_get(yaml_doc_root(doc), "l"), "x"));
	cr_assert_null(yaml_doc_free(NULL));
}
