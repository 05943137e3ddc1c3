/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From tokens to a tree, by descent. Which variables are known is settled here, as in Go; which
 * functions exist too, so that a template that cannot work is refused before it runs.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/template/functions.h"
#include "agent/template/lex.h"
#include "agent/template/literal.h"
#include "agent/template/number.h"
#include "agent/template/tree.h"
#include "agent/template/unicode.h"

struct parser {
	struct tree *tree;
	struct lexed lexed;
	size_t at;		/* the next token */
	struct name *variables; /* known here, the latest first; "$" is the last */
	unsigned ranges;	/* that are open, for break and continue */
	unsigned nesting;
	struct error *err;
};

/* What ends a list of nodes. */
enum list_end { LIST_END, LIST_ELSE, LIST_TEXT_END };

static int parse_list(struct parser *parser, struct node **ret, enum list_end *end);
static int parse_pipe(struct parser *parser, const char *context, enum token_type last,
		      struct pipe **ret);

/* ---- tokens ---- */

static const struct token *peek(const struct parser *parser)
{
	return &parser->lexed.tokens[parser->at];
}

/* The last token, an end or an error, is never passed. */
static const struct token *next(struct parser *parser)
{
	const struct token *token = peek(parser);

	if (parser->at + 1 < parser->lexed.count)
		parser->at++;
	return token;
}

static const struct token *peek_visible(struct parser *parser)
{
	while (peek(parser)->type == TOKEN_SPACE)
		(void)next(parser);
	return peek(parser);
}

static const struct token *next_visible(struct parser *parser)
{
	(void)peek_visible(parser);
	return next(parser);
}

static const char *spelling(const struct parser *parser, const struct token *token)
{
	return parser->tree->text + token->at;
}

/* ---- errors ---- */

static int fail(const struct parser *parser, const struct token *token, const char *what)
{
	return tree_fail(parser->tree, token->at, parser->err, "%s", what);
}

static int unexpected(const struct parser *parser, const struct token *token, const char *context)
{
	enum { SHOWN_MAX = 30 };
	size_t len = token->len < SHOWN_MAX ? token->len : SHOWN_MAX;

	if (token->type == TOKEN_ERROR)
		return fail(parser, token, parser->lexed.problem);
	if (token->type == TOKEN_END)
		return tree_fail(parser->tree, token->at, parser->err,
				 "the text ends in %s; is an {{end}} missing?", context);
	return tree_fail(parser->tree, token->at, parser->err, "unexpected '%.*s' in %s", (int)len,
			 spelling(parser, token), context);
}

static int no_memory(const struct parser *parser)
{
	return error_set(parser->err, ERROR_EXHAUSTED, "%s: the template is too large",
			 parser->tree->name);
}

static int enter(struct parser *parser, const struct token *token)
{
	if (parser->nesting == TEMPLATE_NESTING_MAX)
		return tree_fail(parser->tree, token->at, parser->err,
				 "nested more than %d levels deep", TEMPLATE_NESTING_MAX);
	parser->nesting++;
	return 0;
}

static int expect(struct parser *parser, enum token_type type, const char *context)
{
	const struct token *token = next_visible(parser);

	return token->type == type ? 0 : unexpected(parser, token, context);
}

/* ---- nodes ---- */

static struct node *node_new(struct parser *parser, enum node_type type, const struct token *token)
{
	struct node *node = region_alloc(parser->tree->region, sizeof(*node));

	if (node == NULL) {
		(void)no_memory(parser);
		return NULL;
	}
	node->type = type;
	node->at = token->at;
	return node;
}

static struct name *name_new(struct parser *parser, const char *bytes, size_t len)
{
	struct name *name = region_alloc(parser->tree->region, sizeof(*name));

	if (name == NULL) {
		(void)no_memory(parser);
		return NULL;
	}
	*name = (struct name){ .bytes = bytes, .len = len };
	return name;
}

static int declare(struct parser *parser, const struct token *token)
{
	struct name *name = name_new(parser, spelling(parser, token), token->len);

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
		    memcmp(name->bytes, spelling(parser, token), token->len) == 0)
			return true;
	return false;
}

static int read_string(struct parser *parser, const struct token *token, struct name *ret)
{
	if (literal_string(parser->tree->region, spelling(parser, token), token->len, &ret->bytes,
			   &ret->len))
		return 0;
	return parser->tree->region->failed
		       ? no_memory(parser)
		       : fail(parser, token, "an escape in the string is wrong");
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
	const char *text = spelling(parser, token);
	struct number *number = &node->number;
	uint32_t character;

	if (token->type == TOKEN_COMPLEX || text[token->len - 1] == 'i')
		return fail(parser, token, "complex numbers are not supported");
	if (token->type == TOKEN_NUMBER)
		return read_number(text, token->len, number)
			       ? 0
			       : fail(parser, token, "this is no number, or it is too large");
	if (!literal_character(text, token->len, &character))
		return fail(parser, token, "this is no single character");
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
	const char *name = spelling(parser, token);
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
	if (enter(parser, token) < 0 ||
	    parse_pipe(parser, "a parenthesis", TOKEN_RIGHT_PAREN, &node->pipe) < 0)
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
					 spelling(parser, token));
		node->variable = name_new(parser, spelling(parser, token), token->len);
		return node->variable != NULL ? 0 : -1;
	case NODE_FIELD:
		node->fields = name_new(parser, spelling(parser, token) + 1, token->len - 1);
		return node->fields != NULL ? 0 : -1;
	case NODE_BOOL:
		node->truth = token->len == strlen("true");
		return 0;
	case NODE_NUMBER:
		return parse_number(parser, token, node);
	case NODE_PIPE:
		return parse_paren(parser, token, node);
	case NODE_STRING:
		return read_string(parser, token, &node->text);
	default:
		return 0;
	}
}

/* The fields behind a term, without white space between. */
static int parse_fields(struct parser *parser, struct node **term)
{
	struct node *node = *term;
	struct name **end;

	if (peek(parser)->type != TOKEN_FIELD)
		return 0;
	if (node->type == NODE_BOOL || node->type == NODE_STRING || node->type == NODE_NUMBER ||
	    node->type == NODE_NIL || node->type == NODE_DOT)
		return fail(parser, peek(parser), "this value has no fields");
	if (node->type != NODE_FIELD && node->type != NODE_VARIABLE) {
		node = node_new(parser, NODE_CHAIN, peek(parser));
		if (node == NULL)
			return -1;
		node->base = *term;
		*term = node;
	}
	for (end = &node->fields; *end != NULL;)
		end = &(*end)->next;
	while (peek(parser)->type == TOKEN_FIELD) {
		const struct token *token = next(parser);

		*end = name_new(parser, spelling(parser, token) + 1, token->len - 1);
		if (*end == NULL)
			return -1;
		end = &(*end)->next;
	}
	return 0;
}

/* Leaves *ret NULL where no operand stands. */
static int parse_operand(struct parser *parser, struct node **ret)
{
	const struct token *token = peek_visible(parser);

	*ret = NULL;
	if (!begins_term(token))
		return 0;
	(void)next(parser);
	*ret = node_new(parser, term_types[token->type], token);
	if (*ret == NULL || fill_term(parser, token, *ret) < 0)
		return -1;
	return parse_fields(parser, ret);
}

/* ---- pipelines ---- */

static int parse_command(struct parser *parser, struct command **ret)
{
	struct command *command = region_alloc(parser->tree->region, sizeof(*command));
	const struct token *first = peek_visible(parser);
	struct node **end;

	if (command == NULL)
		return no_memory(parser);
	end = &command->operands;
	for (;;) {
		const struct token *token;

		if (parse_operand(parser, end) < 0)
			return -1;
		if (*end != NULL) {
			end = &(*end)->next;
			command->count++;
		}
		token = peek(parser);
		if (token->type == TOKEN_RIGHT || token->type == TOKEN_RIGHT_PAREN)
			break;
		(void)next(parser);
		if (token->type == TOKEN_PIPE)
			break;
		if (token->type != TOKEN_SPACE)
			return unexpected(parser, token, "an operand");
	}
	if (command->count == 0)
		return fail(parser, first, "a command is missing");
	*ret = command;
	return 0;
}

/* `$x :=`, `$x =`, and in a range `$i, $x :=`. Takes nothing where no variable is declared. */
static int parse_declarations(struct parser *parser, const char *context, struct pipe *pipe)
{
	struct name **end = &pipe->variables;

	for (;;) {
		const struct token *variable = peek_visible(parser);
		size_t start = parser->at;
		const struct token *after;
		bool comma;

		if (variable->type != TOKEN_VARIABLE)
			return 0;
		(void)next(parser);
		after = peek_visible(parser);
		comma = after->type == TOKEN_CHAR && *spelling(parser, after) == ',';
		if (after->type != TOKEN_ASSIGN && after->type != TOKEN_DECLARE && !comma) {
			parser->at = start;
			return 0;
		}
		(void)next(parser);
		*end = name_new(parser, spelling(parser, variable), variable->len);
		if (*end == NULL || declare(parser, variable) < 0)
			return -1;
		end = &(*end)->next;
		pipe->variable_count++;
		pipe->assigns = after->type == TOKEN_ASSIGN;
		if (!comma)
			return 0;
		if (strcmp(context, "range") != 0 || pipe->variable_count >= 2)
			return fail(parser, after, "too many variables are declared here");
		after = peek_visible(parser);
		if (after->type != TOKEN_VARIABLE && after->type != TOKEN_RIGHT &&
		    after->type != TOKEN_RIGHT_PAREN)
			return fail(parser, after, "a range can declare nothing but variables");
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

static int parse_pipe(struct parser *parser, const char *context, enum token_type last,
		      struct pipe **ret)
{
	struct pipe *pipe = region_alloc(parser->tree->region, sizeof(*pipe));
	struct command **end;

	if (pipe == NULL)
		return no_memory(parser);
	end = &pipe->commands;
	if (parse_declarations(parser, context, pipe) < 0)
		return -1;
	for (;;) {
		const struct token *token = peek_visible(parser);

		if (token->type == last) {
			(void)next(parser);
			*ret = pipe;
			return check_pipe(parser, pipe, token, context);
		}
		if (!begins_term(token))
			return unexpected(parser, token, context);
		if (parse_command(parser, end) < 0)
			return -1;
		end = &(*end)->next;
	}
}

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
		return no_memory(parser);
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
	if (enter(parser, token) < 0 || parse_list(parser, &body, &end) < 0)
		return -1;
	if (end != LIST_END)
		return fail(parser, token, "this definition is not closed by {{end}}");
	parser->nesting--;
	parser->variables = outer;
	parser->ranges = ranges;
	return add_definition(parser, name, body, token);
}

static int parse_name(struct parser *parser, struct name *ret, const char *context)
{
	const struct token *token = next_visible(parser);

	if (token->type != TOKEN_STRING && token->type != TOKEN_RAW_STRING)
		return unexpected(parser, token, context);
	return read_string(parser, token, ret);
}

static int parse_define(struct parser *parser, const struct token *token)
{
	struct name name = { 0 };

	if (parse_name(parser, &name, "{{define}}") < 0 ||
	    expect(parser, TOKEN_RIGHT, "{{define}}") < 0)
		return -1;
	return parse_definition(parser, &name, token);
}

/* ---- actions ---- */

static int parse_control(struct parser *parser, struct node *node, const struct token *token);

/* After {{else: the rest of the tag, or an if (in an if) and a with (in a with) without a tag of
 * its own. */
static int parse_else(struct parser *parser, struct node *node)
{
	const struct token *token = peek(parser);
	bool chained = (node->type == NODE_IF && token->type == TOKEN_IF) ||
		       (node->type == NODE_WITH && token->type == TOKEN_WITH);
	enum list_end end;

	node->control.has_else = true;
	if (chained) {
		(void)next(parser);
		node->control.otherwise = node_new(parser, node->type, token);
		if (node->control.otherwise == NULL)
			return -1;
		return parse_control(parser, node->control.otherwise, token);
	}
	if (parse_list(parser, &node->control.otherwise, &end) < 0)
		return -1;
	return end == LIST_END ? 0 : fail(parser, token, "after this {{else}} an {{end}} is due");
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

	if (enter(parser, token) < 0 ||
	    parse_pipe(parser, control_name(node), TOKEN_RIGHT, &node->control.pipe) < 0)
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
	if (expect(parser, TOKEN_RIGHT, "{{break}} or {{continue}}") < 0)
		return -1;
	return parser->ranges > 0 ? 0 : fail(parser, token, "this stands in no {{range}}");
}

static int parse_template(struct parser *parser, struct node *node)
{
	if (parse_name(parser, &node->name, "{{template}}") < 0)
		return -1;
	if (peek_visible(parser)->type == TOKEN_RIGHT) {
		(void)next(parser);
		return 0;
	}
	return parse_pipe(parser, "template", TOKEN_RIGHT, &node->argument);
}

static int parse_block(struct parser *parser, struct node *node, const struct token *token)
{
	if (parse_name(parser, &node->name, "{{block}}") < 0 ||
	    parse_pipe(parser, "block", TOKEN_RIGHT, &node->argument) < 0)
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
		return parse_pipe(parser, "an action", TOKEN_RIGHT, &node->pipe);
	}
}

/* {{end}} and {{else}}: returns 1 when the token is one, with *end set. The rest of an `else if`
 * stays for parse_else. */
static int parse_list_end(struct parser *parser, enum list_end *end)
{
	const struct token *token = peek_visible(parser);

	if (token->type == TOKEN_END_WORD) {
		(void)next(parser);
		*end = LIST_END;
		return expect(parser, TOKEN_RIGHT, "{{end}}") < 0 ? -1 : 1;
	}
	if (token->type != TOKEN_ELSE)
		return 0;
	(void)next(parser);
	*end = LIST_ELSE;
	token = peek_visible(parser);
	if (token->type == TOKEN_IF || token->type == TOKEN_WITH)
		return 1;
	return expect(parser, TOKEN_RIGHT, "{{else}}") < 0 ? -1 : 1;
}

static int parse_action(struct parser *parser, struct node **ret)
{
	const struct token *token = peek_visible(parser);
	enum node_type type = NODE_ACTION;
	struct node *node;

	if (token->type < ARRAY_SIZE(action_types) && action_types[token->type] != NODE_TEXT) {
		type = action_types[token->type];
		(void)next(parser);
	}
	node = node_new(parser, type, token);
	if (node == NULL || fill_action(parser, node, token) < 0)
		return -1;
	*ret = node;
	return 0;
}

static int parse_text(struct parser *parser, const struct token *token, struct node **ret)
{
	struct node *node = node_new(parser, NODE_TEXT, token);

	if (node == NULL)
		return -1;
	node->text = (struct name){ .bytes = spelling(parser, token), .len = token->len };
	*ret = node;
	return 0;
}

/* Nodes until {{end}}, {{else}} or the end of the text. */
static int parse_list(struct parser *parser, struct node **ret, enum list_end *end)
{
	struct node **last = ret;

	*ret = NULL;
	for (;;) {
		const struct token *token = next_visible(parser);
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
			return unexpected(parser, token, "a block that is open");
		}
		last = &(*last)->next;
	}
}

/* The text itself: nodes and definitions until it ends. */
static int parse_all(struct parser *parser)
{
	struct name nameless = { .bytes = "", .len = 0 };
	const struct token *token = peek_visible(parser);
	struct node *root = NULL, **last = &root;
	enum list_end end;
	int ended;

	for (; token->type != TOKEN_END; token = peek_visible(parser)) {
		(void)next(parser);
		if (token->type == TOKEN_TEXT) {
			if (parse_text(parser, token, last) < 0)
				return -1;
			last = &(*last)->next;
			continue;
		}
		if (token->type != TOKEN_LEFT)
			return unexpected(parser, token, "the text");
		token = peek_visible(parser);
		if (token->type == TOKEN_DEFINE) {
			(void)next(parser);
			if (parse_define(parser, token) < 0)
				return -1;
			continue;
		}
		ended = parse_list_end(parser, &end);
		if (ended != 0)
			return ended < 0 ? -1 : fail(parser, token, "there is nothing open here");
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
		return no_memory(&parser);
	return parse_all(&parser);
}
