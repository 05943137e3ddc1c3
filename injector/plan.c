/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster decides shape and method, the pod decides what is free. For our own annotations every
 * collision is a refusal; for the peers' only what an API server would not take.
 */
#include "injector/plan.h"

#include <string.h>

#include "agent/base/text.h"
#include "injector/annotations.h"
#include "injector/pod.h"

static bool switched(int choice, bool detected)
{
	return choice == SWITCH_ON || (choice == SWITCH_AUTO && detected);
}

/* A job's pod: it is done when its containers are. */
static bool ends(const struct json_node *pod)
{
	const char *policy = json_string(json_get(json_get(pod, "spec"), "restartPolicy"));

	return policy != NULL && strcmp(policy, "Always") != 0;
}

/* Without native sidecars one that stays would keep a job from ending. */
static void spare_sidecar(struct plan *plan)
{
	struct wish *wish = plan->wish;
	bool files = switched(wish->config->env_files, versions_have_env_files(wish->versions));
	bool asks = wish->sockets != NULL || wish->signals != NULL ||
		    (wish->variables != NULL && wish->env_method != ENV_METHOD_KUBELET && !files);

	plan->sidecar = asks;
	if (asks)
		mutation_warn(
			wish->mutation,
			"%s: this cluster has no native sidecars, so the pod does not end while "
			"the agent runs beside it: take secrets from files, or end it yourself",
			wish->dialect->inject);
	else
		mutation_warn(
			wish->mutation,
			"%s: this cluster has no native sidecars, and one that stays would keep "
			"the pod from ending: secrets are fetched once (" OWN_PREFIX
			"shape: both for a sidecar)",
			wish->dialect->inject);
}

static int choose_shape(struct plan *plan)
{
	struct wish *wish = plan->wish;
	bool native = switched(wish->config->native_sidecar,
			       versions_have_native_sidecars(wish->versions));

	if (wish->shape == SHAPE_SIDECAR && !native && wish->dialect->own) {
		wish->annotation = OWN_PREFIX "shape";
		return wish_refuse(wish, REASON_CLUSTER_TOO_OLD,
				   "this cluster has no native sidecars, so the application would "
				   "start before its secrets are there: remove it, and an init "
				   "container and a sidecar are used");
	}
	plan->native = native && (wish->shape == SHAPE_AUTO || wish->shape == SHAPE_SIDECAR);
	plan->init = wish->shape == SHAPE_INIT || wish->shape == SHAPE_BOTH ||
		     (wish->shape == SHAPE_AUTO && !native);
	plan->sidecar = wish->shape != SHAPE_INIT;
	if (wish->shape == SHAPE_AUTO && !native && wish->dialect->own && ends(wish->pod))
		spare_sidecar(plan);
	return 0;
}

static int choose_method(struct plan *plan)
{
	struct wish *wish = plan->wish;
	bool files = switched(wish->config->env_files, versions_have_env_files(wish->versions));
	enum wish_env_method method = wish->env_method;

	if (method == ENV_METHOD_AUTO)
		method = files && wish->signals == NULL ? ENV_METHOD_KUBELET : ENV_METHOD_RUN;
	if (method == ENV_METHOD_KUBELET && wish->signals != NULL) {
		wish->annotation =
			wish_text(wish, OWN_PREFIX "on-change.%.63s", wish->signals->name);
		return wish_refuse(
			wish, REASON_UNSUPPORTED,
			"a signal to another user's process needs a parent of it: set " OWN_PREFIX
			"env-method to run, or remove it");
	}
	plan->env_files = method == ENV_METHOD_KUBELET && wish->variables != NULL;
	plan->wrapper =
		method == ENV_METHOD_RUN && (wish->variables != NULL || wish->signals != NULL);
	if (plan->wrapper && !plan->sidecar) {
		wish->annotation = OWN_PREFIX "shape";
		return wish_refuse(
			wish, REASON_UNSUPPORTED,
			"variables come from a running agent in this cluster: remove it, "
			"or write sidecar or both");
	}
	return 0;
}

/* ---- containers ---- */

bool wish_chooses(const struct wish *wish, const struct json_node *container, bool init)
{
	const char *name = container_name(container);

	if (strcmp(name, wish->dialect->agent) == 0 || strcmp(name, wish->dialect->init) == 0)
		return false;
	if (wish->containers != NULL && wish_list_has(wish->containers, name))
		return true;
	/* vault-k8s gives files to every init container, whatever is listed. */
	if (init)
		return !wish->dialect->own && !container_is_mesh(container);
	return wish->containers == NULL && !container_is_mesh(container);
}

static const char *signal_of(const struct wish *wish, const char *name)
{
	const struct wish_word *word = wish->signals;

	while (word != NULL && strcmp(word->name, name) != 0)
		word = word->next;
	return word != NULL ? word->value : NULL;
}

static bool has_variables(const struct wish *wish, const struct plan_target *target)
{
	for (const struct wish_variable *variable = wish->variables; variable != NULL;
	     variable = variable->next)
		if (plan_gives(variable, target))
			return true;
	return false;
}

static void add_target(struct plan *plan, const struct json_node *container, bool init)
{
	struct wish *wish = plan->wish;
	struct plan_target *target = &plan->targets[plan->target_count];

	*target = (struct plan_target){ .container = container,
					.name = container_name(container),
					.init = init,
					.chosen = wish_chooses(wish, container, init) };
	target->signal = signal_of(wish, target->name);
	if (plan->wrapper)
		target->wrapped = target->signal != NULL || has_variables(wish, target);
	if (wish->sockets != NULL)
		target->socket = strcmp(wish->sockets, "*") == 0
					 ? target->chosen
					 : wish_list_has(wish->sockets, target->name);
	target->socket = target->socket || target->wrapped;
	if (!target->chosen && !target->socket && !target->wrapped)
		return;
	if (target->socket)
		target->volume = wish_text(wish, PLAN_VOLUME("socket-%zu"), plan->target_count);
	plan->target_count++;
}

static void find_targets(struct plan *plan)
{
	const struct json_node *pod = plan->wish->pod;
	size_t most = pod_containers(pod, true)->count + pod_containers(pod, false)->count;

	plan->targets = pool_alloc(&plan->wish->edit->pool, (most + 1) * sizeof(*plan->targets));
	if (plan->targets == NULL) {
		plan->wish->edit->failed = true;
		return;
	}
	for (int init = 1; init >= 0; init--) {
		const struct json_node *item = pod_containers(pod, init)->first;

		for (; item != NULL; item = item->next)
			add_target(plan, item, init);
	}
}

/* A container that an annotation names and that is not there. */
static int missing_container(struct wish *wish, const char *annotation, const char *name)
{
	const struct json_node *list = pod_containers(wish->pod, false);
	const char *names[32] = { NULL }, *nearest;
	size_t count = 0;

	for (const struct json_node *item = list->first;
	     item != NULL && count + 1 < ARRAY_SIZE(names); item = item->next)
		names[count++] = container_name(item);
	nearest = text_nearest(name, names);
	if (!wish->dialect->own) {
		mutation_warn(wish->mutation, "%s: the pod has no container '%s'", annotation,
			      name);
		return 0;
	}
	wish->annotation = annotation;
	return wish_refuse(wish, REASON_CONTAINER,
			   "the pod has no container '%.63s'%s%s%s: name one of its own", name,
			   nearest != NULL ? " (did you mean '" : "",
			   nearest != NULL ? nearest : "", nearest != NULL ? "'?)" : "");
}

static int check_list(struct wish *wish, const char *annotation, const char *list)
{
	const char *item;

	while (list != NULL && (item = wish_next_item(wish, &list)) != NULL)
		if (pod_container(wish->pod, item) == NULL &&
		    missing_container(wish, annotation, item) < 0)
			return -1;
	return 0;
}

static int check_lists(struct wish *wish)
{
	if (check_list(wish,
		       wish->dialect->own ? OWN_PREFIX "containers"
					  : wish_text(wish, "%sagent-inject-containers",
						      wish->dialect->prefix),
		       wish->containers) < 0)
		return -1;
	if (wish->sockets != NULL && strcmp(wish->sockets, "*") != 0 &&
	    check_list(wish, OWN_PREFIX "socket", wish->sockets) < 0)
		return -1;
	for (const struct wish_word *word = wish->signals; word != NULL; word = word->next)
		if (pod_container(wish->pod, word->name) == NULL)
			return missing_container(
				wish, wish_text(wish, OWN_PREFIX "on-change.%.63s", word->name),
				word->name);
	return 0;
}

/* ---- what is taken ---- */

static int check_volume(struct wish *wish, const char *name)
{
	if (!pod_has_volume(wish->pod, name))
		return 0;
	return wish_refuse(wish, REASON_CONFLICT,
			   "the pod has a volume '%s' of its own: give it another name", name);
}

static int check_container_name(struct wish *wish, const char *name)
{
	if (pod_container(wish->pod, name) == NULL)
		return 0;
	return wish_refuse(wish, REASON_CONFLICT,
			   "the pod has a container '%s' of its own: give it another name", name);
}

static int check_names(const struct plan *plan)
{
	static const char *const volumes[] = {
		PLAN_VOLUME("private"), PLAN_VOLUME("identity"), PLAN_VOLUME("env"),
		PLAN_VOLUME("bin"),	PLAN_VOLUME("config"),	 PLAN_VOLUME("tls"),
		PLAN_VOLUME("extra"),
	};
	struct wish *wish = plan->wish;

	if (check_container_name(wish, wish->dialect->agent) < 0 ||
	    check_container_name(wish, wish->dialect->init) < 0 ||
	    check_container_name(wish, PLAN_VOLUME("copy")) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(volumes); i++)
		if (check_volume(wish, volumes[i]) < 0)
			return -1;
	for (const struct plan_directory *directory = plan->directories; directory != NULL;
	     directory = directory->next)
		if (check_volume(wish, directory->volume) < 0)
			return -1;
	for (size_t i = 0; i < plan->target_count; i++)
		if (plan->targets[i].volume != NULL &&
		    check_volume(wish, plan->targets[i].volume) < 0)
			return -1;
	return 0;
}

static int check_mount(struct wish *wish, const struct plan_target *target, const char *path)
{
	const char *other = wish->dialect->own ? container_mount_conflict(target->container, path)
					       : container_mount_same(target->container, path);

	if (other == NULL)
		return 0;
	return wish_refuse(wish, REASON_CONFLICT,
			   "container '%.63s' mounts '%.120s', which collides with %s: move that "
			   "mount, or leave the container out of %s",
			   target->name, other, path,
			   wish->dialect->own ? OWN_PREFIX "containers"
					      : "agent-inject-containers");
}

static int check_mounts(const struct plan *plan, const struct plan_target *target)
{
	struct wish *wish = plan->wish;

	for (const struct plan_directory *directory = plan->directories;
	     target->chosen && directory != NULL; directory = directory->next)
		if (check_mount(wish, target, directory->path) < 0)
			return -1;
	if (target->socket && check_mount(wish, target, PLAN_SOCKET) < 0)
		return -1;
	return target->wrapped ? check_mount(wish, target, PLAN_BIN) : 0;
}

static int check_variables(const struct plan *plan, const struct plan_target *target)
{
	struct wish *wish = plan->wish;

	for (const struct wish_variable *variable = wish->variables; variable != NULL;
	     variable = variable->next) {
		if (!plan_gives(variable, target) || variable->container != NULL ||
		    container_variable(target->container, variable->name) == NULL)
			continue;
		wish->annotation = wish_text(wish, OWN_PREFIX "env.%.80s", variable->name);
		return wish_refuse(wish, REASON_CONFLICT,
				   "container '%.63s' sets %.80s itself: remove one of the two",
				   target->name, variable->name);
	}
	return 0;
}

static int check_wrapped(const struct plan *plan, const struct plan_target *target)
{
	const struct json_node *command = json_get(target->container, "command");
	struct wish *wish = plan->wish;

	if (!target->wrapped)
		return 0;
	if (command == NULL || command->type != JSON_IS_LIST || command->count == 0)
		return wish_refuse(wish, REASON_NO_COMMAND,
				   "container '%.63s' has no command, and what its image starts "
				   "cannot be known here: write its command into the pod%s",
				   target->name,
				   wish->signals == NULL
					   ? ", or use a cluster from 1.35 on, which gives "
					     "variables without a wrapper"
					   : "");
	if (target->init && !plan->native)
		return wish_refuse(wish, REASON_CLUSTER_TOO_OLD,
				   "init container '%.63s' starts before the agent in a cluster "
				   "without native sidecars: leave it out of " OWN_PREFIX
				   "containers",
				   target->name);
	return 0;
}

static int check_target(const struct plan *plan, const struct plan_target *target)
{
	struct wish *wish = plan->wish;

	if (target->signal != NULL && !target->chosen) {
		wish->annotation = wish_text(wish, OWN_PREFIX "on-change.%.63s", target->name);
		return wish_refuse(wish, REASON_CONTAINER,
				   "the container gets no secrets: name it in " OWN_PREFIX
				   "containers too");
	}
	if (check_mounts(plan, target) < 0 || check_variables(plan, target) < 0)
		return -1;
	return check_wrapped(plan, target);
}

/* Before anything is compared with anything. */
static int check_amount(const struct plan *plan)
{
	struct wish *wish = plan->wish;
	size_t directories = 0;

	for (const struct plan_directory *directory = plan->directories; directory != NULL;
	     directory = directory->next)
		directories++;
	if (directories > WISH_DIRECTORIES_MAX)
		return wish_refuse(wish, REASON_ANNOTATION,
				   "more than %d directories of secrets: put more into one",
				   WISH_DIRECTORIES_MAX);
	if ((directories + wish->variable_count) * plan->target_count > WISH_GIVEN_MAX)
		return wish_refuse(wish, REASON_ANNOTATION,
				   "more than %d variables and directories in all containers "
				   "together: give them to fewer containers",
				   WISH_GIVEN_MAX);
	return 0;
}

static int check_pod(const struct plan *plan)
{
	struct wish *wish = plan->wish;
	const struct json_node *spec = json_get(wish->pod, "spec");

	if (!json_bool(json_get(spec, "shareProcessNamespace"), false))
		return 0;
	if (!wish->dialect->own) {
		mutation_warn(
			wish->mutation,
			"shareProcessNamespace: every container with the agent's uid can look "
			"into the agent");
		return 0;
	}
	if (wish->profile->allow[ALLOW_SHARE_PROCESS_NAMESPACE])
		return 0;
	return wish_refuse(
		wish, REASON_NOT_ALLOWED,
		"shareProcessNamespace lets containers look into the agent: remove it, "
		"or have the operator add 'share-process-namespace' to the allow list of "
		"profile '%.80s'",
		wish->profile->name);
}

/* ---- directories and users ---- */

static void add_directory(struct plan *plan, const char *path)
{
	struct wish *wish = plan->wish;
	struct plan_directory **at = &plan->directories, *directory;
	size_t count = 0;

	for (; *at != NULL; at = &(*at)->next) {
		if (strcmp((*at)->path, path) == 0)
			return;
		count++;
	}
	directory = pool_alloc(&wish->edit->pool, sizeof(*directory));
	if (directory == NULL) {
		wish->edit->failed = true;
		return;
	}
	directory->path = path;
	directory->volume =
		count == 0 ? wish->dialect->volume
			   : wish_text(wish, "%s-custom-%zu", wish->dialect->volume, count - 1);
	*at = directory;
}

static void find_directories(struct plan *plan)
{
	struct wish *wish = plan->wish;
	bool any = wish->config_map != NULL || !wish->dialect->own;

	for (const struct wish_secret *secret = wish->secrets; secret != NULL;
	     secret = secret->next)
		any = any || !secret->no_file;
	if (!any)
		return;
	add_directory(plan, wish->directory);
	for (const struct wish_secret *secret = wish->secrets; secret != NULL;
	     secret = secret->next)
		if (!secret->no_file && secret->directory != NULL)
			add_directory(plan, secret->directory);
}

/* Whoever has the agent's uid can trace it: ours is one that nobody in the pod has. */
static void choose_user(struct plan *plan)
{
	const struct wish *wish = plan->wish;

	plan->user = wish->run_as_user;
	plan->group = wish->run_as_group;
	if (plan->user == WISH_USER_PROFILE) {
		plan->user = wish->profile->run_as_user;
		while (plan->user > 0 && pod_uses_uid(wish->pod, plan->user))
			plan->user++;
	}
	if (plan->group == WISH_USER_PROFILE)
		plan->group = plan->user;
}

bool plan_gives(const struct wish_variable *variable, const struct plan_target *target)
{
	if (variable->container != NULL)
		return strcmp(variable->container, target->name) == 0;
	return target->chosen;
}

const char *plan_env_file(const struct plan *plan, const struct wish_variable *variable)
{
	if (variable->container == NULL)
		return variable->name;
	/* No variable has a point in its name, so the two kinds never meet. */
	return wish_text(plan->wish, "%s.%s", variable->container, variable->name);
}

void plan_again(struct plan *plan, struct wish *wish)
{
	*plan = (struct plan){ .wish = wish };
	find_targets(plan);
	find_directories(plan);
}

int plan_make(struct plan *plan, struct wish *wish)
{
	*plan = (struct plan){ .wish = wish, .guaranteed = pod_is_guaranteed(wish->pod) };
	wish->annotation = NULL;
	if (choose_shape(plan) < 0 || choose_method(plan) < 0 || check_lists(wish) < 0)
		return -1;
	find_targets(plan);
	find_directories(plan);
	choose_user(plan);
	if (check_amount(plan) < 0 || check_pod(plan) < 0 || check_names(plan) < 0)
		return -1;
	for (size_t i = 0; i < plan->target_count; i++)
		if (check_target(plan, &plan->targets[i]) < 0)
			return -1;
	return 0;
}
