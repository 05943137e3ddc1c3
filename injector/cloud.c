/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/cloud.h"

#include <string.h>

#include "injector/pod.h"

static const struct {
	const char *name;
	bool file; /* its value is a file on a mount that must come along */
} variables[] = {
	{ "AWS_ROLE_ARN", false },
	{ "AWS_WEB_IDENTITY_TOKEN_FILE", true },
	{ "AWS_REGION", false },
	{ "AWS_DEFAULT_REGION", false },
	{ "AWS_STS_REGIONAL_ENDPOINTS", false },
	{ "AWS_CONTAINER_CREDENTIALS_FULL_URI", false },
	{ "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", true },
	{ "GOOGLE_APPLICATION_CREDENTIALS", true },
	{ "AZURE_CLIENT_ID", false },
	{ "AZURE_TENANT_ID", false },
	{ "AZURE_FEDERATED_TOKEN_FILE", true },
	{ "AZURE_AUTHORITY_HOST", false },
};

/* The mount of the container that the file lies on. */
static const struct json_node *mount_of(const struct json_node *container, const char *file)
{
	const struct json_node *mounts = json_get(container, "volumeMounts");
	const struct json_node *item =
		mounts != NULL && mounts->type == JSON_IS_LIST ? mounts->first : NULL;
	const char *path;

	for (; item != NULL; item = item->next) {
		path = json_string(json_get(item, "mountPath"));
		if (path != NULL && path_covers(path, file))
			return item;
	}
	return NULL;
}

static void carry_mount(const struct plan *plan, const struct json_node *container,
			const char *file, struct json_node *mounts)
{
	struct json_edit *edit = plan->wish->edit;
	static const char *const parts[] = { "name", "mountPath", "subPath" };
	const struct json_node *mount = mount_of(container, file);
	const char *path = json_string(json_get(mount, "mountPath"));
	struct json_node *copy;

	/* Ours win, the program too; and two tokens of one volume are one mount, or the API server
	 * refuses the pod. */
	if (path == NULL || mounts == NULL || json_get(mount, "subPathExpr") != NULL ||
	    path_covers(path, PLAN_PROGRAM) || !mounts_leave_free(mounts, path))
		return;
	/* Not how a privileged container shares it with the node. */
	copy = json_new(edit, JSON_IS_MAP);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (json_get(mount, parts[i]) != NULL)
			json_put(edit, copy, parts[i], json_clone(edit, json_get(mount, parts[i])));
	json_put_bool(edit, copy, "readOnly", true);
	json_append(mounts, copy);
}

void cloud_carry_over(const struct plan *plan, struct json_node *env, struct json_node *mounts)
{
	const struct json_node *list = pod_containers(plan->wish->pod, false), *found;
	const char *value;

	if (!plan->wish->profile->cloud_identity)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		for (const struct json_node *item = list->first; item != NULL; item = item->next) {
			found = container_variable(item, variables[i].name);
			value = json_string(json_get(found, "value"));
			if (value == NULL)
				continue;
			json_append(env, json_clone(plan->wish->edit, found));
			if (variables[i].file)
				carry_mount(plan, item, value, mounts);
			break;
		}
	}
}
