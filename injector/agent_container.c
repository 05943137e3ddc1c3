/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/agent_container.h"

#include <limits.h>
#include <string.h>

#include "agent/base/text.h"
#include "injector/agent_yaml.h"
#include "injector/annotations.h"
#include "injector/cloud.h"
#include "injector/patch.h"
#include "injector/pod.h"

/* The kernel takes no longer string of an environment, with its name and NUL. */
enum { CONFIG_MAX = (128 << 10) - 32, PROBE_TIMEOUT_S = 6, PROBE_PERIOD_S = 1 };

#define GUARANTEED_CPU "100m"

static struct json_node *text_list(struct json_edit *edit, const char *const *words)
{
	struct json_node *list = json_new(edit, JSON_IS_LIST);

	for (; *words != NULL; words++)
		json_append(list, json_new_string(edit, *words));
	return list;
}

static void put_command(struct json_edit *edit, struct json_node *container, enum agent_role role)
{
	static const char *const commands[][5] = {
		[AGENT_NATIVE] = { PLAN_PROGRAM, "serve", "--status-socket", PLAN_STATUS, NULL },
		[AGENT_SIDECAR] = { PLAN_PROGRAM, "serve", "--status-socket", PLAN_STATUS, NULL },
		[AGENT_ONCE] = { PLAN_PROGRAM, "serve", "--once", NULL },
		[AGENT_COPY] = { PLAN_PROGRAM, "copy", PLAN_BIN, NULL },
	};

	json_put(edit, container, "command", text_list(edit, commands[role]));
}

static void add_mount(struct json_edit *edit, struct json_node *mounts, const char *volume,
		      const char *path, bool read_only)
{
	struct json_node *mount = json_new(edit, JSON_IS_MAP);

	json_put_string(edit, mount, "name", volume);
	json_put_string(edit, mount, "mountPath", path);
	if (read_only)
		json_put_bool(edit, mount, "readOnly", true);
	json_append(mounts, mount);
}

/* Those of a container that the operator let the pod name, but for tokens and what is ours. */
static void copy_mounts(const struct plan *plan, struct json_node *mounts)
{
	const char *name = plan->wish->copy_mounts, *path;
	const struct json_node *from =
		name != NULL ? json_get(pod_container(plan->wish->pod, name), "volumeMounts")
			     : NULL;
	const struct json_node *item =
		from != NULL && from->type == JSON_IS_LIST ? from->first : NULL;

	for (; item != NULL; item = item->next) {
		path = json_string(json_get(item, "mountPath"));
		if (path != NULL && strstr(path, "serviceaccount") == NULL &&
		    mounts_leave_free(mounts, path))
			json_append(mounts, json_clone(plan->wish->edit, item));
	}
}

static struct json_node *mounts_of(const struct plan *plan, enum agent_role role)
{
	const struct wish *wish = plan->wish;
	struct json_edit *edit = wish->edit;
	struct json_node *mounts = json_new(edit, JSON_IS_LIST);

	if (role == AGENT_COPY) {
		add_mount(edit, mounts, PLAN_VOLUME("bin"), PLAN_BIN, false);
		return mounts;
	}
	for (const struct plan_directory *directory = plan->directories; directory != NULL;
	     directory = directory->next)
		add_mount(edit, mounts, directory->volume, directory->path, false);
	if (plan->env_files)
		add_mount(edit, mounts, PLAN_VOLUME("env"), PLAN_ENV, false);
	if (plan->sidecar)
		add_mount(edit, mounts, PLAN_VOLUME("private"), PLAN_PRIVATE, false);
	for (size_t i = 0; i < plan->target_count && role != AGENT_ONCE; i++)
		if (plan->targets[i].socket)
			add_mount(edit, mounts, plan->targets[i].volume,
				  wish_text(plan->wish, PLAN_SOCKET "/%s", plan->targets[i].name),
				  false);
	add_mount(edit, mounts, PLAN_VOLUME("identity"), PLAN_IDENTITY, true);
	if (wish->config_map != NULL)
		add_mount(edit, mounts, PLAN_VOLUME("config"), PLAN_CONFIG, true);
	copy_mounts(plan, mounts);
	if (wish->tls_secret != NULL)
		add_mount(edit, mounts, PLAN_VOLUME("tls"), "/vault/tls", true);
	if (wish->extra_secret != NULL)
		add_mount(edit, mounts, PLAN_VOLUME("extra"), "/vault/custom", true);
	return mounts;
}

void kube_escape(struct buf *out, const char *text)
{
	for (size_t len; *text != '\0'; text += len) {
		len = strcspn(text, "$");
		buf_put(out, text, len);
		if (text[len] == '$') {
			buf_puts(out, "$$");
			len++;
		}
	}
}

static void put_config(const struct plan *plan, struct json_node *env)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(WISH_TEXT_MAX);
	AUTO(buf_deinit) struct buf escaped = BUF_INIT(WISH_TEXT_MAX);
	struct json_edit *edit = plan->wish->edit;
	struct json_node *variable = json_new(edit, JSON_IS_MAP);

	agent_yaml_write(plan, &text);
	if (text.len > CONFIG_MAX) {
		(void)wish_refuse(plan->wish, REASON_ANNOTATION,
				  "the agent's configuration would pass %d KiB: ask for fewer "
				  "secrets",
				  CONFIG_MAX >> 10);
		return;
	}
	json_put_string(edit, variable, "name", "AGENT_CONFIG_YAML");
	kube_escape(&escaped, buf_string(&text));
	edit->failed = edit->failed || text.failed || escaped.failed;
	json_put(edit, variable, "value", json_new_bytes(edit, buf_string(&escaped), escaped.len));
	json_append(env, variable);
}

static void put_environment(const struct plan *plan, struct json_node *container,
			    struct json_node *mounts)
{
	struct json_edit *edit = plan->wish->edit;
	struct json_node *env = json_new(edit, JSON_IS_LIST);

	if (plan->wish->config_map == NULL)
		put_config(plan, env);
	cloud_carry_over(plan, env, mounts);
	if (env != NULL && env->count > 0)
		json_put(edit, container, "env", env);
}

static void put_quantities(struct json_edit *edit, struct json_node *resources, const char *key,
			   const char *cpu, const char *memory, const char *storage)
{
	const struct {
		const char *name, *value;
	} rows[] = { { "cpu", cpu }, { "memory", memory }, { "ephemeral-storage", storage } };
	struct json_node *map = json_new(edit, JSON_IS_MAP);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].value != NULL && rows[i].value[0] != '\0')
			json_put_string(edit, map, rows[i].name, rows[i].value);
	if (map != NULL && map->count > 0)
		json_put(edit, resources, key, map);
}

/* What an annotation says, "" for nothing, else the profile's. */
static const char *either(const char *wished, const char *otherwise)
{
	return wished != NULL ? wished : otherwise;
}

static void put_resources(const struct plan *plan, struct json_node *container)
{
	const struct wish_resources *wished = &plan->wish->resources;
	const struct profile_resources *given = &plan->wish->profile->resources;
	struct json_edit *edit = plan->wish->edit;
	struct json_node *resources = json_new(edit, JSON_IS_MAP);
	const char *cpu = either(wished->limits_cpu, given->limits_cpu);
	const char *memory = either(wished->limits_memory, given->limits_memory);
	const char *request_cpu = either(wished->requests_cpu, given->requests_cpu);
	const char *request_memory = either(wished->requests_memory, given->requests_memory);

	if (plan->guaranteed) {
		cpu = cpu != NULL && cpu[0] != '\0' ? cpu : GUARANTEED_CPU;
		memory = memory[0] != '\0' ? memory : given->limits_memory;
		request_cpu = cpu;
		request_memory = memory;
	}
	/* What containers ask for must not pass what the pod has: there the agent shares it. */
	if (pod_shares(plan->wish->pod, "cpu")) {
		cpu = wished->limits_cpu;
		request_cpu = wished->requests_cpu;
	}
	if (pod_shares(plan->wish->pod, "memory")) {
		memory = wished->limits_memory;
		request_memory = wished->requests_memory;
	}
	put_quantities(edit, resources, "requests", request_cpu, request_memory,
		       wished->requests_storage);
	put_quantities(edit, resources, "limits", cpu, memory, wished->limits_storage);
	json_put(edit, container, "resources", resources);
}

static void put_security(const struct plan *plan, struct json_node *container)
{
	static const char *const all[] = { "ALL", NULL };
	struct json_edit *edit = plan->wish->edit;
	struct json_node *context =
		json_open_member(edit, container, "securityContext", JSON_IS_MAP);

	json_put_bool(edit, context, "allowPrivilegeEscalation", false);
	json_put(edit, json_open_member(edit, context, "capabilities", JSON_IS_MAP), "drop",
		 text_list(edit, all));
	json_put_bool(edit, context, "readOnlyRootFilesystem", true);
	json_put_bool(edit, context, "runAsNonRoot", true);
	if (plan->user >= 0)
		json_put_integer(edit, context, "runAsUser", plan->user);
	if (plan->group >= 0)
		json_put_integer(edit, context, "runAsGroup", plan->group);
	json_put_string(edit, json_open_member(edit, context, "seccompProfile", JSON_IS_MAP),
			"type", "RuntimeDefault");
}

/* Never restarts the agent: what is late here is a server, and asking it anew from the start helps
 * nobody. */
static void put_probe(struct json_edit *edit, struct json_node *container)
{
	static const char *const ready[] = { PLAN_PROGRAM, "ready", "--socket", PLAN_STATUS,
					     "--wait",	   "5s",    NULL };
	struct json_node *probe = json_open_member(edit, container, "startupProbe", JSON_IS_MAP);

	json_put(edit, json_open_member(edit, probe, "exec", JSON_IS_MAP), "command",
		 text_list(edit, ready));
	json_put_integer(edit, probe, "timeoutSeconds", PROBE_TIMEOUT_S);
	json_put_integer(edit, probe, "periodSeconds", PROBE_PERIOD_S);
	json_put_integer(edit, probe, "failureThreshold", INT32_MAX);
}

/* What the operator allowed an annotation to change last. */
static struct json_node *patched(const struct plan *plan, struct json_node *container,
				 enum agent_role role)
{
	const char *text = role == AGENT_ONCE	? plan->wish->init_patch
			   : role != AGENT_COPY ? plan->wish->agent_patch
						: NULL;
	const struct json_limits limits = { .depth = 32, .nodes = 5000, .bytes = 256 << 10 };
	struct json_doc *doc;
	const struct json_node *result = NULL;
	struct json_node *copy = NULL;
	struct error err;

	if (text == NULL || text[0] == '\0')
		return container;
	doc = json_doc_read(text, strlen(text), &limits, &err);
	if (doc != NULL)
		result = patch_apply(plan->wish->edit, container, json_doc_root(doc), &err);
	/* What it is called tells a second round that the pod has its agent. */
	if (result != NULL && (result->type != JSON_IS_MAP ||
			       strcmp(container_name(result), container_name(container)) != 0)) {
		result = NULL;
		(void)error_set(&err, ERROR_INVALID, "what it makes is no container called '%s'",
				container_name(container));
	}
	if (result != NULL)
		copy = json_detach(plan->wish->edit, result);
	else
		(void)wish_refuse(plan->wish, REASON_ANNOTATION,
				  "%s%s: %s: mend the patch or remove the annotation",
				  plan->wish->dialect->prefix,
				  role == AGENT_ONCE ? "agent-init-json-patch" : "agent-json-patch",
				  err.text);
	(void)json_doc_free(doc);
	return copy;
}

struct json_node *agent_container(const struct plan *plan, enum agent_role role)
{
	static const char *const pull_policies[] = { "IfNotPresent", "Always", "Never" };
	const struct wish *wish = plan->wish;
	struct json_edit *edit = wish->edit;
	struct json_node *container = json_new(edit, JSON_IS_MAP);
	struct json_node *mounts = mounts_of(plan, role);

	json_put_string(edit, container, "name",
			role == AGENT_COPY   ? PLAN_VOLUME("copy")
			: role == AGENT_ONCE ? wish->dialect->init
					     : wish->dialect->agent);
	json_put_string(edit, container, "image", wish->profile->image);
	json_put_string(edit, container, "imagePullPolicy",
			pull_policies[wish->profile->pull_policy]);
	if (role == AGENT_NATIVE)
		json_put_string(edit, container, "restartPolicy", "Always");
	put_command(edit, container, role);
	if (role != AGENT_COPY)
		put_environment(plan, container, mounts);
	put_resources(plan, container);
	put_security(plan, container);
	if (role == AGENT_NATIVE)
		put_probe(edit, container);
	json_put(edit, container, "volumeMounts", mounts);
	return wish->mutation->verdict == MUTATE_REFUSE ? NULL : patched(plan, container, role);
}
