/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/injector/cases.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/reader.h"

enum { CASES_MAX_BYTES = 4 << 20 };

static const struct json_node *either(const struct json_node *one, const struct json_node *defaults,
				      const char *key)
{
	const struct json_node *node = json_get(one, key);

	return node != NULL ? node : json_get(defaults, key);
}

static void put_all(struct json_edit *edit, struct json_node *into, const struct json_node *from)
{
	for (const struct json_node *node = from != NULL ? from->first : NULL; node != NULL;
	     node = node->next) {
		if (node->type == JSON_IS_NULL)
			json_remove(into, json_get(into, node->key));
		else
			json_put(edit, into, node->key, json_clone(edit, node));
	}
}

static const struct json_node *make_pod(struct json_edit *edit, const struct json_node *one,
					const struct json_node *defaults)
{
	struct json_node *pod = json_clone(edit, either(one, defaults, "pod"));
	struct json_node *metadata;

	json_open(edit, pod);
	metadata = json_open_member(edit, pod, "metadata", JSON_IS_MAP);
	if (json_get(one, "annotations") != NULL)
		put_all(edit, json_open_member(edit, metadata, "annotations", JSON_IS_MAP),
			json_get(one, "annotations"));
	if (json_get(one, "spec") != NULL)
		put_all(edit, json_open_member(edit, pod, "spec", JSON_IS_MAP),
			json_get(one, "spec"));
	return pod;
}

static struct kube_version read_version(const struct json_node *versions, const char *key)
{
	struct kube_version version = { 0 };
	const char *text = json_string(json_get(versions, key));
	struct error err;

	if (text != NULL)
		cr_assert_eq(kube_version_read(text, &version, &err), 0, "%s", err.text);
	return version;
}

static void run_one(const char *file, const struct json_node *one, const struct json_node *defaults,
		    case_fn *run)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	AUTO(buf_deinit) struct buf yaml = BUF_INIT(CASES_MAX_BYTES);
	AUTO(buf_deinit) struct buf pod = BUF_INIT(CASES_MAX_BYTES);
	AUTO(json_doc_freep) struct json_doc *pod_doc = NULL;
	const struct json_limits limits = { .depth = 64, .nodes = 50000, .bytes = CASES_MAX_BYTES };
	const struct json_node *versions = either(one, defaults, "versions");
	const struct json_node *namespace = either(one, defaults, "namespace");
	struct config_problems problems = { 0 };
	struct test_case test = { .file = file, .name = json_string(json_get(one, "name")) };
	struct error err;

	json_write(&yaml, either(one, defaults, "config"));
	test.config = injector_config_parse(buf_string(&yaml), yaml.len, file, &problems);
	config_problems_print(&problems, &yaml);
	cr_assert_not_null(test.config, "%s: %s: %s", file, test.name, buf_string(&yaml));
	config_problems_free(&problems);
	test.versions.server = read_version(versions, "server");
	test.versions.oldest_kubelet = read_version(versions, "kubelet");
	test.namespace = namespace != NULL ? json_string(namespace) : "default";
	/* As a request brings it: a document of its own. */
	json_write(&pod, make_pod(&edit, one, defaults));
	pod_doc = json_doc_read(buf_string(&pod), pod.len, &limits, &err);
	cr_assert_not_null(pod_doc, "%s: %s: %s", file, test.name, err.text);
	test.pod = json_doc_root(pod_doc);
	test.expect = either(one, defaults, "expect");
	run(&test);
	(void)injector_config_free(test.config);
}

static size_t run_file(const char *file, case_fn *run)
{
	AUTO(buf_deinit) struct buf content = BUF_INIT(CASES_MAX_BYTES);
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	const struct json_limits limits = { .depth = 64,
					    .nodes = 500000,
					    .bytes = CASES_MAX_BYTES };
	const struct json_node *cases;
	struct error err;
	size_t count = 0;

	cr_assert_eq(reader_file(file, &content, &err), 0, "%s: %s", file, err.text);
	doc = json_doc_read(buf_string(&content), content.len, &limits, &err);
	cr_assert_not_null(doc, "%s: %s", file, err.text);
	cases = json_get(json_doc_root(doc), "cases");
	cr_assert(cases != NULL && cases->type == JSON_IS_LIST, "%s has no cases", file);
	for (const struct json_node *one = cases->first; one != NULL; one = one->next, count++)
		run_one(file, one, json_get(json_doc_root(doc), "defaults"), run);
	return count;
}

size_t cases_run(case_fn *run)
{
	glob_t files = { 0 };
	size_t count = 0;

	if (glob("tests/injector/cases/*.json", 0, NULL, &files) == 0)
		for (size_t i = 0; i < files.gl_pathc; i++)
			count += run_file(files.gl_pathv[i], run);
	globfree(&files);
	return count;
}

/* ---- matching ---- */

static const char *id_of(const struct json_node *node, const char *key)
{
	const char *text = json_string(json_get(node, key));

	return text != NULL ? text : "";
}

static bool same_item(const struct json_node *one, const struct json_node *other)
{
	bool named = json_get(one, "name") != NULL, mount = json_get(one, "mountPath") != NULL;

	return (named || mount) &&
	       (!named || strcmp(id_of(one, "name"), id_of(other, "name")) == 0) &&
	       (!mount || strcmp(id_of(one, "mountPath"), id_of(other, "mountPath")) == 0);
}

static bool matches_list(const struct json_node *expected, const struct json_node *actual,
			 struct buf *where)
{
	size_t level = where->len;

	for (const struct json_node *want = expected->first; want != NULL; want = want->next) {
		const struct json_node *item = actual->first;

		while (item != NULL && !same_item(want, item))
			item = item->next;
		buf_printf(where, "/%s%s", id_of(want, "name"), id_of(want, "mountPath"));
		if (item == NULL || !case_matches(want, item, where))
			return false;
		buf_truncate(where, level);
	}
	return true;
}

/* Items without a name are compared in their order. */
static bool matches_in_order(const struct json_node *expected, const struct json_node *actual,
			     struct buf *where)
{
	const struct json_node *item = actual->first;
	size_t level = where->len, index = 0;

	if (expected->count != actual->count)
		return false;
	for (const struct json_node *want = expected->first; want != NULL; want = want->next) {
		buf_printf(where, "/%zu", index++);
		if (!case_matches(want, item, where))
			return false;
		buf_truncate(where, level);
		item = item->next;
	}
	return true;
}

bool case_matches(const struct json_node *expected, const struct json_node *actual,
		  struct buf *where)
{
	size_t level = where->len;

	if (actual == NULL || expected->type != actual->type)
		return false;
	if (expected->type == JSON_IS_LIST) {
		const struct json_node *first = expected->first;

		return first != NULL && same_item(first, first)
			       ? matches_list(expected, actual, where)
			       : matches_in_order(expected, actual, where);
	}
	if (expected->type != JSON_IS_MAP)
		return json_equal(expected, actual);
	for (const struct json_node *want = expected->first; want != NULL; want = want->next) {
		buf_printf(where, "/%s", want->key);
		if (!case_matches(want, json_get(actual, want->key), where))
			return false;
		buf_truncate(where, level);
	}
	return true;
}
