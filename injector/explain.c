/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/explain.h"

#include <string.h>

#include "injector/manifest.h"
#include "injector/mutate.h"
#include "injector/pod.h"
#include "injector/yaml_write.h"

static const char *text_of(const struct json_node *node, const char *fallback)
{
	const char *text = json_string(node);

	return text != NULL ? text : fallback;
}

static void write_heading(struct buf *out, const struct json_node *manifest)
{
	const struct json_node *metadata = json_get(manifest, "metadata");
	const char *name = json_string(json_get(metadata, "name"));

	if (name == NULL)
		name = text_of(json_get(metadata, "generateName"), "");
	buf_printf(out, "%s %s: ", text_of(json_get(manifest, "kind"), "nothing"), name);
}

/* Lines of what `after` has more than `before`, by name. */
static void write_new(struct buf *out, const struct json_node *before,
		      const struct json_node *after, const char *what)
{
	for (const struct json_node *item = after->first; item != NULL; item = item->next) {
		const struct json_node *old = before->first;

		while (old != NULL && strcmp(container_name(old), container_name(item)) != 0)
			old = old->next;
		if (old == NULL)
			buf_printf(out, "  + %s %s\n", what, container_name(item));
	}
}

static bool has_item(const struct json_node *list, const struct json_node *wanted)
{
	const struct json_node *item = list != NULL ? list->first : NULL;

	while (item != NULL && !json_equal(item, wanted))
		item = item->next;
	return item != NULL;
}

static void write_changes(struct buf *out, const struct json_node *before,
			  const struct json_node *after)
{
	const struct json_node *mounts = json_get(after, "volumeMounts");
	const struct json_node *env = json_get(after, "env");
	const struct json_node *command = json_get(after, "command");

	for (const struct json_node *item = mounts != NULL ? mounts->first : NULL; item != NULL;
	     item = item->next)
		if (!has_item(json_get(before, "volumeMounts"), item))
			buf_printf(out, "    mounts %s at %s%s\n", container_name(item),
				   text_of(json_get(item, "mountPath"), ""),
				   json_bool(json_get(item, "readOnly"), false) ? ", read-only"
										: "");
	for (const struct json_node *item = env != NULL ? env->first : NULL; item != NULL;
	     item = item->next)
		if (!has_item(json_get(before, "env"), item))
			buf_printf(out, "    variable %s from a secret\n", container_name(item));
	if (command != NULL && !json_equal(command, json_get(before, "command"))) {
		buf_puts(out, "    command ");
		json_write(out, command);
		buf_putc(out, '\n');
	}
}

static void write_containers(struct buf *out, const struct json_node *before,
			     const struct json_node *after)
{
	for (int init = 1; init >= 0; init--) {
		const struct json_node *old = pod_containers(before, init);

		write_new(out, old, pod_containers(after, init),
			  init ? "init container" : "container");
		for (old = old->first; old != NULL; old = old->next) {
			const struct json_node *new = pod_container(after, container_name(old));

			if (new == NULL || json_equal(old, new))
				continue;
			buf_printf(out, "  ~ %s %s\n", init ? "init container" : "container",
				   container_name(old));
			write_changes(out, old, new);
		}
	}
}

/* The agent's own configuration is what a reader asks for first. */
static void write_agent_config(struct buf *out, const struct json_node *pod)
{
	for (int init = 1; init >= 0; init--) {
		const struct json_node *item = pod_containers(pod, init)->first;

		for (; item != NULL; item = item->next) {
			const struct json_node *variable =
				container_variable(item, "AGENT_CONFIG_YAML");
			const char *text = json_string(json_get(variable, "value"));
			size_t len;

			if (text == NULL)
				continue;
			buf_printf(out, "  agent.yaml of %s:\n", container_name(item));
			for (; *text != '\0'; text += len + (text[len] == '\n' ? 1 : 0)) {
				len = strcspn(text, "\n");
				buf_printf(out, "    %.*s\n", (int)len, text);
			}
			return;
		}
	}
}

static void write_text(struct buf *out, const struct json_node *manifest,
		       const struct json_node *pod, const struct mutation *mutation)
{
	static const struct json_node nothing = { .type = JSON_IS_LIST };
	const struct json_node *before = json_get(json_get(pod, "spec"), "volumes");
	const struct json_node *after = json_get(json_get(mutation->pod, "spec"), "volumes");

	write_heading(out, manifest);
	buf_puts(out, mutate_verdict_name(mutation->verdict));
	if (mutation->reason != REASON_NONE)
		buf_printf(out, " (%s)", mutate_reason_name(mutation->reason));
	if (mutation->profile != NULL)
		buf_printf(out, ", profile %s", mutation->profile);
	buf_putc(out, '\n');
	if (mutation->verdict == MUTATE_REFUSE)
		buf_printf(out, "  %s\n", mutation->text);
	for (size_t i = 0; i < mutation->warnings.count; i++)
		buf_printf(out, "  warning: %s\n", mutation->warnings.items[i]);
	if (mutation->verdict != MUTATE_INJECT)
		return;
	write_containers(out, pod, mutation->pod);
	write_new(out, before != NULL ? before : &nothing, after != NULL ? after : &nothing,
		  "volume");
	write_agent_config(out, mutation->pod);
}

static void write_pod(const struct explain_request *request, struct buf *out,
		      const struct json_node *pod)
{
	if (request->output == EXPLAIN_JSON) {
		json_write(out, pod);
		buf_putc(out, '\n');
		return;
	}
	if (out->len > 0)
		buf_puts(out, "---\n");
	yaml_write(out, pod, YAML_STYLE_BLOCK);
}

static int explain_one(const struct explain_request *request, const struct json_node *manifest,
		       struct buf *out, bool *refused, struct error *err)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	AUTO(mutation_deinit) struct mutation mutation = { 0 };
	const struct json_node *pod = manifest_pod(manifest);
	const struct mutate_request mutate_request = {
		.config = request->config,
		.versions = request->versions,
		.namespace = text_of(json_get(json_get(manifest, "metadata"), "namespace"),
				     request->namespace),
		.pod = pod,
	};

	if (pod == NULL) {
		if (request->output == EXPLAIN_TEXT && manifest->type != JSON_IS_NULL) {
			write_heading(out, manifest);
			buf_puts(out, "makes no pods\n");
		}
		return 0;
	}
	if (mutate(&mutate_request, &edit, &mutation, err) < 0)
		return -1;
	*refused = *refused || mutation.verdict == MUTATE_REFUSE;
	/* A refusal has no pod to show. */
	if (request->output == EXPLAIN_TEXT || mutation.verdict == MUTATE_REFUSE)
		write_text(out, manifest, pod, &mutation);
	else
		write_pod(request, out, mutation.verdict == MUTATE_INJECT ? mutation.pod : pod);
	return 0;
}

/* `kubectl get … -o yaml` of several is one List. */
int explain(const struct explain_request *request, const struct json_node *manifest,
	    struct buf *out, bool *refused, struct error *err)
{
	const struct json_node *items = json_get(manifest, "items");

	if (strcmp(text_of(json_get(manifest, "kind"), ""), "List") != 0 || items == NULL ||
	    items->type != JSON_IS_LIST)
		return explain_one(request, manifest, out, refused, err);
	for (const struct json_node *item = items->first; item != NULL; item = item->next)
		if (explain_one(request, item, out, refused, err) < 0)
			return -1;
	return 0;
}
