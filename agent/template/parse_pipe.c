/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipelines: operands, commands, and what is declared. Which variables are known is settled here,
 * as in Go; which functions exist too, so that a template that cannot work is refused before it
 * runs.
 */
#include <string.h>

#include "agent/template/functions.h"
#include "agent/template/literal.h"
#include "agent/template/number.h"
#include "agent/template/parser.h"

/* ---- variables ---- */

static int declare(struct parser *parser, const struct token *token)
{
	struct name *name = parser_name(parser, parser_spelling(parser, token), token->len);

	if (name == NULL)
		return -1;
	name->next = parser->variables;
	parser->variables = name;
	return 0;
}

static bool is_declared(const struct parser *parser, const struct token *token)
{
	for (const struct name *name = parser->variables; name != NULL; name = name->next)
		if (name->len == token->len &&
		    memcmp(name->bytes, parser_spelling(parser, token), token->len) == 0)
			return true;
	return false;
}

/* ---- numbers ---- */

/* What Go's constants can be taken for: 1.0 also for an integer, 3 also for a float. */
static bool read_number(const char *text, size_t len, struct number *ret)
{
	const char *const marks = ".eEpP";

	ret->is_unsigned = number_read_unsigned(text, len, 0, &ret->unsigned_);
	ret->is_integer = number_read_integer(text, len, 0, &ret->integer);
	if (ret->is_integer && ret->integer == 0)
		ret->is_unsigned = true;
	for (size_t i = 0; i < len; i++)
		if (strchr(marks, text[i]) != NULL)
			ret->real_spelling = true;
	if (len > 2 && text[0] == '0' && (text[1] | 0x20) == 'x' &&
	    memchr(text, 'p', len) == NULL && memchr(text, 'P', len) == NULL)
		ret->real_spelling = false;
	if (ret->is_integer || ret->is_unsigned) {
		ret->real = ret->is_integer ? (double)ret->integer : (double)ret->unsigned_;
		ret->is_real = true;
		return true;
	}
	if (!ret->real_spelling || !number_read_real(text, len, &ret->real))
		return false;
	ret->is_real = true;
	if (ret->real >= -0x1p63 && ret->real < 0x1p63 && (double)(int64_t)ret->real == ret->real) {
		ret->is_integer = true;
		ret->integer = (int64_t)ret->real;
	}
	if (ret->real >= 0 && ret->real < 0x1p64 && (double)(uint64_t)ret->real == ret->real) {
		ret->is_unsigned = true;
		ret->unsigned_ = (uint64_t)ret->real;
	}
	return true;
}

static int parse_number(struct parser *parser, const struct token *token, struct node *node)
{
	const char *text = parser_spelling(parser, token);
	struct number *number = &node->number;
	uint32_t character;

	if (token->type == TOKEN_COMPLEX || text[token->len - 1] == 'i')
		return parser_fail(parser, token, "complex numbers are not supported");
	if (token->type == TOKEN_NUMBER)
		return read_number(text, token->len, number)
			       ? 0
			       : parser_fail(parser, token,
					     "this is no number, or it is too large");
	if (!literal_character(text, token->len, &character))
		return parser_fail(parser, token, "this is no single character");
	*number = (struct number){
		.is_integer = true,
		.is_unsigned = true,
		.is_real = true,
		.integer = character,
		.unsigned_ = character,
		.real = character,
	};
	return 0;
}

/* ---- operands ---- */

static int parse_function(struct parser *parser, const struct token *token, struct node *node)
{
	const char *name = parser_spelling(parser, token);
	const char *reason;

	node->function = function_find(name, token->len);
	if (node->function != NULL)
		return 0;
	reason = function_refusal(name, token->len);
	if (reason != NULL)
		return tree_fail(parser->tree, token->at, parser->err,
				 "the function '%.*s' is not supported: %s", (int)token->len, name,
				 reason);
	return tree_fail(parser->tree, token->at, parser->err, "there is no function '%.*s'",
			 (int)token->len, name);
}

static int parse_paren(struct parser *parser, const struct token *token, struct node *node)
{
	if (parser_enter(parser, token) < 0 ||
	    parser_pipe(parser, "a parenthesis", TOKEN_RIGHT_PAREN, &node->pipe) < 0)
		return -1;
	parser->nesting--;
	return 0;
}

static const enum node_type term_types[] = {
	[TOKEN_IDENTIFIER] = NODE_FUNCTION,
	[TOKEN_DOT] = NODE_DOT,
	[TOKEN_NIL] = NODE_NIL,
	[TOKEN_VARIABLE] = NODE_VARIABLE,
	[TOKEN_FIELD] = NODE_FIELD,
	[TOKEN_BOOL] = NODE_BOOL,
	[TOKEN_CONSTANT] = NODE_NUMBER,
	[TOKEN_COMPLEX] = NODE_NUMBER,
	[TOKEN_NUMBER] = NODE_NUMBER,
	[TOKEN_LEFT_PAREN] = NODE_PIPE,
	[TOKEN_STRING] = NODE_STRING,
	[TOKEN_RAW_STRING] = NODE_STRING,
};

static bool begins_term(const struct token *token)
{
	return token->type < ARRAY_SIZE(term_types) && term_types[token->type] != NODE_TEXT;
}

static int fill_term(struct parser *parser, const struct token *token, struct node *node)
{
	switch ((int)node->type) {
	case NODE_FUNCTION:
		return parse_function(parser, token, node);
	case NODE_VARIABLE:
		if (!is_declared(parser, token))
			return tree_fail(parser->tree, token->at, parser->err,
					 "the variable %.*s is not declared here", (int)token->len,
					 parser_spelling(parser, token));
		node->variable = parser_name(parser, parser_spelling(parser, token), token->len);
		return node->variable != NULL ? 0 : -1;
	case NODE_FIELD:
		node->fields =
			parser_name(parser, parser_spelling(parser, token) + 1, token->len - 1);
		return node->fields != NULL ? 0 : -1;
	case NODE_BOOL:
		node->truth = token->len == strlen("true");
		return 0;
	case NODE_NUMBER:
		return parse_number(parser, token, node);
	case NODE_PIPE:
		return parse_paren(parser, token, node);
	case NODE_STRING:
		return parser_string(parser, token, &node->text);
	default:
		return 0;
	}
}

/* The fields behind a term, without white space between. */
static int parse_fields(struct parser *parser, struct node **term)
{
	struct node *node = *term;
	struct name **end;

	if (parser_peek(parser)->type != TOKEN_FIELD)
		return 0;
	if (node->type == NODE_BOOL || node->type == NODE_STRING || node->type == NODE_NUMBER ||
	    node->type == NODE_NIL || node->type == NODE_DOT)
		return parser_fail(parser, parser_peek(parser), "this value has no fields");
	if (node->type != NODE_FIELD && node->type != NODE_VARIABLE) {
		node = parser_node(parser, NODE_CHAIN, parser_peek(parser));
		if (node == NULL)
			return -1;
		node->base = *term;
		*term = node;
	}
	for (end = &node->fields; *end != NULL;)
		end = &(*end)->next;
	while (parser_peek(parser)->type == TOKEN_FIELD) {
		const struct token *token = parser_next(parser);

		*end = parser_name(parser, parser_spelling(parser, token) + 1, token->len - 1);
		if (*end == NULL)
			return -1;
		end = &(*end)->next;
	}
	return 0;
}

/* Leaves *ret NULL where no operand stands. */
static int parse_operand(struct parser *parser, struct node **ret)
{
	const struct token *token = parser_peek_visible(parser);

	*ret = NULL;
	if (!begins_term(token))
		return 0;
	(void)parser_next(parser);
	*ret = parser_node(parser, term_types[token->type], token);
	if (*ret == NULL || fill_term(parser, token, *ret) < 0)
		return -1;
	return parse_fields(parser, ret);
}

/* ---- pipelines ---- */

static int parse_command(struct parser *parser, struct command **ret)
{
	struct command *command = region_alloc(parser->tree->region, sizeof(*command));
	const struct token *first = parser_peek_visible(parser);
	struct node **end;

	if (command == NULL)
		return parser_no_memory(parser);
	end = &command->operands;
	for (;;) {
		const struct token *token;

		if (parse_operand(parser, end) < 0)
			return -1;
		if (*end != NULL) {
			end = &(*end)->next;
			command->count++;
		}
		token = parser_peek(parser);
		if (token->type == TOKEN_RIGHT || token->type == TOKEN_RIGHT_PAREN)
			break;
		(void)parser_next(parser);
		if (token->type == TOKEN_PIPE)
			break;
		if (token->type != TOKEN_SPACE)
			return parser_unexpected(parser, token, "an operand");
	}
	if (command->count == 0)
		return parser_fail(parser, first, "a command is missing");
	*ret = command;
	return 0;
}

/* `$x :=`, `$x =`, and in a range `$i, $x :=`. Takes nothing where no variable is declared. */
static int parse_declarations(struct parser *parser, const char *context, struct pipe *pipe)
{
	struct name **end = &pipe->variables;

	for (;;) {
		const struct token *variable = parser_peek_visible(parser);
		size_t start = parser->at;
		const struct token *after;
		bool comma;

		if (variable->type != TOKEN_VARIABLE)
			return 0;
		(void)parser_next(parser);
		after = parser_peek_visible(parser);
		comma = after->type == TOKEN_CHAR && *parser_spelling(parser, after) == ',';
		if (after->type != TOKEN_ASSIGN && after->type != TOKEN_DECLARE && !comma) {
			parser->at = start;
			return 0;
		}
		(void)parser_next(parser);
		*end = parser_name(parser, parser_spelling(parser, variable), variable->len);
		if (*end == NULL || declare(parser, variable) < 0)
			return -1;
		end = &(*end)->next;
		pipe->variable_count++;
		pipe->assigns = after->type == TOKEN_ASSIGN;
		if (!comma)
			return 0;
		if (strcmp(context, "range") != 0 || pipe->variable_count >= 2)
			return parser_fail(parser, after, "too many variables are declared here");
		after = parser_peek_visible(parser);
		if (after->type != TOKEN_VARIABLE && after->type != TOKEN_RIGHT &&
		    after->type != TOKEN_RIGHT_PAREN)
			return parser_fail(parser, after,
					   "a range can declare nothing but variables");
	}
}

/* Only the first command may be a value; into the others something is piped. */
static int check_pipe(struct parser *parser, const struct pipe *pipe, const struct token *end,
		      const char *context)
{
	const struct command *command = pipe->commands;

	if (command == NULL)
		return tree_fail(parser->tree, end->at, parser->err,
				 "the value for '%s' is missing", context);
	for (command = command->next; command != NULL; command = command->next) {
		enum node_type type = command->operands->type;

		if (type == NODE_BOOL || type == NODE_DOT || type == NODE_NIL ||
		    type == NODE_NUMBER || type == NODE_STRING)
			return tree_fail(parser->tree, command->operands->at, parser->err,
					 "nothing can be piped into a value");
	}
	return 0;
}

int parser_pipe(struct parser *parser, const char *context, enum token_type last, struct pipe **ret)
{
	struct pipe *pipe = region_alloc(parser->tree->region, sizeof(*pipe));
	struct command **end;

	if (pipe == NULL)
		return parser_no_memory(parser);
	end = &pipe->commands;
	if (parse_declarations(parser, context, pipe) < 0)
		return -1;
	for (;;) {
		const struct token *token = parser_peek_visible(parser);

		if (token->type == last) {
			(void)parser_next(parser);
			*ret = pipe;
			return check_pipe(parser, pipe, token, context);
		}
		if (!begins_term(token))
			return parser_unexpected(parser, token, context);
		if (parse_command(parser, end) < 0)
			return -1;
		end = &(*end)->next;
	}
}
