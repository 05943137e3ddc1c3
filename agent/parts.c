/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/parts.h"

#include <string.h>

#include "agent/base/log.h"
#include "agent/base/schedule.h"
#include "agent/parts_watches.h"

/* ---- sources ---- */

/* Only backends that a secret asks for are opened: nothing of a network is started for a file. */
static bool is_used(const struct config *config, const char *backend)
{
	for (size_t i = 0; i < config->secret_count; i++)
		if (strcmp(config->secrets[i].backend, backend) == 0)
			return true;
	return false;
}

static bool is_required(const struct config *config, const char *backend)
{
	for (size_t i = 0; i < config->secret_count; i++)
		if (strcmp(config->secrets[i].backend, backend) == 0 &&
		    !config->secrets[i].optional)
			return true;
	return false;
}

static int open_sources(struct parts *parts, const struct parts_world *world, struct error *err)
{
	const struct config *config = parts->config;
	struct source_world source_world = {
		.loop = world->setup->loop,
		.clock = world->setup->clock,
		.lookup = world->setup->lookup,
		.environment = world->setup->environment,
	};

	parts->sources = calloc(config->backend_count + 1, sizeof(*parts->sources));
	if (parts->sources == NULL)
		return error_no_memory(err);
	for (size_t i = 0; i < config->backend_count; i++) {
		const struct config_backend *backend = &config->backends[i];
		struct session_listener listener = world->session_listener;

		listener.verdict_ends = world->setup->ends && is_required(config, backend->name);
		if (!is_used(config, backend->name))
			continue;
		if (backend->ops->endpoint != NULL && *world->client == NULL) {
			*world->client =
				http_client_new(source_world.loop, source_world.clock, err);
			if (*world->client == NULL)
				return -1;
		}
		source_world.client = *world->client;
		if (source_open(&parts->sources[parts->source_count], backend, &source_world,
				&listener, err) < 0)
			return -1;
		parts->source_count++;
	}
	return 0;
}

static struct source *source_of(const struct parts *parts, const char *backend)
{
	for (size_t i = 0; i < parts->source_count; i++)
		if (strcmp(parts->sources[i].config->name, backend) == 0)
			return &parts->sources[i];
	return NULL;
}

/* ---- tasks ---- */

static int open_tasks(struct parts *parts, const struct parts_world *world, struct error *err)
{
	const struct config *config = parts->config;
	const struct clock *clock = world->setup->clock;
	int64_t first_at =
		clock_now(clock).boot_ms + (config->splay ? schedule_splay_ms(clock) : 0);

	if (store_init(&parts->store, config->secrets, config->secret_count, err) < 0)
		return -1;
	parts->tasks = calloc(config->secret_count + 1, sizeof(*parts->tasks));
	if (parts->tasks == NULL)
		return error_no_memory(err);
	for (size_t i = 0; i < config->secret_count; i++) {
		const struct secret_spec *spec = &config->secrets[i];
		struct source *source = source_of(parts, spec->backend);

		if (source == NULL)
			return error_set(err, ERROR_INVALID,
					 "secret '%s' names backend '%s', which is not declared",
					 spec->name, spec->backend);
		task_init(&parts->tasks[i], &parts->store.entries[i], source, clock, &parts->policy,
			  &world->task_listener, first_at);
		parts->tasks[i].once = world->setup->once;
	}
	return 0;
}

/* ---- files sinks ---- */

static int open_publishers(struct parts *parts, const struct parts_world *world, struct error *err)
{
	const struct config *config = parts->config;

	parts->publishers = calloc(config->files_count + 1, sizeof(struct publisher *));
	if (parts->publishers == NULL)
		return error_no_memory(err);
	for (size_t i = 0; i < config->files_count; i++) {
		parts->publishers[i] = publisher_new(&config->files[i], &parts->store,
						     world->setup->clock, world->hooks, err);
		if (parts->publishers[i] == NULL)
			return -1;
		parts->publisher_count++;
	}
	return 0;
}

/* ---- life ---- */

static int open_all(struct parts *parts, const struct parts_world *world, struct error *err)
{
	if (open_sources(parts, world, err) < 0 || open_tasks(parts, world, err) < 0)
		return -1;
	if (world->setup->sinks && open_publishers(parts, world, err) < 0)
		return -1;
	return world->setup->once ? 0 : parts_watches_open(parts, world, err);
}

struct parts *parts_new(const struct parts_world *world, const struct config *config,
			struct error *err)
{
	struct parts *parts = calloc(1, sizeof(*parts));

	if (parts == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	parts->config = config;
	parts->policy = (struct task_policy){
		.max_stale_ms = config->max_stale_ms,
		.remove_missing = config->remove_missing,
		.verdict_ends = world->setup->ends,
	};
	return open_all(parts, world, err) == 0 ? parts : parts_free(parts);
}

static bool same_text(const char *one, const char *other)
{
	return one == other || (one != NULL && other != NULL && strcmp(one, other) == 0);
}

static bool same_backend(const struct config_backend *one, const struct config_backend *other)
{
	return one->ops == other->ops &&
	       option_equal(one->ops->options, one->options, other->options);
}

void parts_adopt(struct parts *parts, const struct parts *old)
{
	parts->store.generation = old->store.generation;
	for (size_t i = 0; i < parts->source_count; i++) {
		struct source *before = source_of(old, parts->sources[i].config->name);

		if (before != NULL && same_backend(before->config, parts->sources[i].config))
			session_adopt(parts->sources[i].session, before->session);
	}
	for (size_t i = 0; i < parts->store.count; i++) {
		const struct secret_spec *spec = parts->store.entries[i].spec;
		const struct store_entry *before = store_find(&old->store, spec->name);
		const struct source *source =
			before != NULL ? source_of(old, before->spec->backend) : NULL;

		if (source == NULL || !same_text(spec->backend, before->spec->backend) ||
		    !same_text(spec->path, before->spec->path) ||
		    !same_text(spec->write, before->spec->write) ||
		    spec->verbatim != before->spec->verbatim ||
		    !same_backend(source->config, parts->tasks[i].source->config))
			continue;
		task_adopt(&parts->tasks[i], &old->tasks[before - old->store.entries]);
	}
}

struct parts *parts_free(struct parts *parts)
{
	if (parts == NULL)
		return NULL;
	parts->views = broker_views_free(parts->views);
	parts_watches_close(parts);
	for (size_t i = 0; i < parts->source_count; i++)
		source_close(&parts->sources[i]);
	for (size_t i = 0; parts->tasks != NULL && i < parts->store.count; i++)
		task_deinit(&parts->tasks[i]);
	for (size_t i = 0; i < parts->publisher_count; i++)
		parts->publishers[i] = publisher_free(parts->publishers[i]);
	store_deinit(&parts->store);
	free(parts->tasks);
	free(parts->sources);
	free(parts->publishers);
	free(parts);
	return NULL;
}
