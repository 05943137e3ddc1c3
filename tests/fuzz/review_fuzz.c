/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever reaches the webhook: any bytes get an answer or an error, the same twice; and a pod that
 * was changed is changed by a patch that applies.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "injector/review.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { ANSWER_MAX = 16 << 20 };

static const struct injector_config *operators_file(void)
{
	static const char text[] =
		"profiles: { default: { address: 'https://v', image: a, auth: { role: r }, "
		"host_network: true, allow: [ config, service, ca-cert, auth-path, tls, "
		"extra-secret, "
		"json-patch, copy-mounts, share-process-namespace ] } }";
	static struct injector_config *config;
	struct config_problems problems = { 0 };

	if (config == NULL)
		config = injector_config_parse(text, strlen(text), "fuzz", &problems);
	if (config == NULL)
		abort();
	return config;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct cluster_versions versions[] = { { { 1, 36 }, { 1, 36 } }, { { 0 }, { 0 } } };
	AUTO(buf_deinit) struct buf first = BUF_INIT(ANSWER_MAX);
	AUTO(buf_deinit) struct buf second = BUF_INIT(ANSWER_MAX);
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	const struct json_limits limits = { .depth = 8, .nodes = 1000, .bytes = ANSWER_MAX };
	const struct cluster_versions *cluster = &versions[len % 2];
	struct review_outcome outcome;
	struct error err;

	if (review_answer(operators_file(), cluster, bytes, len, &first, &outcome, &err) < 0)
		return 0;
	if (review_answer(operators_file(), cluster, bytes, len, &second, &outcome, &err) < 0 ||
	    first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
		abort();
	if (outcome.reason == REASON_DOUBT || outcome.reason == REASON_STRICT)
		abort();
	doc = json_doc_read(first.data, first.len, &limits, &err);
	if (doc == NULL)
		abort();
	return 0;
}
