/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First whether the pod asks and may be changed at all, then what it asks for, then the pod.
 */
#include "injector/mutate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "injector/annotations.h"
#include "injector/build.h"
#include "injector/foreign.h"
#include "injector/own.h"
#include "injector/pod.h"
#include "injector/wish.h"

const char *mutate_reason_name(enum mutate_reason reason)
{
	static const char *const names[MUTATE_REASONS] = {
		[REASON_NONE] = "",
		[REASON_NOT_ANNOTATED] = "not_annotated",
		[REASON_DISABLED] = "disabled",
		[REASON_ALREADY_INJECTED] = "already_injected",
		[REASON_AGENT_ABSENT] = "agent_absent",
		[REASON_SYSTEM_NAMESPACE] = "system_namespace",
		[REASON_OWN_NAMESPACE] = "own_namespace",
		[REASON_MIRROR_POD] = "mirror_pod",
		[REASON_EPHEMERAL_CONTAINERS] = "ephemeral_containers",
		[REASON_WINDOWS] = "windows",
		[REASON_HOST_NETWORK] = "host_network",
		[REASON_NOT_PENDING] = "not_pending",
		[REASON_NOT_A_POD] = "not_a_pod",
		[REASON_NOT_CREATE] = "not_create",
		[REASON_DOUBT] = "doubt",
		[REASON_ANNOTATION] = "annotation",
		[REASON_PROFILE] = "profile",
		[REASON_NOT_ALLOWED] = "not_allowed",
		[REASON_CONFLICT] = "conflict",
		[REASON_CONTAINER] = "container",
		[REASON_NO_COMMAND] = "no_command",
		[REASON_CLUSTER_TOO_OLD] = "cluster_too_old",
		[REASON_UNSUPPORTED] = "unsupported",
		[REASON_STRICT] = "strict",
	};

	return names[reason];
}

const char *mutate_verdict_name(enum mutate_verdict verdict)
{
	static const char *const names[MUTATE_VERDICTS] = {
		[MUTATE_SKIP] = "skipped",
		[MUTATE_INJECT] = "injected",
		[MUTATE_REFUSE] = "refused",
	};

	return names[verdict];
}

static int refuse(struct mutation *mutation, enum mutate_reason reason, const char *annotation,
		  const char *why)
{
	mutation->verdict = MUTATE_REFUSE;
	mutation->reason = reason;
	(void)snprintf(mutation->text, sizeof(mutation->text), "%s: %s", annotation, why);
	return -1;
}

static int skip(struct mutation *mutation, enum mutate_reason reason)
{
	mutation->verdict = MUTATE_SKIP;
	mutation->reason = reason;
	return -1;
}

/* One that was asked for and is not done: seen by whoever created the pod, or refused. */
static int skip_loudly(struct mutation *mutation, const struct mutate_request *request,
		       enum mutate_reason reason, const char *annotation, const char *why)
{
	if (request->config->strict)
		return refuse(mutation, REASON_STRICT, annotation, why);
	mutation_warn(mutation, "%s: no secrets were injected: %s", annotation, why);
	return skip(mutation, reason);
}

/* ---- who asks ---- */

/* 1: asks, 0: does not, -1: refused. */
static int asks(const struct json_node *annotations, const struct dialect *dialect,
		struct mutation *mutation)
{
	const struct json_node *node = json_get(annotations, dialect->inject);
	const char *value = json_string(node);
	struct error err;
	bool on;

	if (node == NULL)
		return 0;
	if (value == NULL)
		return refuse(mutation, REASON_ANNOTATION, dialect->inject,
			      "its value is no text: quote it");
	if (annotation_read_bool(value, &on, &err) < 0)
		return refuse(mutation, REASON_ANNOTATION, dialect->inject, err.text);
	mutation->reason = REASON_DISABLED;
	return on ? 1 : 0;
}

/* openbao-k8s comes first: it takes vault-k8s' annotations as its own. */
static const struct dialect *const dialects[] = { &own_dialect, &openbao_dialect, &vault_dialect };

static bool is_on(const struct injector_config *config, const struct dialect *dialect)
{
	return dialect == &own_dialect ||
	       (dialect == &vault_dialect ? config->vault_prefix : config->openbao_prefix);
}

static bool has_prefix(const struct json_node *annotations, const char *prefix)
{
	const struct json_node *node = annotations != NULL ? annotations->first : NULL;

	while (node != NULL && !text_starts_with(node->key, prefix))
		node = node->next;
	return node != NULL;
}

/* NULL: nobody asks, or more than one does. */
static const struct dialect *choose_dialect(const struct mutate_request *request,
					    const struct json_node *annotations,
					    struct mutation *mutation)
{
	const struct dialect *chosen = NULL;
	int asked;

	for (size_t i = 0; i < ARRAY_SIZE(dialects); i++) {
		if (!is_on(request->config, dialects[i])) {
			if (json_get(annotations, dialects[i]->inject) != NULL)
				mutation_warn(mutation,
					      "%s is ignored: its prefix is switched off "
					      "in this cluster",
					      dialects[i]->inject);
			continue;
		}
		asked = asks(annotations, dialects[i], mutation);
		if (asked < 0)
			return NULL;
		if (asked > 0 && chosen == &own_dialect) {
			(void)refuse(mutation, REASON_CONFLICT, dialects[i]->inject,
				     OWN_PREFIX "inject asks too: keep one of them");
			return NULL;
		}
		if (asked > 0 && chosen == NULL)
			chosen = dialects[i];
	}
	if (mutation->reason == REASON_NOT_ANNOTATED && has_prefix(annotations, OWN_PREFIX))
		mutation_warn(mutation, OWN_PREFIX "…: no secrets were injected: " OWN_PREFIX
						   "inject: \"true\" is missing");
	return chosen;
}

/* ---- who may not be changed ---- */

static int check_namespace(const struct mutate_request *request, const struct dialect *dialect,
			   struct mutation *mutation)
{
	const struct injector_config *config = request->config;

	if (config->own_namespace != NULL && strcmp(config->own_namespace, request->namespace) == 0)
		return skip(mutation, REASON_OWN_NAMESPACE);
	for (size_t i = 0; i < config->system_namespaces.count; i++) {
		if (strcmp(config->system_namespaces.items[i], request->namespace) != 0)
			continue;
		mutation_warn(mutation, "%s: no secrets were injected: %s is a system namespace",
			      dialect->inject, request->namespace);
		return skip(mutation, REASON_SYSTEM_NAMESPACE);
	}
	return 0;
}

static int check_kind(const struct mutate_request *request, const struct dialect *dialect,
		      struct mutation *mutation)
{
	const struct json_node *annotations = pod_annotations(request->pod);
	const char *phase = json_string(json_get(json_get(request->pod, "status"), "phase"));

	/* The image of a static pod in the API: what runs does not come from here. */
	if (json_get(annotations, "kubernetes.io/config.mirror") != NULL)
		return skip(mutation, REASON_MIRROR_POD);
	if (phase != NULL && phase[0] != '\0' && strcmp(phase, "Pending") != 0)
		return skip(mutation, REASON_NOT_PENDING);
	if (pod_is_windows(request->pod))
		return skip_loudly(mutation, request, REASON_WINDOWS, dialect->inject,
				   "the agent runs on Linux alone");
	return 0;
}

static bool was_injected(const struct json_node *pod, const struct dialect *dialect)
{
	const char *status = json_string(json_get(pod_annotations(pod), dialect->status));

	return status != NULL && strcmp(status, STATUS_INJECTED) == 0;
}

static int check_size(const struct mutate_request *request, const struct dialect *dialect,
		      struct mutation *mutation)
{
	/* What we add is no reason to refuse the pod when an API server asks again. */
	size_t ours = was_injected(request->pod, dialect) ? WISH_OURS_MAX : 0;
	size_t containers = pod_containers(request->pod, true)->count +
			    pod_containers(request->pod, false)->count;
	char why[80];

	if (pod_annotations(request->pod)->count > WISH_ANNOTATIONS_MAX + ours) {
		(void)snprintf(why, sizeof(why), "more than %d annotations: remove some",
			       WISH_ANNOTATIONS_MAX);
		return refuse(mutation, REASON_ANNOTATION, dialect->inject, why);
	}
	if (containers > WISH_CONTAINERS_MAX + ours) {
		(void)snprintf(why, sizeof(why), "more than %d containers: make several pods",
			       WISH_CONTAINERS_MAX);
		return refuse(mutation, REASON_CONTAINER, dialect->inject, why);
	}
	return 0;
}

/* ---- the profile ---- */

static int choose_profile(struct wish *wish, const struct mutate_request *request)
{
	const char *names[64] = { NULL }, *nearest;
	const struct json_node *node =
		json_get(pod_annotations(request->pod), OWN_PREFIX "profile");
	const char *name = json_string(node);

	if (name == NULL)
		name = "default";
	wish->profile = injector_profile(request->config, name);
	wish->annotation = node != NULL ? OWN_PREFIX "profile" : wish->dialect->inject;
	if (wish->profile == NULL) {
		for (size_t i = 0; i < request->config->profile_count && i + 1 < ARRAY_SIZE(names);
		     i++)
			names[i] = request->config->profiles[i].name;
		nearest = text_nearest(name, names);
		return wish_refuse(wish, REASON_PROFILE,
				   "there is no profile '%.80s'%s%s%s: name one with " OWN_PREFIX
				   "profile",
				   name, nearest != NULL ? " (did you mean '" : "",
				   nearest != NULL ? nearest : "", nearest != NULL ? "'?)" : "");
	}
	wish->mutation->profile = wish->profile->name;
	if (!profile_serves(wish->profile, request->namespace))
		return wish_refuse(wish, REASON_PROFILE,
				   "profile '%.80s' may not be used in namespace '%.63s': name "
				   "another, or have the operator add the namespace",
				   name, request->namespace);
	wish->annotation = NULL;
	return 0;
}

static int check_network(const struct wish *wish, const struct mutate_request *request)
{
	const struct json_node *spec = json_get(request->pod, "spec");

	if (!json_bool(json_get(spec, "hostNetwork"), false) || wish->profile->host_network)
		return 0;
	return skip_loudly(wish->mutation, request, REASON_HOST_NETWORK, wish->dialect->inject,
			   "the pod is on the host's network; the operator allows that with "
			   "host_network in the profile");
}

/* Of ours the profile alone goes with the peers' annotations. */
static void warn_of_own(const struct wish *wish, const struct json_node *annotations)
{
	const struct json_node *node = annotations->first;

	for (; !wish->dialect->own && node != NULL; node = node->next)
		if (text_starts_with(node->key, OWN_PREFIX) &&
		    strcmp(node->key, OWN_PREFIX "profile") != 0 &&
		    strcmp(node->key, OWN_PREFIX "ca") != 0)
			mutation_warn(wish->mutation,
				      "%s is ignored: %s asks, not " OWN_PREFIX "inject", node->key,
				      wish->dialect->inject);
}

/* ---- a pod that was injected before ---- */

/* Whatever is wrong with it now was said when it was injected. */
static int complete(struct wish *wish, const struct mutate_request *request)
{
	struct mutation *mutation = wish->mutation;
	struct plan plan;

	if (pod_container(wish->pod, wish->dialect->agent) == NULL &&
	    pod_container(wish->pod, wish->dialect->init) == NULL)
		return skip_loudly(mutation, request, REASON_AGENT_ABSENT, wish->dialect->status,
				   "the annotation says that the pod has an agent, but there is no "
				   "such container: remove the annotation");
	(void)skip(mutation, REASON_ALREADY_INJECTED);
	if (wish_read(wish) < 0 || (wish->dialect->own ? 0 : foreign_finish(wish)) < 0) {
		*mutation = (struct mutation){ .reason = REASON_ALREADY_INJECTED,
					       .profile = mutation->profile,
					       .warnings = mutation->warnings };
		return -1;
	}
	strings_free(&mutation->warnings);
	plan_again(&plan, wish);
	mutation->pod = build_completion(&plan);
	if (mutation->pod == NULL)
		return -1;
	mutation->verdict = MUTATE_INJECT;
	mutation->reason = REASON_NONE;
	return 0;
}

static int inject(struct wish *wish)
{
	struct plan plan;

	if (wish_read(wish) < 0)
		return -1;
	if (wish->dialect->own ? wish_read_literals(wish) < 0 || own_finish(wish) < 0
			       : foreign_finish(wish) < 0)
		return -1;
	if (plan_make(&plan, wish) < 0)
		return -1;
	wish->mutation->pod = build_pod(&plan);
	if (wish->mutation->pod == NULL)
		return -1;
	wish->mutation->verdict = MUTATE_INJECT;
	wish->mutation->reason = REASON_NONE;
	return 0;
}

static void decide(const struct mutate_request *request, struct wish *wish)
{
	struct mutation *mutation = wish->mutation;
	const struct json_node *annotations = pod_annotations(request->pod);

	wish->dialect = choose_dialect(request, annotations, mutation);
	if (wish->dialect == NULL || check_namespace(request, wish->dialect, mutation) < 0 ||
	    check_kind(request, wish->dialect, mutation) < 0 ||
	    check_size(request, wish->dialect, mutation) < 0 || choose_profile(wish, request) < 0 ||
	    check_network(wish, request) < 0)
		return;
	wish->directory = wish->dialect->directory;
	wish->again = was_injected(request->pod, wish->dialect);
	if (wish->again) {
		(void)complete(wish, request);
		return;
	}
	warn_of_own(wish, annotations);
	(void)inject(wish);
}

int mutate(const struct mutate_request *request, struct json_edit *edit, struct mutation *ret,
	   struct error *err)
{
	struct wish wish = {
		.edit = edit,
		.mutation = ret,
		.config = request->config,
		.versions = request->versions,
		.pod = request->pod,
		.run_as_user = WISH_USER_PROFILE,
		.run_as_group = WISH_USER_PROFILE,
		.share_process_namespace = -1,
	};

	*ret = (struct mutation){ .verdict = MUTATE_SKIP, .reason = REASON_NOT_ANNOTATED };
	decide(request, &wish);
	return json_edit_check(edit, err);
}

void mutation_warn(struct mutation *mutation, const char *format, ...)
{
	char text[MUTATE_WARNING_MAX + 1];
	struct error ignored;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (mutation->warnings.count < MUTATE_WARNINGS_MAX &&
	    strings_add(&mutation->warnings, text, &ignored) < 0)
		return;
}

void mutation_deinit(struct mutation *mutation)
{
	strings_free(&mutation->warnings);
}
