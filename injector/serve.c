/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever changes while serving (certificate, configuration) is read whole and checked before it
 * takes the old one's place; what cannot be used is said once and the old one stays.
 */
#include "injector/serve.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "agent/base/log.h"
#include "agent/io/file.h"
#include "agent/io/loop.h"
#include "agent/io/seccomp.h"
#include "agent/io/tls_identity.h"
#include "certs/trust.h"
#include "injector/event_sender.h"
#include "injector/watcher.h"
#include "injector/webhook.h"

enum { SIGNALS = 3 };

struct serve {
	const struct serve_request *request;
	struct injector_config *config;
	struct webhook webhook;
	struct trust *clients;
	struct loop *loop;
	struct kube *kube; /* NULL: none */
	struct certificate *certificate;
	struct watcher *watcher;
	struct event_sender *events; /* NULL: none */
	struct https_server *server;
	struct loop_signal *signals[SIGNALS];
	struct loop_watch *config_watch;
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

static void certificate_changed(void *context, const struct tls_identity *identity)
{
	const struct serve *serve = context;
	struct error err = ERROR_INIT;

	if (serve->server != NULL && https_server_show(serve->server, identity, &err) < 0)
		log_error("certificate not shown, the old one is", LOG_ERR(&err));
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
	struct serve *serve = context;
	enum log_level level = outcome->verdict == MUTATE_SKIP ? LOG_DEBUG : LOG_INFO;

	if (serve->config->events)
		event_sender_add(serve->events, outcome);
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
	serve->config_watch = loop_watch_free(serve->config_watch);
	serve->drain = loop_timer_free(serve->drain);
	/* It tells those who wait for a reply that there will be none. */
	serve->kube = kube_free(serve->kube);
	serve->watcher = watcher_free(serve->watcher);
	serve->webhook.events = NULL;
	serve->events = event_sender_free(serve->events);
	serve->webhook.unready = "ending";
	serve->webhook.certificate = NULL;
	serve->certificate = certificate_free(serve->certificate);
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

	serve->drain = loop_timer_new(serve->loop, on_drain_timer, serve, err);
	if (serve->drain == NULL)
		return -1;
	for (size_t i = 0; i < SIGNALS; i++) {
		serve->signals[i] = loop_signal_new(serve->loop, numbers[i], signaled, serve, err);
		if (serve->signals[i] == NULL)
			return -1;
	}
	serve->config_watch =
		loop_watch_new(serve->loop, serve->config->file, reload_config, serve, err);
	return serve->config_watch != NULL ? 0 : -1;
}

static int open_kube(struct serve *serve, struct error *err)
{
	const struct serve_request *request = serve->request;

	if (request->kube.url == NULL)
		return 0;
	serve->kube = kube_new(serve->loop, clock_system(), &request->kube, err);
	if (serve->kube == NULL)
		return -1;
	serve->events = event_sender_new(serve->loop, clock_system(), serve->kube, err);
	serve->webhook.events = serve->events;
	if (serve->events == NULL)
		return -1;
	if (kube_version_is_known(request->versions.server))
		return 0;
	serve->watcher = watcher_new(serve->loop, clock_system(), serve->kube,
				     &serve->webhook.versions, err);
	return serve->watcher != NULL ? 0 : -1;
}

static int open_certificate(struct serve *serve, struct error *err)
{
	const struct certificate_source source = {
		.cert_file = serve->request->cert_file,
		.key_file = serve->request->key_file,
		.rotation = &serve->request->rotation,
		.kube = serve->kube,
	};

	serve->certificate = certificate_new(serve->loop, clock_system(), &source,
					     certificate_changed, serve, err);
	serve->webhook.certificate = serve->certificate;
	return serve->certificate != NULL ? 0 : -1;
}

static int open_port(struct serve *serve, struct error *err)
{
	const struct https_listen listen = {
		.address = serve->request->listen,
		.routes = webhook_routes,
		.context = &serve->webhook,
		.clients = serve->clients != NULL ? trust_store(serve->clients) : NULL,
	};

	serve->server = https_server_new(serve->loop, clock_system(), &listen,
					 certificate_identity(serve->certificate), err);
	serve->webhook.server = serve->server;
	return serve->server != NULL ? 0 : -1;
}

static int start(struct serve *serve, struct error *err)
{
	const char *client_ca = serve->request->client_ca_file;

	if (client_ca != NULL) {
		serve->clients = read_clients(client_ca, err);
		if (serve->clients == NULL)
			return error_wrap(err, "--client-ca %s", client_ca);
	}
	serve->loop = loop_new(err);
	if (serve->loop == NULL || open_kube(serve, err) < 0 || open_certificate(serve, err) < 0 ||
	    open_port(serve, err) < 0)
		return -1;
	return watch(serve, err);
}

/* It holds no secret of anybody, but the key of its certificate and, for a moment, pods. */
static int harden_early(struct error *err)
{
	const struct rlimit none = { 0, 0 };

	(void)seccomp_refuse_io_uring();
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    setrlimit(RLIMIT_CORE, &none) < 0)
		return error_set(err, ERROR_EXHAUSTED,
				 "the kernel refuses to protect this process from debuggers and "
				 "new privileges");
	return 0;
}

/* Before the first byte from outside. */
static int harden(const struct serve_request *request, struct error *err)
{
	if (seccomp_load_filter() == 0)
		return 0;
	if (!request->allow_degraded)
		return error_errno(err, errno,
				   "this kernel or container allows no filter of system calls "
				   "(--allow-degraded goes on without)");
	log_warn("serving without a filter of system calls, as --allow-degraded says");
	return 0;
}

int serve_run(const struct serve_request *request, struct injector_config *config,
	      struct error *err)
{
	struct serve serve = { .request = request, .config = config };
	int status = -1;

	serve.webhook.config = config;
	serve.webhook.versions = request->versions;
	serve.webhook.decided = decided;
	serve.webhook.context = &serve;
	if (harden_early(err) == 0 && start(&serve, err) == 0 && harden(request, err) == 0) {
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
