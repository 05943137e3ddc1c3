/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first line is the expression, the rest the text: matching and searching agree, and spans lie
 * in the text.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { SPANS = 20, INPUT_MAX = 2048 };

static void check_span(const struct regex_span *span, const struct regex_span *whole, size_t len)
{
	if (span->start == SIZE_MAX && span->end == SIZE_MAX)
		return;
	if (span->start > span->end || span->end > len || span->start < whole->start ||
	    span->end > whole->end)
		abort();
}

static void search(struct regex *regex, const char *text, size_t len)
{
	struct regex_span spans[SPANS];
	size_t count = regex_groups(regex) < SPANS ? regex_groups(regex) : SPANS;

	if (regex_search(regex, text, len, 0, spans, count) != regex_match(regex, text, len))
		abort();
	if (spans[0].start == SIZE_MAX)
		return;
	for (size_t i = 0; i < count; i++)
		check_span(&spans[i], &spans[0], len);
	(void)regex_search(regex, text, len, spans[0].end, spans, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	AUTO(regex_freep) struct regex *regex = NULL;
	AUTO(freep) char *copy = NULL;
	struct error err;
	char *text;

	if (len > INPUT_MAX)
		return 0;
	copy = calloc(1, len + 1);
	if (copy == NULL)
		return 0;
	if (len > 0)
		memcpy(copy, bytes, len);
	text = memchr(copy, '\n', len);
	if (text == NULL)
		return 0;
	*text++ = '\0';
	regex = regex_new(copy, &err);
	if (regex != NULL)
		search(regex, text, len - (size_t)(text - copy));
	return 0;
}
