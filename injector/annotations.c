/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/annotations.h"

#include <string.h>

enum { SHOWN_MAX = 40 };

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
