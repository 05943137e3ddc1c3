/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/config/problems.h"

#include <stdlib.h>
#include <string.h>

void config_problems_add(struct config_problems *problems, const char *file, size_t line,
			 size_t column, char *text)
{
	AUTO(freep) char *owned_text = text;
	AUTO(freep) char *owned_file = strdup(file);
	struct config_problem *items;

	if (owned_text == NULL || owned_file == NULL || problems->count >= CONFIG_PROBLEMS_MAX)
		return;
	items = reallocarray(problems->items, problems->count + 1, sizeof(*items));
	if (items == NULL)
		return;
	problems->items = items;
	problems->items[problems->count++] = (struct config_problem){ .file = STEAL(owned_file),
								      .line = (unsigned)line,
								      .column = (unsigned)column,
								      .text = STEAL(owned_text) };
}

static bool later(const struct config_problem *one, const struct config_problem *other)
{
	return one->line != other->line ? one->line > other->line : one->column > other->column;
}

void config_problems_sort(struct config_problems *problems)
{
	for (size_t i = 1; i < problems->count; i++) {
		struct config_problem moved = problems->items[i];
		size_t j = i;

		for (; j > 0 && later(&problems->items[j - 1], &moved); j--)
			problems->items[j] = problems->items[j - 1];
		problems->items[j] = moved;
	}
}

void config_problems_print(const struct config_problems *problems, struct buf *out)
{
	for (size_t i = 0; i < problems->count; i++) {
		const struct config_problem *problem = &problems->items[i];

		buf_puts(out, problem->file);
		if (problem->line > 0)
			buf_printf(out, ":%u:%u", problem->line, problem->column);
		buf_printf(out, ": %s\n", problem->text);
	}
}

void config_problems_free(struct config_problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		free(problems->items[i].file);
		free(problems->items[i].text);
	}
	free(problems->items);
	*problems = (struct config_problems){ 0 };
}
