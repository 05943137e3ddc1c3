/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cannot be used is said once and the old one stays.
 */
#include "injector/certificate.h"

#include <string.h>

#include "agent/base/log.h"
#include "agent/base/metrics.h"

enum { FILES = 2 };

struct certificate {
	const struct clock *clock;
	struct certificate_source source;
	struct tls_identity *identity;
	certificate_changed_fn *changed;
	void *context;

	struct loop_watch *watches[FILES];

	struct rotation *rotation;
	struct kube_call call;
	struct loop_timer *timer;
	bool calling;
	char told[ERROR_TEXT_MAX]; /* the problem that was logged last */
};

static void take(struct certificate *certificate, struct tls_identity *identity)
{
	certificate->identity = tls_identity_free(certificate->identity);
	certificate->identity = identity;
}

/* ---- files ---- */

/* While the two files are replaced one after the other they do not fit together for a moment; the
 * second's change comes here again. */
static void reload(void *context)
{
	struct certificate *certificate = context;
	struct error err = ERROR_INIT;
	struct tls_identity *identity = tls_identity_read(certificate->source.cert_file,
							  certificate->source.key_file, &err);

	if (identity == NULL) {
		log_error("certificate not reloaded, the old one stays", LOG_ERR(&err));
		return;
	}
	take(certificate, identity);
	log_info("certificate reloaded", LOG_STR("file", certificate->source.cert_file),
		 LOG_NUM("ends", tls_identity_expires(identity) / 1000));
	certificate->changed(certificate->context, identity);
}

static int begin_files(struct certificate *certificate, struct loop *loop, struct error *err)
{
	const char *const files[FILES] = { certificate->source.cert_file,
					   certificate->source.key_file };

	certificate->identity = tls_identity_read(files[0], files[1], err);
	if (certificate->identity == NULL)
		return -1;
	for (size_t i = 0; i < FILES; i++) {
		certificate->watches[i] = loop_watch_new(loop, files[i], reload, certificate, err);
		if (certificate->watches[i] == NULL)
			return -1;
	}
	return 0;
}

/* ---- rotation ---- */

static struct tls_identity *identity_of(const struct authority_leaf *leaf, struct error *err)
{
	return tls_identity_parse(
		&(struct tls_pem){ "the leaf", buf_string(&leaf->cert), leaf->cert.len },
		&(struct tls_pem){ "the leaf's key", buf_string(&leaf->key), leaf->key.len }, err);
}

static void show_leaf(struct certificate *certificate)
{
	struct error err = ERROR_INIT;
	struct tls_identity *identity = identity_of(rotation_leaf(certificate->rotation), &err);

	if (identity == NULL) {
		log_error("certificate not renewed, the old one stays", LOG_ERR(&err));
		return;
	}
	take(certificate, identity);
	log_info("certificate renewed", LOG_NUM("ends", tls_identity_expires(identity) / 1000));
	certificate->changed(certificate->context, identity);
}

/* A problem that stays is said once. */
static void tell(struct certificate *certificate)
{
	const struct error *problem = rotation_problem(certificate->rotation);

	if (strcmp(problem->text, certificate->told) == 0)
		return;
	if (problem->code != ERROR_NONE)
		log_warn("certificate authority", LOG_ERR(problem));
	else
		log_info("certificate authority is in place");
	(void)memcpy(certificate->told, problem->text, sizeof(certificate->told));
}

static void go_on(struct certificate *certificate, const struct reply *reply,
		  const struct error *failed)
{
	struct rotation *rotation = certificate->rotation;
	enum rotation_next next = rotation_step(rotation, reply, failed);
	struct error err;

	while (next != ROTATION_REST) {
		if (next == ROTATION_SHOW) {
			show_leaf(certificate);
			next = rotation_step(rotation, NULL, NULL);
		} else if (kube_send(certificate->source.kube, rotation_request(rotation),
				     &certificate->call, &err) < 0) {
			next = rotation_step(rotation, NULL, &err);
		} else {
			certificate->calling = true;
			return;
		}
	}
	tell(certificate);
	loop_timer_set(certificate->timer, rotation_wake_ms(rotation));
}

static void on_reply(struct kube_call *call, const struct reply *reply, const struct error *err)
{
	struct certificate *certificate = CONTAINER_OF(call, struct certificate, call);

	certificate->calling = false;
	if (reply != NULL || err->code != ERROR_CANCELED) /* else we are ending */
		go_on(certificate, reply, reply == NULL ? err : NULL);
}

/* Also when the clock was stepped: certificates live by it. */
static void on_timer(void *context)
{
	struct certificate *certificate = context;

	if (!certificate->calling)
		go_on(certificate, NULL, NULL);
}

static int begin_rotation(struct certificate *certificate, struct loop *loop, struct error *err)
{
	certificate->rotation = rotation_new(certificate->source.rotation, certificate->clock, err);
	if (certificate->rotation == NULL)
		return -1;
	certificate->identity = identity_of(rotation_leaf(certificate->rotation), err);
	certificate->timer = loop_timer_new(loop, on_timer, certificate, err);
	if (certificate->identity == NULL || certificate->timer == NULL)
		return -1;
	certificate->call.done = on_reply;
	loop_timer_set(certificate->timer, clock_now(certificate->clock).boot_ms);
	return 0;
}

/* ---- life ---- */

struct certificate *certificate_new(struct loop *loop, const struct clock *clock,
				    const struct certificate_source *source,
				    certificate_changed_fn *changed, void *context,
				    struct error *err)
{
	struct certificate *certificate = calloc(1, sizeof(*certificate));
	int begun;

	if (certificate == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	certificate->clock = clock;
	certificate->source = *source;
	certificate->changed = changed;
	certificate->context = context;
	begun = source->cert_file != NULL ? begin_files(certificate, loop, err)
					  : begin_rotation(certificate, loop, err);
	return begun == 0 ? certificate : certificate_free(certificate);
}

struct certificate *certificate_free(struct certificate *certificate)
{
	if (certificate == NULL)
		return NULL;
	for (size_t i = 0; i < FILES; i++)
		certificate->watches[i] = loop_watch_free(certificate->watches[i]);
	certificate->timer = loop_timer_free(certificate->timer);
	certificate->rotation = rotation_free(certificate->rotation);
	certificate->identity = tls_identity_free(certificate->identity);
	free(certificate);
	return NULL;
}

/* ---- looks from outside ---- */

const struct tls_identity *certificate_identity(const struct certificate *certificate)
{
	return certificate->identity;
}

const char *certificate_unready(const struct certificate *certificate)
{
	if (certificate->rotation != NULL)
		return rotation_unready(certificate->rotation);
	if (tls_identity_expires(certificate->identity) <= clock_now(certificate->clock).real_ms)
		return "the certificate has ended";
	return NULL;
}

static void write_counts(const struct rotation_counts *counts, struct buf *out)
{
	const struct {
		const char *name;
		const char *help;
		uint64_t value;
	} rows[] = {
		{ "injector_certificate_leaves_total", "Certificates signed for this replica.",
		  counts->leaves },
		{ "injector_certificate_authorities_total",
		  "Certificate authorities made by this replica.", counts->authorities },
		{ "injector_certificate_switches_total",
		  "Times that this replica went over to another authority.", counts->switches },
		{ "injector_certificate_bundles_total",
		  "Times that this replica wrote the bundles of the webhook's configuration.",
		  counts->bundles },
		{ "injector_certificate_conflicts_total", "Times that another replica was quicker.",
		  counts->conflicts },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		metrics_family(out, rows[i].name, METRIC_COUNTER, rows[i].help);
		metrics_number(out, rows[i].name, NULL, (int64_t)rows[i].value);
	}
}

void certificate_write_metrics(const struct certificate *certificate, struct buf *out)
{
	metrics_family(out, "injector_certificate_expiry_timestamp_seconds", METRIC_GAUGE,
		       "When the certificate that is shown ends, since 1970.");
	metrics_seconds(out, "injector_certificate_expiry_timestamp_seconds", NULL,
			tls_identity_expires(certificate->identity));
	if (certificate->rotation != NULL)
		write_counts(rotation_counts(certificate->rotation), out);
}
