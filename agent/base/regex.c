/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pike's machine: all threads advance together, one character at a time, and no step is visited
 * twice at one place, so time is steps × length whatever the expression. The order of the threads
 * is their priority. All memory is taken when the expression is made.
 */
#include "agent/base/regex.h"

#include <stdint.h>
#include <string.h>

#include "agent/base/regex_program.h"
#include "agent/base/text.h"

/* Slots of all threads together: what bounds memory when many groups meet many steps. */
enum { SLOTS_MOST = 1 << 19 };

#define NOWHERE	     SIZE_MAX
#define NO_CHARACTER UINT32_MAX /* before the first and behind the last */

/* Threads in order of priority, and which steps they stand at (a sparse set: nothing to clear). */
struct threads {
	uint32_t *order; /* [count] steps */
	uint32_t *place; /* step -> index in order */
	size_t *slots;	 /* [index * stride] */
	size_t count;
};

/* Work of add_thread: a step to visit, or a slot to put back. */
struct pending {
	uint32_t step; /* or RESTORE | slot */
	size_t old;
};

#define RESTORE 0x80000000U

struct regex {
	struct pool pool;
	struct regex_program program;
	struct regex_tree tree;
	struct threads now, next;
	struct pending *stack;
	size_t *slots;	 /* of the thread that is being added */
	bool from_start; /* matches at the start of the text or nowhere */
};

struct run {
	struct regex *regex;
	size_t stride; /* slots in use: 0 when nobody asks where */
	size_t at;
	uint32_t before, after; /* the characters on both sides of `at` */
};

static int make_threads(struct regex *regex, struct threads *threads, size_t slots,
			struct error *err)
{
	size_t count = regex->program.count;

	threads->order = pool_alloc(&regex->pool, count * sizeof(uint32_t));
	threads->place = pool_alloc(&regex->pool, count * sizeof(uint32_t));
	threads->slots = pool_alloc(&regex->pool, count * slots * sizeof(size_t));
	if (threads->order == NULL || threads->place == NULL || threads->slots == NULL)
		return error_no_memory(err);
	return 0;
}

static int make(struct regex *regex, const char *pattern, struct error *err)
{
	size_t slots;

	regex->tree.pool = &regex->pool;
	if (regex_parse(pattern, &regex->tree, err) < 0 ||
	    regex_compile(&regex->tree, &regex->program, err) < 0)
		return -1;
	slots = 2 * (size_t)regex->tree.groups;
	if (regex->program.count > SLOTS_MOST / slots)
		return error_set(
			err, ERROR_INVALID,
			"a regular expression of too many groups for its length: use (?:…)");
	if (make_threads(regex, &regex->now, slots, err) < 0 ||
	    make_threads(regex, &regex->next, slots, err) < 0)
		return -1;
	regex->slots = pool_alloc(&regex->pool, slots * sizeof(size_t));
	/* A visited step leaves at most two behind, and every step is visited once. */
	regex->stack =
		pool_alloc(&regex->pool, (2 * regex->program.count + 1) * sizeof(*regex->stack));
	if (regex->slots == NULL || regex->stack == NULL)
		return error_no_memory(err);
	/* Step 0 saves where the match starts. */
	regex->from_start = regex->program.steps[1].step == REGEX_STEP_ASSERT &&
			    regex->program.steps[1].to == REGEX_TEXT_START;
	return 0;
}

struct regex *regex_new(const char *pattern, struct error *err)
{
	AUTO(regex_freep) struct regex *regex = calloc(1, sizeof(*regex));

	if (regex == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	if (make(regex, pattern, err) < 0)
		return NULL;
	return STEAL(regex);
}

struct regex *regex_free(struct regex *regex)
{
	if (regex == NULL)
		return NULL;
	free(regex->program.steps);
	pool_deinit(&regex->pool);
	free(regex);
	return NULL;
}

size_t regex_groups(const struct regex *regex)
{
	return regex->tree.groups;
}

const char *regex_group_name(const struct regex *regex, size_t group)
{
	return group < regex->tree.groups ? regex->tree.names[group] : NULL;
}

static bool is_word(uint32_t character)
{
	return (character >= '0' && character <= '9') || (character >= 'A' && character <= 'Z') ||
	       (character >= 'a' && character <= 'z') || character == '_';
}

static bool holds(const struct run *run, uint32_t assertion)
{
	switch ((enum regex_assertion)assertion) {
	case REGEX_TEXT_START:
		return run->before == NO_CHARACTER;
	case REGEX_TEXT_END:
		return run->after == NO_CHARACTER;
	case REGEX_LINE_START:
		return run->before == NO_CHARACTER || run->before == '\n';
	case REGEX_LINE_END:
		return run->after == NO_CHARACTER || run->after == '\n';
	case REGEX_WORD_EDGE:
		return is_word(run->before) != is_word(run->after);
	case REGEX_NO_WORD_EDGE:
		return is_word(run->before) == is_word(run->after);
	}
	return false;
}

static bool has(const struct threads *threads, uint32_t step)
{
	size_t place = threads->place[step];

	return place < threads->count && threads->order[place] == step;
}

/* True when the step is new in the list. */
static bool enter(const struct run *run, struct threads *threads, uint32_t step)
{
	if (has(threads, step))
		return false;
	threads->place[step] = (uint32_t)threads->count;
	threads->order[threads->count] = step;
	if (run->stride > 0)
		memcpy(threads->slots + threads->count * run->stride, run->regex->slots,
		       run->stride * sizeof(size_t));
	threads->count++;
	return true;
}

/* Enters a step and all that can be reached from it without a character, the preferred way first.
 */
static void add_thread(const struct run *run, struct threads *threads, uint32_t first)
{
	const struct regex_instruction *steps = run->regex->program.steps, *step;
	struct pending *stack = run->regex->stack, work;
	size_t *slots = run->regex->slots, depth = 0;

	stack[depth++] = (struct pending){ .step = first };
	while (depth > 0) {
		work = stack[--depth];
		if ((work.step & RESTORE) != 0) {
			slots[work.step & ~RESTORE] = work.old;
			continue;
		}
		if (!enter(run, threads, work.step))
			continue;
		step = &steps[work.step];
		switch (step->step) {
		case REGEX_STEP_SPLIT:
			stack[depth++] = (struct pending){ .step = step->other };
			stack[depth++] = (struct pending){ .step = step->to };
			break;
		case REGEX_STEP_JUMP:
			stack[depth++] = (struct pending){ .step = step->to };
			break;
		case REGEX_STEP_SAVE:
			if (step->to < run->stride) {
				stack[depth++] = (struct pending){ .step = RESTORE | step->to,
								   .old = slots[step->to] };
				slots[step->to] = run->at;
			}
			stack[depth++] = (struct pending){ .step = work.step + 1 };
			break;
		case REGEX_STEP_ASSERT:
			if (holds(run, step->to))
				stack[depth++] = (struct pending){ .step = work.step + 1 };
			break;
		case REGEX_STEP_CLASS:
		case REGEX_STEP_MATCH:
			break;
		}
	}
}

static bool in_class(const struct regex_instruction *step, uint32_t character)
{
	size_t low = 0, high = step->range_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (character > step->ranges[middle].high)
			low = middle + 1;
		else
			high = middle;
	}
	return low < step->range_count && character >= step->ranges[low].low;
}

/* Bytes that are no UTF-8 count as U+FFFD, one each. */
static uint32_t read_character(const char *text, size_t len, size_t *ret_size)
{
	uint32_t character = 0xfffd;

	if (len == 0) {
		*ret_size = 0;
		return NO_CHARACTER;
	}
	*ret_size = text_read_character(text, len, &character);
	if (*ret_size == 0)
		*ret_size = 1;
	return character;
}

static uint32_t character_before(const char *text, size_t at)
{
	uint32_t character = 0xfffd;

	if (at == 0)
		return NO_CHARACTER;
	for (size_t size = 1; size <= 4 && size <= at; size++)
		if (text_read_character(text + at - size, size, &character) == size)
			return character;
	return 0xfffd;
}

/* Moves every thread over `character` (between run->at and `beyond`) into regex->next. True when
 * one matched before it: threads behind it in order are cut off. */
static bool advance(struct run *run, uint32_t character, size_t beyond, uint32_t after_beyond,
		    size_t *matched)
{
	struct regex *regex = run->regex;
	struct run moved = { .regex = regex,
			     .stride = run->stride,
			     .at = beyond,
			     .before = character,
			     .after = after_beyond };

	regex->next.count = 0;
	for (size_t i = 0; i < regex->now.count; i++) {
		uint32_t at = regex->now.order[i];
		const struct regex_instruction *step = &regex->program.steps[at];

		if (step->step == REGEX_STEP_MATCH) {
			if (run->stride > 0)
				memcpy(matched, regex->now.slots + i * run->stride,
				       run->stride * sizeof(size_t));
			return true;
		}
		if (step->step != REGEX_STEP_CLASS || character == NO_CHARACTER ||
		    !in_class(step, character))
			continue;
		if (run->stride > 0)
			memcpy(regex->slots, regex->now.slots + i * run->stride,
			       run->stride * sizeof(size_t));
		add_thread(&moved, &regex->next, at + 1);
	}
	return false;
}

static void start_thread(const struct run *run)
{
	struct regex *regex = run->regex;

	for (size_t i = 0; i < run->stride; i++)
		regex->slots[i] = NOWHERE;
	add_thread(run, &regex->now, 0);
}

static bool run_machine(struct run *run, const char *text, size_t len, size_t *matched)
{
	struct regex *regex = run->regex;
	size_t size, next_size;
	uint32_t next_character;
	struct threads swapped;
	bool found = false;

	run->before = character_before(text, run->at);
	run->after = read_character(text + run->at, len - run->at, &size);
	regex->now.count = 0;
	for (;;) {
		if (!found && !(regex->from_start && run->at > 0))
			start_thread(run);
		if (regex->now.count == 0)
			break;
		next_character =
			read_character(text + run->at + size, len - run->at - size, &next_size);
		if (advance(run, run->after, run->at + size, next_character, matched))
			found = true;
		if (found && run->stride == 0)
			break;
		if (run->after == NO_CHARACTER)
			break;
		swapped = regex->now;
		regex->now = regex->next;
		regex->next = swapped;
		run->at += size;
		run->before = run->after;
		run->after = next_character;
		size = next_size;
	}
	return found;
}

bool regex_match(struct regex *regex, const char *text, size_t len)
{
	struct run run = { .regex = regex };

	return run_machine(&run, text, len, NULL);
}

bool regex_search(struct regex *regex, const char *text, size_t len, size_t from,
		  struct regex_span *spans, size_t count)
{
	size_t groups = count < regex->tree.groups ? count : regex->tree.groups;
	struct run run = { .regex = regex, .stride = 2 * groups, .at = from };

	for (size_t i = 0; i < count; i++)
		spans[i] = (struct regex_span){ .start = NOWHERE, .end = NOWHERE };
	if (from > len)
		return false;
	/* A span is two slots. */
	return run_machine(&run, text, len, (size_t *)spans);
}
