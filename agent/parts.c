/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/parts.h"

#include <string.h>

#include "agent/base/log.h"
#include "agent/base/schedule.h"

/* The document, the CA bundle, certificate and key, and what a login reads. */
enum { WATCHES_PER_SOURCE = 6 };

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

/* ---- watches ---- */

static void refresh(struct parts *parts, const struct source *source)
{
	for (size_t i = 0; i < parts->store.count; i++)
		if (parts->tasks[i].source == source)
			task_refresh(&parts->tasks[i]);
}

static void document_changed(struct parts *parts, struct source *source)
{
	refresh(parts, source);
}

static void trust_changed(struct parts *parts, struct source *source)
{
	struct error err = ERROR_INIT;

	(void)parts;
	if (wire_reopen(source->wire, &err) < 0)
		log_warn("trust not read again, the old stays",
			 LOG_STR("backend", source->config->name), LOG_ERR(&err));
	else
		session_credential_changed(source->session);
}

static void credential_changed(struct parts *parts, struct source *source)
{
	(void)parts;
	session_credential_changed(source->session);
}

/* A file of one source, and what its change means. */
struct parts_watch {
	struct loop_watch *watch;
	struct parts *parts;
	struct source *source;
	const char *file;
	void (*changed)(struct parts *parts, struct source *source);
};

static void file_changed(void *context)
{
	const struct parts_watch *watch = context;

	log_info("file changed", LOG_STR("backend", watch->source->config->name),
		 LOG_STR("file", watch->file));
	watch->changed(watch->parts, watch->source);
}

static int watch_file(struct parts *parts, struct loop *loop, const struct parts_watch *wanted,
		      struct error *err)
{
	struct parts_watch *watch = &parts->watches[parts->watch_count];

	if (wanted->file == NULL)
		return 0;
	*watch = *wanted;
	watch->parts = parts;
	watch->watch = loop_watch_new(loop, watch->file, file_changed, watch, err);
	if (watch->watch == NULL)
		return error_wrap(err, "watching %s", watch->file);
	parts->watch_count++;
	return 0;
}

static int watch_source(struct parts *parts, struct loop *loop, struct source *source, bool fixed,
			struct error *err)
{
	const struct backend_ops *ops = source->config->ops;
	struct endpoint endpoint = { 0 };
	struct parts_watch wanted[WATCHES_PER_SOURCE];
	size_t count = 0;

	if (!fixed && ops->watched_file != NULL)
		wanted[count++] = (struct parts_watch){ .file = ops->watched_file(source->backend),
							.changed = document_changed };
	if (ops->endpoint != NULL && ops->endpoint(source->backend, 0, &endpoint)) {
		const char *const files[] = { endpoint.ca_file, endpoint.cert_file,
					      endpoint.key_file };

		for (size_t i = 0; i < ARRAY_SIZE(files); i++)
			wanted[count++] =
				(struct parts_watch){ .file = files[i], .changed = trust_changed };
	}
	for (size_t i = 0; ops->credential != NULL && count < WATCHES_PER_SOURCE; i++) {
		const char *file = ops->credential(source->backend, i);

		if (file == NULL)
			break;
		wanted[count++] =
			(struct parts_watch){ .file = file, .changed = credential_changed };
	}
	for (size_t i = 0; i < count; i++) {
		wanted[i].source = source;
		if (watch_file(parts, loop, &wanted[i], err) < 0)
			return -1;
	}
	return 0;
}

/* Closing an inotify instance waits for the kernel's readers, 10 ms and more: who needs none opens
 * none. */
static int open_watches(struct parts *parts, struct loop *loop, bool fixed, struct error *err)
{
	parts->watches =
		calloc(parts->source_count * WATCHES_PER_SOURCE + 1, sizeof(*parts->watches));
	if (parts->watches == NULL)
		return error_no_memory(err);
	for (size_t i = 0; i < parts->source_count; i++)
		if (watch_source(parts, loop, &parts->sources[i], fixed, err) < 0)
			return -1;
	return 0;
}

/* ---- life ---- */

static int open_all(struct parts *parts, const struct parts_world *world, struct error *err)
{
	if (open_sources(parts, world, err) < 0 || open_tasks(parts, world, err) < 0)
		return -1;
	if (!world->setup->once &&
	    open_watches(parts, world->setup->loop, world->setup->fixed, err) < 0)
		return -1;
	return world->setup->sinks ? open_publishers(parts, world, err) : 0;
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
	for (size_t i = 0; i < parts->watch_count; i++)
		parts->watches[i].watch = loop_watch_free(parts->watches[i].watch);
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
	free(parts->watches);
	free(parts);
	return NULL;
}
