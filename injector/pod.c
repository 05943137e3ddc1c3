/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/pod.h"

#include <string.h>

#include "agent/base/text.h"
#include "injector/quantity.h"

enum { OBJECT_NAME_MOST = 253 };

static const struct json_node empty_list = { .type = JSON_IS_LIST };

const struct json_node *pod_containers(const struct json_node *pod, bool init)
{
	const struct json_node *list =
		json_get(json_get(pod, "spec"), init ? "initContainers" : "containers");

	return list != NULL && list->type == JSON_IS_LIST ? list : &empty_list;
}

bool object_name_is_valid(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
	size_t len = strlen(name);

	return len > 0 && len <= OBJECT_NAME_MOST && name[strspn(name, letters)] == '\0' &&
	       strchr("-.", name[0]) == NULL && strchr("-.", name[len - 1]) == NULL;
}

const char *container_name(const struct json_node *container)
{
	const char *name = json_string(json_get(container, "name"));

	return name != NULL ? name : "";
}

const struct json_node *pod_container(const struct json_node *pod, const char *name)
{
	for (int init = 0; init < 2; init++) {
		const struct json_node *item = pod_containers(pod, init)->first;

		for (; item != NULL; item = item->next)
			if (strcmp(container_name(item), name) == 0)
				return item;
	}
	return NULL;
}

bool pod_has_volume(const struct json_node *pod, const char *name)
{
	const struct json_node *volumes = json_get(json_get(pod, "spec"), "volumes");
	const struct json_node *item =
		volumes != NULL && volumes->type == JSON_IS_LIST ? volumes->first : NULL;

	for (; item != NULL; item = item->next)
		if (strcmp(container_name(item), name) == 0)
			return true;
	return false;
}

/* ---- meshes ---- */

static const char *const mesh_containers[] = {
	"istio-init",	    "istio-validation",
	"istio-proxy",	    "linkerd-init",
	"linkerd-proxy",    "linkerd-network-validator",
	"linkerd-debug",    "consul-connect-inject-init",
	"consul-dataplane", "kuma-init",
	"kuma-validation",  "kuma-sidecar",
};

bool container_is_mesh(const struct json_node *container)
{
	const char *name = container_name(container);

	for (size_t i = 0; i < ARRAY_SIZE(mesh_containers); i++)
		if (strcmp(mesh_containers[i], name) == 0)
			return true;
	return false;
}

bool container_is_native_sidecar(const struct json_node *container)
{
	const char *policy = json_string(json_get(container, "restartPolicy"));

	return policy != NULL && strcmp(policy, "Always") == 0;
}

size_t pod_agent_position(const struct json_node *pod)
{
	size_t position = 0, index = 0;

	for (const struct json_node *item = pod_containers(pod, true)->first; item != NULL;
	     item = item->next) {
		index++;
		if (container_is_mesh(item) && container_is_native_sidecar(item))
			position = index;
	}
	return position;
}

/* ---- mounts ---- */

/* Components of a path one after the other; /var/run/x is /run/x. */
static const char *next_component(const char *at, size_t *len)
{
	do {
		at += strspn(at, "/");
		*len = strcspn(at, "/");
		if (*len != 1 || *at != '.')
			return at;
		at += *len;
	} while (true);
}

static const char *skip_var(const char *path)
{
	size_t len, next_len;
	const char *first = next_component(path, &len), *second;

	if (len != 3 || memcmp(first, "var", len) != 0)
		return path;
	second = next_component(first + len, &next_len);
	return next_len == 3 && memcmp(second, "run", next_len) == 0 ? second : path;
}

/* 0: apart; else a bit for each that is a prefix of the other. */
enum { ONE_COVERS = 1, OTHER_COVERS = 2 };

static int relation(const char *one, const char *other)
{
	size_t len, other_len;

	one = skip_var(one);
	other = skip_var(other);
	for (;;) {
		one = next_component(one, &len);
		other = next_component(other, &other_len);
		if (len == 0 || other_len == 0)
			return (len == 0 ? ONE_COVERS : 0) | (other_len == 0 ? OTHER_COVERS : 0);
		if (len != other_len || memcmp(one, other, len) != 0)
			return 0;
		one += len;
		other += len;
	}
}

bool path_covers(const char *path, const char *inner)
{
	return (relation(path, inner) & ONE_COVERS) != 0;
}

/* Where it leads is decided by links that nobody knows here. */
static bool leads_up(const char *path)
{
	size_t len;

	for (path = next_component(path, &len); len > 0; path = next_component(path + len, &len))
		if (len == 2 && memcmp(path, "..", len) == 0)
			return true;
	return false;
}

static const char *find_mount(const struct json_node *mounts, const char *path, bool same)
{
	const struct json_node *item =
		mounts != NULL && mounts->type == JSON_IS_LIST ? mounts->first : NULL;
	const char *other;
	int how;

	for (; item != NULL; item = item->next) {
		other = json_string(json_get(item, "mountPath"));
		how = other != NULL ? relation(path, other) : 0;
		if (same ? how == (ONE_COVERS | OTHER_COVERS)
			 : how != 0 || leads_up(path) || (other != NULL && leads_up(other)))
			return other;
	}
	return NULL;
}

bool mounts_leave_free(const struct json_node *mounts, const char *path)
{
	return find_mount(mounts, path, false) == NULL;
}

const char *container_mount_conflict(const struct json_node *container, const char *path)
{
	return find_mount(json_get(container, "volumeMounts"), path, false);
}

const char *container_mount_same(const struct json_node *container, const char *path)
{
	return find_mount(json_get(container, "volumeMounts"), path, true);
}

const struct json_node *container_variable(const struct json_node *container, const char *name)
{
	const struct json_node *env = json_get(container, "env");
	const struct json_node *item = env != NULL && env->type == JSON_IS_LIST ? env->first : NULL;

	while (item != NULL && strcmp(container_name(item), name) != 0)
		item = item->next;
	return item;
}

/* ---- classes and users ---- */

static bool is_guaranteed(const struct json_node *container, const char *resource)
{
	const struct json_node *resources = json_get(container, "resources");
	const struct json_node *limit = json_get(json_get(resources, "limits"), resource);
	const struct json_node *request = json_get(json_get(resources, "requests"), resource);

	if (limit == NULL)
		return false;
	if (request == NULL)
		return true;
	if (limit->type == JSON_IS_NUMBER && request->type == JSON_IS_NUMBER)
		return json_equal(limit, request);
	return quantity_equal(limit->text, request->text);
}

bool pod_shares(const struct json_node *pod, const char *resource)
{
	const struct json_node *resources = json_get(json_get(pod, "spec"), "resources");

	return json_get(json_get(resources, "requests"), resource) != NULL ||
	       json_get(json_get(resources, "limits"), resource) != NULL;
}

bool pod_is_guaranteed(const struct json_node *pod)
{
	const struct json_node *spec = json_get(pod, "spec");

	/* What the pod has as a whole decides alone. */
	if (pod_shares(pod, "cpu") || pod_shares(pod, "memory"))
		return is_guaranteed(spec, "cpu") && is_guaranteed(spec, "memory");
	for (int init = 0; init < 2; init++) {
		const struct json_node *item = pod_containers(pod, init)->first;

		for (; item != NULL; item = item->next)
			if (!is_guaranteed(item, "cpu") || !is_guaranteed(item, "memory"))
				return false;
	}
	return pod_containers(pod, false)->count > 0;
}

static bool runs_as(const struct json_node *node, int64_t uid)
{
	return json_integer(json_get(json_get(node, "securityContext"), "runAsUser"), -1) == uid;
}

bool pod_uses_uid(const struct json_node *pod, int64_t uid)
{
	if (runs_as(json_get(pod, "spec"), uid))
		return true;
	for (int init = 0; init < 2; init++) {
		const struct json_node *item = pod_containers(pod, init)->first;

		for (; item != NULL; item = item->next)
			if (runs_as(item, uid))
				return true;
	}
	return false;
}

bool pod_is_windows(const struct json_node *pod)
{
	const struct json_node *spec = json_get(pod, "spec");
	const char *os = json_string(json_get(json_get(spec, "os"), "name"));
	const char *node =
		json_string(json_get(json_get(spec, "nodeSelector"), "kubernetes.io/os"));

	return (os != NULL && strcmp(os, "windows") == 0) ||
	       (node != NULL && strcmp(node, "windows") == 0);
}
