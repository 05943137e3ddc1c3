/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pipelines are worth: fields, variables, calls, and which values a function takes. The rules
 * are those of Go's reflection, as far as templates can see them.
 */
#include <string.h>

#include "agent/template/exec.h"
#include "agent/template/functions.h"

enum { VARIABLES_FIRST = 16 };

/* The operands of a command behind its first, and what was piped into it (NULL: nothing). */
struct call {
	const struct node *operands;
	size_t count;
	const struct value *piped;
};

static int eval_call(struct render *render, const struct value *dot,
		     const struct template_function *function, const struct value *receiver,
		     uint32_t at, const struct call *call, struct value *ret);
static int eval_operand(struct render *render, const struct value *dot, const struct node *node,
			struct value *ret);

/* ---- variables ---- */

int eval_push(struct render *render, const struct name *name, const struct value *value)
{
	if (render->variable_count == render->variable_capacity) {
		size_t capacity = render->variable_capacity == 0 ? VARIABLES_FIRST
								 : render->variable_capacity * 2;
		struct variable *grown = region_array(&render->values, capacity, sizeof(*grown));

		if (grown == NULL)
			return render_no_memory(render);
		if (render->variable_count > 0)
			memcpy(grown, render->variables, render->variable_count * sizeof(*grown));
		render->variables = grown;
		render->variable_capacity = capacity;
	}
	render->variables[render->variable_count++] =
		(struct variable){ .name = name, .value = *value };
	return 0;
}

static struct variable *find_variable(struct render *render, const struct name *name)
{
	for (size_t i = render->variable_count; i-- > 0;) {
		struct variable *variable = &render->variables[i];

		if (variable->name->len == name->len &&
		    memcmp(variable->name->bytes, name->bytes, name->len) == 0)
			return variable;
	}
	return NULL;
}

int eval_assign(struct render *render, uint32_t at, const struct name *name,
		const struct value *value)
{
	struct variable *variable = find_variable(render, name);

	if (variable == NULL)
		return render_fail(render, at, "the variable %.*s is not declared", (int)name->len,
				   name->bytes);
	variable->value = *value;
	return 0;
}

/* ---- fields ---- */

static int no_arguments(struct render *render, uint32_t at, const struct name *field,
			const struct call *call)
{
	if (call->count == 0 && call->piped == NULL)
		return 0;
	return render_fail(render, at, "the field %.*s is no function, and was given an argument",
			   (int)field->len, field->bytes);
}

static int field_of_map(struct render *render, uint32_t at, const struct value *receiver,
			const struct name *field, struct value *ret)
{
	const struct value *found = map_get(receiver->map, field->bytes, field->len);

	if (found != NULL) {
		*ret = *found;
		return 0;
	}
	if (render->options->missing_key_is_error)
		return render_fail(render, at, "the map has no key '%.*s'", (int)field->len,
				   field->bytes);
	*ret = receiver->type == VALUE_STRING_MAP ? value_text("", 0)
						  : (struct value){ .type = VALUE_NIL };
	return 0;
}

static int field_of_object(struct render *render, uint32_t at, const struct value *receiver,
			   const struct name *field, struct value *ret)
{
	const struct object *object = receiver->object;

	if (object == NULL)
		return render_fail(render, at, "there is nothing to take the field %.*s of",
				   (int)field->len, field->bytes);
	for (size_t i = 0; i < object->type->count; i++) {
		if (strlen(object->type->fields[i]) == field->len &&
		    memcmp(object->type->fields[i], field->bytes, field->len) == 0) {
			*ret = object->fields[i];
			return 0;
		}
	}
	return render_fail(render, at, "%s has no field %.*s", object->type->name, (int)field->len,
			   field->bytes);
}

static int eval_field(struct render *render, const struct value *dot, uint32_t at,
		      const struct value *receiver, const struct name *field,
		      const struct call *call, struct value *ret)
{
	const struct template_function *method;

	if (receiver->type == VALUE_NONE) {
		if (render->options->missing_key_is_error)
			return render_fail(render, at, "there is no data to take the key '%.*s' of",
					   (int)field->len, field->bytes);
		*ret = VALUE_OF_NONE;
		return 0;
	}
	if (receiver->type == VALUE_NIL)
		return render_fail(render, at, "there is nothing to take the field %.*s of",
				   (int)field->len, field->bytes);
	method = function_method(receiver, field->bytes, field->len);
	if (method != NULL)
		return eval_call(render, dot, method, receiver, at, call, ret);
	if (receiver->type == VALUE_OBJECT)
		return field_of_object(render, at, receiver, field, ret) < 0
			       ? -1
			       : no_arguments(render, at, field, call);
	if (value_is_map(receiver))
		return no_arguments(render, at, field, call) < 0
			       ? -1
			       : field_of_map(render, at, receiver, field, ret);
	return render_fail(render, at, "%s has no field %.*s", value_type_name(receiver),
			   (int)field->len, field->bytes);
}

/* The last field alone may be a method with arguments. */
static int eval_fields(struct render *render, const struct value *dot, uint32_t at,
		       const struct value *receiver, const struct name *fields,
		       const struct call *call, struct value *ret)
{
	static const struct call none = { 0 };
	struct value value = *receiver, found;

	for (const struct name *field = fields; field != NULL; field = field->next) {
		if (eval_field(render, dot, at, &value, field, field->next != NULL ? &none : call,
			       &found) < 0)
			return -1;
		value = found;
	}
	*ret = value;
	return 0;
}

/* ---- constants ---- */

static int eval_constant(struct render *render, const struct node *node, struct value *ret)
{
	const struct number *number = &node->number;

	if (number->is_real && number->real_spelling)
		*ret = (struct value){ .type = VALUE_FLOAT64, .real = number->real };
	else if (number->is_integer)
		*ret = value_int(number->integer);
	else
		return render_fail(render, node->at, "the number is too large for an int");
	return 0;
}

/* ---- operands and commands ---- */

static int no_function(struct render *render, const struct node *node, const struct call *call)
{
	if (call->count == 0 && call->piped == NULL)
		return 0;
	return render_fail(render, node->at, "this is no function, and was given an argument");
}

static int eval_chain(struct render *render, const struct value *dot, const struct node *node,
		      const struct call *call, struct value *ret)
{
	struct value base;

	if (eval_operand(render, dot, node->base, &base) < 0)
		return -1;
	return eval_fields(render, dot, node->at, &base, node->fields, call, ret);
}

static int eval_variable(struct render *render, const struct value *dot, const struct node *node,
			 const struct call *call, struct value *ret)
{
	struct variable *variable = find_variable(render, node->variable);

	if (variable == NULL)
		return render_fail(render, node->at, "the variable %.*s is not declared",
				   (int)node->variable->len, node->variable->bytes);
	if (node->fields != NULL)
		return eval_fields(render, dot, node->at, &variable->value, node->fields, call,
				   ret);
	*ret = variable->value;
	return no_function(render, node, call);
}

/* A parenthesis is one level deeper. */
static int eval_paren(struct render *render, const struct value *dot, const struct node *node,
		      struct value *ret)
{
	int done;

	if (render_enter(render, node->at) < 0)
		return -1;
	done = eval_pipe(render, dot, node->pipe, ret);
	render->depth--;
	return done;
}

/* The first operand of a command with what it is given. */
static int eval_first(struct render *render, const struct value *dot, const struct node *node,
		      const struct call *call, struct value *ret)
{
	switch ((int)node->type) {
	case NODE_FUNCTION:
		return eval_call(render, dot, node->function, NULL, node->at, call, ret);
	case NODE_FIELD:
		return eval_fields(render, dot, node->at, dot, node->fields, call, ret);
	case NODE_CHAIN:
		return eval_chain(render, dot, node, call, ret);
	case NODE_VARIABLE:
		return eval_variable(render, dot, node, call, ret);
	default:
		break;
	}
	if (no_function(render, node, call) < 0)
		return -1;
	switch ((int)node->type) {
	case NODE_PIPE:
		return eval_paren(render, dot, node, ret);
	case NODE_BOOL:
		*ret = value_bool(node->truth);
		return 0;
	case NODE_DOT:
		*ret = *dot;
		return 0;
	case NODE_NUMBER:
		return eval_constant(render, node, ret);
	case NODE_STRING:
		*ret = value_text(node->text.bytes, node->text.len);
		return 0;
	default:
		return render_fail(render, node->at, "nil is no command");
	}
}

/* An operand by itself: a function is called without arguments. */
static int eval_operand(struct render *render, const struct value *dot, const struct node *node,
			struct value *ret)
{
	static const struct call none = { 0 };

	if (render_step(render, node->at) < 0)
		return -1;
	return eval_first(render, dot, node, &none, ret);
}

int eval_pipe(struct render *render, const struct value *dot, const struct pipe *pipe,
	      struct value *ret)
{
	struct value value = VALUE_OF_NONE, result;
	const struct command *command = pipe->commands;

	for (; command != NULL; command = command->next) {
		const struct call call = {
			.operands = command->operands->next,
			.count = command->count - 1,
			.piped = command == pipe->commands ? NULL : &value,
		};

		if (render_step(render, command->operands->at) < 0 ||
		    eval_first(render, dot, command->operands, &call, &result) < 0)
			return -1;
		value = result;
		if (value.type == VALUE_NIL)
			value = VALUE_OF_NONE;
	}
	for (const struct name *name = pipe->variables; name != NULL; name = name->next) {
		int done = pipe->assigns
				   ? eval_assign(render, pipe->commands->operands->at, name, &value)
				   : eval_push(render, name, &value);

		if (done < 0)
			return -1;
	}
	*ret = value;
	return 0;
}

/* ---- calls ---- */

static const struct {
	char letter;
	enum value_type type;
	const char *name;
	bool may_be_nil;
} parameters[] = {
	{ 's', VALUE_STRING, "string", false },
	{ 'i', VALUE_INT, "int", false },
	{ 'f', VALUE_FLOAT64, "float64", false },
	{ 'b', VALUE_BOOL, "bool", false },
	{ 'm', VALUE_MAP, "map[string]interface {}", true },
	{ 't', VALUE_STRINGS, "[]string", true },
	{ 'l', VALUE_LIST, "[]interface {}", true },
};

/* May the value be given where the letter stands? Nothing becomes the type's own nil. */
static int fit(struct render *render, uint32_t at, char letter, struct value *value)
{
	size_t i = 0;

	if (letter == 'v')
		return 0;
	if (letter == 'a') {
		if (value->type == VALUE_NONE)
			value->type = VALUE_NIL;
		return 0;
	}
	while (parameters[i].letter != letter)
		i++;
	if (value->type == parameters[i].type)
		return 0;
	if (value->type == VALUE_NONE && parameters[i].may_be_nil) {
		*value = (struct value){ .type = parameters[i].type };
		return 0;
	}
	return render_fail(render, at, "a %s is needed here, not %s", parameters[i].name,
			   value_type_name(value));
}

/* A constant takes the type that is asked for. */
static int eval_literal(struct render *render, const struct node *node, char letter,
			struct value *ret)
{
	const struct number *number = &node->number;

	if (letter == 'f' && node->type == NODE_NUMBER && number->is_real) {
		*ret = (struct value){ .type = VALUE_FLOAT64, .real = number->real };
		return 0;
	}
	if (letter == 'i' && node->type == NODE_NUMBER && number->is_integer) {
		*ret = value_int(number->integer);
		return 0;
	}
	if (eval_operand(render, &VALUE_OF_NONE, node, ret) < 0)
		return -1;
	if (letter == 'i' && node->type == NODE_NUMBER)
		return render_fail(render, node->at, "an integer is needed here");
	return fit(render, node->at, letter, ret);
}

static int eval_argument(struct render *render, const struct value *dot, const struct node *node,
			 char letter, struct value *ret)
{
	if (node->type == NODE_NIL) {
		*ret = VALUE_OF_NONE;
		return fit(render, node->at, letter, ret);
	}
	if (node->type == NODE_BOOL || node->type == NODE_NUMBER || node->type == NODE_STRING)
		return eval_literal(render, node, letter, ret);
	if (eval_operand(render, dot, node, ret) < 0)
		return -1;
	return fit(render, node->at, letter, ret);
}

/* The letter of an argument by its place. */
static char letter_of(const struct template_function *function, size_t place)
{
	size_t fixed = strcspn(function->takes, "*");

	return function->takes[place < fixed ? place : fixed - 1];
}

static int check_count(struct render *render, const struct template_function *function, uint32_t at,
		       size_t count)
{
	size_t letters = strcspn(function->takes, "*");
	bool variadic = function->takes[letters] == '*';
	size_t least = variadic ? letters - 1 : letters;

	if (count >= least && (variadic || count == letters))
		return 0;
	return render_fail(render, at, "%s takes %s%zu arguments, not %zu", function->name,
			   variadic ? "at least " : "", least, count);
}

/* and stops at what is false, or at what is true. */
static int eval_until(struct render *render, const struct value *dot, bool until,
		      const struct call *call, struct value *ret)
{
	const struct node *node = call->operands;

	*ret = VALUE_OF_NONE;
	for (; node != NULL; node = node->next) {
		if (eval_argument(render, dot, node, 'v', ret) < 0)
			return -1;
		if (value_truth(ret) == until)
			return 0;
	}
	if (call->piped != NULL)
		*ret = *call->piped;
	return 0;
}

static bool is_denied(const struct render *render, const struct template_function *function)
{
	const char *const *denied = render->options->denied;

	for (; denied != NULL && *denied != NULL; denied++)
		if (function_matches(function, *denied))
			return true;
	return false;
}

/* What a function says of itself gets its name and place; what failed in a template that it ran
 * has one already. */
static int run_function(struct render *render, const struct template_function *function,
			uint32_t at, const struct value *arguments, size_t count, struct value *ret)
{
	struct error inner = ERROR_INIT;
	struct error *outer = render->err;
	int done;

	render->err = &inner;
	done = function->call(render, arguments, count, ret);
	render->err = outer;
	if (done < 0) {
		(void)render_fail(render, at, "%s: %s", function->name, inner.text);
		/* A wrong pattern or JSON text is the template's; what a source says is its own. */
		if (render->refused || inner.code == ERROR_EXHAUSTED)
			render->err->code = inner.code;
		return -1;
	}
	if (render->values.failed) {
		(void)render_no_memory(render);
		return render_fail(render, at, "%s: %s", function->name, render->err->text);
	}
	return 0;
}

static int eval_call(struct render *render, const struct value *dot,
		     const struct template_function *function, const struct value *receiver,
		     uint32_t at, const struct call *call, struct value *ret)
{
	size_t own = receiver != NULL ? 1 : 0;
	size_t count = own + call->count + (call->piped != NULL ? 1 : 0), given = 0;
	const struct node *node = call->operands;
	struct value *arguments;

	if (receiver == NULL && is_denied(render, function))
		return render_fail(render, at, "the function %s is denied here", function->name);
	if (check_count(render, function, at, count) < 0)
		return -1;
	if (function == &function_and || function == &function_or)
		return eval_until(render, dot, function == &function_or, call, ret);
	arguments = region_array(&render->values, count + 1, sizeof(*arguments));
	if (arguments == NULL)
		return render_no_memory(render);
	if (receiver != NULL)
		arguments[given++] = *receiver;
	for (; node != NULL; node = node->next, given++)
		if (eval_argument(render, dot, node, letter_of(function, given),
				  &arguments[given]) < 0)
			return -1;
	if (call->piped != NULL) {
		arguments[given] = *call->piped;
		if (fit(render, at, letter_of(function, given), &arguments[given]) < 0)
			return -1;
	}
	return run_function(render, function, at, arguments, count, ret);
}
