/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/cluster.h"

#include <criterion/criterion.h>
#include <string.h>

static struct cluster_question question;
static struct cluster_versions found;
static struct error err;

static void begin(void)
{
	question = CLUSTER_QUESTION_INIT;
	found = (struct cluster_versions){ { 9, 9 }, { 9, 9 } };
	err = ERROR_INIT;
}

static void end(void)
{
	cluster_question_deinit(&question);
}

static enum cluster_next tell(int status, const char *body)
{
	const struct reply reply = { .status = status, .body = body, .len = strlen(body) };

	return cluster_step(&question, &reply, &found, &err);
}

#define NODES(rows, next)                                                                          \
	"{\"kind\":\"Table\",\"metadata\":{\"continue\":\"" next                                   \
	"\"},\"columnDefinitions\":["                                                              \
	"{\"name\":\"Name\"},{\"name\":\"Age\"},{\"name\":\"Version\"}],\"rows\":[" rows "]}"
#define NODE(version) "{\"cells\":[\"n\",\"5d\",\"" version "\"],\"object\":null}"

TestSuite(cluster, .init = begin, .fini = end);

Test(cluster, the_oldest_kubelet_of_all_pages_counts)
{
	cr_expect_eq(cluster_step(&question, NULL, &found, &err), CLUSTER_SEND);
	cr_expect_str_eq(question.request.path.data, "/version");
	cr_expect_eq(tell(200, "{\"major\":\"1\",\"gitVersion\":\"v1.36.3\"}"), CLUSTER_SEND);
	cr_expect_str_eq(question.request.path.data, "/api/v1/nodes?includeObject=None&limit=200");
	cr_expect_not_null(strstr(question.request.headers.data, "as=Table"));
	cr_expect_eq(tell(200, NODES(NODE("v1.36.1") "," NODE("v1.33.9"), "abc")), CLUSTER_SEND);
	cr_expect_str_eq(question.request.path.data,
			 "/api/v1/nodes?includeObject=None&limit=200&continue=abc");
	cr_expect_eq(tell(200, NODES(NODE("v1.35.0-eks-1"), "")), CLUSTER_DONE);
	cr_expect_eq(found.server.minor, 36);
	cr_expect_eq(found.oldest_kubelet.minor, 33);
}

static struct kube_version oldest_of(const char *nodes)
{
	end();
	begin();
	(void)cluster_step(&question, NULL, &found, &err);
	(void)tell(200, "{\"gitVersion\":\"v1.36.3\"}");
	cr_expect_eq(tell(200, nodes), CLUSTER_DONE, "%s", err.text);
	return found.oldest_kubelet;
}

Test(cluster, a_kubelet_of_which_nothing_is_known_may_be_old)
{
	static const char *const pages[] = {
		NODES(NODE("v1.36.1") "," NODE("<unknown>"), ""),
		NODES(NODE("v1.36.1") ",{\"cells\":[\"n\"]}", ""),
		NODES("", ""),
		"{\"columnDefinitions\":[{\"name\":\"Name\"}],\"rows\":[{\"cells\":[\"n\"]}]}",
		"{}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		cr_expect_not(kube_version_is_known(oldest_of(pages[i])), "row %zu", i);
	cr_expect(kube_version_is_known(oldest_of(NODES(NODE("v1.36.1"), ""))));
}

Test(cluster, a_refusal_names_what_was_asked)
{
	(void)cluster_step(&question, NULL, &found, &err);
	(void)tell(200, "{\"gitVersion\":\"v1.36.3\"}");
	cr_expect_eq(tell(403, "{}"), CLUSTER_FAILED);
	cr_expect_not_null(strstr(err.text, "/api/v1/nodes"), "%s", err.text);
	cr_expect_eq(found.server.minor, 9, "what was known stays");
}

Test(cluster, what_cannot_be_read_fails)
{
	static const char *const versions[] = { "{}", "{\"gitVersion\":7}",
						"{\"gitVersion\":\"x\"}", "nonsense" };

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		end();
		begin();
		(void)cluster_step(&question, NULL, &found, &err);
		cr_expect_eq(tell(200, versions[i]), CLUSTER_FAILED, "row %zu", i);
	}
}
