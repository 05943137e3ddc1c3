/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular expressions: agent/base/regex has Go's syntax, what is here is Go's replacing.
 */
#include <string.h>

#include "agent/base/regex.h"
#include "agent/template/functions.h"
#include "agent/template/strings.h"
#include "agent/template/unicode.h"

enum { GROUP_NUMBER_MAX = 100000000 };

static struct regex *compile(struct render *render, const struct value *pattern)
{
	char *copy = region_copy(&render->values, pattern->bytes, pattern->len);

	if (copy == NULL) {
		(void)render_no_memory(render);
		return NULL;
	}
	if (strlen(copy) != pattern->len) {
		(void)render_error(render, "the expression has a NUL in it");
		return NULL;
	}
	return regex_new(copy, render->err);
}

static int call_match(struct render *render, const struct value *arguments, size_t count,
		      struct value *ret)
{
	AUTO(regex_freep) struct regex *regex = compile(render, &arguments[0]);
	const struct value *text = &arguments[1];

	(void)count;
	if (regex == NULL)
		return -1;
	*ret = value_bool(regex_match(regex, text->len > 0 ? text->bytes : "", text->len));
	return 0;
}

/* ---- what stands for a match ---- */

struct replacer {
	struct regex *regex;
	const struct value *text, *by;
	struct regex_span *spans;
	size_t groups;
	struct buf *out;
};

/* $name, ${name}: the letters, digits and underscores; false when there are none. */
static bool read_name(const struct value *by, size_t *at, struct value *ret)
{
	bool brace = *at < by->len && by->bytes[*at] == '{';
	size_t start = *at + (brace ? 1 : 0), end = start;
	uint32_t character;

	while (end < by->len) {
		size_t len = strings_character(by, end, &character);

		if (character != '_' && !unicode_is_letter(character) &&
		    !unicode_is_digit(character))
			break;
		end += len;
	}
	if (end == start || (brace && (end == by->len || by->bytes[end] != '}')))
		return false;
	*ret = value_text(by->bytes + start, end - start);
	*at = end + (brace ? 1 : 0);
	return true;
}

/* The number that a name is; -1 when it is a word, or a number with a 0 in front. */
static long group_number(const struct value *name)
{
	long number = 0;

	for (size_t i = 0; i < name->len; i++) {
		if (name->bytes[i] < '0' || name->bytes[i] > '9' || number >= GROUP_NUMBER_MAX)
			return -1;
		number = number * 10 + (name->bytes[i] - '0');
	}
	return name->bytes[0] == '0' && name->len > 1 ? -1 : number;
}

static void put_group(struct replacer *replacer, size_t group)
{
	const struct regex_span *span = &replacer->spans[group];

	if (span->start != SIZE_MAX)
		buf_put(replacer->out, replacer->text->bytes + span->start,
			span->end - span->start);
}

static void put_named(struct replacer *replacer, const struct value *name)
{
	long number = group_number(name);

	if (number >= 0 && (size_t)number < replacer->groups)
		put_group(replacer, (size_t)number);
	if (number >= 0)
		return;
	for (size_t i = 0; i < replacer->groups; i++) {
		const char *own = regex_group_name(replacer->regex, i);

		if (own != NULL && strlen(own) == name->len &&
		    memcmp(own, name->bytes, name->len) == 0 &&
		    replacer->spans[i].start != SIZE_MAX) {
			put_group(replacer, i);
			return;
		}
	}
}

static void put_replacement(struct replacer *replacer)
{
	const struct value *by = replacer->by;
	struct value name;

	for (size_t at = 0; at < by->len;) {
		if (by->bytes[at] != '$') {
			buf_putc(replacer->out, by->bytes[at++]);
			continue;
		}
		at++;
		if (at < by->len && by->bytes[at] == '$') {
			buf_putc(replacer->out, '$');
			at++;
		} else if (read_name(by, &at, &name)) {
			put_named(replacer, &name);
		} else {
			buf_putc(replacer->out, '$');
		}
	}
}

/* An empty match right behind another one is none; the search goes on by a character at least. */
static void replace(struct replacer *replacer)
{
	const struct value *text = replacer->text;
	size_t at = 0, last = 0;
	uint32_t character;

	while (at <= text->len && !replacer->out->failed &&
	       regex_search(replacer->regex, text->len > 0 ? text->bytes : "", text->len, at,
			    replacer->spans, replacer->groups)) {
		const struct regex_span match = replacer->spans[0];
		size_t step = at < text->len ? strings_character(text, at, &character) : 1;

		buf_put(replacer->out, text->bytes + last, match.start - last);
		if (match.end > last || match.start == 0)
			put_replacement(replacer);
		last = match.end;
		at = at + step > match.end ? at + step : match.end;
	}
	if (last < text->len)
		buf_put(replacer->out, text->bytes + last, text->len - last);
}

static int call_replace_all(struct render *render, const struct value *arguments, size_t count,
			    struct value *ret)
{
	AUTO(regex_freep) struct regex *regex = compile(render, &arguments[0]);
	AUTO(buf_deinit) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct replacer replacer = {
		.regex = regex,
		.by = &arguments[1],
		.text = &arguments[2],
		.out = &out,
	};

	(void)count;
	if (regex == NULL)
		return -1;
	replacer.groups = regex_groups(regex);
	replacer.spans = region_array(&render->values, replacer.groups, sizeof(*replacer.spans));
	if (replacer.spans == NULL)
		return render_no_memory(render);
	replace(&replacer);
	return render_string(render, &out, ret);
}

const struct template_function functions_regex[] = {
	{ "regexMatch", "ss", call_match },
	{ "regexReplaceAll", "sss", call_replace_all },
	{ 0 },
};
