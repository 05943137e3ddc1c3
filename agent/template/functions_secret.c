/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes from outside: secrets, lists, files, variables of the environment; and the other
 * templates of the same text.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/template/functions.h"
#include "agent/template/needs.h"
#include "agent/template/strings.h"

/* ---- secret ---- */

static const char *const secret_fields[] = { "RequestID", "LeaseID",  "LeaseDuration", "Renewable",
					     "Data",	  "Warnings", "Auth",	       "WrapInfo" };
static const struct object_type secret_type = { .name = "dependency.Secret",
						.count = ARRAY_SIZE(secret_fields),
						.fields = secret_fields };
static const char *const auth_fields[] = { "ClientToken", "Accessor",	   "Policies",
					   "Metadata",	  "LeaseDuration", "Renewable" };
static const struct object_type auth_type = { .name = "dependency.SecretAuth",
					      .count = ARRAY_SIZE(auth_fields),
					      .fields = auth_fields };
static const char *const wrap_fields[] = { "Token", "TTL", "WrappedAccessor" };
static const struct object_type wrap_type = { .name = "dependency.SecretWrapInfo",
					      .count = ARRAY_SIZE(wrap_fields),
					      .fields = wrap_fields };

static int text_of(struct render *render, const struct json_node *node, struct value *ret)
{
	bool is_text = node != NULL && node->type == JSON_IS_STRING;

	return render_copy(render, is_text ? node->text : "", is_text ? node->text_len : 0, ret);
}

/* []string; what is not there or empty is a nil slice. */
static int texts_of(struct render *render, const struct json_node *node, struct value *ret)
{
	*ret = (struct value){ .type = VALUE_STRINGS };
	if (node == NULL || node->type != JSON_IS_LIST || node->count == 0)
		return 0;
	ret->items = region_array(&render->values, node->count, sizeof(*ret->items));
	if (ret->items == NULL)
		return render_no_memory(render);
	for (const struct json_node *child = node->first; child != NULL; child = child->next) {
		if (child->type != JSON_IS_STRING)
			return render_error(render,
					    "the answer has a list with other things than "
					    "strings");
		if (text_of(render, child, &ret->items[ret->count++]) < 0)
			return -1;
	}
	return 0;
}

static int map_of(struct render *render, const struct json_node *node, enum value_type type,
		  struct value *ret)
{
	*ret = (struct value){ .type = type };
	if (node == NULL || node->type != JSON_IS_MAP || node->count == 0)
		return 0;
	if (value_from_json(&render->values, node, NUMBERS_AS_SPELLED, ret) < 0)
		return render_no_memory(render);
	ret->type = type;
	return 0;
}

static int fill_auth(struct render *render, const struct json_node *auth, struct value *ret)
{
	struct value *fields;

	*ret = (struct value){ .type = VALUE_OBJECT };
	if (auth == NULL || auth->type != JSON_IS_MAP)
		return 0;
	if (needs_object(render, &auth_type, ret) < 0)
		return -1;
	fields = ret->object->fields;
	fields[4] = value_int(json_integer(json_get(auth, "lease_duration"), 0));
	fields[5] = value_bool(json_bool(json_get(auth, "renewable"), false));
	return text_of(render, json_get(auth, "client_token"), &fields[0]) < 0 ||
			       text_of(render, json_get(auth, "accessor"), &fields[1]) < 0 ||
			       texts_of(render, json_get(auth, "policies"), &fields[2]) < 0 ||
			       map_of(render, json_get(auth, "metadata"), VALUE_STRING_MAP,
				      &fields[3]) < 0
		       ? -1
		       : 0;
}

static int fill_wrap(struct render *render, const struct json_node *wrap, struct value *ret)
{
	struct value *fields;

	*ret = (struct value){ .type = VALUE_OBJECT };
	if (wrap == NULL || wrap->type != JSON_IS_MAP)
		return 0;
	if (needs_object(render, &wrap_type, ret) < 0)
		return -1;
	fields = ret->object->fields;
	fields[1] = value_int(json_integer(json_get(wrap, "ttl"), 0));
	return text_of(render, json_get(wrap, "token"), &fields[0]) < 0 ||
			       text_of(render, json_get(wrap, "wrapped_accessor"), &fields[2]) < 0
		       ? -1
		       : 0;
}

static int make_secret(struct render *render, const struct json_node *reply, struct value *ret)
{
	struct value *fields;

	if (needs_object(render, &secret_type, ret) < 0)
		return -1;
	fields = ret->object->fields;
	fields[2] = value_int(json_integer(json_get(reply, "lease_duration"), 0));
	fields[3] = value_bool(json_bool(json_get(reply, "renewable"), false));
	if (text_of(render, json_get(reply, "request_id"), &fields[0]) < 0 ||
	    text_of(render, json_get(reply, "lease_id"), &fields[1]) < 0 ||
	    map_of(render, json_get(reply, "data"), VALUE_MAP, &fields[4]) < 0 ||
	    texts_of(render, json_get(reply, "warnings"), &fields[5]) < 0 ||
	    fill_auth(render, json_get(reply, "auth"), &fields[6]) < 0)
		return -1;
	return fill_wrap(render, json_get(reply, "wrap_info"), &fields[7]);
}

static int call_secret(struct render *render, const struct value *arguments, size_t count,
		       struct value *ret)
{
	struct template_need need = { .kind = count > 1 ? TEMPLATE_WRITE : TEMPLATE_READ };
	struct template_answer answer = { 0 };
	int there;

	*ret = (struct value){ .type = VALUE_NIL };
	if (count == 0)
		return 0;
	if (needs_pairs(render, arguments + 1, count - 1, &need) < 0 ||
	    needs_path(render, &arguments[0], &need.path) < 0)
		return -1;
	there = needs_ask(render, &need, &answer);
	return there > 0 ? make_secret(render, answer.reply, ret) : there;
}

/* ---- secrets ---- */

static int compare_texts(const void *one, const void *other)
{
	return value_compare_keys(one, other);
}

static int call_secrets(struct render *render, const struct value *arguments, size_t count,
			struct value *ret)
{
	struct template_need need = { .kind = TEMPLATE_LIST };
	struct template_answer answer = { 0 };
	const struct json_node *keys;
	int there;

	(void)count;
	*ret = (struct value){ .type = VALUE_STRINGS };
	if (arguments[0].len == 0)
		return 0;
	if (needs_path(render, &arguments[0], &need.path) < 0)
		return -1;
	there = needs_ask(render, &need, &answer);
	if (there <= 0)
		return there;
	keys = json_get(json_get(answer.reply, "data"), "keys");
	if (keys != NULL && keys->type != JSON_IS_LIST)
		return render_error(render, "the answer's keys are no list");
	if (texts_of(render, keys, ret) < 0)
		return -1;
	if (ret->count > 1)
		qsort(ret->items, ret->count, sizeof(*ret->items), compare_texts);
	return 0;
}

/* ---- files and the environment ---- */

static int call_file(struct render *render, const struct value *arguments, size_t count,
		     struct value *ret)
{
	struct template_need need = { .kind = TEMPLATE_FILE };
	struct value path = strings_trim_space(&arguments[0]);
	struct template_answer answer = { 0 };
	int there;

	(void)count;
	*ret = value_text("", 0);
	if (arguments[0].len == 0)
		return 0;
	need.path = region_copy(&render->values, path.bytes, path.len);
	if (need.path == NULL)
		return render_no_memory(render);
	if (path.len == 0 || strlen(need.path) != path.len)
		return render_error(render, "the path is empty, or has a NUL in it");
	there = needs_ask(render, &need, &answer);
	return there > 0 ? render_copy(render, answer.bytes, answer.len, ret) : there;
}

/* NULL when it is not set. */
static const char *variable(struct render *render, const struct value *name)
{
	const char *copy = region_copy(&render->values, name->bytes, name->len);

	if (copy == NULL || strlen(copy) != name->len)
		return NULL;
	return render->source->environment(render->source, copy);
}

static int call_env(struct render *render, const struct value *arguments, size_t count,
		    struct value *ret)
{
	const char *text = variable(render, &arguments[0]);

	(void)count;
	return render_copy(render, text != NULL ? text : "", text != NULL ? strlen(text) : 0, ret);
}

static int call_must_env(struct render *render, const struct value *arguments, size_t count,
			 struct value *ret)
{
	if (call_env(render, arguments, count, ret) < 0)
		return -1;
	return ret->len > 0 ? 0 : render_error(render, "the variable is not set, or empty");
}

static int call_env_or_default(struct render *render, const struct value *arguments, size_t count,
			       struct value *ret)
{
	if (variable(render, &arguments[0]) != NULL)
		return call_env(render, arguments, count, ret);
	*ret = arguments[1];
	return 0;
}

/* ---- templates ---- */

static int call_execute_template(struct render *render, const struct value *arguments, size_t count,
				 struct value *ret)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct value dot = count > 1 ? arguments[1] : VALUE_OF_NONE;

	if (count > 2)
		return render_error(render, "it takes one or two arguments");
	if (dot.type == VALUE_NIL)
		dot = VALUE_OF_NONE;
	if (render_template(render, arguments[0].bytes, arguments[0].len, &dot, &out) < 0)
		return -1;
	return render_string(render, &out, ret);
}

const struct template_function functions_secret[] = {
	{ "env", "s", call_env },
	{ "envOrDefault", "ss", call_env_or_default },
	{ "executeTemplate", "sa*", call_execute_template },
	{ "file", "s", call_file },
	{ "mustEnv", "s", call_must_env },
	{ "secret", "s*", call_secret },
	{ "secrets", "s", call_secrets },
	{ 0 },
};
