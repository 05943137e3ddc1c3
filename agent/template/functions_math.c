/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic on any two numbers. What is written first is the second operand: subtract 1 2 is 1.
 * An integer with a float is a float, a signed one with an unsigned one is signed; integers wrap.
 */
#include "agent/template/functions.h"

enum kind { KIND_INT, KIND_UINT, KIND_REAL, KIND_NONE };

static enum kind kind_of(const struct value *value)
{
	if (value->type == VALUE_INT || value->type == VALUE_INT64)
		return KIND_INT;
	if (value->type == VALUE_UINT64 || value->type == VALUE_UINT8)
		return KIND_UINT;
	return value->type == VALUE_FLOAT64 ? KIND_REAL : KIND_NONE;
}

/* The two operands, a in front of b, as the widest of their kinds. */
struct operands {
	enum kind kind;
	union {
		struct {
			uint64_t a, b; /* also of signed numbers: they wrap alike */
		};
		struct {
			double x, y;
		};
	};
};

static double as_real(const struct value *value)
{
	enum kind kind = kind_of(value);

	return kind == KIND_REAL  ? value->real
	       : kind == KIND_INT ? (double)value->integer
				  : (double)value->unsigned_;
}

static int read_operands(struct render *render, const struct value *arguments, struct operands *ret)
{
	enum kind b = kind_of(&arguments[0]), a = kind_of(&arguments[1]);

	if (a == KIND_NONE || b == KIND_NONE)
		return render_error(render, "%s is no number it can calculate with",
				    value_type_name(&arguments[b == KIND_NONE ? 0 : 1]));
	if (a == KIND_REAL || b == KIND_REAL) {
		ret->kind = KIND_REAL;
		ret->x = as_real(&arguments[1]);
		ret->y = as_real(&arguments[0]);
		return 0;
	}
	ret->kind = a == KIND_UINT && b == KIND_UINT ? KIND_UINT : KIND_INT;
	ret->a = arguments[1].unsigned_;
	ret->b = arguments[0].unsigned_;
	return 0;
}

static struct value whole(const struct operands *operands, uint64_t number)
{
	return operands->kind == KIND_UINT
		       ? (struct value){ .type = VALUE_UINT64, .unsigned_ = number }
		       : (struct value){ .type = VALUE_INT64, .integer = (int64_t)number };
}

static struct value real(double number)
{
	return (struct value){ .type = VALUE_FLOAT64, .real = number };
}

static int call_add(struct render *render, const struct value *arguments, size_t count,
		    struct value *ret)
{
	struct operands two;

	(void)count;
	if (read_operands(render, arguments, &two) < 0)
		return -1;
	*ret = two.kind == KIND_REAL ? real(two.x + two.y) : whole(&two, two.a + two.b);
	return 0;
}

static int call_subtract(struct render *render, const struct value *arguments, size_t count,
			 struct value *ret)
{
	struct operands two;

	(void)count;
	if (read_operands(render, arguments, &two) < 0)
		return -1;
	*ret = two.kind == KIND_REAL ? real(two.x - two.y) : whole(&two, two.a - two.b);
	return 0;
}

static int call_multiply(struct render *render, const struct value *arguments, size_t count,
			 struct value *ret)
{
	struct operands two;

	(void)count;
	if (read_operands(render, arguments, &two) < 0)
		return -1;
	*ret = two.kind == KIND_REAL ? real(two.x * two.y) : whole(&two, two.a * two.b);
	return 0;
}

/* Towards zero; the least integer by -1 wraps, which the processor would refuse. */
static uint64_t quotient(const struct operands *two)
{
	if (two->kind == KIND_UINT)
		return two->a / two->b;
	return (int64_t)two->b == -1 ? 0 - two->a : (uint64_t)((int64_t)two->a / (int64_t)two->b);
}

static int call_divide(struct render *render, const struct value *arguments, size_t count,
		       struct value *ret)
{
	struct operands two;

	(void)count;
	if (read_operands(render, arguments, &two) < 0)
		return -1;
	if (two.kind != KIND_REAL && two.b == 0)
		return render_error(render, "division by zero");
	*ret = two.kind == KIND_REAL ? real(two.x / two.y) : whole(&two, quotient(&two));
	return 0;
}

static int call_modulo(struct render *render, const struct value *arguments, size_t count,
		       struct value *ret)
{
	struct operands two;

	(void)count;
	if (read_operands(render, arguments, &two) < 0)
		return -1;
	if (two.kind == KIND_REAL)
		return render_error(render, "it takes no float64");
	if (two.b == 0)
		return render_error(render, "division by zero");
	*ret = whole(&two, two.a - quotient(&two) * two.b);
	return 0;
}

/* The one of the two, with its own kind. */
static int choose(struct render *render, const struct value *arguments, bool larger,
		  struct value *ret)
{
	const struct value *chosen = &arguments[0];
	struct operands two;
	bool first;

	if (read_operands(render, arguments, &two) < 0)
		return -1;
	if (two.kind == KIND_REAL)
		first = larger ? two.x > two.y : two.x < two.y;
	else if (two.kind == KIND_UINT)
		first = larger ? two.a > two.b : two.a < two.b;
	else
		first = larger ? (int64_t)two.a > (int64_t)two.b : (int64_t)two.a < (int64_t)two.b;
	if (first)
		chosen = &arguments[1];
	*ret = *chosen;
	if (kind_of(chosen) == KIND_INT)
		ret->type = VALUE_INT64;
	if (kind_of(chosen) == KIND_UINT)
		ret->type = VALUE_UINT64;
	return 0;
}

static int call_minimum(struct render *render, const struct value *arguments, size_t count,
			struct value *ret)
{
	(void)count;
	return choose(render, arguments, false, ret);
}

static int call_maximum(struct render *render, const struct value *arguments, size_t count,
			struct value *ret)
{
	(void)count;
	return choose(render, arguments, true, ret);
}

const struct template_function functions_math[] = {
	{ "add", "aa", call_add },	     { "divide", "aa", call_divide },
	{ "maximum", "aa", call_maximum },   { "minimum", "aa", call_minimum },
	{ "modulo", "aa", call_modulo },     { "multiply", "aa", call_multiply },
	{ "subtract", "aa", call_subtract }, { 0 },
};
