/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/base/json.h"

static struct json_doc *read_text(const char *text, struct error *err)
{
	return json_doc_read(text, strlen(text), &JSON_REPLY_LIMITS, err);
}

static void check_refused(const char *text, enum error_code code, const char *part)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	struct error err = ERROR_INIT;

	doc = read_text(text, &err);
	cr_assert_null(doc, "accepted: %s", text);
	cr_assert_eq(err.code, code, "%s: %s", text, err.text);
	cr_assert_not_null(strstr(err.text, part), "%s: %s", text, err.text);
}

Test(json, a_document_keeps_order_spelling_and_source)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	const struct json_node *root, *list;
	struct error err;

	doc = read_text(" {\"b\": 1.50, \"a\" : [true, null ,\"x\\ny\"], \"c\":{} } ", &err);
	cr_assert_not_null(doc);
	root = json_doc_root(doc);
	cr_assert_eq(root->type, JSON_IS_MAP);
	cr_assert_eq(root->count, 3);
	cr_assert_str_eq(root->first->key, "b");
	cr_assert_str_eq(root->first->text, "1.50");
	list = root->first->next;
	cr_assert_str_eq(list->key, "a");
	cr_assert_eq(list->type, JSON_IS_LIST);
	cr_assert_eq(list->count, 3);
	cr_assert(list->first->truth);
	cr_assert_eq(list->first->next->type, JSON_IS_NULL);
	cr_assert_str_eq(list->first->next->next->text, "x\ny");
	cr_assert_null(list->first->next->next->next);
	cr_assert_eq(list->raw_len, strlen("[true, null ,\"x\\ny\"]"));
	cr_assert_eq(memcmp(list->raw, "[true, null ,\"x\\ny\"]", list->raw_len), 0);
	cr_assert_eq(json_get(root, "c")->count, 0);
}

Test(json, every_type_may_be_the_whole_document)
{
	static const char *const texts[] = { "0",     "-1",   "1e3", "\"\"", "true",
					     "false", "null", "[]",  "{}",   " 7 " };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		AUTO(json_doc_freep) struct json_doc *doc = NULL;
		struct error err;

		doc = read_text(texts[i], &err);
		cr_assert_not_null(doc, "%s", texts[i]);
	}
}

Test(json, what_rfc_8259_does_not_allow_is_refused_with_its_place)
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{ "", "byte 0: expected a value" },
		{ "  ", "byte 2: expected a value" },
		{ "[1,]", "byte 3: expected a value" },
		{ "[,1]", "byte 1" },
		{ "[1 2]", "byte 3: expected a comma" },
		{ "[1", "byte 2" },
		{ "{\"a\":1,}", "byte 7: expected a key" },
		{ "{a:1}", "byte 1: expected a key" },
		{ "{\"a\" 1}", "byte 5: expected a colon" },
		{ "{\"a\":}", "byte 5: expected a value" },
		{ "{\"a\":1", "byte 6" },
		{ "01", "byte 1: expected the end" },
		{ "-", "byte 1: expected a digit" },
		{ "+1", "byte 0" },
		{ ".5", "byte 0" },
		{ "1.", "byte 2" },
		{ "1.e3", "byte 2" },
		{ "1e", "byte 2" },
		{ "1e+", "byte 3" },
		{ "0x10", "byte 1" },
		{ "NaN", "byte 0" },
		{ "Infinity", "byte 0" },
		{ "tru", "byte 0" },
		{ "truefalse", "byte 4" },
		{ "nullx", "byte 4" },
		{ "'a'", "byte 0" },
		{ "\"a", "ends within a string" },
		{ "\"a\\", "no such escape" },
		{ "\"\\x41\"", "no such escape" },
		{ "\"\\u12\"", "four hexadecimal" },
		{ "\"\\u12g4\"", "four hexadecimal" },
		{ "\"\\ud800\"", "surrogate" },
		{ "\"\\ud800\\u0041\"", "surrogate" },
		{ "\"\\ud800\\ud800\"", "surrogate" },
		{ "\"\\udc00\"", "surrogate" },
		{ "\"a\nb\"", "byte 2: a control character" },
		{ "\"a\tb\"", "control character" },
		{ "\"\x01\"", "control character" },
		{ "\"\xff\"", "byte 1: not UTF-8" },
		{ "\"\xed\xa0\x80\"", "not UTF-8" },
		{ "\"\xc0\x80\"", "not UTF-8" },
		{ "\"\xe2\x82\"", "not UTF-8" },
		{ "\xef\xbb\xbf{}", "byte 0" },
		{ "{} {}", "byte 3: expected the end" },
		{ "[1] // x", "byte 4" },
		{ "/**/1", "byte 0" },
		{ "[1}", "byte 2" },
		{ "{\"a\":1]", "byte 6" },
		{ "\v1", "byte 0" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_refused(rows[i].text, ERROR_PROTOCOL, rows[i].part);
}

Test(json, nul_in_the_source_is_refused_and_escaped_nul_is_kept)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	struct error err;

	cr_assert_null(json_doc_read("[1\0]", 4, &JSON_REPLY_LIMITS, &err));
	cr_assert_null(json_doc_read("\"a\0b\"", 5, &JSON_REPLY_LIMITS, &err));
	cr_assert_null(json_doc_read("1\0", 2, &JSON_REPLY_LIMITS, &err));
	doc = read_text("\"a\\u0000b\"", &err);
	cr_assert_not_null(doc);
	cr_assert_eq(json_doc_root(doc)->text_len, 3);
	cr_assert_eq(memcmp(json_doc_root(doc)->text, "a\0b", 4), 0);
	cr_assert_null(json_string(json_doc_root(doc)));
}

Test(json, escapes_decode)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	struct error err;

	doc = read_text("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\u20AC\\ud83d\\uDE00\xc3\xa4\x7f\"",
			&err);
	cr_assert_not_null(doc);
	cr_assert_str_eq(json_string(json_doc_root(doc)),
			 "\"\\/\b\f\n\r\t\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa4\x7f");
}

Test(json, duplicate_keys_are_refused_at_the_second)
{
	check_refused("{\"a\":1,\"b\":2,\"a\":3}", ERROR_PROTOCOL, "byte 13: the same key twice");
	check_refused("{\"a\":1,\"\\u0061\":3}", ERROR_PROTOCOL, "byte 7: the same key");
	check_refused("[{\"x\":{\"k\":1,\"k\":1}}]", ERROR_PROTOCOL, "the same key");
	/* Past the size where keys are sorted. */
	check_refused(
		"{\"9\":0,\"8\":0,\"7\":0,\"6\":0,\"5\":0,\"4\":0,\"3\":0,\"2\":0,\"1\":0,\"5\":0,"
		"\"55\":0}",
		ERROR_PROTOCOL, "byte 55: the same key");
}

Test(json, keys_that_share_a_beginning_are_different)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	struct error err;

	doc = read_text(
		"{\"a\":1,\"aa\":2,\"a\\u0000\":3,\"\":4,\"b\":5,\"c\":6,\"d\":7,\"e\":8,\"f\":9,"
		"\"A\":10}",
		&err);
	cr_assert_not_null(doc);
	cr_assert_eq(json_integer(json_get(json_doc_root(doc), "a"), 0), 1);
	cr_assert_eq(json_integer(json_get(json_doc_root(doc), ""), 0), 4);
	cr_assert_eq(json_integer(json_get(json_doc_root(doc), "A"), 0), 10);
}

static void put_nested(struct buf *buf, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		buf_putc(buf, '[');
	for (unsigned i = 0; i < depth; i++)
		buf_putc(buf, ']');
}

Test(json, depth_at_the_limit_and_one_past)
{
	static const struct json_limits limits = { .depth = 32, .nodes = 100, .bytes = 1000 };

	for (unsigned depth = 31; depth <= 33; depth++) {
		AUTO(json_doc_freep) struct json_doc *doc = NULL;
		AUTO(buf_deinit) struct buf buf = BUF_INIT(1000);
		struct error err = ERROR_INIT;

		put_nested(&buf, depth);
		doc = json_doc_read(buf.data, buf.len, &limits, &err);
		cr_assert_eq(doc != NULL, depth <= 32);
		cr_assert_eq(err.code, depth <= 32 ? ERROR_NONE : ERROR_EXHAUSTED);
	}
}

Test(json, nodes_at_the_limit_and_one_past)
{
	/* The map, and a key and a value for each member. */
	static const char text[] = "{\"a\":1,\"b\":[2]}";

	for (unsigned nodes = 5; nodes <= 7; nodes++) {
		struct json_limits limits = { .depth = 2, .nodes = nodes, .bytes = 100 };
		AUTO(json_doc_freep) struct json_doc *doc = NULL;
		struct error err = ERROR_INIT;

		doc = json_doc_read(text, sizeof(text) - 1, &limits, &err);
		cr_assert_eq(doc != NULL, nodes >= 6, "%u: %s", nodes, err.text);
		cr_assert_eq(err.code, nodes >= 6 ? ERROR_NONE : ERROR_EXHAUSTED);
	}
}

Test(json, bytes_at_the_limit_and_one_past)
{
	for (size_t bytes = 6; bytes <= 8; bytes++) {
		struct json_limits limits = { .depth = 2, .nodes = 10, .bytes = bytes };
		AUTO(json_doc_freep) struct json_doc *doc = NULL;
		struct error err = ERROR_INIT;

		doc = json_doc_read("\"12345\"", 7, &limits, &err);
		cr_assert_eq(doc != NULL, bytes >= 7);
		cr_assert_eq(err.code, bytes >= 7 ? ERROR_NONE : ERROR_EXHAUSTED);
	}
}

Test(json, errors_never_hold_content)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	struct error err;

	doc = read_text("{\"password\":\"hunter2\",\"password\":hunter2}", &err);
	cr_assert_null(doc);
	cr_assert_null(strstr(err.text, "hunter2"));
	cr_assert_null(strstr(err.text, "password"));
}

Test(json, look_ups_chain_through_what_is_not_there)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	const struct json_node *root;
	struct error err;

	doc = read_text("{\"s\":\"x\",\"n\":5,\"b\":true,\"l\":[1]}", &err);
	cr_assert_not_null(doc);
	root = json_doc_root(doc);
	cr_assert_null(json_get(json_get(root, "no"), "deeper"));
	cr_assert_null(json_get(json_get(root, "s"), "deeper"));
	cr_assert_null(json_get(json_get(root, "l"), ""));
	cr_assert_null(json_get(NULL, "x"));
	cr_assert_str_eq(json_string(json_get(root, "s")), "x");
	cr_assert_null(json_string(json_get(root, "n")));
	cr_assert_null(json_string(NULL));
	cr_assert_eq(json_integer(json_get(root, "s"), -7), -7);
	cr_assert_eq(json_integer(NULL, -7), -7);
	cr_assert_eq(json_bool(json_get(root, "b"), false), true);
	cr_assert_eq(json_bool(json_get(root, "n"), true), true);
	cr_assert_eq(json_bool(NULL, true), true);
}

Test(json, integers_are_exact_or_the_fallback)
{
	static const struct {
		const char *text;
		int64_t value;
	} rows[] = {
		{ "0", 0 },
		{ "-0", 0 },
		{ "7", 7 },
		{ "-7", -7 },
		{ "1e3", 1000 },
		{ "1E+3", 1000 },
		{ "1.5e1", 15 },
		{ "1.50e1", 15 },
		{ "1.0", 1 },
		{ "100e-2", 1 },
		{ "10", 10 },
		{ "1000", 1000 },
		{ "1050", 1050 },
		{ "0.0", 0 },
		{ "0e99999999999999999999", 0 },
		{ "9223372036854775807", INT64_MAX },
		{ "-9223372036854775808", INT64_MIN },
		{ "9223372036854775808", -99 },
		{ "-9223372036854775809", -99 },
		{ "1e18", 1000000000000000000 },
		{ "1e19", -99 },
		{ "1.5", -99 },
		{ "1.55e1", -99 },
		{ "1e-1", -99 },
		{ "1e99999999999999999999", -99 },
		{ "1e-99999999999999999999", -99 },
		{ "0.001e3", 1 },
		{ "1000000000000000000000e-3", 1000000000000000000 },
		{ "99999999999999999999", -99 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(json_doc_freep) struct json_doc *doc = NULL;
		struct error err;

		doc = read_text(rows[i].text, &err);
		cr_assert_not_null(doc);
		cr_assert_eq(json_integer(json_doc_root(doc), -99), rows[i].value, "%s",
			     rows[i].text);
	}
}

Test(json, written_text_is_compact_and_true_to_the_source)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	AUTO(buf_deinit) struct buf buf = BUF_INIT(1000);
	struct error err;

	doc = read_text(
		" { \"k\\u0041\" : [ 1.50 , -0e+1, \"\\u003c\\/\\u0000\\\"\", null , true, false ] "
		", \"m\" : { } } ",
		&err);
	cr_assert_not_null(doc);
	json_write(&buf, json_doc_root(doc));
	cr_assert_str_eq(buf_string(&buf),
			 "{\"kA\":[1.50,-0e+1,\"</\\u0000\\\"\",null,true,false],\"m\":{}}");
}

Test(json, a_big_map_is_read_whole)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	AUTO(buf_deinit) struct buf buf = BUF_INIT(1 << 20);
	struct error err;

	/* The most that the limit on nodes takes: the map itself is one. */
	buf_putc(&buf, '{');
	for (int i = 0; i < 4999; i++)
		buf_printf(&buf, "%s\"key%d\":%d", i > 0 ? "," : "", i, i);
	buf_putc(&buf, '}');
	doc = json_doc_read(buf.data, buf.len, &JSON_REPLY_LIMITS, &err);
	cr_assert_not_null(doc, "%s", err.text);
	cr_assert_eq(json_doc_root(doc)->count, 4999);
	cr_assert_eq(json_integer(json_get(json_doc_root(doc), "key4998"), 0), 4998);
	buf_truncate(&buf, buf.len - 1);
	buf_puts(&buf, ",\"key7\":0");
	buf_putc(&buf, '}');
	cr_assert_null(read_text(buf.data, &err));
}

Test(json, pointer_s_name_is_unescaped)
{
	static const struct {
		const char *text, *name;
	} cases[] = {
		{ "", "" },	 { "plain%20", "plain%20" }, { "a~1b", "a/b" },
		{ "~01", "~1" }, { "~0~1~0", "~/~" },	     { "~", NULL },
		{ "a~2", NULL }, { "a~~1", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf out = BUF_INIT(64);
		struct error err = ERROR_INIT;
		int done = json_read_pointer_name(&out, cases[i].text, strlen(cases[i].text), &err);

		cr_expect_eq(done, cases[i].name != NULL ? 0 : -1, "%s", cases[i].text);
		if (cases[i].name != NULL)
			cr_expect_str_eq(buf_string(&out), cases[i].name);
		else
			cr_expect_eq(err.code, ERROR_INVALID);
		buf_deinit(&out);
	}
}
