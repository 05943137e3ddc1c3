/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan obeyed. The order in which things are added is the order in which they stand, so that the
 * same pod gives the same bytes.
 */
#include "injector/build.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "injector/agent_container.h"
#include "injector/annotations.h"
#include "injector/pod.h"

#define SOCKET_SIZE  "64Ki" /* a socket is a name */
#define PROGRAM_SIZE "32Mi"

enum { SECOND_MS = 1000, KIB_BITS = 10, MIB_BITS = 20 };

struct build {
	const struct plan *plan;
	struct json_edit *edit;
	struct json_node *pod, *spec, *volumes;
};

/* ---- volumes ---- */

static struct json_node *add_volume(struct build *build, const char *name, const char *kind)
{
	struct json_node *volume = json_new(build->edit, JSON_IS_MAP);

	json_put_string(build->edit, volume, "name", name);
	json_append(build->volumes, volume);
	return json_open_member(build->edit, volume, kind, JSON_IS_MAP);
}

static void add_tmpfs(struct build *build, const char *name, const char *size)
{
	struct json_node *source = add_volume(build, name, "emptyDir");

	json_put_string(build->edit, source, "medium", "Memory");
	json_put_string(build->edit, source, "sizeLimit", size);
}

static const char *volume_size(const struct plan *plan)
{
	uint64_t size = plan->wish->profile->volume_size;

	if (size % (1u << MIB_BITS) == 0)
		return wish_text(plan->wish, "%lluMi", (unsigned long long)(size >> MIB_BITS));
	if (size % (1u << KIB_BITS) == 0)
		return wish_text(plan->wish, "%lluKi", (unsigned long long)(size >> KIB_BITS));
	return wish_text(plan->wish, "%llu", (unsigned long long)size);
}

static struct json_node *add_source(struct build *build, struct json_node *sources,
				    const char *kind)
{
	struct json_node *source = json_new(build->edit, JSON_IS_MAP);

	json_append(sources, source);
	return json_open_member(build->edit, source, kind, JSON_IS_MAP);
}

static struct json_node *add_item(struct build *build, struct json_node *source, const char *path)
{
	struct json_node *items = json_open_member(build->edit, source, "items", JSON_IS_LIST);
	struct json_node *item = json_new(build->edit, JSON_IS_MAP);

	json_put_string(build->edit, item, "path", path);
	json_append(items, item);
	return item;
}

/* The pod's token for the server, and whom to trust there. The certificates of a profile come from
 * an annotation that we set, so that no ConfigMap need be in the namespace. */
static void add_identity(struct build *build)
{
	const struct profile *profile = build->plan->wish->profile;
	struct json_edit *edit = build->edit;
	struct json_node *sources, *token, *source, *item, *field;

	sources = json_open_member(edit, add_volume(build, PLAN_VOLUME("identity"), "projected"),
				   "sources", JSON_IS_LIST);
	token = add_source(build, sources, "serviceAccountToken");
	json_put_string(edit, token, "path", "token");
	json_put_integer(edit, token, "expirationSeconds", profile->token_life_ms / SECOND_MS);
	if (profile->audience != NULL)
		json_put_string(edit, token, "audience", profile->audience);
	if (profile->ca_config_map != NULL) {
		source = add_source(build, sources, "configMap");
		json_put_string(edit, source, "name", profile->ca_config_map);
		item = add_item(build, source, "ca.pem");
		json_put_string(edit, item, "key", profile->ca_key);
	} else if (profile->ca_cert != NULL) {
		source = add_source(build, sources, "downwardAPI");
		field = json_open_member(edit, add_item(build, source, "ca.pem"), "fieldRef",
					 JSON_IS_MAP);
		json_put_string(edit, field, "fieldPath",
				"metadata.annotations['" OWN_PREFIX "ca']");
	}
}

static void add_secret_volume(struct build *build, const char *name, const char *secret)
{
	if (secret != NULL)
		json_put_string(build->edit, add_volume(build, name, "secret"), "secretName",
				secret);
}

static void add_volumes(struct build *build)
{
	const struct plan *plan = build->plan;
	const char *size = volume_size(plan);

	for (const struct plan_directory *directory = plan->directories; directory != NULL;
	     directory = directory->next)
		add_tmpfs(build, directory->volume, size);
	if (plan->env_files)
		add_tmpfs(build, PLAN_VOLUME("env"), size);
	if (plan->sidecar)
		add_tmpfs(build, PLAN_VOLUME("private"), size);
	for (size_t i = 0; i < plan->target_count; i++)
		if (plan->targets[i].socket)
			add_tmpfs(build, plan->targets[i].volume, SOCKET_SIZE);
	if (plan->wrapper)
		add_tmpfs(build, PLAN_VOLUME("bin"), PROGRAM_SIZE);
	add_identity(build);
	if (plan->wish->config_map != NULL)
		json_put_string(build->edit, add_volume(build, PLAN_VOLUME("config"), "configMap"),
				"name", plan->wish->config_map);
	add_secret_volume(build, PLAN_VOLUME("tls"), plan->wish->tls_secret);
	add_secret_volume(build, PLAN_VOLUME("extra"), plan->wish->extra_secret);
}

/* ---- containers of the application ---- */

static struct json_node *own_container(struct build *build, const struct plan_target *target)
{
	struct json_node *list =
		json_open_member(build->edit, build->spec,
				 target->init ? "initContainers" : "containers", JSON_IS_LIST);
	struct json_node *item = list != NULL ? list->first : NULL;

	while (item != NULL && strcmp(container_name(item), target->name) != 0)
		item = item->next;
	json_open(build->edit, item);
	return item;
}

/* Where /var/run is a link to /run, a read-only mount above the token's keeps the pod from
 * starting. */
static bool holds_token_mount(const char *path)
{
	return path_covers(path, "/run/secrets");
}

static void mount_into(struct build *build, struct json_node *container, const char *volume,
		       const char *path)
{
	struct json_node *mounts =
		json_open_member(build->edit, container, "volumeMounts", JSON_IS_LIST);
	struct json_node *mount = json_new(build->edit, JSON_IS_MAP);

	json_put_string(build->edit, mount, "name", volume);
	json_put_string(build->edit, mount, "mountPath", path);
	if (!holds_token_mount(path))
		json_put_bool(build->edit, mount, "readOnly", true);
	json_append(mounts, mount);
}

static void mount_directories(struct build *build, struct json_node *container)
{
	for (const struct plan_directory *directory = build->plan->directories; directory != NULL;
	     directory = directory->next)
		if (container_mount_same(container, directory->path) == NULL)
			mount_into(build, container, directory->volume, directory->path);
}

static struct json_node *find_variable(struct json_node *env, const char *name)
{
	struct json_node *item = env != NULL ? env->first : NULL;

	while (item != NULL && strcmp(container_name(item), name) != 0)
		item = item->next;
	return item;
}

/* A literal that stands for a secret becomes it where it stands. Others come first, so that the
 * container's own variables can be made of them: postgres://app:$(DB_PASSWORD)@db. */
static void put_file_variable(struct build *build, struct json_node *env, size_t *position,
			      const struct wish_variable *variable)
{
	struct json_edit *edit = build->edit;
	struct json_node *item = find_variable(env, variable->name), *from;

	if (item == NULL) {
		item = json_new(edit, JSON_IS_MAP);
		json_put_string(edit, item, "name", variable->name);
		json_insert(env, (*position)++, item);
	}
	json_open(edit, item);
	json_remove(item, json_get(item, "value"));
	from = json_open_member(edit, json_open_member(edit, item, "valueFrom", JSON_IS_MAP),
				"fileKeyRef", JSON_IS_MAP);
	json_put_string(edit, from, "volumeName", PLAN_VOLUME("env"));
	json_put_string(edit, from, "path", plan_env_file(build->plan, variable));
	json_put_string(edit, from, "key", variable->name);
}

static void put_variables(struct build *build, const struct plan_target *target,
			  struct json_node *container)
{
	struct json_node *env;
	size_t position = 0;

	for (const struct wish_variable *variable = build->plan->wish->variables; variable != NULL;
	     variable = variable->next) {
		if (!plan_gives(variable, target))
			continue;
		env = json_open_member(build->edit, container, "env", JSON_IS_LIST);
		if (build->plan->env_files)
			put_file_variable(build, env, &position, variable);
		else
			json_remove(env, find_variable(env, variable->name));
	}
	/* Nothing is left of one that held literals alone. */
	if (json_get(container, "env") != NULL && json_get(container, "env")->count == 0)
		json_remove(container, json_get(container, "env"));
}

/* A kubelet expands $(NAME) in commands and values, and makes one $ of two. */
static const char *literally(struct build *build, const char *text)
{
	AUTO(buf_deinit) struct buf escaped = BUF_INIT(WISH_TEXT_MAX);

	kube_escape(&escaped, text);
	return wish_text_buf(build->plan->wish, &escaped);
}

static void add_word(struct build *build, struct json_node *command, const char *word)
{
	json_append(command, json_new_string(build->edit, word));
}

/* NAME.FIELD, or NAME#/POINTER, whose percents the agent decodes. */
static const char *reference_to(struct wish *wish, const struct wish_variable *variable)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(WISH_TEXT_MAX);
	const char *field = variable->field;

	buf_puts(&text, variable->secret);
	if (field[0] == '/') {
		buf_putc(&text, '#');
		text_write_percent(&text, field, strlen(field), "/");
	} else {
		buf_putc(&text, '.');
		buf_puts(&text, field);
	}
	return wish_text_buf(wish, &text);
}

/* agent run --socket … --env VAR=NAME.FIELD … -- the container's own command. */
static void wrap(struct build *build, const struct plan_target *target, struct json_node *container)
{
	struct wish *wish = build->plan->wish;
	struct json_node *command = json_new(build->edit, JSON_IS_LIST);
	const struct json_node *old = json_get(target->container, "command");
	bool any = false;

	add_word(build, command, PLAN_BIN "/agent");
	add_word(build, command, "run");
	add_word(build, command, "--socket");
	add_word(build, command, PLAN_SOCKET "/agent.sock");
	if (target->signal != NULL) {
		add_word(build, command, "--watch");
		add_word(build, command, wish_text(wish, "signal:%s", target->signal));
	}
	for (const struct wish_variable *variable = wish->variables; variable != NULL;
	     variable = variable->next) {
		if (!plan_gives(variable, target))
			continue;
		any = true;
		add_word(build, command, "--env");
		add_word(build, command,
			 literally(build, wish_text(wish, "%s=%s", variable->name,
						    reference_to(wish, variable))));
	}
	if (!any)
		add_word(build, command, "--no-env");
	add_word(build, command, "--");
	for (const struct json_node *word = old->first; word != NULL; word = word->next)
		json_append(command, json_clone(build->edit, word));
	json_put(build->edit, container, "command", command);
}

static void change_target(struct build *build, const struct plan_target *target)
{
	struct json_node *container = own_container(build, target);

	if (target->chosen)
		mount_directories(build, container);
	if (target->socket)
		mount_into(build, container, target->volume, PLAN_SOCKET);
	if (target->wrapped)
		mount_into(build, container, PLAN_VOLUME("bin"), PLAN_BIN);
	put_variables(build, target, container);
	if (target->wrapped)
		wrap(build, target, container);
}

/* ---- our own containers ---- */

static void add_containers(struct build *build)
{
	const struct plan *plan = build->plan;
	size_t position = pod_agent_position(plan->wish->pod);
	struct json_node *init;

	if (plan->init || plan->native || plan->wrapper) {
		init = json_open_member(build->edit, build->spec, "initContainers", JSON_IS_LIST);
		if (plan->wrapper)
			json_insert(init, position++, agent_container(plan, AGENT_COPY));
		if (plan->init)
			json_insert(init, position, agent_container(plan, AGENT_ONCE));
		else if (plan->native)
			json_insert(init, position, agent_container(plan, AGENT_NATIVE));
	}
	if (plan->sidecar && !plan->native)
		json_append(json_open_member(build->edit, build->spec, "containers", JSON_IS_LIST),
			    agent_container(plan, AGENT_SIDECAR));
}

static void add_pull_secrets(struct build *build)
{
	const struct strings *wanted = &build->plan->wish->profile->pull_secrets;
	struct json_node *list, *item;
	bool there;

	for (size_t i = 0; i < wanted->count; i++) {
		list = json_open_member(build->edit, build->spec, "imagePullSecrets", JSON_IS_LIST);
		there = false;
		for (item = list != NULL ? list->first : NULL; item != NULL; item = item->next)
			there = there || strcmp(container_name(item), wanted->items[i]) == 0;
		if (there)
			continue;
		item = json_new(build->edit, JSON_IS_MAP);
		json_put_string(build->edit, item, "name", wanted->items[i]);
		json_append(list, item);
	}
}

static void set_annotations(struct build *build)
{
	const struct wish *wish = build->plan->wish;
	struct json_node *annotations = json_open_member(
		build->edit, json_open_member(build->edit, build->pod, "metadata", JSON_IS_MAP),
		"annotations", JSON_IS_MAP);

	json_put_string(build->edit, annotations, wish->dialect->status, STATUS_INJECTED);
	if (wish->profile->ca_cert != NULL)
		json_put_string(build->edit, annotations, OWN_PREFIX "ca", wish->profile->ca_cert);
}

static void start(struct build *build, const struct plan *plan)
{
	*build = (struct build){ .plan = plan, .edit = plan->wish->edit };
	build->pod = json_copy(build->edit, plan->wish->pod);
	json_open(build->edit, build->pod);
	build->spec = json_open_member(build->edit, build->pod, "spec", JSON_IS_MAP);
}

const struct json_node *build_pod(const struct plan *plan)
{
	struct build build;

	start(&build, plan);
	build.volumes = json_open_member(build.edit, build.spec, "volumes", JSON_IS_LIST);
	set_annotations(&build);
	add_volumes(&build);
	for (size_t i = 0; i < plan->target_count; i++)
		change_target(&build, &plan->targets[i]);
	add_containers(&build);
	add_pull_secrets(&build);
	if (plan->wish->share_process_namespace >= 0)
		json_put_bool(build.edit, build.spec, "shareProcessNamespace",
			      plan->wish->share_process_namespace > 0);
	return plan->wish->mutation->verdict == MUTATE_REFUSE ? NULL : build.pod;
}

static bool lacks_mounts(const struct plan *plan, const struct json_node *container)
{
	for (const struct plan_directory *directory = plan->directories; directory != NULL;
	     directory = directory->next)
		if (pod_has_volume(plan->wish->pod, directory->volume) &&
		    container_mount_same(container, directory->path) == NULL)
			return true;
	return false;
}

const struct json_node *build_completion(const struct plan *plan)
{
	struct build build;
	bool any = false;

	start(&build, plan);
	for (size_t i = 0; i < plan->target_count; i++) {
		const struct plan_target *target = &plan->targets[i];

		if (!target->chosen || !lacks_mounts(plan, target->container))
			continue;
		mount_directories(&build, own_container(&build, target));
		any = true;
	}
	return any ? build.pod : NULL;
}
