/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/template/tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct place tree_place(const struct tree *tree, uint32_t at)
{
	struct place place = { .line = 1, .column = 1 };

	for (size_t i = 0; i < at && i < tree->len; i++) {
		place.column++;
		if (tree->text[i] == '\n') {
			place.line++;
			place.column = 1;
		}
	}
	return place;
}

int tree_fail(const struct tree *tree, uint32_t at, struct error *err, const char *format, ...)
{
	struct place place = tree_place(tree, at);
	char text[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return error_set(err, ERROR_BAD_DATA, "%s:%zu:%zu: %s", tree->name, place.line,
			 place.column, text);
}

const struct definition *tree_find(const struct tree *tree, const char *name, size_t len)
{
	for (const struct definition *at = tree->definitions; at != NULL; at = at->next)
		if (at->name.len == len && (len == 0 || memcmp(at->name.bytes, name, len) == 0))
			return at;
	return NULL;
}
