#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state that the parser of regular expressions and its reader of classes and escapes share.
 */
#include "agent/base/regex_program.h"

struct regex_flags {
	bool fold;	/* i: letters match in either case */
	bool multiline; /* m: ^ and $ match at lines */
	bool dot_all;	/* s: . matches \n */
	bool ungreedy;	/* U: x* and x*? change places */
};

struct regex_parser {
	const char *pattern, *at, *end;
	struct regex_flags flags;
	bool quoted; /* between \Q and \E */
	unsigned nesting;
	struct regex_tree *tree;
	struct error *err;
};

/* Returns -1. */
int regex_fail(const struct regex_parser *parser, const char *at, const char *problem);

/* Moves behind `text` if it stands there. */
bool regex_skip(struct regex_parser *parser, const char *text);

struct regex_node *regex_new_node(struct regex_parser *parser, enum regex_node_type type);

/* Each reads what stands at parser->at and moves behind it; NULL with an error. */
struct regex_node *regex_read_dot(struct regex_parser *parser);
struct regex_node *regex_read_class(struct regex_parser *parser);
struct regex_node *regex_read_escaped(struct regex_parser *parser);
struct regex_node *regex_read_literal(struct regex_parser *parser);
