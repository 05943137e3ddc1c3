/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/template/parser.h"

#include "agent/template/literal.h"

/* ---- tokens ---- */

const struct token *parser_peek(const struct parser *parser)
{
	return &parser->lexed.tokens[parser->at];
}

const struct token *parser_next(struct parser *parser)
{
	const struct token *token = parser_peek(parser);

	if (parser->at + 1 < parser->lexed.count)
		parser->at++;
	return token;
}

const struct token *parser_peek_visible(struct parser *parser)
{
	while (parser_peek(parser)->type == TOKEN_SPACE)
		(void)parser_next(parser);
	return parser_peek(parser);
}

const struct token *parser_next_visible(struct parser *parser)
{
	(void)parser_peek_visible(parser);
	return parser_next(parser);
}

const char *parser_spelling(const struct parser *parser, const struct token *token)
{
	return parser->tree->text + token->at;
}

/* ---- errors ---- */

int parser_fail(const struct parser *parser, const struct token *token, const char *what)
{
	return tree_fail(parser->tree, token->at, parser->err, "%s", what);
}

int parser_unexpected(const struct parser *parser, const struct token *token, const char *context)
{
	enum { SHOWN_MAX = 30 };
	size_t len = token->len < SHOWN_MAX ? token->len : SHOWN_MAX;

	if (token->type == TOKEN_ERROR)
		return parser_fail(parser, token, parser->lexed.problem);
	if (token->type == TOKEN_END)
		return tree_fail(parser->tree, token->at, parser->err,
				 "the text ends in %s; is an {{end}} missing?", context);
	return tree_fail(parser->tree, token->at, parser->err, "unexpected '%.*s' in %s", (int)len,
			 parser_spelling(parser, token), context);
}

int parser_no_memory(const struct parser *parser)
{
	return error_set(parser->err, ERROR_EXHAUSTED, "%s: the template is too large",
			 parser->tree->name);
}

int parser_enter(struct parser *parser, const struct token *token)
{
	if (parser->nesting == TEMPLATE_NESTING_MAX)
		return tree_fail(parser->tree, token->at, parser->err,
				 "nested more than %d levels deep", TEMPLATE_NESTING_MAX);
	parser->nesting++;
	return 0;
}

int parser_expect(struct parser *parser, enum token_type type, const char *context)
{
	const struct token *token = parser_next_visible(parser);

	return token->type == type ? 0 : parser_unexpected(parser, token, context);
}

/* ---- nodes ---- */

struct node *parser_node(struct parser *parser, enum node_type type, const struct token *token)
{
	struct node *node = region_alloc(parser->tree->region, sizeof(*node));

	if (node == NULL) {
		(void)parser_no_memory(parser);
		return NULL;
	}
	node->type = type;
	node->at = token->at;
	return node;
}

struct name *parser_name(struct parser *parser, const char *bytes, size_t len)
{
	struct name *name = region_alloc(parser->tree->region, sizeof(*name));

	if (name == NULL) {
		(void)parser_no_memory(parser);
		return NULL;
	}
	*name = (struct name){ .bytes = bytes, .len = len };
	return name;
}

int parser_string(struct parser *parser, const struct token *token, struct name *ret)
{
	if (literal_string(parser->tree->region, parser_spelling(parser, token), token->len,
			   &ret->bytes, &ret->len))
		return 0;
	return parser->tree->region->failed
		       ? parser_no_memory(parser)
		       : parser_fail(parser, token, "an escape in the string is wrong");
}
