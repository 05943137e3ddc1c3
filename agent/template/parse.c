/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From tokens to a tree, by descent: texts, actions, controls, definitions.
 */
#include <string.h>

#include "agent/base/text.h"
#include "agent/template/parser.h"
#include "agent/template/unicode.h"

/* What ends a list of nodes. */
enum list_end { LIST_END, LIST_ELSE };

static int parse_list(struct parser *parser, struct node **ret, enum list_end *end);

/* ---- definitions ---- */

static bool is_blank(const struct node *body)
{
	for (const struct node *node = body; node != NULL; node = node->next) {
		const char *at = node->text.bytes, *end = at + node->text.len;
		uint32_t character;

		if (node->type != NODE_TEXT)
			return false;
		while (at < end) {
			size_t len = text_read_character(at, (size_t)(end - at), &character);

			if (len == 0 || !unicode_is_space(character))
				return false;
			at += len;
		}
	}
	return true;
}

/* One that is blank gives way to another of its name; two that are not collide. */
static int add_definition(struct parser *parser, const struct name *name, struct node *body,
			  const struct token *token)
{
	struct definition *definition;

	for (definition = parser->tree->definitions; definition != NULL;
	     definition = definition->next) {
		if (definition->name.len != name->len ||
		    (name->len > 0 && memcmp(definition->name.bytes, name->bytes, name->len) != 0))
			continue;
		if (is_blank(definition->body))
			definition->body = body;
		else if (!is_blank(body))
			return tree_fail(parser->tree, token->at, parser->err,
					 "the template '%.*s' is defined twice", (int)name->len,
					 name->bytes);
		return 0;
	}
	definition = region_alloc(parser->tree->region, sizeof(*definition));
	if (definition == NULL)
		return parser_no_memory(parser);
	definition->name = *name;
	definition->body = body;
	definition->next = parser->tree->definitions;
	parser->tree->definitions = definition;
	return 0;
}

/* The body of a define or block, in which only $ is known. */
static int parse_definition(struct parser *parser, const struct name *name,
			    const struct token *token)
{
	struct name root = { .bytes = "$", .len = 1 };
	struct name *outer = parser->variables;
	unsigned ranges = parser->ranges;
	struct node *body;
	enum list_end end;

	parser->variables = &root;
	parser->ranges = 0;
	if (parser_enter(parser, token) < 0 || parse_list(parser, &body, &end) < 0)
		return -1;
	if (end != LIST_END)
		return parser_fail(parser, token, "this definition is not closed by {{end}}");
	parser->nesting--;
	parser->variables = outer;
	parser->ranges = ranges;
	return add_definition(parser, name, body, token);
}

static int parse_name(struct parser *parser, struct name *ret, const char *context)
{
	const struct token *token = parser_next_visible(parser);

	if (token->type != TOKEN_STRING && token->type != TOKEN_RAW_STRING)
		return parser_unexpected(parser, token, context);
	return parser_string(parser, token, ret);
}

static int parse_define(struct parser *parser, const struct token *token)
{
	struct name name = { 0 };

	if (parse_name(parser, &name, "{{define}}") < 0 ||
	    parser_expect(parser, TOKEN_RIGHT, "{{define}}") < 0)
		return -1;
	return parse_definition(parser, &name, token);
}

/* ---- actions ---- */

static int parse_control(struct parser *parser, struct node *node, const struct token *token);

/* After {{else: the rest of the tag, or an if (in an if) and a with (in a with) without a tag of
 * its own. */
static int parse_else(struct parser *parser, struct node *node)
{
	const struct token *token = parser_peek(parser);
	bool chained = (node->type == NODE_IF && token->type == TOKEN_IF) ||
		       (node->type == NODE_WITH && token->type == TOKEN_WITH);
	enum list_end end;

	node->control.has_else = true;
	if (chained) {
		(void)parser_next(parser);
		node->control.otherwise = parser_node(parser, node->type, token);
		if (node->control.otherwise == NULL)
			return -1;
		return parse_control(parser, node->control.otherwise, token);
	}
	if (parse_list(parser, &node->control.otherwise, &end) < 0)
		return -1;
	return end == LIST_END
		       ? 0
		       : parser_fail(parser, token, "after this {{else}} an {{end}} is due");
}

static const char *control_name(const struct node *node)
{
	return node->type == NODE_IF ? "if" : node->type == NODE_WITH ? "with" : "range";
}

static int parse_control(struct parser *parser, struct node *node, const struct token *token)
{
	struct name *outer = parser->variables;
	unsigned in_range = node->type == NODE_RANGE ? 1 : 0;
	enum list_end end;

	if (parser_enter(parser, token) < 0 ||
	    parser_pipe(parser, control_name(node), TOKEN_RIGHT, &node->control.pipe) < 0)
		return -1;
	parser->ranges += in_range;
	if (parse_list(parser, &node->control.body, &end) < 0)
		return -1;
	parser->ranges -= in_range;
	if (end == LIST_ELSE && parse_else(parser, node) < 0)
		return -1;
	parser->variables = outer;
	parser->nesting--;
	return 0;
}

static int parse_jump(struct parser *parser, const struct token *token)
{
	if (parser_expect(parser, TOKEN_RIGHT, "{{break}} or {{continue}}") < 0)
		return -1;
	return parser->ranges > 0 ? 0 : parser_fail(parser, token, "this stands in no {{range}}");
}

static int parse_template(struct parser *parser, struct node *node)
{
	if (parse_name(parser, &node->name, "{{template}}") < 0)
		return -1;
	if (parser_peek_visible(parser)->type == TOKEN_RIGHT) {
		(void)parser_next(parser);
		return 0;
	}
	return parser_pipe(parser, "template", TOKEN_RIGHT, &node->argument);
}

static int parse_block(struct parser *parser, struct node *node, const struct token *token)
{
	if (parse_name(parser, &node->name, "{{block}}") < 0 ||
	    parser_pipe(parser, "block", TOKEN_RIGHT, &node->argument) < 0)
		return -1;
	return parse_definition(parser, &node->name, token);
}

static const enum node_type action_types[] = {
	[TOKEN_BLOCK] = NODE_TEMPLATE,	  [TOKEN_BREAK] = NODE_BREAK,
	[TOKEN_CONTINUE] = NODE_CONTINUE, [TOKEN_IF] = NODE_IF,
	[TOKEN_RANGE] = NODE_RANGE,	  [TOKEN_TEMPLATE] = NODE_TEMPLATE,
	[TOKEN_WITH] = NODE_WITH,	  [TOKEN_END_WORD] = NODE_TEXT,
};

static int fill_action(struct parser *parser, struct node *node, const struct token *token)
{
	switch ((int)token->type) {
	case TOKEN_BLOCK:
		return parse_block(parser, node, token);
	case TOKEN_BREAK:
	case TOKEN_CONTINUE:
		return parse_jump(parser, token);
	case TOKEN_IF:
	case TOKEN_RANGE:
	case TOKEN_WITH:
		return parse_control(parser, node, token);
	case TOKEN_TEMPLATE:
		return parse_template(parser, node);
	default:
		return parser_pipe(parser, "an action", TOKEN_RIGHT, &node->pipe);
	}
}

/* {{end}} and {{else}}: returns 1 when the token is one, with *end set. The rest of an `else if`
 * stays for parse_else. */
static int parse_list_end(struct parser *parser, enum list_end *end)
{
	const struct token *token = parser_peek_visible(parser);

	if (token->type == TOKEN_END_WORD) {
		(void)parser_next(parser);
		*end = LIST_END;
		return parser_expect(parser, TOKEN_RIGHT, "{{end}}") < 0 ? -1 : 1;
	}
	if (token->type != TOKEN_ELSE)
		return 0;
	(void)parser_next(parser);
	*end = LIST_ELSE;
	token = parser_peek_visible(parser);
	if (token->type == TOKEN_IF || token->type == TOKEN_WITH)
		return 1;
	return parser_expect(parser, TOKEN_RIGHT, "{{else}}") < 0 ? -1 : 1;
}

static int parse_action(struct parser *parser, struct node **ret)
{
	const struct token *token = parser_peek_visible(parser);
	enum node_type type = NODE_ACTION;
	struct node *node;

	if (token->type < ARRAY_SIZE(action_types) && action_types[token->type] != NODE_TEXT) {
		type = action_types[token->type];
		(void)parser_next(parser);
	}
	node = parser_node(parser, type, token);
	if (node == NULL || fill_action(parser, node, token) < 0)
		return -1;
	*ret = node;
	return 0;
}

static int parse_text(struct parser *parser, const struct token *token, struct node **ret)
{
	struct node *node = parser_node(parser, NODE_TEXT, token);

	if (node == NULL)
		return -1;
	node->text = (struct name){ .bytes = parser_spelling(parser, token), .len = token->len };
	*ret = node;
	return 0;
}

/* Nodes until {{end}}, {{else}} or the end of the text. */
static int parse_list(struct parser *parser, struct node **ret, enum list_end *end)
{
	struct node **last = ret;

	*ret = NULL;
	for (;;) {
		const struct token *token = parser_next_visible(parser);
		int ended = 0;

		if (token->type == TOKEN_TEXT) {
			if (parse_text(parser, token, last) < 0)
				return -1;
		} else if (token->type == TOKEN_LEFT) {
			ended = parse_list_end(parser, end);
			if (ended != 0)
				return ended < 0 ? -1 : 0;
			if (parse_action(parser, last) < 0)
				return -1;
		} else {
			return parser_unexpected(parser, token, "a block that is open");
		}
		last = &(*last)->next;
	}
}

/* The text itself: nodes and definitions until it ends. */
static int parse_all(struct parser *parser)
{
	struct name nameless = { .bytes = "", .len = 0 };
	const struct token *token = parser_peek_visible(parser);
	struct node *root = NULL, **last = &root;
	enum list_end end;
	int ended;

	for (; token->type != TOKEN_END; token = parser_peek_visible(parser)) {
		(void)parser_next(parser);
		if (token->type == TOKEN_TEXT) {
			if (parse_text(parser, token, last) < 0)
				return -1;
			last = &(*last)->next;
			continue;
		}
		if (token->type != TOKEN_LEFT)
			return parser_unexpected(parser, token, "the text");
		token = parser_peek_visible(parser);
		if (token->type == TOKEN_DEFINE) {
			(void)parser_next(parser);
			if (parse_define(parser, token) < 0)
				return -1;
			continue;
		}
		ended = parse_list_end(parser, &end);
		if (ended != 0)
			return ended < 0 ? -1
					 : parser_fail(parser, token, "there is nothing open here");
		if (parse_action(parser, last) < 0)
			return -1;
		last = &(*last)->next;
	}
	return add_definition(parser, &nameless, root, token);
}

int tree_parse(struct tree *tree, const char *left, const char *right, struct error *err)
{
	struct name root = { .bytes = "$", .len = 1 };
	struct parser parser = { .tree = tree, .variables = &root, .err = err };

	if (lex(tree->region, tree->text, tree->len, left, right, &parser.lexed) < 0)
		return parser_no_memory(&parser);
	return parse_all(&parser);
}
