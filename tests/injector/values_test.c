/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantities, versions, manifests, and YAML as it is written: small readers and writers.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/base/json_edit.h"
#include "agent/base/yaml.h"
#include "injector/annotations.h"
#include "injector/manifest.h"
#include "injector/pod.h"
#include "injector/quantity.h"
#include "injector/versions.h"
#include "injector/yaml_write.h"

Test(quantity, reads_what_kubernetes_reads)
{
	static const struct {
		const char *text;
		int64_t milli; /* -1: refused */
	} cases[] = {
		{ "0", 0 },
		{ "1", 1000 },
		{ "5m", 5 },
		{ "0.5", 500 },
		{ ".5", 500 },
		{ "1.", 1000 },
		{ "+2", 2000 },
		{ "1k", 1000000 },
		{ "64Mi", 64LL * 1048576 * 1000 },
		{ "1Gi", 1073741824LL * 1000 },
		{ "1e3", 1000000 },
		{ "1E3", 1000000 },
		{ "15e-1", 1500 },
		{ "1n", 1 }, /* rounded up */
		{ "1001u", 2 },
		{ "0.0001", 1 },
		{ "8Pi", 9007199254740992LL * 1000 },
		{ "9Pi", -1 }, /* past 64 bits in thousandths */
		{ "", -1 },
		{ "m", -1 },
		{ "-1", -1 },
		{ "1 Mi", -1 },
		{ "1MB", -1 },
		{ "1e", -1 },
		{ "1e99", -1 },
		{ "1.2.3", -1 },
		{ "99999999999999999999", -1 },
		{ "0x10", -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t milli = -1;
		struct error err;
		int result = quantity_read(cases[i].text, &milli, &err);

		cr_expect_eq(result, cases[i].milli >= 0 ? 0 : -1, "%s", cases[i].text);
		cr_expect_eq(milli, cases[i].milli, "%s: %lld", cases[i].text, (long long)milli);
	}
	cr_expect(quantity_equal("1", "1000m"));
	cr_expect(quantity_equal("1Gi", "1024Mi"));
	cr_expect_not(quantity_equal("1G", "1Gi"));
	cr_expect_not(quantity_equal("x", "x"));
	cr_expect_not(quantity_equal(NULL, "1"));
}

Test(versions, read_and_compare)
{
	static const struct {
		const char *text;
		unsigned major, minor; /* both 0: refused */
	} cases[] = {
		{ "v1.34.2", 1, 34 },
		{ "1.34", 1, 34 },
		{ "v1.29.3-gke.100", 1, 29 },
		{ "1.28+", 1, 28 },
		{ "v2.0.0-alpha.1+abc", 2, 0 },
		{ "v1", 0, 0 },
		{ "", 0, 0 },
		{ "v1.x", 0, 0 },
		{ "1.34x", 0, 0 },
		{ "v99999.1", 0, 0 },
		{ "latest", 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kube_version version = { 0 };
		struct error err;
		int result = kube_version_read(cases[i].text, &version, &err);

		cr_expect_eq(result, kube_version_is_known(version) ? 0 : -1, "%s", cases[i].text);
		cr_expect(version.major == cases[i].major && version.minor == cases[i].minor, "%s",
			  cases[i].text);
	}
	cr_expect(kube_version_less((struct kube_version){ 1, 9 }, (struct kube_version){ 1, 10 }));
	cr_expect(kube_version_less((struct kube_version){ 1, 99 }, (struct kube_version){ 2, 0 }));
}

Test(annotations, bools_are_those_of_go)
{
	static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };
	static const char *const no[] = { "", "0", "f", "F", "FALSE", "false", "False" };
	static const char *const neither[] = {
		"tRuE", "yes", "no", "on", "2", " true", "true ", "y"
	};
	struct error err;
	bool value;

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		cr_expect(annotation_read_bool(yes[i], &value, &err) == 0 && value, "%s", yes[i]);
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		cr_expect(annotation_read_bool(no[i], &value, &err) == 0 && !value, "%s", no[i]);
	for (size_t i = 0; i < ARRAY_SIZE(neither); i++)
		cr_expect_eq(annotation_read_bool(neither[i], &value, &err), -1, "%s", neither[i]);
}

Test(annotations, the_peers_have_seventy_four_and_two_of_them_per_name_too)
{
	size_t count = 0, families = 0;

	for (const struct annotation *row = vault_annotations; row->name != NULL; row++) {
		count++;
		families += row->family ? 1 : 0;
		cr_expect((row->class == ANNOTATION_WARN || row->class == ANNOTATION_REFUSE) ==
				  (row->why != NULL),
			  "%s", row->name);
		cr_expect(row->family == (row->name[strlen(row->name) - 1] == '-'), "%s",
			  row->name);
		for (const struct annotation *other = row + 1; other->name != NULL; other++)
			cr_expect_str_neq(row->name, other->name);
	}
	cr_expect_eq(count, 74 + 2, "%zu", count);
	cr_expect_eq(families, 13, "%zu", families);
}

Test(manifest, takes_documents_apart)
{
	static const char text[] = "a: 1\n---\nb: 2\n--- # comment\r\n----\n...\n---x\n---";
	static const char *const parts[] = { "a: 1\n", "b: 2\n", "----\n...\n---x\n" };
	const char *at = text, *document;
	size_t len = strlen(text), document_len, count = 0;

	while (manifest_next(&at, &len, &document, &document_len)) {
		cr_assert_lt(count, ARRAY_SIZE(parts));
		cr_expect_eq(document_len, strlen(parts[count]), "%zu", count);
		cr_expect_eq(memcmp(document, parts[count], document_len), 0);
		count++;
	}
	cr_expect_eq(count, 3);
}

Test(manifest, finds_the_pod_in_what_makes_pods)
{
	static const struct {
		const char *text;
		bool found;
	} cases[] = {
		{ "kind: Pod\nmark: 1", true },
		{ "kind: Deployment\nspec: { template: { mark: 1 } }", true },
		{ "kind: Job\nspec: { template: { mark: 1 } }", true },
		{ "kind: CronJob\nspec: { jobTemplate: { spec: { template: { mark: 1 } } } }",
		  true },
		{ "kind: Service\nspec: {}", false },
		{ "no: kind", false },
		{ "", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err;
		AUTO(json_doc_freep)
		struct json_doc *doc = manifest_read(cases[i].text, strlen(cases[i].text), &err);
		const struct json_node *pod;

		cr_assert_not_null(doc, "%s", err.text);
		pod = manifest_pod(json_doc_root(doc));
		cr_expect_eq(pod != NULL, cases[i].found, "%s", cases[i].text);
		cr_expect(pod == NULL || json_get(pod, "mark") != NULL, "%s", cases[i].text);
	}
}

/* Whatever is written is read as what it was. */
Test(yaml_write, is_read_back_as_it_was)
{
	static const char *const texts[] = {
		"{}",
		"[]",
		"null",
		"true",
		"\"true\"",
		"1",
		"\"1\"",
		"\"1e3\"",
		"\"\"",
		"\" \"",
		"{\"a\":null,\"b\":{\"c\":[1,\"x\",[],{}]},\"\":\"\"}",
		"[[1,[2]],[{\"a\":[{\"b\":1,\"c\":{\"d\":2}}]}]]",
		"{\"yes\":\"no\",\"on\":\"off\",\"null\":\"~\",\"a:b\":\"c: d\",\"- x\":\"# y\"}",
		"{\"text\":\"one\\ntwo\\n\",\"more\":\"one\\ntwo\",\"tab\":\"a\\tb\\n\"}",
		"{\"text\":\"\\none\\n\",\"space\":\" "
		"one\\n\",\"end\":\"one\\n\\n\",\"nl\":\"\\n\"}",
		"{\"deep\":[{\"text\":\"one\\n  two\\n\\nthree\\n\"}]}",
		"{\"u\":\"\\u00e9\\u2028\\ud83d\\ude00\",\"q\":\"\\\"\\\\\",\"c\":\"\\u0001\"}",
		/* YAML has more ends of lines than JSON, and characters that it has not at all. */
		"{\"a\":\"x\\u2028--- y\\u2029z\\u0085\",\"b\":[\"\\u0080\\u007f\\ufeff\\uffff\"]}",
		"{\"text\":\"one\\ntwo\\u2028out: of it\\n\",\"end\":\"one\\n\\u0085x\\n\"}",
		"{\"a\":\"x-\",\"b\":\"-x\",\"c\":\"/a/"
		"b.c\",\"d\":\"a,b\",\"e\":\"{a}\",\"f\":\"*x\"}",
	};
	const struct json_limits limits = { .depth = 16, .nodes = 100, .bytes = 1 << 16 };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		for (int style = YAML_STYLE_BLOCK; style <= YAML_STYLE_COMPACT; style++) {
			AUTO(buf_deinit) struct buf yaml = BUF_INIT(1 << 16);
			AUTO(json_doc_freep) struct json_doc *doc = NULL;
			AUTO(json_doc_freep) struct json_doc *again = NULL;
			struct error err;

			doc = json_doc_read(texts[i], strlen(texts[i]), &limits, &err);
			cr_assert_not_null(doc, "%s", err.text);
			yaml_write(&yaml, json_doc_root(doc), (enum yaml_style)style);
			again = manifest_read(buf_string(&yaml), yaml.len, &err);
			cr_assert_not_null(again, "%s\n%s", err.text, buf_string(&yaml));
			cr_expect(json_equal(json_doc_root(doc), json_doc_root(again)), "%s\n%s",
				  texts[i], buf_string(&yaml));
		}
}

Test(pod, paths_are_compared_by_component_and_var_run_is_run)
{
	static const struct {
		const char *path, *inner;
		bool covers;
	} cases[] = {
		{ "/", "/a", true },
		{ "/run", "/run/agent", true },
		{ "/run/agent", "/run", false },
		{ "/run", "/running", false },
		{ "/var/run", "/run/agent", true },
		{ "/run", "/var/run/x", true },
		{ "/var", "/run", false },
		{ "/var", "/var/run", false },
		{ "/var/runs", "/run", false },
		{ "//run/./agent/", "/run/agent", true },
		{ "/a/b", "/a/c", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_expect_eq(path_covers(cases[i].path, cases[i].inner), cases[i].covers, "%s, %s",
			     cases[i].path, cases[i].inner);
}
