/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/survey.h"

#include <string.h>

#include "agent/base/log.h"
#include "agent/environment.h"
#include "agent/source.h"

enum { NAMES_MAX = 200 };

/* One secret after the other, each through its own source. */
struct survey {
	const struct survey_request *request;
	const struct clock *clock;
	struct environment *environment;
	struct loop *loop;
	struct loop_timer *timer;
	struct http_client *client;
	struct source *sources; /* in the order of config->backends */
	struct run run;
	size_t next; /* the secret whose turn it is */
	bool running;
	int64_t end_at;
	int status;
};

static void wake(void *context)
{
	struct survey *survey = context;

	if (survey->timer != NULL)
		loop_timer_set(survey->timer, clock_now(survey->clock).boot_ms);
}

static const struct secret_spec *current(const struct survey *survey)
{
	return &survey->request->config->secrets[survey->next];
}

static struct source *source_of(const struct survey *survey, const struct secret_spec *spec)
{
	const struct config *config = survey->request->config;

	return &survey->sources[config_backend_find(config, spec->backend) - config->backends];
}

static void report(struct survey *survey, const char *what, int status)
{
	const struct secret_spec *spec = current(survey);

	buf_printf(survey->request->report, "%s\t%s:%s\t%s\n", spec->name, spec->backend,
		   spec->path != NULL ? spec->path : "", what);
	/* The first thing that is wrong is the command's exit status. */
	if (survey->status == 0 && !spec->optional)
		survey->status = status;
	survey->next++;
	wake(survey);
}

static bool may(const struct secret_version *capabilities, const char *name)
{
	return secret_version_field(capabilities, name) != NULL;
}

static void report_capabilities(struct survey *survey, const struct secret_version *capabilities)
{
	const struct secret_spec *spec = current(survey);
	bool allowed = may(capabilities, "root") ||
		       may(capabilities, spec->write != NULL ? "update" : "read") ||
		       (spec->write != NULL && may(capabilities, "create"));
	AUTO(buf_deinit) struct buf text = BUF_INIT(NAMES_MAX * 2);

	buf_printf(&text, "%s (its policy allows", allowed ? "may be read" : "denied");
	for (size_t i = 0; i < capabilities->count; i++)
		buf_printf(&text, "%s %.20s", i > 0 ? "," : "", capabilities->fields[i].name);
	buf_puts(&text, ")");
	report(survey, buf_string(&text), allowed ? 0 : error_exit_status(ERROR_DENIED));
}

static void run_done(struct run *run, struct secret_version *result, const struct error *err)
{
	struct survey *survey = CONTAINER_OF(run, struct survey, run);

	survey->running = false;
	if (err != NULL && err->code == ERROR_CANCELED)
		return;
	if (err != NULL)
		report(survey, err->text, error_exit_status(err->code));
	else if (source_of(survey, current(survey))->config->ops->capabilities != NULL)
		report_capabilities(survey, result);
	else
		report(survey, "may be read", 0);
}

/* A backend that cannot be asked is read: its files make nothing. */
static struct exchange *new_exchange(const struct source *source, const struct secret_spec *spec,
				     struct error *err)
{
	const struct backend_ops *ops = source->config->ops;
	struct secret_version *session = session_version(source->session);

	if (ops->capabilities != NULL)
		return ops->capabilities(source->backend, session, spec, err);
	return ops->fetch(source->backend, session, spec, err);
}

static void ask(struct survey *survey)
{
	struct source *source = source_of(survey, current(survey));
	struct error err = ERROR_INIT;
	struct exchange *x = new_exchange(source, current(survey), &err);

	if (x == NULL ||
	    wire_run(source->wire, x, session_version(source->session), &survey->run, &err) < 0) {
		report(survey, err.text, error_exit_status(err.code));
		return;
	}
	survey->running = true;
}

/* ---- the loop ---- */

static void session_changed(void *context, struct session *session, bool replaced)
{
	(void)session;
	(void)replaced;
	wake(context);
}

static void session_confirmed(void *context, struct session *session)
{
	(void)session;
	wake(context);
}

static void tick(void *context)
{
	struct survey *survey = context;
	const struct config *config = survey->request->config;
	int64_t now = clock_now(survey->clock).boot_ms;
	struct source *source;

	if (survey->next >= config->secret_count) {
		loop_stop(survey->loop);
		return;
	}
	if (now >= survey->end_at) {
		report(survey, "no answer in time", error_exit_status(ERROR_UNAVAILABLE));
		return;
	}
	source = source_of(survey, current(survey));
	if (!survey->running && session_state(source->session) == SESSION_DEAD) {
		report(survey, session_error(source->session)->text,
		       error_exit_status(session_error(source->session)->code));
		return;
	}
	if (!survey->running && session_use(source->session))
		ask(survey);
	loop_timer_set(survey->timer,
		       deadline_earlier(session_tick(source->session), survey->end_at));
}

static int open_sources(struct survey *survey, struct error *err)
{
	const struct config *config = survey->request->config;
	const struct session_listener listener = { .changed = session_changed,
						   .confirmed = session_confirmed,
						   .wake = wake,
						   .context = survey };

	survey->sources = calloc(config->backend_count + 1, sizeof(*survey->sources));
	if (survey->sources == NULL)
		return error_no_memory(err);
	for (size_t i = 0; i < config->backend_count; i++) {
		struct source_world world = {
			.loop = survey->loop,
			.clock = survey->clock,
			.lookup = environment_lookup,
			.environment = survey->environment,
		};

		if (config->backends[i].ops->endpoint != NULL && survey->client == NULL) {
			survey->client = http_client_new(survey->loop, survey->clock, err);
			if (survey->client == NULL)
				return -1;
		}
		world.client = survey->client;
		if (source_open(&survey->sources[i], &config->backends[i], &world, &listener, err) <
		    0)
			return -1;
	}
	return 0;
}

static int open_survey(struct survey *survey, struct error *err)
{
	survey->environment = environment_take(NULL, err);
	if (survey->environment == NULL)
		return -1;
	survey->loop = loop_new(err);
	if (survey->loop == NULL)
		return -1;
	survey->timer = loop_timer_new(survey->loop, tick, survey, err);
	return survey->timer != NULL ? open_sources(survey, err) : -1;
}

static void write_policies(const struct survey *survey)
{
	const struct config *config = survey->request->config;

	for (size_t i = 0; i < config->backend_count; i++) {
		const struct backend_ops *ops = config->backends[i].ops;

		if (ops->policy == NULL)
			continue;
		buf_printf(survey->request->policy, "# backend %s\n", config->backends[i].name);
		for (size_t j = 0; j < config->secret_count; j++)
			if (strcmp(config->secrets[j].backend, config->backends[i].name) == 0)
				ops->policy(survey->sources[i].backend, &config->secrets[j],
					    survey->request->policy);
	}
}

/* The sessions were made for the questions alone. */
static void revoked(void *context)
{
	struct survey *survey = context;

	if (--survey->next == 0)
		loop_stop(survey->loop);
}

static void end_sessions(struct survey *survey)
{
	survey->next = 0;
	for (size_t i = 0; i < survey->request->config->backend_count; i++)
		survey->next += session_revoke(survey->sources[i].session, revoked, survey);
	if (survey->next > 0)
		loop_run(survey->loop);
}

static void close_survey(struct survey *survey)
{
	for (size_t i = 0; survey->sources != NULL && i < survey->request->config->backend_count;
	     i++)
		source_close(&survey->sources[i]);
	free(survey->sources);
	if (survey->client != NULL)
		survey->client = http_client_free(survey->client);
	if (survey->timer != NULL)
		survey->timer = loop_timer_free(survey->timer);
	if (survey->loop != NULL)
		survey->loop = loop_free(survey->loop);
	survey->environment = environment_free(survey->environment);
}

int survey_run(const struct survey_request *request, struct error *err)
{
	struct survey survey = {
		.request = request,
		.clock = clock_system(),
		.run = { .done = run_done },
		.end_at = clock_now(clock_system()).boot_ms + request->timeout_ms,
	};

	if (open_survey(&survey, err) < 0) {
		close_survey(&survey);
		return error_exit_status(err->code);
	}
	wake(&survey);
	loop_run(survey.loop);
	if (request->policy != NULL)
		write_policies(&survey);
	end_sessions(&survey);
	close_survey(&survey);
	return survey.status;
}
