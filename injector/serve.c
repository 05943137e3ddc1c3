/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever changes while serving (certificate, configuration) is read whole and checked before it
 * takes the old one's place; what cannot be used is said once and the old one stays.
 */
#include "injector/serve.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "agent/base/log.h"
#include "agent/io/file.h"
#include "agent/io/loop.h"
#include "agent/io/tls_identity.h"
#include "certs/trust.h"
#include "injector/webhook.h"

enum { SIGNALS = 3, CERTIFICATE_FILES = 2 };

struct serve {
	const struct serve_request *request;
	struct injector_config *config;
	struct webhook webhook;
	struct trust *clients;
	struct loop *loop;
	struct https_server *server;
	struct loop_signal *signals[SIGNALS];
	struct loop_watch *config_watch;
	struct loop_watch *certificate_watches[CERTIFICATE_FILES];
	struct loop_timer *drain;
	int64_t drain_until; /* boot time; 0: not draining */
};

/* ---- configuration and certificate ---- */

static void reload_config(void *context)
{
	struct serve *serve = context;
	struct config_problems problems = { 0 };
	struct injector_config *config = injector_config_read(serve->config->file, &problems);

	for (size_t i = 0; i < problems.count; i++)
		log_error("configuration not reloaded, the old one stays",
			  LOG_STR("file", problems.items[i].file),
			  LOG_NUM("line", problems.items[i].line),
			  LOG_NUM("column", problems.items[i].column),
			  LOG_STR("problem", problems.items[i].text));
	config_problems_free(&problems);
	if (config == NULL) {
		serve->webhook.configs_refused++;
		return;
	}
	serve->webhook.config = config;
	serve->config = injector_config_free(serve->config);
	serve->config = config;
	log_info("configuration reloaded", LOG_STR("file", config->file));
}

/* While the two files are replaced one after the other they do not fit together for a moment; the
 * second's change comes here again. */
static void reload_certificate(void *context)
{
	struct serve *serve = context;
	struct error err = ERROR_INIT;
	struct tls_identity *identity =
		tls_identity_read(serve->request->cert_file, serve->request->key_file, &err);

	if (identity == NULL || https_server_show(serve->server, identity, &err) < 0) {
		log_error("certificate not reloaded, the old one stays", LOG_ERR(&err));
	} else {
		serve->webhook.certificate_ends_ms = tls_identity_expires(identity);
		log_info("certificate reloaded", LOG_STR("file", serve->request->cert_file),
			 LOG_NUM("ends", serve->webhook.certificate_ends_ms / 1000));
	}
	identity = tls_identity_free(identity);
}

static struct trust *read_clients(const char *file, struct error *err)
{
	AUTO(buf_deinit) struct buf pem = BUF_INIT(TRUST_BUNDLE_MAX);

	if (file_read(file, TRUST_BUNDLE_MAX, false, &pem, err) < 0)
		return NULL;
	return trust_read(pem.data, pem.len, err);
}

/* ---- decisions ---- */

static void decided(void *context, const struct review_outcome *outcome)
{
	enum log_level level = outcome->verdict == MUTATE_SKIP ? LOG_DEBUG : LOG_INFO;

	(void)context;
	log_event(level, mutate_verdict_name(outcome->verdict),
		  LOG_STR("namespace", outcome->namespace), LOG_STR("pod", outcome->pod),
		  LOG_STR("profile", outcome->profile),
		  LOG_STR("reason", mutate_reason_name(outcome->reason)),
		  LOG_STR("text", outcome->text), LOG_NUM("dry_run", outcome->dry_run));
}

/* ---- the end ---- */

static void stop_listening(struct serve *serve)
{
	for (size_t i = 0; i < SIGNALS; i++)
		serve->signals[i] = loop_signal_free(serve->signals[i]);
	for (size_t i = 0; i < CERTIFICATE_FILES; i++)
		serve->certificate_watches[i] = loop_watch_free(serve->certificate_watches[i]);
	serve->config_watch = loop_watch_free(serve->config_watch);
	serve->drain = loop_timer_free(serve->drain);
	/* Answers in flight have a moment; then the loop has no user left and ends by itself. */
	serve->webhook.server = NULL;
	serve->server = https_server_close(serve->server);
}

static void drained(void *context)
{
	struct serve *serve = context;

	log_info("ending");
	stop_listening(serve);
}

/* The timer also fires when somebody stepped the clock: only the deadline counts. */
static void on_drain_timer(void *context)
{
	const struct serve *serve = context;

	if (serve->drain_until != 0 && clock_now(clock_system()).boot_ms >= serve->drain_until)
		drained(context);
}

static void signaled(void *context, int number)
{
	struct serve *serve = context;

	if (number == SIGHUP) {
		reload_config(serve);
		return;
	}
	if (serve->drain_until != 0 || serve->request->drain_ms == 0) {
		drained(serve);
		return;
	}
	log_info("draining", LOG_NUM("milliseconds", serve->request->drain_ms));
	serve->drain_until = clock_now(clock_system()).boot_ms + serve->request->drain_ms;
	serve->webhook.unready = "draining";
	https_server_retire(serve->server);
	loop_timer_set(serve->drain, serve->drain_until);
}

/* ---- the beginning ---- */

static int watch(struct serve *serve, struct error *err)
{
	static const int numbers[SIGNALS] = { SIGTERM, SIGINT, SIGHUP };
	const char *const files[CERTIFICATE_FILES] = { serve->request->cert_file,
						       serve->request->key_file };

	serve->drain = loop_timer_new(serve->loop, on_drain_timer, serve, err);
	if (serve->drain == NULL)
		return -1;
	for (size_t i = 0; i < SIGNALS; i++) {
		serve->signals[i] = loop_signal_new(serve->loop, numbers[i], signaled, serve, err);
		if (serve->signals[i] == NULL)
			return -1;
	}
	for (size_t i = 0; i < CERTIFICATE_FILES; i++) {
		serve->certificate_watches[i] =
			loop_watch_new(serve->loop, files[i], reload_certificate, serve, err);
		if (serve->certificate_watches[i] == NULL)
			return -1;
	}
	serve->config_watch =
		loop_watch_new(serve->loop, serve->config->file, reload_config, serve, err);
	return serve->config_watch != NULL ? 0 : -1;
}

static int listen_with(struct serve *serve, const struct tls_identity *identity, struct error *err)
{
	const struct https_listen listen = {
		.address = serve->request->listen,
		.routes = webhook_routes,
		.context = &serve->webhook,
		.clients = serve->clients != NULL ? trust_store(serve->clients) : NULL,
	};

	serve->server = https_server_new(serve->loop, clock_system(), &listen, identity, err);
	if (serve->server == NULL)
		return -1;
	serve->webhook.server = serve->server;
	serve->webhook.certificate_ends_ms = tls_identity_expires(identity);
	return 0;
}

static int start(struct serve *serve, struct error *err)
{
	const struct serve_request *request = serve->request;
	struct tls_identity *identity;
	int listening;

	if (request->client_ca_file != NULL) {
		serve->clients = read_clients(request->client_ca_file, err);
		if (serve->clients == NULL)
			return error_wrap(err, "--client-ca %s", request->client_ca_file);
	}
	identity = tls_identity_read(request->cert_file, request->key_file, err);
	if (identity == NULL)
		return -1;
	serve->loop = loop_new(err);
	listening = serve->loop != NULL ? listen_with(serve, identity, err) : -1;
	identity = tls_identity_free(identity);
	return listening < 0 ? -1 : watch(serve, err);
}

/* It holds no secret of anybody, but the key of its certificate and, for a moment, pods. */
static int harden(struct error *err)
{
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    setrlimit(RLIMIT_CORE, &none) < 0)
		return error_set(err, ERROR_EXHAUSTED,
				 "the kernel refuses to protect this process from debuggers and "
				 "new privileges");
	return 0;
}

int serve_run(const struct serve_request *request, struct injector_config *config,
	      struct error *err)
{
	struct serve serve = { .request = request, .config = config };
	int status = -1;

	serve.webhook.config = config;
	serve.webhook.clock = clock_system();
	serve.webhook.decided = decided;
	if (harden(err) == 0 && start(&serve, err) == 0) {
		log_info("serving", LOG_NUM("port", https_server_port(serve.server)),
			 LOG_NUM("profiles", (int64_t)config->profile_count));
		loop_run(serve.loop);
		status = 0;
	} else {
		stop_listening(&serve);
		if (serve.loop != NULL)
			loop_run(serve.loop);
	}
	if (serve.loop != NULL)
		serve.loop = loop_free(serve.loop);
	serve.clients = trust_unref(serve.clients);
	serve.config = injector_config_free(serve.config);
	return status;
}
