/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Status is put together when somebody asks: pointers into the broker, good for one call.
 */
#include "agent/broker_views.h"

#include <stdio.h>
#include <string.h>

#include "agent/audit.h"
#include "agent/publisher.h"
#include "agent/sink/socket.h"
#include "agent/source.h"

enum { SINK_NAME_MAX = 4200, FACTS_MORE = 3, NUMBER_MAX = 24 };

struct broker_views {
	const struct store *store;
	const struct broker *broker;
	const struct broker_setup *setup;
	const struct config *config;
	struct audit *audit;
	struct socket_views answers;
	struct socket_sink **sockets;
	size_t socket_count;
	struct metrics_listener *metrics;
};

/* ---- status ---- */

static struct status_backend *list_backends(const struct broker *broker)
{
	size_t count = broker_source_count(broker);
	struct status_backend *backends = calloc(count + 1, sizeof(*backends));

	for (size_t i = 0; backends != NULL && i < count; i++) {
		const struct source *source = broker_source(broker, i);
		const struct secret_version *session = session_version(source->session);

		backends[i] = (struct status_backend){
			.name = source->config->name,
			.state = session_state_name(source->session),
			.session_expires_real_ms =
				session != NULL ? lease_expires_real_ms(&session->lease) : 0,
			.error = session_error(source->session),
			.requests = wire_requests(source->wire),
		};
	}
	return backends;
}

struct named_sink {
	struct status_sink *sinks;
	char (*names)[SINK_NAME_MAX];
	size_t count;
};

static void free_sinks(struct named_sink *list)
{
	free(list->sinks);
	free(list->names);
}

static struct named_sink list_sinks(const struct broker_views *views)
{
	size_t files = broker_publisher_count(views->broker), count = files + views->socket_count;
	struct named_sink list = {
		.sinks = calloc(count + 1, sizeof(*list.sinks)),
		.names = calloc(count + 1, SINK_NAME_MAX),
	};

	if (list.sinks == NULL || list.names == NULL)
		return list;
	for (size_t i = 0; i < count; i++) {
		const struct publisher *publisher =
			i < files ? broker_publisher(views->broker, i) : NULL;
		struct status_sink *sink = &list.sinks[i];

		sink->name = list.names[i];
		if (publisher != NULL) {
			(void)snprintf(list.names[i], SINK_NAME_MAX, "files:%s",
				       publisher_directory(publisher));
			sink->error = publisher_error(publisher);
			sink->problems = publisher_problems(publisher, &sink->problem_count);
			sink->generation = publisher_generation(publisher);
			sink->state = sink->error->code != ERROR_NONE ? "failed"
				      : publisher_done(publisher)     ? "published"
								      : "waiting";
			continue;
		}
		(void)snprintf(list.names[i], SINK_NAME_MAX, "socket:%s",
			       views->config->sockets[i - files].path);
		sink->error = socket_sink_error(views->sockets[i - files]);
		sink->state = sink->error->code != ERROR_NONE ? "failed" : "listening";
		sink->reads = socket_sink_requests(views->sockets[i - files]);
		sink->connections = socket_sink_connections(views->sockets[i - files]);
		sink->generation = views->store->generation;
	}
	list.count = count;
	return list;
}

typedef void status_writer(struct buf *out, const struct status_source *source, struct stamp now);

static int write_view(const struct broker_views *views, status_writer *writer, struct buf *out)
{
	const struct broker_setup *setup = views->setup;
	AUTO(freep) struct status_backend *backends = list_backends(views->broker);
	AUTO(free_sinks) struct named_sink sinks = list_sinks(views);
	AUTO(freep)
	struct status_fact *facts = calloc(setup->hardening_count + FACTS_MORE, sizeof(*facts));
	struct arena_stats arena = arena_stats();
	char locked[NUMBER_MAX], mapped[NUMBER_MAX];
	struct error err;

	if (backends == NULL || sinks.sinks == NULL || sinks.names == NULL || facts == NULL)
		return error_no_memory(&err);
	for (size_t i = 0; i < setup->hardening_count; i++)
		facts[i] = setup->hardening[i];
	(void)snprintf(locked, sizeof(locked), "%zu", arena.locked_bytes);
	(void)snprintf(mapped, sizeof(mapped), "%zu", arena.mapped_bytes);
	facts[setup->hardening_count] =
		(struct status_fact){ "memory", arena_protection_name(arena.weakest) };
	facts[setup->hardening_count + 1] = (struct status_fact){ "memory_locked_bytes", locked };
	facts[setup->hardening_count + 2] = (struct status_fact){ "memory_mapped_bytes", mapped };

	writer(out,
	       &(struct status_source){
		       .store = views->store,
		       .ready = broker_ready(views->broker),
		       .backends = backends,
		       .backend_count = broker_source_count(views->broker),
		       .sinks = sinks.sinks,
		       .sink_count = sinks.count,
		       .hardening = facts,
		       .hardening_count = setup->hardening_count + FACTS_MORE,
		       .orphans = broker_orphans(views->broker),
		       .audit_dropped = views->audit != NULL ? audit_dropped(views->audit) : 0,
	       },
	       clock_now(setup->clock));
	return out->failed ? -1 : 0;
}

static int answer_status(void *context, struct buf *out)
{
	return write_view(context, status_write_json, out);
}

static int answer_metrics(void *context, struct buf *out)
{
	return write_view(context, status_write_metrics, out);
}

static void put_reason(struct buf *reason, const struct broker *broker)
{
	const struct store_entry *entry = NULL;
	const struct error *trouble = broker_trouble(broker, &entry);
	bool known = trouble != NULL && trouble->code != ERROR_NONE;

	if (entry != NULL)
		buf_printf(reason, "secret '%s': ", entry->spec->name);
	buf_puts(reason, known		 ? trouble->text
			 : entry != NULL ? "not fetched yet"
					 : "not published yet");
}

static bool answer_ready(void *context, struct buf *reason)
{
	const struct broker_views *views = context;
	bool ready = broker_ready(views->broker);

	if (!ready && reason != NULL)
		put_reason(reason, views->broker);
	return ready;
}

/* ---- life ---- */

static bool keeps_metrics(const struct broker_views *views, const struct broker_views *old)
{
	return views->config->metrics_listen != NULL && old != NULL && old->metrics != NULL &&
	       strcmp(old->config->metrics_listen, views->config->metrics_listen) == 0;
}

static int open_metrics(struct broker_views *views, const struct broker_views *old,
			struct error *err)
{
	const struct broker_setup *setup = views->setup;
	const char *address = views->config->metrics_listen;

	if (address == NULL || keeps_metrics(views, old))
		return 0;
	views->metrics =
		metrics_listener_new(setup->loop, setup->clock, address, &views->answers, err);
	return views->metrics != NULL ? 0 : -1;
}

/* Sockets take their names from whoever has them, so what can fail otherwise comes before. Nothing
 * may fail after the metrics are taken over. */
static int open_views(struct broker_views *views, struct broker_views *old, struct error *err)
{
	const struct broker_setup *setup = views->setup;
	const struct config *config = views->config;

	if (config->audit_file != NULL) {
		views->audit = audit_open(config->audit_file, setup->clock, err);
		if (views->audit == NULL)
			return -1;
	}
	if (open_metrics(views, old, err) < 0)
		return -1;
	views->sockets = calloc(config->socket_count + 1, sizeof(struct socket_sink *));
	if (views->sockets == NULL)
		return error_no_memory(err);
	for (size_t i = 0; i < config->socket_count; i++) {
		views->sockets[i] =
			socket_sink_new(setup->loop, setup->clock, config, &config->sockets[i],
					views->store, &views->answers, views->audit, err);
		if (views->sockets[i] == NULL)
			return -1;
		views->socket_count++;
	}
	if (keeps_metrics(views, old)) {
		views->metrics = STEAL(old->metrics);
		metrics_listener_use(views->metrics, &views->answers);
	}
	return 0;
}

struct broker_views *broker_views_new(const struct store *store, const struct broker *broker,
				      const struct broker_setup *setup, const struct config *config,
				      struct broker_views *old, struct error *err)
{
	struct broker_views *views = calloc(1, sizeof(*views));

	if (views == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	views->store = store;
	views->broker = broker;
	views->setup = setup;
	views->config = config;
	views->answers =
		(struct socket_views){ answer_status, answer_metrics, answer_ready, views };
	return open_views(views, old, err) == 0 ? views : broker_views_free(views);
}

void broker_views_changed(struct broker_views *views)
{
	for (size_t i = 0; views != NULL && i < views->socket_count; i++)
		socket_sink_changed(views->sockets[i]);
}

void broker_views_published(struct broker_views *views, const struct store_entry *entry)
{
	if (views != NULL && views->audit != NULL && entry->version != NULL)
		audit_publish(views->audit, entry->spec->name, entry->version->id);
}

struct broker_views *broker_views_free(struct broker_views *views)
{
	if (views == NULL)
		return NULL;
	for (size_t i = 0; i < views->socket_count; i++)
		views->sockets[i] = socket_sink_close(views->sockets[i]);
	if (views->metrics != NULL)
		views->metrics = metrics_listener_close(views->metrics);
	views->audit = audit_close(views->audit);
	free(views->sockets);
	free(views);
	return NULL;
}
