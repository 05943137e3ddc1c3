/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From text to values. The empty text is zero, false, or an empty map.
 */
#include <string.h>

#include "agent/template/functions.h"
#include "agent/template/number.h"

static const struct json_limits parse_limits = {
	.depth = TEMPLATE_NESTING_MAX, .nodes = 100000, .bytes = SECRET_MAX, .repeated = true
};

static int call_parse_bool(struct render *render, const struct value *arguments, size_t count,
			   struct value *ret)
{
	static const char *const truths[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const lies[] = { "", "0", "f", "F", "false", "FALSE", "False" };
	const struct value *text = &arguments[0];

	(void)count;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		bool truth = i < ARRAY_SIZE(truths) && strlen(truths[i]) == text->len &&
			     memcmp(truths[i], text->bytes, text->len) == 0;

		if (truth || (strlen(lies[i]) == text->len &&
			      (text->len == 0 || memcmp(lies[i], text->bytes, text->len) == 0))) {
			*ret = value_bool(truth);
			return 0;
		}
	}
	return render_error(render, "the text is no bool");
}

static int call_parse_float(struct render *render, const struct value *arguments, size_t count,
			    struct value *ret)
{
	(void)count;
	*ret = (struct value){ .type = VALUE_FLOAT64 };
	if (arguments[0].len == 0 ||
	    number_read_real(arguments[0].bytes, arguments[0].len, &ret->real))
		return 0;
	return render_error(render, "the text is no float64");
}

static int call_parse_int(struct render *render, const struct value *arguments, size_t count,
			  struct value *ret)
{
	(void)count;
	*ret = (struct value){ .type = VALUE_INT64 };
	if (arguments[0].len == 0 ||
	    number_read_integer(arguments[0].bytes, arguments[0].len, 10, &ret->integer))
		return 0;
	return render_error(render, "the text is no int64");
}

static int call_parse_uint(struct render *render, const struct value *arguments, size_t count,
			   struct value *ret)
{
	(void)count;
	*ret = (struct value){ .type = VALUE_UINT64 };
	if (arguments[0].len == 0 ||
	    number_read_unsigned(arguments[0].bytes, arguments[0].len, 10, &ret->unsigned_))
		return 0;
	return render_error(render, "the text is no uint64");
}

static int empty_map(struct render *render, struct value *ret)
{
	*ret = (struct value){ .type = VALUE_MAP, .map = map_new(&render->values) };
	return ret->map != NULL ? 0 : render_no_memory(render);
}

static int call_parse_json(struct render *render, const struct value *arguments, size_t count,
			   struct value *ret)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	const struct value *text = &arguments[0];

	(void)count;
	if (text->len == 0)
		return empty_map(render, ret);
	doc = json_doc_read(text->bytes, text->len, &parse_limits, render->err);
	if (doc == NULL)
		return -1;
	if (value_from_json(&render->values, json_doc_root(doc), NUMBERS_AS_FLOATS, ret) == 0)
		return 0;
	return render->values.failed ? render_no_memory(render)
				     : render_error(render, "a number is too large for a float64");
}

const struct template_function functions_parse[] = {
	{ "parseBool", "s", call_parse_bool }, { "parseFloat", "s", call_parse_float },
	{ "parseInt", "s", call_parse_int },   { "parseJSON", "s", call_parse_json },
	{ "parseUint", "s", call_parse_uint }, { 0 },
};
