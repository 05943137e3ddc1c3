/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eq, ne, lt, le, gt, ge: between values of one kind; of two kinds only int and uint.
 */
#include "agent/template/functions.h"

enum kind { KIND_NONE, KIND_BOOL, KIND_INT, KIND_UINT, KIND_REAL, KIND_TEXT, KIND_OTHER };

static enum kind kind_of(const struct value *value)
{
	switch (value->type) {
	case VALUE_BOOL:
		return KIND_BOOL;
	case VALUE_INT:
	case VALUE_INT64:
		return KIND_INT;
	case VALUE_UINT8:
	case VALUE_UINT64:
		return KIND_UINT;
	case VALUE_FLOAT64:
		return KIND_REAL;
	case VALUE_STRING:
	case VALUE_NUMBER:
		return KIND_TEXT;
	case VALUE_NONE:
	case VALUE_NIL:
		return KIND_NONE;
	case VALUE_LIST:
	case VALUE_STRINGS:
	case VALUE_MAP:
	case VALUE_STRING_MAP:
	case VALUE_ANY_MAP:
	case VALUE_OBJECT:
	case VALUE_LOOP:
	case VALUE_TYPES:
	default:
		return KIND_OTHER;
	}
}

static int incompatible(struct render *render, const struct value *one, const struct value *other)
{
	return render_error(render, "%s and %s cannot be compared", value_type_name(one),
			    value_type_name(other));
}

/* Lists and maps are only ever compared with nothing. */
static int equal_others(struct render *render, const struct value *one, const struct value *other,
			bool *ret)
{
	bool one_nil = value_is_nil(one), other_nil = value_is_nil(other);

	if (one_nil || other_nil) {
		if (one->type != other->type && kind_of(one) != KIND_NONE &&
		    kind_of(other) != KIND_NONE &&
		    (value_is_list(one) != value_is_list(other) ||
		     value_is_map(one) != value_is_map(other)))
			return incompatible(render, one, other);
		*ret = one_nil == other_nil;
		return 0;
	}
	if (one->type != VALUE_OBJECT || other->type != VALUE_OBJECT)
		return incompatible(render, one, other);
	*ret = one->object == other->object;
	return 0;
}

static int equal(struct render *render, const struct value *one, const struct value *other,
		 bool *ret)
{
	enum kind left = kind_of(one), right = kind_of(other);

	*ret = false;
	if (left == KIND_INT && right == KIND_UINT)
		*ret = one->integer >= 0 && (uint64_t)one->integer == other->unsigned_;
	else if (left == KIND_UINT && right == KIND_INT)
		*ret = other->integer >= 0 && (uint64_t)other->integer == one->unsigned_;
	else if ((left == KIND_NONE || left == KIND_OTHER) &&
		 (right == KIND_NONE || right == KIND_OTHER))
		return equal_others(render, one, other, ret);
	else if (left == KIND_NONE || right == KIND_NONE)
		return 0;
	else if (left != right)
		return incompatible(render, one, other);
	else
		*ret = left == KIND_REAL   ? one->real >= other->real && one->real <= other->real
		       : left == KIND_TEXT ? value_compare_keys(one, other) == 0
		       : left == KIND_BOOL ? one->truth == other->truth
					   : one->integer == other->integer;
	return 0;
}

/* The first against each of the others, until one is equal. */
static int call_eq(struct render *render, const struct value *arguments, size_t count,
		   struct value *ret)
{
	bool same = false;

	if (count < 2)
		return render_error(render, "there is nothing to compare with");
	for (size_t i = 1; i < count && !same; i++)
		if (equal(render, &arguments[0], &arguments[i], &same) < 0)
			return -1;
	*ret = value_bool(same);
	return 0;
}

static int call_ne(struct render *render, const struct value *arguments, size_t count,
		   struct value *ret)
{
	bool same;

	(void)count;
	if (equal(render, &arguments[0], &arguments[1], &same) < 0)
		return -1;
	*ret = value_bool(!same);
	return 0;
}

static int less(struct render *render, const struct value *one, const struct value *other,
		bool *ret)
{
	enum kind left = kind_of(one), right = kind_of(other);

	if (left == KIND_INT && right == KIND_UINT)
		*ret = one->integer < 0 || (uint64_t)one->integer < other->unsigned_;
	else if (left == KIND_UINT && right == KIND_INT)
		*ret = other->integer >= 0 && one->unsigned_ < (uint64_t)other->integer;
	else if (left != right || left == KIND_BOOL || left == KIND_NONE || left == KIND_OTHER)
		return incompatible(render, one, other);
	else
		*ret = left == KIND_REAL   ? one->real < other->real
		       : left == KIND_TEXT ? value_compare_keys(one, other) < 0
		       : left == KIND_INT  ? one->integer < other->integer
					   : one->unsigned_ < other->unsigned_;
	return 0;
}

static int less_or_equal(struct render *render, const struct value *one, const struct value *other,
			 bool *ret)
{
	if (less(render, one, other, ret) < 0)
		return -1;
	return *ret ? 0 : equal(render, one, other, ret);
}

static int call_lt(struct render *render, const struct value *arguments, size_t count,
		   struct value *ret)
{
	bool truth;

	(void)count;
	if (less(render, &arguments[0], &arguments[1], &truth) < 0)
		return -1;
	*ret = value_bool(truth);
	return 0;
}

static int call_le(struct render *render, const struct value *arguments, size_t count,
		   struct value *ret)
{
	bool truth;

	(void)count;
	if (less_or_equal(render, &arguments[0], &arguments[1], &truth) < 0)
		return -1;
	*ret = value_bool(truth);
	return 0;
}

/* Not le, also for a NaN. */
static int call_gt(struct render *render, const struct value *arguments, size_t count,
		   struct value *ret)
{
	if (call_le(render, arguments, count, ret) < 0)
		return -1;
	ret->truth = !ret->truth;
	return 0;
}

static int call_ge(struct render *render, const struct value *arguments, size_t count,
		   struct value *ret)
{
	if (call_lt(render, arguments, count, ret) < 0)
		return -1;
	ret->truth = !ret->truth;
	return 0;
}

const struct template_function functions_compare[] = {
	{ "eq", "vv*", call_eq },
	{ "ne", "vv", call_ne },
	{ "lt", "vv", call_lt },
	{ "le", "vv", call_le },
	{ "gt", "vv", call_gt },
	{ "ge", "vv", call_ge },
	{ 0 },
};
