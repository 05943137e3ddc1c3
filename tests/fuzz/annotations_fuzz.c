/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever writes annotations: lines of NAME=value, of the dialect that the first byte says. What is
 * injected is a pod whose agent takes its configuration.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/config/config.h"
#include "backends/vault.h"
#include "injector/annotations.h"
#include "injector/mutate.h"
#include "injector/pod.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { BODY_MAX = 1 << 20 };

static const char *const prefixes[] = { OWN_PREFIX, VAULT_PREFIX, OPENBAO_PREFIX };
static const char *const inject[] = { "inject", "agent-inject", "agent-inject" };
static const struct backend_ops *const backends[] = { &vault_backend, NULL };

static const struct injector_config *operators_file(void)
{
	static const char text[] =
		"profiles: { default: { address: 'https://v', image: a, auth: { role: r }, allow: "
		"[ "
		"service, ca-cert, auth-path, tls, extra-secret, copy-mounts, "
		"share-process-namespace ] } }";
	static struct injector_config *config;
	struct config_problems problems = { 0 };

	if (config == NULL)
		config = injector_config_parse(text, strlen(text), "fuzz", &problems);
	if (config == NULL)
		abort();
	return config;
}

static void write_pod(struct buf *pod, unsigned dialect, const char *lines, size_t len)
{
	const char *end = lines + len;

	buf_printf(pod, "{\"metadata\":{\"annotations\":{\"%s%s\":\"true\"", prefixes[dialect],
		   inject[dialect]);
	while (lines < end) {
		const char *newline = memchr(lines, '\n', (size_t)(end - lines));
		const char *stop = newline != NULL ? newline : end;
		const char *equals = memchr(lines, '=', (size_t)(stop - lines));
		AUTO(buf_deinit) struct buf key = BUF_INIT(BODY_MAX);

		if (equals != NULL) {
			buf_puts(&key, prefixes[dialect]);
			buf_put(&key, lines, (size_t)(equals - lines));
			buf_putc(pod, ',');
			text_write_json(pod, buf_string(&key), key.len);
			buf_putc(pod, ':');
			text_write_json(pod, equals + 1, (size_t)(stop - equals - 1));
		}
		lines = stop + 1;
	}
	buf_puts(pod,
		 "}},\"spec\":{\"containers\":[{\"name\":\"web\",\"image\":\"w\",\"command\":["
		 "\"w\"],"
		 "\"env\":[{\"name\":\"LITERAL\",\"value\":\"vault:secret/data/"
		 "db#key\"}]},{\"name\":"
		 "\"side\",\"image\":\"s\",\"command\":[\"s\"]}]}}");
}

/* As a kubelet hands it over. */
static void unescape(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (text[0] == '$' && text[1] != '$')
			abort();
		text += *text == '$' ? 1 : 0;
		buf_putc(out, *text);
	}
}

static void check_agent_yaml(const struct json_node *pod)
{
	for (int init = 0; init < 2; init++) {
		const struct json_node *item = pod_containers(pod, init)->first;

		for (; item != NULL; item = item->next) {
			const char *text = json_string(
				json_get(container_variable(item, "AGENT_CONFIG_YAML"), "value"));
			AUTO(buf_deinit) struct buf value = BUF_INIT(BODY_MAX);
			struct config_problems problems = { 0 };
			struct config *config;

			if (text == NULL)
				continue;
			unescape(&value, text);
			text = buf_string(&value);
			config =
				config_parse(text, strlen(text), "agent.yaml", backends, &problems);
			if (config == NULL) {
				(void)fprintf(stderr, "%s\n%s", text,
					      problems.count > 0 ? problems.items[0].text : "");
				abort();
			}
			(void)config_free(config);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct cluster_versions versions[] = { { { 1, 36 }, { 1, 36 } }, { { 0 }, { 0 } } };
	const struct json_limits limits = { .depth = 16, .nodes = 50000, .bytes = BODY_MAX };
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	AUTO(mutation_deinit) struct mutation mutation = { 0 };
	AUTO(buf_deinit) struct buf pod = BUF_INIT(BODY_MAX);
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	struct mutate_request request = { .config = operators_file(), .namespace = "default" };
	struct error err;

	if (len == 0)
		return 0;
	request.versions = &versions[bytes[0] & 1];
	write_pod(&pod, (bytes[0] >> 1) % 3, (const char *)bytes + 1, len - 1);
	doc = json_doc_read(buf_string(&pod), pod.len, &limits, &err);
	if (doc == NULL)
		return 0;
	request.pod = json_doc_root(doc);
	if (mutate(&request, &edit, &mutation, &err) < 0)
		return 0;
	if ((mutation.verdict == MUTATE_REFUSE) != (mutation.text[0] != '\0'))
		abort();
	if (mutation.verdict == MUTATE_INJECT)
		check_agent_yaml(mutation.pod);
	return 0;
}
