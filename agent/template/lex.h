#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the text of a template to its tokens, all at once.
 */
#include <stddef.h>
#include <stdint.h>

#include "agent/base/error.h"
#include "agent/template/region.h"

enum token_type {
	TOKEN_END, /* of the text */
	TOKEN_ERROR,
	TOKEN_TEXT, /* outside of actions, trimmed */
	TOKEN_LEFT,
	TOKEN_RIGHT,
	TOKEN_SPACE,
	TOKEN_ASSIGN,  /* = */
	TOKEN_DECLARE, /* := */
	TOKEN_PIPE,
	TOKEN_LEFT_PAREN,
	TOKEN_RIGHT_PAREN,
	TOKEN_CHAR,	  /* another printable one, of which only the comma means anything */
	TOKEN_CONSTANT,	  /* 'x' */
	TOKEN_STRING,	  /* "x" */
	TOKEN_RAW_STRING, /* `x` */
	TOKEN_NUMBER,
	TOKEN_COMPLEX, /* 1+2i */
	TOKEN_VARIABLE,
	TOKEN_FIELD, /* .name */
	TOKEN_DOT,
	TOKEN_NIL,
	TOKEN_BOOL,
	TOKEN_IDENTIFIER,
	/* words that begin an action */
	TOKEN_BLOCK,
	TOKEN_BREAK,
	TOKEN_CONTINUE,
	TOKEN_DEFINE,
	TOKEN_ELSE,
	TOKEN_IF,
	TOKEN_RANGE,
	TOKEN_TEMPLATE,
	TOKEN_WITH,
	TOKEN_END_WORD,
};

struct token {
	enum token_type type;
	uint32_t at; /* byte of the text */
	uint32_t len;
};

struct lexed {
	struct token *tokens; /* the last is TOKEN_END or TOKEN_ERROR */
	size_t count;
	const char *problem; /* of TOKEN_ERROR */
};

/* NULL or "" is the default delimiter. The tokens are in the region; -1 without memory. */
int lex(struct region *region, const char *text, size_t len, const char *left, const char *right,
	struct lexed *ret) MUST_USE;
