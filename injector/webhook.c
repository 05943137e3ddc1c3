/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/webhook.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/base/text.h"

enum { BAD_REQUEST = 400, TOO_LARGE = 413, OUR_FAULT = 500, UNAVAILABLE = 503 };

static int64_t monotonic_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- POST /mutate ---- */

static unsigned status_of(enum error_code code)
{
	if (code == ERROR_PROTOCOL || code == ERROR_INVALID)
		return BAD_REQUEST;
	return code == ERROR_EXHAUSTED ? TOO_LARGE : OUR_FAULT;
}

static void fail(struct https_answer *answer, const struct error *err)
{
	answer->status = status_of(err->code);
	buf_reset(answer->body);
	buf_puts(answer->body, "{\"error\":");
	text_write_json(answer->body, err->text, strlen(err->text));
	buf_puts(answer->body, "}\n");
}

static void serve_mutate(void *context, const struct https_request *request,
			 struct https_answer *answer)
{
	struct webhook *webhook = context;
	struct review_outcome outcome;
	struct error err = ERROR_INIT;
	int64_t began = monotonic_us();

	if (review_answer(webhook->config, &webhook->versions, request->body, request->len,
			  answer->body, &outcome, &err) < 0) {
		webhook->malformed++;
		fail(answer, &err);
		return;
	}
	histogram_add_us(&webhook->duration, monotonic_us() - began);
	webhook->decisions[outcome.verdict][outcome.reason]++;
	if (webhook->decided != NULL)
		webhook->decided(webhook->context, &outcome);
}

/* ---- probes ---- */

static void serve_live(void *context, const struct https_request *request,
		       struct https_answer *answer)
{
	(void)context;
	(void)request;
	buf_puts(answer->body, "{\"live\":true}\n");
}

/* NULL: ready. */
static const char *why_unready(const struct webhook *webhook)
{
	return webhook->unready != NULL ? webhook->unready
					: certificate_unready(webhook->certificate);
}

static void serve_ready(void *context, const struct https_request *request,
			struct https_answer *answer)
{
	const struct webhook *webhook = context;

	const char *why = why_unready(webhook);

	(void)request;
	if (why == NULL) {
		buf_puts(answer->body, "{\"ready\":true}\n");
		return;
	}
	answer->status = UNAVAILABLE;
	buf_printf(answer->body, "{\"ready\":false,\"reason\":\"%s\"}\n", why);
}

/* ---- GET /metrics ---- */

/* Every reason that belongs to the verdict is there from the start, so that a rate can be taken of
 * its first event. */
static void write_verdict(struct buf *out, const struct webhook *webhook, const char *name,
			  const char *help, enum mutate_verdict verdict, enum mutate_reason first,
			  enum mutate_reason last)
{
	metrics_family(out, name, METRIC_COUNTER, help);
	for (unsigned reason = first; reason <= last; reason++)
		metrics_number(
			out, name,
			METRIC_LABELS({ "reason", mutate_reason_name((enum mutate_reason)reason) }),
			(int64_t)webhook->decisions[verdict][reason]);
}

static void write_decisions(struct buf *out, const struct webhook *webhook)
{
	metrics_family(out, "injector_injected_total", METRIC_COUNTER, "Pods that got an agent.");
	metrics_number(out, "injector_injected_total", NULL,
		       (int64_t)webhook->decisions[MUTATE_INJECT][REASON_NONE]);
	write_verdict(out, webhook, "injector_skipped_total",
		      "Pods that were left as they are, by reason.", MUTATE_SKIP,
		      REASON_NOT_ANNOTATED, REASON_DOUBT);
	write_verdict(out, webhook, "injector_refused_total", "Pods that were refused, by reason.",
		      MUTATE_REFUSE, REASON_ANNOTATION, REASON_STRICT);
	metrics_family(out, "injector_malformed_total", METRIC_COUNTER,
		       "Bodies that were no AdmissionReview.");
	metrics_number(out, "injector_malformed_total", NULL, (int64_t)webhook->malformed);
	metrics_family(out, "injector_review_duration_seconds", METRIC_HISTOGRAM,
		       "From a review that has come whole to its answer.");
	metrics_histogram(out, "injector_review_duration_seconds", NULL, &webhook->duration);
}

static void write_server(struct buf *out, const struct https_counts *counts)
{
	const struct {
		const char *name;
		enum metric_type type;
		const char *help;
		uint64_t value;
	} rows[] = {
		{ "injector_connections", METRIC_GAUGE, "Connections that stand.",
		  counts->connections },
		{ "injector_connections_total", METRIC_COUNTER, "Connections accepted.",
		  counts->accepted },
		{ "injector_connections_evicted_total", METRIC_COUNTER,
		  "Connections at rest that made room for new ones.", counts->evicted },
		{ "injector_handshakes_failed_total", METRIC_COUNTER,
		  "Connections that ended before a request.", counts->handshakes_failed },
		{ "injector_requests_total", METRIC_COUNTER, "Requests answered.",
		  counts->requests },
		{ "injector_requests_refused_total", METRIC_COUNTER,
		  "Requests refused by their head, their size or their time.", counts->refused },
		{ "injector_requests_busy_total", METRIC_COUNTER,
		  "Of these, refused because too many came at once.", counts->refused_busy },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		metrics_family(out, rows[i].name, rows[i].type, rows[i].help);
		metrics_number(out, rows[i].name, NULL, (int64_t)rows[i].value);
	}
}

/* As a label, in the way of Prometheus' "info" metrics. */
static void write_version(struct buf *out, const char *name, const char *help,
			  struct kube_version version)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%u.%u", version.major, version.minor);
	metrics_family(out, name, METRIC_GAUGE, help);
	metrics_number(out, name, METRIC_LABELS({ "version", text }), 1);
}

static void serve_metrics(void *context, const struct https_request *request,
			  struct https_answer *answer)
{
	const struct webhook *webhook = context;
	struct buf *out = answer->body;

	(void)request;
	answer->type = "text/plain; version=0.0.4";
	write_decisions(out, webhook);
	if (webhook->server != NULL)
		write_server(out, https_server_counts(webhook->server));
	if (webhook->certificate != NULL)
		certificate_write_metrics(webhook->certificate, out);
	event_sender_write_metrics(webhook->events, out);
	metrics_family(out, "injector_ready", METRIC_GAUGE, "Whether /ready says yes.");
	metrics_number(out, "injector_ready", NULL, why_unready(webhook) == NULL);
	write_version(out, "injector_server_version", "The API server's version; 0.0: not known.",
		      webhook->versions.server);
	write_version(out, "injector_oldest_kubelet_version",
		      "The oldest kubelet's version; 0.0: not known.",
		      webhook->versions.oldest_kubelet);
	metrics_family(out, "injector_config_refused_total", METRIC_COUNTER,
		       "Changes of the configuration that could not be used.");
	metrics_number(out, "injector_config_refused_total", NULL,
		       (int64_t)webhook->configs_refused);
}

const struct https_route webhook_routes[] = {
	{ "/mutate", "application/json", true, serve_mutate },
	{ "/ready", NULL, false, serve_ready },
	{ "/live", NULL, false, serve_live },
	{ "/metrics", NULL, false, serve_metrics },
	{ NULL, NULL, false, NULL },
};
