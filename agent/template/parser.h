#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the parts of the parser: tokens, errors, new nodes, pipelines.
 */
#include "agent/template/lex.h"
#include "agent/template/tree.h"

struct parser {
	struct tree *tree;
	struct lexed lexed;
	size_t at;		/* the next token */
	struct name *variables; /* known here, the latest first; "$" is the last */
	unsigned ranges;	/* that are open, for break and continue */
	unsigned nesting;
	struct error *err;
};

/* The next token, left or taken; the `visible` ones take the white space in front of it too. The
 * last token, an end or an error, is never passed. */
const struct token *parser_peek(const struct parser *parser);
const struct token *parser_next(struct parser *parser);
const struct token *parser_peek_visible(struct parser *parser);
const struct token *parser_next_visible(struct parser *parser);
const char *parser_spelling(const struct parser *parser, const struct token *token);

/* Takes a token that must be of this type. */
int parser_expect(struct parser *parser, enum token_type type, const char *context) MUST_USE;

/* Errors at a token's place; return -1. */
int parser_fail(const struct parser *parser, const struct token *token, const char *what);
int parser_unexpected(const struct parser *parser, const struct token *token, const char *context);
int parser_no_memory(const struct parser *parser);

/* One level deeper; leave with parser->nesting--. */
int parser_enter(struct parser *parser, const struct token *token) MUST_USE;

/* NULL without memory, with the error set. */
struct node *parser_node(struct parser *parser, enum node_type type, const struct token *token);
struct name *parser_name(struct parser *parser, const char *bytes, size_t len);

/* What a quoted string says. */
int parser_string(struct parser *parser, const struct token *token, struct name *ret) MUST_USE;

/* A pipeline up to and with the token that ends it. `context` is the word of the action; in a
 * "range" two variables may be declared. */
int parser_pipe(struct parser *parser, const char *context, enum token_type last,
		struct pipe **ret) MUST_USE;
