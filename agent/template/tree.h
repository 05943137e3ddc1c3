#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A parsed template: nodes, linked in the order in which they stand. All in one region.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/error.h"
#include "agent/template/region.h"

/* Controls, pipelines and parentheses in each other; also calls of templates in each other and
 * levels of a value, when it is run. */
#define TEMPLATE_NESTING_MAX 1000

struct template_function;

enum node_type {
	NODE_TEXT,
	NODE_ACTION, /* a pipeline, printed unless it declares */
	NODE_IF,
	NODE_WITH,
	NODE_RANGE,
	NODE_TEMPLATE,
	NODE_BREAK,
	NODE_CONTINUE,
	/* operands */
	NODE_PIPE,
	NODE_FUNCTION,
	NODE_FIELD,    /* .a.b of dot */
	NODE_VARIABLE, /* $x.a.b */
	NODE_CHAIN,    /* (…).a.b */
	NODE_DOT,
	NODE_NIL,
	NODE_BOOL,
	NODE_NUMBER,
	NODE_STRING,
};

struct name {
	const char *bytes;
	size_t len;
	struct name *next;
};

struct number {
	bool is_integer, is_unsigned, is_real;
	bool real_spelling; /* it is a float64 where no type is asked for */
	int64_t integer;
	uint64_t unsigned_;
	double real;
};

/* Operands between two pipes; the first is what is called. */
struct command {
	struct node *operands;
	size_t count;
	struct command *next;
};

struct pipe {
	struct command *commands;
	struct name *variables; /* what it declares or assigns: one, or two in a range */
	size_t variable_count;
	bool assigns;
};

struct control {
	struct pipe *pipe;
	struct node *body;
	struct node *otherwise; /* NULL: no else */
	bool has_else;
};

struct node {
	enum node_type type;
	uint32_t at; /* byte of the text */
	struct node *next;
	union {
		struct name text;	/* TEXT, STRING */
		struct pipe *pipe;	/* ACTION, PIPE */
		struct control control; /* IF, WITH, RANGE */
		struct {		/* TEMPLATE */
			struct name name;
			struct pipe *argument; /* NULL: none */
		};
		const struct template_function *function;
		struct { /* FIELD, VARIABLE, CHAIN */
			struct name *variable;
			struct node *base;
			struct name *fields;
		};
		bool truth;
		struct number number;
	};
};

/* A template of {{define}} or {{block}}; the text itself is the one without a name. */
struct definition {
	struct name name;
	struct node *body;
	struct definition *next;
};

struct place {
	size_t line, column; /* from 1; columns are bytes */
};

struct tree {
	struct region *region;
	const char *name; /* of the file, for errors */
	const char *text;
	size_t len;
	struct definition *definitions;
};

struct place tree_place(const struct tree *tree, uint32_t at);

/* ERROR_BAD_DATA with file, line and column in front. Returns -1. */
int tree_fail(const struct tree *tree, uint32_t at, struct error *err, const char *format, ...)
	PRINTF_LIKE(4, 5);

const struct definition *tree_find(const struct tree *tree, const char *name, size_t len);

/* Fills `definitions` of a tree that has its text; delimiters as in lex. */
int tree_parse(struct tree *tree, const char *left, const char *right, struct error *err) MUST_USE;
