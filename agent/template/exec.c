/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over the tree: which node is run with which dot, and where a template ends for want of
 * depth, steps or memory. What pipelines are worth is in eval.c.
 */
#include "agent/template/exec.h"

#include <string.h>

#include "agent/template/format.h"

enum walk { WALK_FAILED = -1, WALK_ON, WALK_BREAK, WALK_CONTINUE };

static enum walk walk_list(struct render *render, const struct value *dot, const struct node *list);

/* ---- control ---- */

static enum walk walk_choice(struct render *render, const struct value *dot,
			     const struct node *node)
{
	size_t mark = render->variable_count;
	struct value value;
	enum walk walk;

	if (eval_pipe(render, dot, node->control.pipe, &value) < 0)
		return WALK_FAILED;
	if (value_truth(&value))
		walk = walk_list(render, node->type == NODE_WITH ? &value : dot,
				 node->control.body);
	else
		walk = walk_list(render, dot, node->control.otherwise);
	render->variable_count = mark;
	return walk;
}

/* What a range goes over, an element at a time. */
struct sequence {
	struct value over;
	size_t at;
	struct value index, element;
};

static bool sequence_next(struct sequence *sequence)
{
	const struct value *over = &sequence->over;
	size_t at = sequence->at++;

	sequence->index = value_int((int64_t)at);
	if (value_is_list(over)) {
		if (at >= over->count)
			return false;
		sequence->element = over->items[at];
	} else if (value_is_map(over)) {
		if (over->map == NULL || at >= over->map->count)
			return false;
		sequence->index = over->map->entries[at].key;
		sequence->element = over->map->entries[at].value;
	} else if (over->type == VALUE_LOOP) {
		if (over->loop->next >= over->loop->end)
			return false;
		sequence->element =
			(struct value){ .type = VALUE_INT64, .integer = over->loop->next++ };
	} else if (over->type == VALUE_INT || over->type == VALUE_INT64) {
		if (over->integer < 0 || at >= (uint64_t)over->integer)
			return false;
		sequence->element = *over;
		sequence->element.integer = (int64_t)at;
	} else if (over->type == VALUE_UINT64 || over->type == VALUE_UINT8) {
		if (at >= over->unsigned_)
			return false;
		sequence->element = *over;
		sequence->element.unsigned_ = at;
	} else {
		return false;
	}
	return true;
}

static bool is_number(const struct value *value)
{
	return value->type == VALUE_INT || value->type == VALUE_INT64 ||
	       value->type == VALUE_UINT64 || value->type == VALUE_UINT8;
}

static int check_range(struct render *render, const struct node *node, const struct value *over)
{
	if (is_number(over) && node->control.pipe->variable_count > 1)
		return render_fail(render, node->at,
				   "a range over a number has one variable, not two");
	if (is_number(over) || value_is_list(over) || value_is_map(over) ||
	    over->type == VALUE_LOOP || over->type == VALUE_NONE)
		return 0;
	return render_fail(render, node->at, "range cannot go over %s", value_type_name(over));
}

/* The variables of a range stand on top of the stack; assigned ones are somewhere below. */
static int set_variables(struct render *render, const struct node *node,
			 const struct sequence *sequence)
{
	const struct pipe *pipe = node->control.pipe;
	struct variable *top = &render->variables[render->variable_count];
	bool two = pipe->variable_count > 1;

	if (pipe->variable_count == 0)
		return 0;
	if (!pipe->assigns) {
		top[-1].value = sequence->element;
		if (two)
			top[-2].value = sequence->index;
		return 0;
	}
	if (eval_assign(render, node->at, pipe->variables,
			two ? &sequence->index : &sequence->element) < 0)
		return -1;
	return two ? eval_assign(render, node->at, pipe->variables->next, &sequence->element) : 0;
}

static enum walk walk_range(struct render *render, const struct value *dot, const struct node *node)
{
	size_t outer = render->variable_count, mark;
	struct sequence sequence = { 0 };
	enum walk walk = WALK_ON;
	bool any = false;

	if (eval_pipe(render, dot, node->control.pipe, &sequence.over) < 0 ||
	    check_range(render, node, &sequence.over) < 0)
		return WALK_FAILED;
	mark = render->variable_count;
	while (walk != WALK_BREAK && sequence_next(&sequence)) {
		any = true;
		if (set_variables(render, node, &sequence) < 0)
			return WALK_FAILED;
		walk = walk_list(render, &sequence.element, node->control.body);
		if (walk == WALK_FAILED)
			return WALK_FAILED;
		render->variable_count = mark;
	}
	walk = any ? WALK_ON : walk_list(render, dot, node->control.otherwise);
	render->variable_count = outer;
	return walk;
}

/* ---- templates ---- */

/* A template sees the dot that it is given, and as $; nothing of its caller. */
static int run_definition(struct render *render, const struct definition *definition,
			  const struct value *dot)
{
	static const struct name dollar = { .bytes = "$", .len = 1 };
	struct variable *outer = render->variables;
	size_t outer_count = render->variable_count, outer_capacity = render->variable_capacity;
	enum walk walk = WALK_FAILED;

	render->variables = NULL;
	render->variable_count = render->variable_capacity = 0;
	if (eval_push(render, &dollar, dot) == 0)
		walk = walk_list(render, dot, definition->body);
	render->variables = outer;
	render->variable_count = outer_count;
	render->variable_capacity = outer_capacity;
	return walk == WALK_FAILED ? -1 : 0;
}

static int walk_template(struct render *render, const struct value *dot, const struct node *node)
{
	const struct definition *definition =
		tree_find(render->tree, node->name.bytes, node->name.len);
	struct value value = VALUE_OF_NONE;

	if (definition == NULL)
		return render_fail(render, node->at, "the template '%.*s' is not defined",
				   (int)node->name.len, node->name.bytes);
	if (node->argument != NULL && eval_pipe(render, dot, node->argument, &value) < 0)
		return -1;
	return run_definition(render, definition, &value);
}

int render_template(struct render *render, const char *name, size_t len, const struct value *dot,
		    struct buf *out)
{
	const struct definition *definition = tree_find(render->tree, name, len);
	struct buf *outer = render->out;
	int done;

	if (definition == NULL)
		return render_error(render, "there is no template of that name");
	render->out = out;
	done = run_definition(render, definition, dot);
	render->out = outer;
	return done;
}

/* ---- nodes ---- */

static int walk_action(struct render *render, const struct value *dot, const struct node *node)
{
	struct value value;

	if (eval_pipe(render, dot, node->pipe, &value) < 0)
		return -1;
	if (node->pipe->variable_count > 0)
		return 0;
	if (value.type == VALUE_LOOP)
		return render_fail(render, node->at, "the result of loop cannot be printed");
	if (format_action(render, render->out, &value) < 0)
		return render_fail(render, node->at, "%s", render->err->text);
	return 0;
}

static enum walk walk_node(struct render *render, const struct value *dot, const struct node *node)
{
	switch ((int)node->type) {
	case NODE_TEXT:
		buf_put(render->out, node->text.bytes, node->text.len);
		return WALK_ON;
	case NODE_ACTION:
		return walk_action(render, dot, node) < 0 ? WALK_FAILED : WALK_ON;
	case NODE_IF:
	case NODE_WITH:
		return walk_choice(render, dot, node);
	case NODE_RANGE:
		return walk_range(render, dot, node);
	case NODE_TEMPLATE:
		return walk_template(render, dot, node) < 0 ? WALK_FAILED : WALK_ON;
	case NODE_BREAK:
		return WALK_BREAK;
	case NODE_CONTINUE:
		return WALK_CONTINUE;
	default:
		return WALK_ON;
	}
}

/* Levels and steps are counted here, where every control, template and range passes. */
static enum walk walk_list(struct render *render, const struct value *dot, const struct node *list)
{
	enum walk walk = WALK_ON;

	if (list != NULL && render_enter(render, list->at) < 0)
		return WALK_FAILED;
	for (const struct node *node = list; node != NULL && walk == WALK_ON; node = node->next) {
		if (render_step(render, node->at) < 0)
			return WALK_FAILED;
		walk = walk_node(render, dot, node);
		if (render->out->failed)
			return render_fail(render, node->at,
					   "the output is larger than %zu MiB, the most that a "
					   "template may make",
					   TEMPLATE_OUTPUT_MAX >> 20);
	}
	if (list != NULL)
		render->depth--;
	return walk;
}

int exec_run(struct render *render)
{
	static const struct value nothing = VALUE_OF_NONE;
	const struct definition *root = tree_find(render->tree, "", 0);

	return root != NULL ? run_definition(render, root, &nothing) : 0;
}
