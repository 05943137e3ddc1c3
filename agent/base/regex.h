#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular expressions in the syntax of Go (RE2), matched in time linear in the text: no
 * back-references, no look-around. Letters fold in Latin, Greek and Cyrillic; Unicode classes (\pL)
 * are refused by name.
 */
#include <stdbool.h>
#include <stddef.h>

#include "agent/base/error.h"

#define REGEX_PATTERN_MAX ((size_t)64 << 10)
#define REGEX_STEPS_MAX	  10000 /* instructions of the compiled expression */
#define REGEX_REPEAT_MAX  1000	/* n and m of x{n,m} */
#define REGEX_NESTING_MAX 250

struct regex;

/* A part of the text; both SIZE_MAX when the group took no part. */
struct regex_span {
	size_t start, end;
};

/* NULL with ERROR_INVALID that names the byte of the pattern and what is wrong there. */
struct regex *regex_new(const char *pattern, struct error *err) MUST_USE;
struct regex *regex_free(struct regex *regex); /* returns NULL */

/* How many groups there are, the whole match (0) included, and a group's name or NULL. */
size_t regex_groups(const struct regex *regex);
const char *regex_group_name(const struct regex *regex, size_t group);

/* Does the expression match anywhere in the text? */
bool regex_match(struct regex *regex, const char *text, size_t len);

/* The first match at or after byte `from`, of the alternatives the leftmost as in Perl and Go; what
 * stands before `from` counts for ^ and \b. Fills `count` spans: 0 is the whole match; groups that
 * are not there stay SIZE_MAX. */
bool regex_search(struct regex *regex, const char *text, size_t len, size_t from,
		  struct regex_span *spans, size_t count);

static inline void regex_freep(struct regex **regex)
{
	*regex = regex_free(*regex);
}
