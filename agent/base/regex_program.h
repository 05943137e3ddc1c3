#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the regular expressions share: the tree that the parser makes, the program that
 * the compiler makes of it, and sets of characters.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/error.h"
#include "agent/base/pool.h"

#define REGEX_CHARACTER_MAX 0x10ffffU
#define REGEX_UNBOUNDED	    UINT32_MAX

/* Characters `low` to `high`; in a finished set sorted and apart. */
struct regex_range {
	uint32_t low, high;
};

struct regex_set {
	struct regex_range *ranges;
	size_t count, capacity;
	bool failed; /* out of memory */
};

void regex_set_add(struct regex_set *set, uint32_t low, uint32_t high, bool fold);
void regex_set_add_set(struct regex_set *set, const struct regex_set *other);
void regex_set_finish(struct regex_set *set);
void regex_set_negate(struct regex_set *set); /* of a finished set; finished after */
void regex_set_deinit(struct regex_set *set);

enum regex_assertion {
	REGEX_TEXT_START,
	REGEX_TEXT_END,
	REGEX_LINE_START,
	REGEX_LINE_END,
	REGEX_WORD_EDGE,
	REGEX_NO_WORD_EDGE,
};

enum regex_node_type {
	REGEX_EMPTY,
	REGEX_CLASS,
	REGEX_ASSERT,
	REGEX_CONCAT,
	REGEX_ALTERNATE,
	REGEX_REPEAT,
	REGEX_GROUP,
};

struct regex_node {
	enum regex_node_type type;
	bool nullable; /* can match nothing */
	bool greedy;   /* REPEAT */
	enum regex_assertion assertion;
	uint32_t least, most;		  /* REPEAT */
	uint32_t group;			  /* GROUP */
	const struct regex_range *ranges; /* CLASS */
	size_t range_count;
	struct regex_node *first, *last, *next; /* children and siblings */
};

struct regex_tree {
	struct pool *pool;
	struct regex_node *root;
	uint32_t groups;    /* the whole match included */
	const char **names; /* of the groups, NULL for those without */
};

/* The tree lives in tree->pool. */
int regex_parse(const char *pattern, struct regex_tree *tree, struct error *err) MUST_USE;

enum regex_step {
	REGEX_STEP_CLASS,  /* a character of ranges, then the next step */
	REGEX_STEP_SPLIT,  /* try `to`, then `other` */
	REGEX_STEP_JUMP,   /* `to` */
	REGEX_STEP_SAVE,   /* the place into slot `to`, then the next step */
	REGEX_STEP_ASSERT, /* `to` is an assertion, then the next step */
	REGEX_STEP_MATCH,
};

struct regex_instruction {
	enum regex_step step;
	uint32_t to, other;
	const struct regex_range *ranges;
	size_t range_count;
};

struct regex_program {
	struct regex_instruction *steps; /* owned */
	size_t count, capacity;
};

int regex_compile(const struct regex_tree *tree, struct regex_program *program,
		  struct error *err) MUST_USE;
