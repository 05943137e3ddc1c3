/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the annotations of one prefix to a wish: every one is found in its table, or is unknown. Own
 * ones that are unknown are mistakes; of the peers' an unknown one is told and passed over, as they
 * do.
 */
#include "injector/annotations.h"

#include <string.h>

#include "agent/base/text.h"
#include "injector/wish.h"

enum { SHOWN_MAX = 40, ROWS_MAX = 127 };

const struct json_node *pod_annotations(const struct json_node *pod)
{
	const struct json_node *annotations = json_get(json_get(pod, "metadata"), "annotations");

	return annotations != NULL && annotations->type == JSON_IS_MAP ? annotations : NULL;
}

int annotation_read_bool(const char *value, bool *ret, struct error *err)
{
	static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };
	static const char *const no[] = { "", "0", "f", "F", "FALSE", "false", "False" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (strcmp(value, yes[i]) == 0) {
			*ret = true;
			return 0;
		}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (strcmp(value, no[i]) == 0) {
			*ret = false;
			return 0;
		}
	return error_set(err, ERROR_INVALID, "'%.*s' is neither true nor false: write \"true\"",
			 SHOWN_MAX, value);
}

const struct annotation *annotation_find(const struct annotation *table, const char *name,
					 const char **member)
{
	const struct annotation *best = NULL;
	size_t best_len = 0, len;

	*member = "";
	for (const struct annotation *row = table; row->name != NULL; row++) {
		if (row->name[0] != name[0])
			continue;
		if (!row->family && strcmp(row->name, name) == 0)
			return row;
		len = strlen(row->name);
		if (row->family && len > best_len && strncmp(row->name, name, len) == 0 &&
		    name[len] != '\0') {
			best = row;
			best_len = len;
			*member = name + len;
		}
	}
	return best;
}

const char *annotation_nearest(const struct annotation *table, const char *name)
{
	const char *names[ROWS_MAX + 1] = { NULL }, *nearest;
	const char *dot = strchr(name, '.');
	char word[SHOWN_MAX];
	size_t count = 0, len = dot != NULL ? (size_t)(dot - name) + 1 : strlen(name);

	if (len >= sizeof(word))
		return NULL;
	memcpy(word, name, len);
	word[len] = '\0';
	for (const struct annotation *row = table; row->name != NULL && count < ROWS_MAX; row++)
		names[count++] = row->name;
	nearest = text_nearest(word, names);
	return nearest;
}

static int unknown(struct wish *wish, const struct annotation *table, const char *name)
{
	const char *prefix = wish->dialect->prefix;
	const char *nearest = annotation_nearest(table, name);
	const char *hint =
		nearest != NULL ? wish_text(wish, " (did you mean %s%s?)", prefix, nearest) : "";

	if (wish->dialect->own)
		return wish_refuse(wish, REASON_ANNOTATION, "there is no such annotation%s", hint);
	mutation_warn(wish->mutation, "%s is unknown and ignored%s", wish->annotation, hint);
	return 0;
}

static int refuse_gated(struct wish *wish, const struct annotation *row)
{
	return wish_refuse(wish, REASON_NOT_ALLOWED,
			   "profile '%.80s' does not allow it: remove it, or have the operator add "
			   "'%s' to the profile's allow list",
			   wish->profile->name, allow_key_name(row->gate));
}

/* 1: it asks for nothing. */
static int asks_for_nothing(struct wish *wish, const struct annotation *row, const char *value)
{
	struct error err;
	bool on;

	if (!row->off_is_nothing)
		return !wish->dialect->own && value[0] == '\0' && !row->empty_counts ? 1 : 0;
	if (annotation_read_bool(value, &on, &err) < 0)
		return wish_refuse(wish, REASON_ANNOTATION, "%s", err.text);
	return on ? 0 : 1;
}

static int obey(struct wish *wish, const struct annotation *row, const char *member,
		const char *value)
{
	int nothing = asks_for_nothing(wish, row, value);

	if (nothing != 0)
		return nothing < 0 ? -1 : 0;
	switch (row->class) {
	case ANNOTATION_WARN:
		mutation_warn(wish->mutation, "%s is ignored: %s", wish->annotation, row->why);
		return 0;
	case ANNOTATION_REFUSE:
		return wish_refuse(wish, REASON_UNSUPPORTED, "%s", row->why);
	case ANNOTATION_GATE:
		if (row->is_given != NULL && row->is_given(wish, value))
			return 0;
		if (!wish->profile->allow[row->gate])
			return refuse_gated(wish, row);
		break;
	case ANNOTATION_HONOUR:
		break;
	}
	return row->read != NULL ? row->read(wish, member, value) : 0;
}

static int read_one(struct wish *wish, const struct json_node *node, const char *name)
{
	const struct annotation *table = wish->dialect->own ? own_annotations : vault_annotations;
	const struct annotation *row;
	const char *member, *value = json_string(node);

	wish->annotation = node->key;
	if (value == NULL || strlen(node->key) != node->key_len)
		return wish_refuse(wish, REASON_ANNOTATION, "its value is no text: quote it");
	row = annotation_find(table, name, &member);
	return row != NULL ? obey(wish, row, member, value) : unknown(wish, table, name);
}

/* The name behind the prefix; NULL: not for this dialect. openbao-k8s takes vault-k8s' annotations
 * too where it has none of its own by that name. */
static const char *name_of(struct wish *wish, const struct json_node *annotations,
			   const struct json_node *node)
{
	const char *prefix = wish->dialect->prefix, *name;

	if (text_starts_with(node->key, prefix))
		return node->key + strlen(prefix);
	if (wish->dialect != &openbao_dialect || !text_starts_with(node->key, VAULT_PREFIX))
		return NULL;
	name = node->key + strlen(VAULT_PREFIX);
	return json_get(annotations, wish_text(wish, OPENBAO_PREFIX "%.300s", name)) == NULL ? name
											     : NULL;
}

int wish_read(struct wish *wish)
{
	const struct json_node *annotations = pod_annotations(wish->pod);
	const char *name;

	for (const struct json_node *node = annotations->first; node != NULL; node = node->next) {
		name = name_of(wish, annotations, node);
		if (name != NULL && read_one(wish, node, name) < 0)
			return -1;
	}
	wish->annotation = NULL;
	return 0;
}
