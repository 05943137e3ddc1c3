/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the tree to steps. Every repetition is written out, so REGEX_STEPS_MAX is what bounds time
 * and memory; emitting stops there.
 */
#include <stdlib.h>

#include "agent/base/regex.h"
#include "agent/base/regex_program.h"

enum { FIRST_STEPS = 32 };

/* The end of a chain of steps whose target is not known yet. */
#define NO_STEP UINT32_MAX

struct compiler {
	struct regex_program *program;
	struct error *err;
};

static int grow(struct compiler *compiler)
{
	struct regex_program *program = compiler->program;
	size_t capacity = program->capacity > 0 ? 2 * program->capacity : FIRST_STEPS;
	struct regex_instruction *steps = reallocarray(program->steps, capacity, sizeof(*steps));

	if (steps == NULL)
		return error_no_memory(compiler->err);
	program->steps = steps;
	program->capacity = capacity;
	return 0;
}

static int emit(struct compiler *compiler, struct regex_instruction step)
{
	struct regex_program *program = compiler->program;

	if (program->count >= REGEX_STEPS_MAX)
		return error_set(compiler->err, ERROR_INVALID,
				 "a regular expression of more than %d steps: repeat less",
				 REGEX_STEPS_MAX);
	if (program->count == program->capacity && grow(compiler) < 0)
		return -1;
	program->steps[program->count++] = step;
	return 0;
}

static uint32_t next_step(const struct compiler *compiler)
{
	return (uint32_t)compiler->program->count;
}

/* Prefers what comes next when greedy, what lies at `other` when not. The other target is set by
 * set_exit. */
static int emit_split(struct compiler *compiler)
{
	return emit(compiler, (struct regex_instruction){ .step = REGEX_STEP_SPLIT });
}

static void set_exit(struct compiler *compiler, uint32_t split, bool greedy, uint32_t body,
		     uint32_t exit)
{
	compiler->program->steps[split].to = greedy ? body : exit;
	compiler->program->steps[split].other = greedy ? exit : body;
}

static int compile_node(struct compiler *compiler, const struct regex_node *node);

/* x+ */
static int compile_plus(struct compiler *compiler, const struct regex_node *node)
{
	uint32_t body = next_step(compiler), split;

	if (compile_node(compiler, node->first) < 0)
		return -1;
	split = next_step(compiler);
	if (emit_split(compiler) < 0)
		return -1;
	set_exit(compiler, split, node->greedy, body, split + 1);
	return 0;
}

/* x*; where x may match nothing it is (x+)?, so that one empty round still counts. */
static int compile_star(struct compiler *compiler, const struct regex_node *node)
{
	uint32_t split = next_step(compiler);

	if (emit_split(compiler) < 0)
		return -1;
	if (node->first->nullable) {
		if (compile_plus(compiler, node) < 0)
			return -1;
	} else {
		if (compile_node(compiler, node->first) < 0 ||
		    emit(compiler,
			 (struct regex_instruction){ .step = REGEX_STEP_JUMP, .to = split }) < 0)
			return -1;
	}
	set_exit(compiler, split, node->greedy, split + 1, next_step(compiler));
	return 0;
}

/* x{0,n}: (x(x(x)?)?)?, every exit at the same end. */
static int compile_optional(struct compiler *compiler, const struct regex_node *node,
			    uint32_t times)
{
	uint32_t chain = NO_STEP, split;

	for (uint32_t i = 0; i < times; i++) {
		split = next_step(compiler);
		if (emit_split(compiler) < 0)
			return -1;
		compiler->program->steps[split].other = chain;
		chain = split;
		if (compile_node(compiler, node->first) < 0)
			return -1;
	}
	while (chain != NO_STEP) {
		split = chain;
		chain = compiler->program->steps[split].other;
		set_exit(compiler, split, node->greedy, split + 1, next_step(compiler));
	}
	return 0;
}

static int compile_repeat(struct compiler *compiler, const struct regex_node *node)
{
	bool unbounded = node->most == REGEX_UNBOUNDED;
	uint32_t copies = unbounded && node->least > 0 ? node->least - 1 : node->least;

	for (uint32_t i = 0; i < copies; i++) {
		uint32_t before = next_step(compiler);

		if (compile_node(compiler, node->first) < 0)
			return -1;
		/* Nothing, a thousand times, a thousand times over. */
		if (next_step(compiler) == before)
			break;
	}
	if (!unbounded)
		return compile_optional(compiler, node, node->most - node->least);
	return node->least > 0 ? compile_plus(compiler, node) : compile_star(compiler, node);
}

static int compile_alternate(struct compiler *compiler, const struct regex_node *node)
{
	uint32_t chain = NO_STEP, split, jump;

	for (const struct regex_node *branch = node->first; branch != NULL; branch = branch->next) {
		if (branch->next == NULL) {
			if (compile_node(compiler, branch) < 0)
				return -1;
			break;
		}
		split = next_step(compiler);
		if (emit_split(compiler) < 0 || compile_node(compiler, branch) < 0)
			return -1;
		jump = next_step(compiler);
		if (emit(compiler,
			 (struct regex_instruction){ .step = REGEX_STEP_JUMP, .to = chain }) < 0)
			return -1;
		chain = jump;
		set_exit(compiler, split, true, split + 1, jump + 1);
	}
	while (chain != NO_STEP) {
		jump = chain;
		chain = compiler->program->steps[jump].to;
		compiler->program->steps[jump].to = next_step(compiler);
	}
	return 0;
}

static int emit_save(struct compiler *compiler, uint32_t slot)
{
	return emit(compiler, (struct regex_instruction){ .step = REGEX_STEP_SAVE, .to = slot });
}

static int compile_children(struct compiler *compiler, const struct regex_node *node)
{
	for (const struct regex_node *child = node->first; child != NULL; child = child->next)
		if (compile_node(compiler, child) < 0)
			return -1;
	return 0;
}

static int compile_node(struct compiler *compiler, const struct regex_node *node)
{
	switch (node->type) {
	case REGEX_EMPTY:
		return 0;
	case REGEX_CLASS:
		return emit(compiler,
			    (struct regex_instruction){ .step = REGEX_STEP_CLASS,
							.ranges = node->ranges,
							.range_count = node->range_count });
	case REGEX_ASSERT:
		return emit(compiler, (struct regex_instruction){ .step = REGEX_STEP_ASSERT,
								  .to = node->assertion });
	case REGEX_CONCAT:
		return compile_children(compiler, node);
	case REGEX_ALTERNATE:
		return compile_alternate(compiler, node);
	case REGEX_REPEAT:
		return compile_repeat(compiler, node);
	case REGEX_GROUP:
		if (emit_save(compiler, 2 * node->group) < 0 ||
		    compile_children(compiler, node) < 0)
			return -1;
		return emit_save(compiler, 2 * node->group + 1);
	}
	return 0;
}

int regex_compile(const struct regex_tree *tree, struct regex_program *program, struct error *err)
{
	struct compiler compiler = { .program = program, .err = err };

	if (compile_node(&compiler, tree->root) < 0)
		return -1;
	return emit(&compiler, (struct regex_instruction){ .step = REGEX_STEP_MATCH });
}
