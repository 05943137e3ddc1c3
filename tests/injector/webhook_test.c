/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/webhook.h"

#include <string.h>
#include <sys/stat.h>

#include "tests/io/http_harness.h"
#include "tests/io/tls_server.h"

#define CONFIG                                                                                     \
	"profiles:\n  default:\n    address: https://vault:8200\n    image: registry/agent:1\n"
#define REVIEW(annotations)                                                                        \
	"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{"       \
	"\"uid\":\"u-1\",\"kind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"},"           \
	"\"resource\":{\"group\":\"\",\"version\":\"v1\",\"resource\":\"pods\"},"                  \
	"\"operation\":\"CREATE\",\"namespace\":\"shop\",\"object\":{\"apiVersion\":\"v1\","       \
	"\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\",\"annotations\":{" annotations            \
	"}},\"spec\":{\"containers\":[{\"name\":\"app\",\"image\":\"app\"}]}}}}"

static struct injector_config *config;
static struct webhook webhook;
static struct buf body;
static struct review_outcome told;
static int64_t now_ms;
static struct harness harness;
static struct certificate *certificate;

static struct stamp clock_says(const struct clock *clock)
{
	(void)clock;
	return (struct stamp){ .real_ms = now_ms };
}

static const struct clock test_clock = { .now = clock_says };

static void decided(void *context, const struct review_outcome *outcome)
{
	cr_expect_eq(context, &told);
	told = *outcome;
}

static void never(void *context, const struct tls_identity *identity)
{
	(void)context;
	(void)identity;
	cr_assert_fail();
}

static void open_certificate(void)
{
	struct tls_pair pair = tls_make("CA", NULL, NULL, -60, 3600);
	struct certificate_source source;
	struct error err = ERROR_INIT;
	char path[128];

	harness_open(&harness);
	(void)snprintf(path, sizeof(path), "%s/tls.pem", harness.directory);
	tls_save(path, pair.certificate, pair.key);
	cr_assert_eq(chmod(path, 0600), 0);
	source = (struct certificate_source){ .cert_file = path, .key_file = path };
	certificate = certificate_new(harness.loop, &test_clock, &source, never, NULL, &err);
	cr_assert_not_null(certificate, "%s", err.text);
	(void)unlink(path);
	tls_pair_free(&pair);
}

static void begin(void)
{
	struct config_problems problems = { 0 };

	config = injector_config_parse(CONFIG, sizeof(CONFIG) - 1, "test", &problems);
	cr_assert_not_null(config);
	config_problems_free(&problems);
	now_ms = 0;
	open_certificate();
	webhook = (struct webhook){
		.config = config,
		.certificate = certificate,
		.decided = decided,
		.context = &told,
	};
	body = BUF_INIT(HTTPS_ANSWER_MAX);
}

static void end(void)
{
	buf_deinit(&body);
	certificate = certificate_free(certificate);
	harness_close(&harness);
	config = injector_config_free(config);
}

static unsigned request_of(const char *path, const char *request)
{
	const struct https_route *route = webhook_routes;
	struct https_answer answer = { .status = 200, .body = &body };

	while (route->path != NULL && strcmp(route->path, path) != 0)
		route++;
	cr_assert_not_null(route->path);
	buf_reset(&body);
	route->serve(&webhook, &(struct https_request){ request, strlen(request), 0 }, &answer);
	return answer.status;
}

static bool says(const char *text)
{
	return strstr(buf_string(&body), text) != NULL;
}

TestSuite(webhook, .init = begin, .fini = end);

Test(webhook, a_review_is_answered_counted_and_told)
{
	cr_expect_eq(request_of("/mutate", REVIEW("")), 200);
	cr_expect(says("\"uid\":\"u-1\",\"allowed\":true"), "%s", buf_string(&body));
	cr_expect_eq(told.verdict, MUTATE_SKIP);
	cr_expect_str_eq(told.namespace, "shop");
	cr_expect_eq(request_of("/mutate", REVIEW("\"secrets-agent/inject\":\"maybe\"")), 200);
	cr_expect(says("\"allowed\":false"), "%s", buf_string(&body));
	cr_expect_eq(told.verdict, MUTATE_REFUSE);
	cr_expect_eq(request_of("/metrics", ""), 200);
	cr_expect(says("\ninjector_skipped_total{reason=\"not_annotated\"} 1\n"), "%s",
		  buf_string(&body));
	cr_expect(says("\ninjector_refused_total{reason=\"annotation\"} 1\n"), "%s",
		  buf_string(&body));
	cr_expect(says("\ninjector_injected_total 0\n"));
	cr_expect(says("\ninjector_review_duration_seconds_count 2\n"));
}

Test(webhook, what_is_no_review_is_told_so_and_counted)
{
	static const struct {
		const char *body;
		unsigned status;
	} rows[] = {
		{ "{", 400 },
		{ "[]", 400 },
		{ "{}", 400 },
		{ "{\"apiVersion\":\"admission.k8s.io/v1beta1\",\"kind\":\"AdmissionReview\"}",
		  400 },
		{ "{\"a\":1,\"a\":2}", 400 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_expect_eq(request_of("/mutate", rows[i].body), rows[i].status, "row %zu", i);
		cr_expect(says("{\"error\":\""), "row %zu: %s", i, buf_string(&body));
	}
	cr_expect_eq(webhook.malformed, ARRAY_SIZE(rows));
}

static unsigned nested(unsigned depth)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(4096);

	for (unsigned i = 0; i < depth; i++)
		buf_putc(&text, '[');
	for (unsigned i = 0; i < depth; i++)
		buf_putc(&text, ']');
	return request_of("/mutate", text.data);
}

Test(webhook, is_too_deep_past_64_levels)
{
	cr_expect_eq(nested(63), 400);
	cr_expect_eq(nested(64), 400, "a list is no review");
	cr_expect_eq(nested(65), 413);
}

static unsigned with_values(unsigned values)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(1 << 20);

	buf_puts(&text, "[0");
	for (unsigned i = 2; i < values; i++)
		buf_puts(&text, ",0");
	buf_putc(&text, ']');
	return request_of("/mutate", text.data);
}

Test(webhook, has_too_many_values_past_50000)
{
	cr_expect_eq(with_values(49999), 400);
	cr_expect_eq(with_values(50000), 400, "a list is no review");
	cr_expect_eq(with_values(50001), 413);
}

Test(webhook, is_ready_as_its_certificate_says_until_it_drains)
{
	cr_expect_eq(request_of("/ready", ""), 200);
	cr_expect_eq(request_of("/live", ""), 200);
	now_ms = tls_identity_expires(certificate_identity(certificate)) - 1;
	cr_expect_eq(request_of("/ready", ""), 200);
	now_ms++;
	cr_expect_eq(request_of("/ready", ""), 503);
	cr_expect(says("the certificate has ended"));
	now_ms = 0;
	webhook.unready = "draining";
	cr_expect_eq(request_of("/ready", ""), 503);
	cr_expect(says("draining"));
	cr_expect_eq(request_of("/live", ""), 200);
	cr_expect_eq(request_of("/metrics", ""), 200);
	cr_expect(says("\ninjector_ready 0\n"));
	cr_expect(says("\ninjector_certificate_expiry_timestamp_seconds "));
}
