/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The envelope: what is no question, what a question's parts become, and where its limits are.
 */
#include "injector/review.h"

#include <criterion/criterion.h>
#include <string.h>

enum { ANSWER_MAX = 8 << 20 };

static const char operator_file[] =
	"profiles: { default: { address: 'https://v', image: a, auth: { role: r } } }";

struct fixture {
	struct injector_config *config;
	struct cluster_versions versions;
	struct buf answer;
	struct review_outcome outcome;
	struct error err;
};

static void setup_with(struct fixture *fixture, const char *file)
{
	struct config_problems problems = { 0 };

	*fixture = (struct fixture){ .answer = BUF_INIT(ANSWER_MAX),
				     .versions = { { 1, 36 }, { 1, 36 } } };
	fixture->config = injector_config_parse(file, strlen(file), "test", &problems);
	cr_assert_not_null(fixture->config, "%s", problems.count > 0 ? problems.items[0].text : "");
}

static void teardown(struct fixture *fixture)
{
	(void)injector_config_free(fixture->config);
	buf_deinit(&fixture->answer);
}

static int ask(struct fixture *fixture, const void *body, size_t len)
{
	buf_reset(&fixture->answer);
	fixture->err = ERROR_INIT;
	return review_answer(fixture->config, &fixture->versions, body, len, &fixture->answer,
			     &fixture->outcome, &fixture->err);
}

#define POD_KIND "\"kind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"}"
#define REVIEW(request_)                                                                           \
	"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{"       \
	"\"uid\":\"u-1\"," request_ "}}"
#define PLAIN                                                                                      \
	REVIEW(POD_KIND ",\"operation\":\"CREATE\",\"object\":{\"metadata\":{\"name\":\"x\"}}")

Test(review, what_is_no_question_gets_no_answer)
{
	static const struct {
		const char *body;
		enum error_code code;
		const char *part;
	} cases[] = {
		{ "", ERROR_PROTOCOL, "byte 0" },
		{ "null", ERROR_INVALID, "no AdmissionReview" },
		{ "[]", ERROR_INVALID, "no AdmissionReview" },
		{ "{", ERROR_PROTOCOL, "byte 1" },
		{ "{}", ERROR_INVALID, "admissionReviewVersions" },
		{ "{\"apiVersion\":\"admission.k8s.io/v1beta1\",\"kind\":\"AdmissionReview\","
		  "\"request\":{\"uid\":\"u\"}}",
		  ERROR_INVALID, "admission.k8s.io/v1" },
		{ "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"Pod\",\"request\":{"
		  "\"uid\":\"u\"}}",
		  ERROR_INVALID, "AdmissionReview" },
		{ "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\"}",
		  ERROR_INVALID, "request.uid" },
		{ "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
		  "\"request\":{\"uid\":\"\"}}",
		  ERROR_INVALID, "request.uid" },
		{ "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
		  "\"request\":{\"uid\":\"a\",\"uid\":\"b\"}}",
		  ERROR_PROTOCOL, "twice" },
	};
	struct fixture fixture;

	setup_with(&fixture, operator_file);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_expect_eq(ask(&fixture, cases[i].body, strlen(cases[i].body)), -1, "%s",
			     cases[i].body);
		cr_expect_eq(fixture.err.code, cases[i].code, "%s: %s", cases[i].body,
			     fixture.err.text);
		cr_expect_not_null(strstr(fixture.err.text, cases[i].part), "%s: %s", cases[i].body,
				   fixture.err.text);
	}
	teardown(&fixture);
}

Test(review, only_pods_that_are_created_are_looked_at)
{
	static const struct {
		const char *body;
		enum mutate_reason reason;
	} cases[] = {
		{ PLAIN, REASON_NOT_ANNOTATED },
		{ REVIEW(POD_KIND ",\"operation\":\"UPDATE\",\"object\":{}"), REASON_NOT_CREATE },
		{ REVIEW(POD_KIND ",\"operation\":\"DELETE\",\"object\":null"), REASON_NOT_CREATE },
		{ REVIEW(POD_KIND ",\"operation\":\"CREATE\",\"object\":null"), REASON_NOT_A_POD },
		{ REVIEW(POD_KIND ",\"operation\":\"CREATE\""), REASON_NOT_A_POD },
		{ REVIEW(POD_KIND ",\"operation\":\"CREATE\",\"object\":[]"), REASON_NOT_A_POD },
		{ REVIEW(POD_KIND ",\"subResource\":\"ephemeralcontainers\",\"operation\":"
				  "\"UPDATE\",\"object\":{}"),
		  REASON_EPHEMERAL_CONTAINERS },
		{ REVIEW(POD_KIND ",\"subResource\":\"binding\",\"operation\":\"CREATE\","
				  "\"object\":{}"),
		  REASON_NOT_A_POD },
		{ REVIEW("\"kind\":{\"group\":\"apps\",\"version\":\"v1\",\"kind\":\"Deployment\"},"
			 "\"operation\":\"CREATE\",\"object\":{}"),
		  REASON_NOT_A_POD },
		{ REVIEW("\"kind\":{\"group\":\"x.io\",\"version\":\"v1\",\"kind\":\"Pod\"},"
			 "\"operation\":\"CREATE\",\"object\":{}"),
		  REASON_NOT_A_POD },
		{ REVIEW("\"operation\":\"CREATE\",\"object\":{}"), REASON_NOT_A_POD },
	};
	static const char allowed[] =
		"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
		"\"response\":{\"uid\":\"u-1\",\"allowed\":true}}";
	struct fixture fixture;

	setup_with(&fixture, operator_file);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_assert_eq(ask(&fixture, cases[i].body, strlen(cases[i].body)), 0, "%s: %s",
			     cases[i].body, fixture.err.text);
		cr_expect_eq(fixture.outcome.reason, cases[i].reason, "%s: %s", cases[i].body,
			     mutate_reason_name(fixture.outcome.reason));
		cr_expect_eq(fixture.outcome.verdict, MUTATE_SKIP);
		cr_expect_str_eq(buf_string(&fixture.answer), allowed);
	}
	teardown(&fixture);
}

Test(review, a_refusal_is_an_answer_with_a_sentence)
{
	static const char body[] =
		REVIEW(POD_KIND
		       ",\"operation\":\"CREATE\",\"namespace\":\"apps\",\"dryRun\":true,"
		       "\"object\":{\"metadata\":{\"generateName\":\"web-\",\"annotations\":{"
		       "\"secrets-agent/inject\":\"ja\\\"\"},\"ownerReferences\":[{\"kind\":\"X\"},"
		       "{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\"web-1\","
		       "\"uid\":\"o-1\",\"controller\":true}]}}");
	struct fixture fixture;

	setup_with(&fixture, operator_file);
	cr_assert_eq(ask(&fixture, body, strlen(body)), 0, "%s", fixture.err.text);
	cr_expect_str_eq(
		buf_string(&fixture.answer),
		"{\"apiVersion\":\"admission.k8s.io/"
		"v1\",\"kind\":\"AdmissionReview\",\"response\":{"
		"\"uid\":\"u-1\",\"allowed\":false,\"status\":{\"code\":400,\"reason\":"
		"\"BadRequest\",\"message\":\"secrets-agent/inject: 'ja\\\"' is neither true nor "
		"false: write \\\"true\\\"\"}}}");
	cr_expect_eq(fixture.outcome.verdict, MUTATE_REFUSE);
	cr_expect_eq(fixture.outcome.reason, REASON_ANNOTATION);
	cr_expect(fixture.outcome.dry_run);
	cr_expect_str_eq(fixture.outcome.namespace, "apps");
	cr_expect_str_eq(fixture.outcome.pod, "web-");
	cr_expect_str_eq(fixture.outcome.owner.api_version, "apps/v1");
	cr_expect_str_eq(fixture.outcome.owner.kind, "ReplicaSet");
	cr_expect_str_eq(fixture.outcome.owner.name, "web-1");
	cr_expect_str_eq(fixture.outcome.owner.uid, "o-1");
	cr_expect_not_null(strstr(fixture.outcome.text, "neither true nor false"));
	teardown(&fixture);
}

Test(review, what_is_too_long_for_a_name_is_cut_not_overrun)
{
	struct buf body = BUF_INIT(1 << 16);
	struct fixture fixture;

	setup_with(&fixture, operator_file);
	buf_puts(&body,
		 "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
		 "\"request\":{\"uid\":\"u\"," POD_KIND
		 ",\"operation\":\"CREATE\","
		 "\"namespace\":\"");
	for (int i = 0; i < 500; i++)
		buf_putc(&body, 'n');
	buf_puts(&body, "\",\"object\":{\"metadata\":{\"name\":\"");
	for (int i = 0; i < 500; i++)
		buf_putc(&body, 'p');
	buf_puts(&body, "\"}}}}");
	cr_assert_eq(ask(&fixture, body.data, body.len), 0, "%s", fixture.err.text);
	cr_expect_eq(strlen(fixture.outcome.namespace), REVIEW_NAMESPACE_MAX - 1);
	cr_expect_eq(strlen(fixture.outcome.pod), REVIEW_NAME_MAX - 1);
	buf_deinit(&body);
	teardown(&fixture);
}

/* A question whose pod holds `count` items of a list nested `depth` deep, padded to `bytes`. */
static void write_question(struct buf *body, unsigned depth, unsigned items, size_t bytes)
{
	buf_reset(body);
	buf_puts(body,
		 "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
		 "\"request\":{\"uid\":\"u\"," POD_KIND
		 ",\"operation\":\"CREATE\",\"object\":{\"x\":");
	for (unsigned i = 0; i < depth; i++)
		buf_putc(body, '[');
	for (unsigned i = 0; i < items; i++)
		buf_puts(body, i > 0 ? ",1" : "1");
	for (unsigned i = 0; i < depth; i++)
		buf_putc(body, ']');
	buf_puts(body, "}}}");
	while (body->len < bytes)
		buf_putc(body, ' ');
}

static void expect_limit(struct fixture *fixture, const struct buf *body, bool within,
			 const char *what)
{
	int result = ask(fixture, body->data, body->len);

	cr_expect_eq(result, within ? 0 : -1, "%s: %s", what, fixture->err.text);
	if (!within)
		cr_expect_eq(fixture->err.code, ERROR_EXHAUSTED, "%s: %s", what, fixture->err.text);
}

Test(review, limits_hold_at_one_below_at_and_one_above)
{
	const struct json_limits limits = REVIEW_LIMITS;
	struct buf body = BUF_INIT(limits.bytes + 16);
	struct fixture fixture;
	/* Of the envelope: three levels, and 23 values and keys. */
	const unsigned levels = limits.depth - 3, least = 23;

	setup_with(&fixture, operator_file);
	for (int step = -1; step <= 1; step++) {
		write_question(&body, (unsigned)((int)levels + step), 1, 0);
		expect_limit(&fixture, &body, step <= 0, "depth");
		write_question(&body, 1, (unsigned)((int)(limits.nodes - least) + step), 0);
		expect_limit(&fixture, &body, step <= 0, "nodes");
		write_question(&body, 1, 1, (size_t)((long)limits.bytes + step));
		expect_limit(&fixture, &body, step <= 0, "bytes");
	}
	buf_deinit(&body);
	teardown(&fixture);
}

/* A question about a pod with so many of each. */
struct crowd {
	int secrets, variables, annotations, containers;
	int role; /* its length */
};

static void write_crowd(struct buf *body, const struct crowd *crowd)
{
	buf_reset(body);
	buf_puts(body,
		 "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
		 "\"request\":{\"uid\":\"u\"," POD_KIND
		 ",\"operation\":\"CREATE\",\"namespace\":\"d\",\"object\":{\"metadata\":{"
		 "\"annotations\":{\"secrets-agent/inject\":\"true\"");
	if (crowd->role > 0) {
		buf_puts(body, ",\"secrets-agent/role\":\"");
		for (int i = 0; i < crowd->role; i++)
			buf_putc(body, 'r');
		buf_putc(body, '"');
	}
	for (int i = 0; i < crowd->secrets; i++)
		buf_printf(body, ",\"secrets-agent/secret.s%d\":\"secret/s%d\"", i, i);
	for (int i = 0; i < crowd->variables; i++)
		buf_printf(body, ",\"secrets-agent/env.V%d\":\"s0.f\"", i);
	for (int i = crowd->secrets + crowd->variables + 1; i < crowd->annotations; i++)
		buf_printf(body, ",\"a%d\":\"\"", i);
	buf_puts(body, "}},\"spec\":{\"containers\":[");
	for (int i = 0; i < crowd->containers; i++)
		buf_printf(body, "%s{\"name\":\"c%d\"}", i > 0 ? "," : "", i);
	buf_puts(body, "]}}}}");
}

Test(review, a_pods_limits_hold_at_one_below_at_and_one_above)
{
	static const struct {
		struct crowd most;
		const char *part;
		size_t what; /* offset of the number that is varied */
	} cases[] = {
		{ { 1, 1000, 0, 1, 0 },
		  "more than 1000 variables",
		  offsetof(struct crowd, variables) },
		{ { 1, 0, 4000, 1, 0 },
		  "more than 4000 annotations",
		  offsetof(struct crowd, annotations) },
		{ { 1, 0, 0, 100, 0 },
		  "more than 100 containers",
		  offsetof(struct crowd, containers) },
		{ { 1, 0, 0, 1, 2048 }, "longer than 2048 bytes", offsetof(struct crowd, role) },
	};
	struct buf body = BUF_INIT(1 << 20);
	struct fixture fixture;

	setup_with(&fixture, operator_file);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (int step = -1; step <= 1; step++) {
			struct crowd crowd = cases[i].most;

			*(int *)(void *)((char *)&crowd + cases[i].what) += step;
			write_crowd(&body, &crowd);
			cr_assert_eq(ask(&fixture, body.data, body.len), 0, "%s", fixture.err.text);
			cr_expect_eq(fixture.outcome.verdict,
				     step <= 0 ? MUTATE_INJECT : MUTATE_REFUSE, "%s, %d: %s",
				     cases[i].part, step, fixture.outcome.text);
			if (step > 0)
				cr_expect_not_null(strstr(fixture.outcome.text, cases[i].part),
						   "%s", fixture.outcome.text);
		}
	buf_deinit(&body);
	teardown(&fixture);
}

/* The kernel takes no longer string of an environment. */
Test(review, a_configuration_that_no_process_could_get_is_refused)
{
	struct buf body = BUF_INIT(1 << 20);
	struct fixture fixture;

	setup_with(&fixture, operator_file);
	write_crowd(&body, &(struct crowd){ .secrets = 1000, .variables = 1000, .containers = 2 });
	cr_assert_eq(ask(&fixture, body.data, body.len), 0, "%s", fixture.err.text);
	cr_expect_eq(fixture.outcome.verdict, MUTATE_REFUSE);
	cr_expect_not_null(strstr(fixture.outcome.text, "the agent's configuration would pass"),
			   "%s", fixture.outcome.text);
	buf_deinit(&body);
	teardown(&fixture);
}

Test(review, secrets_have_a_limit)
{
	static const int counts[] = { 999, 1000, 1001 };
	struct buf body = BUF_INIT(1 << 20);
	struct fixture fixture;

	setup_with(&fixture, operator_file);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		buf_reset(&body);
		buf_puts(&body,
			 "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
			 "\"request\":{\"uid\":\"u\"," POD_KIND
			 ",\"operation\":\"CREATE\",\"namespace\":\"d\",\"object\":{\"metadata\":{"
			 "\"annotations\":{\"secrets-agent/inject\":\"true\"");
		for (int j = 0; j < counts[i]; j++)
			buf_printf(&body, ",\"secrets-agent/secret.s%d\":\"secret/s%d\"", j, j);
		buf_puts(&body,
			 "}},\"spec\":{\"containers\":[{\"name\":\"w\",\"image\":\"w\"}]}}}}");
		cr_assert_eq(ask(&fixture, body.data, body.len), 0, "%s", fixture.err.text);
		cr_expect_eq(fixture.outcome.verdict,
			     counts[i] <= 1000 ? MUTATE_INJECT : MUTATE_REFUSE, "%d: %s", counts[i],
			     fixture.outcome.text);
	}
	cr_expect_not_null(strstr(fixture.outcome.text, "more than 1000 secrets"), "%s",
			   fixture.outcome.text);
	buf_deinit(&body);
	teardown(&fixture);
}

/* What the answer carries is the request's and the configuration's: nothing of the process. */
Test(review, an_answer_that_does_not_fit_is_an_error)
{
	struct fixture fixture;

	setup_with(&fixture, operator_file);
	fixture.answer.max = 20;
	cr_expect_eq(ask(&fixture, PLAIN, strlen(PLAIN)), -1);
	cr_expect_eq(fixture.err.code, ERROR_EXHAUSTED);
	teardown(&fixture);
}

/* What is told of a pod that was not refused. */
Test(review, its_warnings_are_its_text)
{
	static const char warned[] = REVIEW(
		POD_KIND
		",\"operation\":\"CREATE\",\"namespace\":\"apps\",\"object\":{"
		"\"metadata\":{\"annotations\":{\"secrets-agent/secret.db\":\"secret/db\"}}}");
	struct fixture fixture;

	setup_with(&fixture, operator_file);
	cr_assert_eq(ask(&fixture, warned, strlen(warned)), 0, "%s", fixture.err.text);
	cr_expect_eq(fixture.outcome.verdict, MUTATE_SKIP);
	cr_expect_not_null(strstr(fixture.outcome.text, "inject: \"true\" is missing"), "%s",
			   fixture.outcome.text);
	cr_assert_eq(ask(&fixture, PLAIN, strlen(PLAIN)), 0, "%s", fixture.err.text);
	cr_expect_str_eq(fixture.outcome.text, "");
	teardown(&fixture);
}

/* Annotations of vault-k8s that mean nothing here. */
static const char *const ignored[] = {
	"agent-image",
	"agent-service-account-token-volume-name",
	"agent-revoke-grace",
	"go-max-procs",
	"auth-min-backoff",
	"auth-max-backoff",
	"agent-auto-auth-exit-on-err",
	"template-config-exit-on-retry-failure",
	"template-max-connections-per-host",
	"template-lease-renewal-threshold",
	"client-max-retries",
	"client-timeout",
	"agent-cache-exit-on-err",
	"agent-enable-quit",
};

/* Some dozen warnings are longer than what is kept: the first are there, the answer has them all.
 */
Test(review, of_many_warnings_the_text_has_the_first)
{
	AUTO(buf_deinit) struct buf body = BUF_INIT(1 << 16);
	struct fixture fixture;

	setup_with(&fixture, operator_file);
	buf_puts(&body,
		 "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
		 "\"request\":{\"uid\":\"u-1\"," POD_KIND
		 ",\"operation\":\"CREATE\",\"namespace\":\"apps\",\"object\":{\"metadata\":{"
		 "\"annotations\":{\"vault.hashicorp.com/agent-inject\":\"true\","
		 "\"vault.hashicorp.com/role\":\"web\","
		 "\"vault.hashicorp.com/agent-inject-secret-db\":\"secret/data/db\"");
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		buf_printf(&body, ",\"vault.hashicorp.com/%s\":\"2\"", ignored[i]);
	buf_puts(&body, "}},\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"a\"}]}}}}");
	cr_assert_eq(ask(&fixture, body.data, body.len), 0, "%s", fixture.err.text);
	cr_expect_eq(fixture.outcome.verdict, MUTATE_INJECT, "%s", fixture.outcome.text);
	cr_expect_eq(strlen(fixture.outcome.text), REVIEW_TEXT_MAX - 1, "%s", fixture.outcome.text);
	cr_expect_not_null(strstr(fixture.outcome.text, ignored[0]));
	cr_expect_not_null(strstr(fixture.outcome.text, "; vault.hashicorp.com/"));
	teardown(&fixture);
}
