/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever matches one character: literals, escapes, classes in brackets and the groups inside
 * them.
 */
#include <string.h>

#include "agent/base/regex_parser.h"
#include "agent/base/text.h"

/* A node of the finished set. */
static struct regex_node *class_node(struct regex_parser *parser, const struct regex_set *set)
{
	struct regex_node *node = regex_new_node(parser, REGEX_CLASS);
	struct regex_range *ranges;

	if (node == NULL)
		return NULL;
	ranges = pool_alloc(parser->tree->pool, set->count * sizeof(*ranges));
	if (ranges == NULL || set->failed) {
		(void)error_no_memory(parser->err);
		return NULL;
	}
	if (set->count > 0)
		memcpy(ranges, set->ranges, set->count * sizeof(*ranges));
	node->ranges = ranges;
	node->range_count = set->count;
	return node;
}

static struct regex_node *range_node(struct regex_parser *parser, uint32_t low, uint32_t high)
{
	AUTO(regex_set_deinit) struct regex_set set = { 0 };

	regex_set_add(&set, low, high, parser->flags.fold);
	regex_set_finish(&set);
	return class_node(parser, &set);
}

struct regex_node *regex_read_dot(struct regex_parser *parser)
{
	AUTO(regex_set_deinit) struct regex_set set = { 0 };

	parser->at++;
	if (!parser->flags.dot_all)
		regex_set_add(&set, '\n', '\n', false);
	regex_set_negate(&set);
	return class_node(parser, &set);
}

/* Characters as text: pairs of first and last. */
struct group {
	const char *name;
	const char *pairs;
};

static const struct group perl_groups[] = {
	{ "d", "09" },
	{ "s", "\t\n\f\r  " },
	{ "w", "09AZ__az" },
};

static const struct group posix_groups[] = {
	{ "alnum", "09AZaz" },	 { "alpha", "AZaz" },	 { "ascii", NULL },
	{ "blank", "\t\t  " },	 { "cntrl", NULL },	 { "digit", "09" },
	{ "graph", "!~" },	 { "lower", "az" },	 { "print", " ~" },
	{ "punct", "!/:@[`{~" }, { "space", "\t\r  " },	 { "upper", "AZ" },
	{ "word", "09AZ__az" },	 { "xdigit", "09AFaf" },
};

static void add_group(struct regex_parser *parser, struct regex_set *set, const struct group *group,
		      bool negate)
{
	AUTO(regex_set_deinit) struct regex_set members = { 0 };
	bool fold = parser->flags.fold;

	for (const char *pair = group->pairs; pair != NULL && *pair != '\0'; pair += 2)
		regex_set_add(&members, (uint32_t)pair[0], (uint32_t)pair[1], fold);
	/* The two that hold NUL. */
	if (group->pairs == NULL)
		regex_set_add(&members, 0, group->name[0] == 'c' ? 0x1f : 0x7f, fold);
	if (group->pairs == NULL && group->name[0] == 'c')
		regex_set_add(&members, 0x7f, 0x7f, fold);
	regex_set_finish(&members);
	if (negate)
		regex_set_negate(&members);
	regex_set_add_set(set, &members);
}

/* \d \D \s \S \w \W. False: something else stands there. */
static bool skip_perl_group(struct regex_parser *parser, struct regex_set *set)
{
	if (parser->at[0] != '\\' || parser->at[1] == '\0')
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(perl_groups); i++) {
		char letter = perl_groups[i].name[0];
		bool negated = parser->at[1] == letter - 'a' + 'A';

		if (parser->at[1] != letter && !negated)
			continue;
		add_group(parser, set, &perl_groups[i], negated);
		parser->at += 2;
		return true;
	}
	return false;
}

/* [:name:] and [:^name:] inside a class. 1: read; 0: something else stands there. */
static int read_posix_group(struct regex_parser *parser, struct regex_set *set)
{
	const char *name = parser->at + 2, *close;
	bool negated;

	if (!text_starts_with(parser->at, "[:"))
		return 0;
	close = strstr(name, ":]");
	if (close == NULL)
		return 0;
	negated = *name == '^';
	if (negated)
		name++;
	for (size_t i = 0; i < ARRAY_SIZE(posix_groups); i++) {
		if (strlen(posix_groups[i].name) != (size_t)(close - name) ||
		    !text_starts_with(name, posix_groups[i].name))
			continue;
		add_group(parser, set, &posix_groups[i], negated);
		parser->at = close + 2;
		return 1;
	}
	return regex_fail(parser, parser->at, "no such class of characters");
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at =
		c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* Behind "\x": two digits, or any number in braces. */
static int read_hex(struct regex_parser *parser, uint32_t *ret)
{
	const char *first = parser->at;
	bool braces = regex_skip(parser, "{");
	uint32_t number = 0;
	int digits = 0;

	for (; hex_digit(*parser->at) >= 0 && (braces || digits < 2); parser->at++, digits++) {
		number = number * 16 + (uint32_t)hex_digit(*parser->at);
		if (number > REGEX_CHARACTER_MAX)
			return regex_fail(parser, first, "no such character");
	}
	if (digits == 0 || (!braces && digits != 2) || (braces && !regex_skip(parser, "}")))
		return regex_fail(parser, first,
				  "\\x takes two hexadecimal digits, or more in braces");
	*ret = number;
	return 0;
}

static uint32_t read_octal(struct regex_parser *parser)
{
	uint32_t number = 0;

	for (int i = 0; i < 3 && *parser->at >= '0' && *parser->at <= '7'; i++)
		number = number * 8 + (uint32_t)(*parser->at++ - '0');
	return number;
}

static int fail_escape(const struct regex_parser *parser, const char *at)
{
	if (at[1] == '\0')
		return regex_fail(parser, at, "a backslash at the end");
	if (at[1] == 'p' || at[1] == 'P')
		return regex_fail(parser, at,
				  "Unicode classes (\\p) are not supported: list the ranges");
	if (at[1] >= '1' && at[1] <= '9')
		return regex_fail(parser, at, "back-references are not supported");
	return regex_fail(parser, at, "no such escape");
}

/* At a backslash: an escape that means one character. */
static int read_escape(struct regex_parser *parser, uint32_t *ret)
{
	static const char letters[] = "aftnrv", meanings[] = "\a\f\t\n\r\v";
	const char *first = parser->at, *letter;
	char c = first[1];

	if (c == '0' || (c >= '1' && c <= '7' && first[2] >= '0' && first[2] <= '7')) {
		parser->at++;
		*ret = read_octal(parser);
		return 0;
	}
	if (c == 'x') {
		parser->at += 2;
		return read_hex(parser, ret);
	}
	letter = c != '\0' ? strchr(letters, c) : NULL;
	if (letter != NULL)
		*ret = (uint32_t)meanings[letter - letters];
	else if (c > 0 && (c < '0' || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || c > 'z'))
		*ret = (uint32_t)c;
	else
		return fail_escape(parser, first);
	parser->at += 2;
	return 0;
}

static uint32_t read_plain(struct regex_parser *parser)
{
	uint32_t character = 0;

	parser->at +=
		text_read_character(parser->at, (size_t)(parser->end - parser->at), &character);
	return character;
}

static int read_class_character(struct regex_parser *parser, uint32_t *ret)
{
	if (*parser->at == '\\')
		return read_escape(parser, ret);
	*ret = read_plain(parser);
	return 0;
}

static int read_class_range(struct regex_parser *parser, struct regex_set *set)
{
	const char *first = parser->at;
	uint32_t low, high;

	if (read_class_character(parser, &low) < 0)
		return -1;
	high = low;
	if (parser->at[0] == '-' && parser->at[1] != ']' && parser->at[1] != '\0') {
		parser->at++;
		if (read_class_character(parser, &high) < 0)
			return -1;
	}
	if (high < low)
		return regex_fail(parser, first, "a range that ends before it starts");
	regex_set_add(set, low, high, parser->flags.fold);
	return 0;
}

/* Behind "[". */
static int read_class_items(struct regex_parser *parser, struct regex_set *set)
{
	const char *open = parser->at - 1;
	bool first = true;
	int posix;

	for (; first || *parser->at != ']'; first = false) {
		if (parser->at == parser->end)
			return regex_fail(parser, open, "a class without its ]");
		posix = read_posix_group(parser, set);
		if (posix < 0)
			return -1;
		if (posix > 0 || skip_perl_group(parser, set))
			continue;
		if (read_class_range(parser, set) < 0)
			return -1;
	}
	parser->at++;
	return 0;
}

struct regex_node *regex_read_class(struct regex_parser *parser)
{
	AUTO(regex_set_deinit) struct regex_set set = { 0 };
	bool negate;

	parser->at++;
	negate = regex_skip(parser, "^");
	if (read_class_items(parser, &set) < 0)
		return NULL;
	regex_set_finish(&set);
	if (negate)
		regex_set_negate(&set);
	return class_node(parser, &set);
}

/* A group of characters, or one character. */
struct regex_node *regex_read_escaped(struct regex_parser *parser)
{
	AUTO(regex_set_deinit) struct regex_set set = { 0 };
	uint32_t character;

	if (skip_perl_group(parser, &set)) {
		regex_set_finish(&set);
		return class_node(parser, &set);
	}
	if (read_escape(parser, &character) < 0)
		return NULL;
	return range_node(parser, character, character);
}

struct regex_node *regex_read_literal(struct regex_parser *parser)
{
	uint32_t character = read_plain(parser);

	return range_node(parser, character, character);
}
