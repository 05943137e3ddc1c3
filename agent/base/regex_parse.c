/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser: alternation of concatenations of repeated atoms, each a function. Recursion, through
 * groups, is bounded by REGEX_NESTING_MAX.
 */
#include <string.h>

#include "agent/base/regex.h"
#include "agent/base/regex_parser.h"
#include "agent/base/text.h"

int regex_fail(const struct regex_parser *parser, const char *at, const char *problem)
{
	return error_set(parser->err, ERROR_INVALID, "regular expression, byte %zu: %s",
			 (size_t)(at - parser->pattern), problem);
}

bool regex_skip(struct regex_parser *parser, const char *text)
{
	if (!text_starts_with(parser->at, text))
		return false;
	parser->at += strlen(text);
	return true;
}

struct regex_node *regex_new_node(struct regex_parser *parser, enum regex_node_type type)
{
	struct regex_node *node = pool_alloc(parser->tree->pool, sizeof(*node));

	if (node == NULL) {
		(void)error_no_memory(parser->err);
		return NULL;
	}
	node->type = type;
	return node;
}

static void append(struct regex_node *parent, struct regex_node *child)
{
	if (parent->last != NULL)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
}

static struct regex_node *assert_node(struct regex_parser *parser, enum regex_assertion assertion)
{
	struct regex_node *node = regex_new_node(parser, REGEX_ASSERT);

	if (node == NULL)
		return NULL;
	node->assertion = assertion;
	node->nullable = true;
	return node;
}

/* \A \z \b \B, a group of characters, or one character. */
static struct regex_node *read_backslash(struct regex_parser *parser)
{
	static const struct {
		char letter;
		enum regex_assertion assertion;
	} assertions[] = {
		{ 'A', REGEX_TEXT_START },
		{ 'z', REGEX_TEXT_END },
		{ 'b', REGEX_WORD_EDGE },
		{ 'B', REGEX_NO_WORD_EDGE },
	};
	for (size_t i = 0; i < ARRAY_SIZE(assertions); i++) {
		if (parser->at[1] != assertions[i].letter)
			continue;
		parser->at += 2;
		return assert_node(parser, assertions[i].assertion);
	}
	return regex_read_escaped(parser);
}

static struct regex_node *read_alternation(struct regex_parser *parser);

static int set_flag(struct regex_flags *flags, char letter, bool value)
{
	switch (letter) {
	case 'i':
		flags->fold = value;
		return 0;
	case 'm':
		flags->multiline = value;
		return 0;
	case 's':
		flags->dot_all = value;
		return 0;
	case 'U':
		flags->ungreedy = value;
		return 0;
	default:
		return -1;
	}
}

/* Behind "(?": letters up to ":" or ")", which stays. */
static int read_flags(struct regex_parser *parser)
{
	struct regex_flags flags = parser->flags;
	bool value = true, any = true;

	for (; *parser->at != ':' && *parser->at != ')'; parser->at++) {
		if (*parser->at == '-' && value) {
			value = false;
			any = false;
			continue;
		}
		if (set_flag(&flags, *parser->at, value) < 0)
			return regex_fail(parser, parser->at,
					  "not supported behind (?: flags are i, m, s and U");
		any = true;
	}
	if (!any)
		return regex_fail(parser, parser->at, "a flag is missing behind -");
	parser->flags = flags;
	return 0;
}

static bool is_name(const char *name, size_t len)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

	return len > 0 && strspn(name, allowed) >= len;
}

/* Behind "(?<" or "(?P<". */
static int read_name(struct regex_parser *parser, const char **ret)
{
	const char *first = parser->at, *close = strchr(first, '>');
	struct regex_tree *tree = parser->tree;
	char *name;

	if (*first == '=' || *first == '!')
		return regex_fail(parser, first, "look-behind is not supported");
	if (close == NULL || !is_name(first, (size_t)(close - first)))
		return regex_fail(parser, first, "a group's name is letters, digits and _ up to >");
	name = pool_copy(tree->pool, first, (size_t)(close - first));
	if (name == NULL)
		return error_no_memory(parser->err);
	for (uint32_t i = 0; i < tree->groups; i++)
		if (tree->names[i] != NULL && strcmp(tree->names[i], name) == 0)
			return regex_fail(parser, first, "two groups have this name");
	parser->at = close + 1;
	*ret = name;
	return 0;
}

static struct regex_node *new_group(struct regex_parser *parser, const char *name)
{
	struct regex_node *node = regex_new_node(parser, REGEX_GROUP);

	if (node == NULL)
		return NULL;
	node->group = parser->tree->groups++;
	parser->tree->names[node->group] = name;
	return node;
}

/* The inside of a group up to its ")". */
static struct regex_node *read_inside(struct regex_parser *parser, struct regex_node *group,
				      const char *open)
{
	struct regex_node *inside;

	if (++parser->nesting > REGEX_NESTING_MAX) {
		(void)regex_fail(parser, open, "nested too deeply");
		return NULL;
	}
	inside = read_alternation(parser);
	parser->nesting--;
	if (inside == NULL)
		return NULL;
	if (!regex_skip(parser, ")")) {
		(void)regex_fail(parser, open, "a group without its )");
		return NULL;
	}
	if (group == NULL)
		return inside;
	append(group, inside);
	group->nullable = inside->nullable;
	return group;
}

/* At "(". A group of flags alone is an empty node that nothing can repeat. */
static struct regex_node *read_group(struct regex_parser *parser)
{
	const char *open = parser->at++, *name = NULL;
	struct regex_flags outer = parser->flags;
	struct regex_node *group = NULL;

	if (regex_skip(parser, "?P<") || regex_skip(parser, "?<")) {
		if (read_name(parser, &name) < 0)
			return NULL;
	} else if (regex_skip(parser, "?")) {
		if (read_flags(parser) < 0)
			return NULL;
		if (regex_skip(parser, ")"))
			return regex_new_node(parser, REGEX_EMPTY);
		parser->at++;
		group = read_inside(parser, NULL, open);
		parser->flags = outer;
		return group;
	}
	group = new_group(parser, name);
	if (group == NULL)
		return NULL;
	group = read_inside(parser, group, open);
	parser->flags = outer;
	return group;
}

static struct regex_node *read_atom(struct regex_parser *parser)
{
	switch (parser->quoted ? 'x' : *parser->at) {
	case '(':
		return read_group(parser);
	case '[':
		return regex_read_class(parser);
	case '.':
		return regex_read_dot(parser);
	case '^':
		parser->at++;
		return assert_node(parser,
				   parser->flags.multiline ? REGEX_LINE_START : REGEX_TEXT_START);
	case '$':
		parser->at++;
		return assert_node(parser,
				   parser->flags.multiline ? REGEX_LINE_END : REGEX_TEXT_END);
	case '\\':
		return read_backslash(parser);
	default:
		return regex_read_literal(parser);
	}
}

static bool read_count(const char **at, uint32_t *ret)
{
	uint32_t number = 0;
	const char *first = *at;

	for (; **at >= '0' && **at <= '9'; (*at)++)
		number = number <= REGEX_REPEAT_MAX ? number * 10 + (uint32_t)(**at - '0') : number;
	*ret = number;
	return *at > first;
}

/* *, +, ?, {n}, {n,} and {n,m}. False: something else stands there; a { that counts nothing is a
 * character. */
static bool skip_repeat(struct regex_parser *parser, uint32_t *least, uint32_t *most)
{
	const char *at = parser->at;

	*least = *at == '+' ? 1 : 0;
	*most = *at == '?' ? 1 : REGEX_UNBOUNDED;
	if (*at == '*' || *at == '+' || *at == '?') {
		parser->at++;
		return true;
	}
	if (*at++ != '{' || !read_count(&at, least))
		return false;
	*most = *least;
	if (*at == ',') {
		at++;
		if (!read_count(&at, most))
			*most = REGEX_UNBOUNDED;
	}
	if (*at != '}')
		return false;
	parser->at = at + 1;
	return true;
}

/* Behind an atom: the atom, or its repetition. */
static struct regex_node *read_repeat(struct regex_parser *parser, struct regex_node *atom)
{
	const char *first = parser->at;
	struct regex_node *node;
	uint32_t least, most, again;
	bool lazy;

	if (parser->quoted || !skip_repeat(parser, &least, &most))
		return atom;
	if (least > REGEX_REPEAT_MAX ||
	    (most != REGEX_UNBOUNDED && (most > REGEX_REPEAT_MAX || most < least))) {
		(void)regex_fail(parser, first, "repeat counts are at most 1000 and go up");
		return NULL;
	}
	lazy = regex_skip(parser, "?");
	first = parser->at;
	if (skip_repeat(parser, &again, &again)) {
		(void)regex_fail(parser, first,
				 "a repetition of a repetition: put the first into (?:…)");
		return NULL;
	}
	node = regex_new_node(parser, REGEX_REPEAT);
	if (node == NULL)
		return NULL;
	append(node, atom);
	node->least = least;
	node->most = most;
	node->greedy = lazy == parser->flags.ungreedy;
	node->nullable = least == 0 || atom->nullable;
	return node;
}

/* \Q and \E where they stand between atoms. */
static bool skip_quote(struct regex_parser *parser)
{
	if (!regex_skip(parser, parser->quoted ? "\\E" : "\\Q"))
		return false;
	parser->quoted = !parser->quoted;
	return true;
}

static struct regex_node *read_piece(struct regex_parser *parser)
{
	const char *first = parser->at;
	struct regex_node *atom;
	uint32_t ignored;

	if (!parser->quoted && skip_repeat(parser, &ignored, &ignored)) {
		(void)regex_fail(parser, first, "nothing to repeat");
		return NULL;
	}
	atom = read_atom(parser);
	if (atom == NULL)
		return NULL;
	/* Flags alone: nothing to repeat, nothing to match. */
	if (atom->type == REGEX_EMPTY && parser->at[-1] == ')' && first[0] == '(' &&
	    first[1] == '?')
		return atom;
	/* In \Qab\E* the star is b's. */
	if (parser->quoted)
		(void)skip_quote(parser);
	return read_repeat(parser, atom);
}

static struct regex_node *read_concatenation(struct regex_parser *parser)
{
	struct regex_node *node = regex_new_node(parser, REGEX_CONCAT), *piece;

	if (node == NULL)
		return NULL;
	node->nullable = true;
	while (parser->at < parser->end &&
	       (parser->quoted || (*parser->at != '|' && *parser->at != ')'))) {
		if (skip_quote(parser))
			continue;
		piece = read_piece(parser);
		if (piece == NULL)
			return NULL;
		if (piece->type == REGEX_EMPTY)
			continue;
		append(node, piece);
		node->nullable = node->nullable && piece->nullable;
	}
	return node;
}

static struct regex_node *read_alternation(struct regex_parser *parser)
{
	struct regex_node *node = regex_new_node(parser, REGEX_ALTERNATE), *branch;

	if (node == NULL)
		return NULL;
	do {
		branch = read_concatenation(parser);
		if (branch == NULL)
			return NULL;
		append(node, branch);
		node->nullable = node->nullable || branch->nullable;
	} while (regex_skip(parser, "|"));
	return node;
}

static size_t count_byte(const char *text, char byte)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += *text == byte;
	return count;
}

int regex_parse(const char *pattern, struct regex_tree *tree, struct error *err)
{
	struct regex_parser parser = {
		.pattern = pattern, .at = pattern, .tree = tree, .err = err
	};
	size_t len = strnlen(pattern, REGEX_PATTERN_MAX + 1);
	struct regex_node *whole;

	if (len > REGEX_PATTERN_MAX)
		return error_set(err, ERROR_INVALID, "a regular expression of more than %zu bytes",
				 REGEX_PATTERN_MAX);
	if (!text_is_utf8(pattern, len))
		return error_set(err, ERROR_INVALID, "a regular expression that is not UTF-8");
	parser.end = pattern + len;
	tree->names = pool_alloc(tree->pool, (count_byte(pattern, '(') + 1) * sizeof(*tree->names));
	if (tree->names == NULL)
		return error_no_memory(err);
	whole = new_group(&parser, NULL);
	if (whole == NULL)
		return -1;
	tree->root = read_alternation(&parser);
	if (tree->root == NULL)
		return -1;
	if (parser.at != parser.end)
		return regex_fail(&parser, parser.at, "a ) without its (");
	append(whole, tree->root);
	tree->root = whole;
	return 0;
}
