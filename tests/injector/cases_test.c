/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every data case against `mutate` and `review_answer`, and what must hold of every injected pod.
 */
#include "tests/injector/cases.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/base/yaml.h"
#include "agent/command/command.h"
#include "agent/config/config.h"
#include "injector/manifest.h"
#include "injector/mutate.h"
#include "injector/patch.h"
#include "injector/pod.h"
#include "injector/review.h"

enum { TEXT_MOST = 8 << 20, CASES_LEAST = 150 };

static const struct json_limits limits = { .depth = 64, .nodes = 200000, .bytes = TEXT_MOST };

#define FAILED(format_, ...)                                                                       \
	cr_expect_fail("%s: %s: " format_, one->file, one->name __VA_OPT__(, ) __VA_ARGS__)

/* ---- what a case says ---- */

static void check_words(const struct test_case *one, const struct mutation *mutation)
{
	const char *verdict = json_string(json_get(one->expect, "verdict"));
	const char *reason = json_string(json_get(one->expect, "reason"));
	const struct json_node *text = json_get(one->expect, "text");

	if (verdict == NULL || strcmp(verdict, mutate_verdict_name(mutation->verdict)) != 0)
		FAILED("is %s (%s): %s", mutate_verdict_name(mutation->verdict),
		       mutate_reason_name(mutation->reason), mutation->text);
	if (reason != NULL && strcmp(reason, mutate_reason_name(mutation->reason)) != 0)
		FAILED("the reason is %s: %s", mutate_reason_name(mutation->reason),
		       mutation->text);
	if ((mutation->verdict == MUTATE_REFUSE) != (mutation->text[0] != '\0'))
		FAILED("the sentence is '%s'", mutation->text);
	if (mutation->verdict == MUTATE_REFUSE && (text == NULL || text->count == 0))
		FAILED("says nothing of the sentence '%s'", mutation->text);
	for (const struct json_node *part = text != NULL ? text->first : NULL; part != NULL;
	     part = part->next)
		if (strstr(mutation->text, part->text) == NULL)
			FAILED("'%s' is not in '%s'", part->text, mutation->text);
}

static void check_warnings(const struct test_case *one, const struct mutation *mutation)
{
	const struct json_node *expected = json_get(one->expect, "warnings");
	const struct json_node *part = expected != NULL ? expected->first : NULL;

	for (size_t i = 0; i < mutation->warnings.count; i++) {
		if (part == NULL)
			FAILED("warns: %s", mutation->warnings.items[i]);
		else if (strstr(mutation->warnings.items[i], part->text) == NULL)
			FAILED("'%s' is not in '%s'", part->text, mutation->warnings.items[i]);
		if (strlen(mutation->warnings.items[i]) >= MUTATE_WARNING_MAX)
			FAILED("too long: '%s'", mutation->warnings.items[i]);
		part = part != NULL ? part->next : NULL;
	}
	if (part != NULL)
		FAILED("does not warn: %s", part->text);
}

static const struct json_node *follow(const struct json_node *node, const char *pointer)
{
	while (node != NULL && *pointer == '/') {
		size_t len = strcspn(++pointer, "/");
		const struct json_node *child = node->first;

		while (child != NULL) {
			const char *name =
				node->type == JSON_IS_MAP ? child->key : container_name(child);

			if (strlen(name) == len && strncmp(name, pointer, len) == 0)
				break;
			child = child->next;
		}
		node = child;
		pointer += len;
	}
	return node;
}

static void check_absent(const struct test_case *one, const struct json_node *pod)
{
	const struct json_node *absent = json_get(one->expect, "absent");

	for (const struct json_node *item = absent != NULL ? absent->first : NULL; item != NULL;
	     item = item->next)
		if (follow(pod, item->text) != NULL)
			FAILED("%s is there", item->text);
}

static void check_order(const struct test_case *one, const struct json_node *pod)
{
	const struct json_node *orders = json_get(one->expect, "order");
	AUTO(buf_deinit) struct buf names = BUF_INIT(TEXT_MOST);
	AUTO(buf_deinit) struct buf wanted = BUF_INIT(TEXT_MOST);

	for (const struct json_node *list = orders != NULL ? orders->first : NULL; list != NULL;
	     list = list->next) {
		const struct json_node *actual = json_get(json_get(pod, "spec"), list->key);

		for (const struct json_node *item = actual != NULL ? actual->first : NULL;
		     item != NULL; item = item->next)
			buf_printf(&names, "%s ", container_name(item));
		for (const struct json_node *item = list->first; item != NULL; item = item->next)
			buf_printf(&wanted, "%s ", item->text);
		if (strcmp(buf_string(&names), buf_string(&wanted)) != 0)
			FAILED("%s: '%s', not '%s'", list->key, buf_string(&names),
			       buf_string(&wanted));
		buf_reset(&names);
		buf_reset(&wanted);
	}
}

/* ---- what the agent is told ---- */

static const char *agent_yaml(const struct json_node *pod)
{
	for (int init = 1; init >= 0; init--) {
		const struct json_node *item = pod_containers(pod, init)->first;

		for (; item != NULL; item = item->next) {
			const struct json_node *variable =
				container_variable(item, "AGENT_CONFIG_YAML");

			if (variable != NULL)
				return json_string(json_get(variable, "value"));
		}
	}
	return NULL;
}

/* As a kubelet hands it over. */
static void unescape(struct buf *out, const char *text)
{
	for (; text != NULL && *text != '\0'; text++) {
		if (*text == '$')
			cr_assert_eq(text[1], '$', "a $ that a kubelet would take");
		text += *text == '$' ? 1 : 0;
		buf_putc(out, *text);
	}
}

static void check_agent_yaml(const struct test_case *one, const struct json_node *pod)
{
	const struct json_node *expected = json_get(one->expect, "agent_yaml");
	AUTO(buf_deinit) struct buf value = BUF_INIT(TEXT_MOST);
	const char *text = agent_yaml(pod);
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	AUTO(buf_deinit) struct buf where = BUF_INIT(TEXT_MOST);
	struct config_problems problems = { 0 };
	struct config *config;
	struct error err;

	if (text == NULL) {
		if (expected != NULL)
			FAILED("there is no configuration for the agent");
		return;
	}
	unescape(&value, text);
	text = buf_string(&value);
	config = config_parse(text, strlen(text), "agent.yaml", backend_types, &problems);
	config_problems_print(&problems, &where);
	if (config == NULL)
		FAILED("%s\n%s", buf_string(&where), text);
	(void)config_free(config);
	config_problems_free(&problems);
	buf_reset(&where);
	if (expected == NULL)
		return;
	doc = manifest_read(text, strlen(text), &err);
	cr_assert_not_null(doc, "%s", err.text);
	if (!case_matches(expected, json_doc_root(doc), &where))
		FAILED("agent.yaml differs at %s:\n%s", buf_string(&where), text);
}

/* ---- what holds of every pod ---- */

static void check_unique(const struct test_case *one, const struct json_node *list, const char *key,
			 const char *what)
{
	for (const struct json_node *item = list != NULL ? list->first : NULL; item != NULL;
	     item = item->next)
		for (const struct json_node *other = item->next; other != NULL; other = other->next)
			if (json_equal(json_get(item, key), json_get(other, key)))
				FAILED("two %s with one %s '%s'", what, key,
				       json_string(json_get(item, key)));
}

static void check_container(const struct test_case *one, const struct json_node *pod,
			    const struct json_node *container)
{
	const struct json_node *mounts = json_get(container, "volumeMounts");
	const struct json_node *env = json_get(container, "env");

	check_unique(one, mounts, "mountPath", "mounts");
	check_unique(one, env, "name", "variables");
	for (const struct json_node *mount = mounts != NULL ? mounts->first : NULL; mount != NULL;
	     mount = mount->next)
		if (!pod_has_volume(pod, container_name(mount)))
			FAILED("%s mounts %s, which is no volume", container_name(container),
			       container_name(mount));
	/* A container mounts the volume of variables or takes variables from it, never both. */
	for (const struct json_node *item = env != NULL ? env->first : NULL; item != NULL;
	     item = item->next) {
		const struct json_node *from = json_get(json_get(item, "valueFrom"), "fileKeyRef");
		const struct json_node *mount = mounts != NULL ? mounts->first : NULL;

		if (from == NULL)
			continue;
		for (; mount != NULL; mount = mount->next)
			if (json_equal(json_get(mount, "name"), json_get(from, "volumeName")))
				FAILED("%s mounts the volume of its variables",
				       container_name(container));
	}
}

static void check_pod(const struct test_case *one, const struct json_node *pod)
{
	const struct json_node *spec = json_get(pod, "spec");

	check_unique(one, json_get(spec, "volumes"), "name", "volumes");
	for (int init = 0; init < 2; init++) {
		const struct json_node *item = pod_containers(pod, init)->first;

		check_unique(one, pod_containers(pod, init), "name", "containers");
		for (; item != NULL; item = item->next)
			check_container(one, pod, item);
	}
	if (pod_is_guaranteed(one->pod) && !pod_is_guaranteed(pod))
		FAILED("is no longer guaranteed");
}

/* The order of annotations means nothing: the agent is told the same, byte for byte. */
static void check_order_of_annotations(const struct test_case *one, const struct json_node *pod)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	AUTO(mutation_deinit) struct mutation mutation = { 0 };
	struct json_node *turned = json_clone(&edit, one->pod), *list, *reversed;
	const char *first = agent_yaml(pod), *second;
	struct mutate_request request = { .config = one->config,
					  .versions = &one->versions,
					  .namespace = one->namespace };
	struct error err;

	json_open(&edit, turned);
	list = json_open_member(&edit, json_open_member(&edit, turned, "metadata", JSON_IS_MAP),
				"annotations", JSON_IS_MAP);
	reversed = json_new(&edit, JSON_IS_MAP);
	for (const struct json_node *item = list->first; item != NULL; item = item->next) {
		struct json_node *copy = json_clone(&edit, item);

		copy->key = item->key;
		copy->key_len = item->key_len;
		json_insert(reversed, 0, copy);
	}
	json_put(&edit, json_open_member(&edit, turned, "metadata", JSON_IS_MAP), "annotations",
		 reversed);
	request.pod = turned;
	cr_assert_eq(mutate(&request, &edit, &mutation, &err), 0, "%s", err.text);
	second = mutation.verdict == MUTATE_INJECT ? agent_yaml(mutation.pod) : "";
	if (first != NULL && (second == NULL || strcmp(first, second) != 0))
		FAILED("another order of annotations is another configuration:\n%s\n%s", first,
		       second != NULL ? second : "none");
}

/* A second round, as reinvocation makes it. */
static void check_again(const struct test_case *one, const struct json_node *pod)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	AUTO(mutation_deinit) struct mutation mutation = { 0 };
	const struct mutate_request request = { .config = one->config,
						.versions = &one->versions,
						.namespace = one->namespace,
						.pod = pod };
	struct error err;

	cr_assert_eq(mutate(&request, &edit, &mutation, &err), 0, "%s", err.text);
	if (mutation.verdict != MUTATE_SKIP || mutation.reason != REASON_ALREADY_INJECTED ||
	    mutation.warnings.count > 0)
		FAILED("a second round is %s (%s) %s", mutate_verdict_name(mutation.verdict),
		       mutate_reason_name(mutation.reason), mutation.text);
}

/* ---- over the wire ---- */

static void answer(const struct test_case *one, struct buf *out, struct review_outcome *outcome)
{
	AUTO(buf_deinit) struct buf body = BUF_INIT(TEXT_MOST);
	struct error err;

	buf_printf(&body,
		   "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
		   "\"request\":{\"uid\":\"u-1\",\"kind\":{\"group\":\"\",\"version\":\"v1\","
		   "\"kind\":\"Pod\"},\"operation\":\"CREATE\",\"namespace\":\"%s\",\"object\":",
		   one->namespace);
	json_write(&body, one->pod);
	buf_puts(&body, "}}");
	cr_assert_eq(
		review_answer(one->config, &one->versions, body.data, body.len, out, outcome, &err),
		0, "%s: %s: %s", one->file, one->name, err.text);
}

static void check_answer(const struct test_case *one, const struct mutation *mutation)
{
	AUTO(buf_deinit) struct buf first = BUF_INIT(TEXT_MOST);
	AUTO(buf_deinit) struct buf second = BUF_INIT(TEXT_MOST);
	AUTO(buf_deinit) struct buf patch = BUF_INIT(TEXT_MOST);
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	AUTO(json_doc_freep) struct json_doc *patch_doc = NULL;
	struct review_outcome outcome;
	const struct json_node *response, *applied;
	const char *encoded;
	struct error err;

	answer(one, &first, &outcome);
	answer(one, &second, &outcome);
	if (strcmp(buf_string(&first), buf_string(&second)) != 0)
		FAILED("two answers differ");
	if (outcome.verdict != mutation->verdict || outcome.reason != mutation->reason)
		FAILED("the review says %s (%s)", mutate_verdict_name(outcome.verdict),
		       mutate_reason_name(outcome.reason));
	doc = json_doc_read(first.data, first.len, &limits, &err);
	cr_assert_not_null(doc, "%s", err.text);
	response = json_get(json_doc_root(doc), "response");
	encoded = json_string(json_get(response, "patch"));
	if ((encoded != NULL) != (mutation->verdict == MUTATE_INJECT))
		FAILED("patch: %s", encoded != NULL ? encoded : "none");
	if (encoded == NULL || mutation->verdict != MUTATE_INJECT)
		return;
	cr_assert_eq(text_read_base64(&patch, encoded, strlen(encoded), &err), 0, "%s", err.text);
	patch_doc = json_doc_read(patch.data, patch.len, &limits, &err);
	cr_assert_not_null(patch_doc, "%s", err.text);
	applied = patch_apply(&edit, one->pod, json_doc_root(patch_doc), &err);
	cr_assert_not_null(applied, "%s: %s: %s", one->file, one->name, err.text);
	if (!json_equal(applied, mutation->pod))
		FAILED("the patch gives another pod");
}

static void run_case(const struct test_case *one)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	AUTO(mutation_deinit) struct mutation mutation = { 0 };
	AUTO(buf_deinit) struct buf where = BUF_INIT(TEXT_MOST);
	const struct json_node *expected = json_get(one->expect, "pod");
	const struct mutate_request request = { .config = one->config,
						.versions = &one->versions,
						.namespace = one->namespace,
						.pod = one->pod };
	struct error err;

	cr_assert_eq(mutate(&request, &edit, &mutation, &err), 0, "%s", err.text);
	check_words(one, &mutation);
	check_warnings(one, &mutation);
	check_answer(one, &mutation);
	if (mutation.verdict != MUTATE_INJECT)
		return;
	if (expected != NULL && !case_matches(expected, mutation.pod, &where))
		FAILED("the pod differs at %s", buf_string(&where));
	check_absent(one, mutation.pod);
	check_order(one, mutation.pod);
	check_agent_yaml(one, mutation.pod);
	check_pod(one, mutation.pod);
	check_again(one, mutation.pod);
	check_order_of_annotations(one, mutation.pod);
}

Test(injector, data_cases)
{
	size_t count = cases_run(run_case);

	cr_expect_geq(count, CASES_LEAST, "only %zu cases: run from the root of the tree", count);
}
