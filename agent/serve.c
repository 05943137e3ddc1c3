/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve.h"

#include <signal.h>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/command/command.h"
#include "agent/hooks.h"
#include "agent/host.h"
#include "agent/sink/child.h"

enum { SIGNALS = 3, PROBLEMS_MAX = 64 << 10 };

struct serve {
	struct serve_request *request;
	struct host host;
	struct child_sink *launcher; /* NULL: nobody runs hooks */
	struct hooks hooks;
	struct loop_signal *signals[SIGNALS];
	struct loop_watch *watch;
	bool was_ready;
	bool ending;
};

static void stop_listening(struct serve *serve)
{
	for (size_t i = 0; i < SIGNALS; i++)
		serve->signals[i] = loop_signal_free(serve->signals[i]);
	serve->watch = loop_watch_free(serve->watch);
}

static void end(struct serve *serve)
{
	if (serve->ending)
		return;
	serve->ending = true;
	stop_listening(serve);
	/* Revoking would end the leases that the application still uses. */
	broker_close(serve->host.broker, serve->request->config->revoke_on_exit &&
						 broker_lease_free(serve->host.broker));
}

/* ---- reload ---- */

static struct config *read_again(const struct serve *serve)
{
	struct config_problems problems = { 0 };
	const char *status_socket = serve->request->status_socket;
	struct config *config = config_read(serve->request->config->file, backend_types, &problems);
	struct error err;

	for (size_t i = 0; i < problems.count; i++)
		log_error("configuration not reloaded, the old one stays",
			  LOG_STR("file", problems.items[i].file),
			  LOG_NUM("line", problems.items[i].line),
			  LOG_NUM("column", problems.items[i].column),
			  LOG_STR("problem", problems.items[i].text));
	config_problems_free(&problems);
	if (config != NULL && status_socket != NULL &&
	    config_add_status_socket(config, status_socket, &err) < 0) {
		log_error("configuration not reloaded, the old one stays", LOG_ERR(&err));
		config = config_free(config);
	}
	return config;
}

static int check_sources(void *context, const struct source *sources, size_t count,
			 struct error *err)
{
	const struct serve *serve = context;

	return sandbox_covers_sources(&serve->host.sandbox, sources, count, err);
}

static void reload(void *context)
{
	struct serve *serve = context;
	const struct config *old = serve->request->config;
	struct error err = ERROR_INIT;
	struct config *config;

	if (old->in_environment) {
		log_warn("nothing to reload: the environment of a process does not change",
			 LOG_STR("configuration", old->file));
		return;
	}
	config = read_again(serve);
	if (config == NULL)
		return;
	if (serve->launcher == NULL && config_has_hooks(config))
		(void)error_set(&err, ERROR_INVALID,
				"restart needed: nobody runs commands, on_change.exec is new");
	if (err.code != ERROR_NONE || sandbox_covers(&serve->host.sandbox, config, &err) < 0 ||
	    broker_reconfigure(serve->host.broker, config, check_sources, serve, &err) < 0) {
		log_error("configuration not reloaded, the old one stays",
			  LOG_STR("file", old->file), LOG_ERR(&err));
		config = config_free(config);
		return;
	}
	serve->request->config = config_free(serve->request->config);
	serve->request->config = config;
	log_setup(config->log_level, config->log_format);
	log_info("configuration reloaded", LOG_STR("file", config->file));
}

/* ---- events ---- */

static void signaled(void *context, int number)
{
	if (number == SIGHUP)
		reload(context);
	else
		end(context);
}

static void progress(void *context, struct broker *broker)
{
	struct serve *serve = context;
	bool ready = broker_ready(broker);

	if (ready && !serve->was_ready)
		log_info("ready", LOG_NUM("secrets", (int64_t)broker_store(broker)->count));
	serve->was_ready = ready;
}

static void closed(void *context)
{
	struct serve *serve = context;

	serve->launcher = child_sink_free(serve->launcher);
	loop_stop(serve->host.loop);
}

static int start_hook(void *context, const struct strings *command, struct error *err)
{
	struct serve *serve = context;

	if (serve->launcher == NULL)
		return error_set(err, ERROR_CANCELED, "the agent is ending");
	return child_sink_exec(serve->launcher, command->items, command->count, err);
}

static void hook_done(void *context, int status)
{
	struct serve *serve = context;

	hooks_ended(&serve->hooks, status);
}

static void launcher_gone(void *context)
{
	end(context);
}

/* ---- life ---- */

static int start(struct serve *serve, int channel, const struct broker_listener *listener,
		 struct error *err)
{
	static const int numbers[SIGNALS] = { SIGTERM, SIGINT, SIGHUP };
	static const struct child_sink_events events = { .hook_done = hook_done,
							 .closed = launcher_gone };
	const struct config *config = serve->request->config;

	if (host_open(&serve->host, err) < 0)
		return -1;
	if (channel >= 0) {
		serve->launcher = child_sink_new(serve->host.loop, channel, &events, serve, err);
		if (serve->launcher == NULL)
			return -1;
	}
	for (size_t i = 0; i < SIGNALS; i++) {
		serve->signals[i] =
			loop_signal_new(serve->host.loop, numbers[i], signaled, serve, err);
		if (serve->signals[i] == NULL)
			return -1;
	}
	if (!config->in_environment) {
		serve->watch = loop_watch_new(serve->host.loop, config->file, reload, serve, err);
		if (serve->watch == NULL)
			return -1;
	}
	return host_start(&serve->host, config,
			  HOST_SINKS | (serve->request->allow_degraded ? HOST_ALLOW_DEGRADED : 0),
			  listener, err);
}

int serve_main(struct serve_request *request, int channel)
{
	struct serve serve = { .request = request };
	const struct broker_listener listener = {
		.progress = progress,
		.closed = closed,
		.hooks = channel >= 0 ? &serve.hooks : NULL,
		.context = &serve,
	};
	struct error err = ERROR_INIT;
	int status = 0;

	log_setup(request->config->log_level, request->config->log_format);
	hooks_init(&serve.hooks, start_hook, &serve);
	if (start(&serve, channel, &listener, &err) == 0) {
		log_info("serving", LOG_STR("file", request->config->file),
			 LOG_NUM("secrets", (int64_t)request->config->secret_count));
		loop_run(serve.host.loop);
		log_info("ended");
	} else {
		status = command_fail(&err);
		stop_listening(&serve);
		serve.launcher = child_sink_free(serve.launcher);
	}
	host_close(&serve.host);
	request->config = config_free(request->config);
	return status;
}
