/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/parts_watches.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/base/log.h"
#include "agent/source.h"

/* The document, the CA bundle, certificate and key, and what a login reads. */
enum { WATCHES_PER_SOURCE = 6 };

/* One file, of a source or of a files sink. */
struct parts_watch {
	struct loop_watch *watch;
	struct parts *parts;
	struct source *source;
	const char *file;
	void (*changed)(struct parts *parts, struct source *source);
	struct publisher *publisher;
	const struct task_listener *listener;
};

/* ---- files of sources ---- */

static void document_changed(struct parts *parts, struct source *source)
{
	for (size_t i = 0; i < parts->store.count; i++)
		if (parts->tasks[i].source == source)
			task_refresh(&parts->tasks[i]);
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

static void source_changed(void *context)
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
	watch->watch = loop_watch_new(loop, watch->file, source_changed, watch, err);
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

/* ---- directories of files sinks ---- */

/* Each publication of ours is a change too; what stands is looked at only when it is not ours. */
static void directory_changed(void *context)
{
	const struct parts_watch *watch = context;

	if (publisher_look(watch->publisher))
		watch->listener->wake(watch->listener->context);
}

static int watch_publisher(struct parts *parts, const struct parts_world *world,
			   struct publisher *publisher, struct error *err)
{
	struct parts_watch *watch = &parts->watches[parts->watch_count];
	AUTO(freep) char *link = NULL;

	if (asprintf(&link, "%s/..data", publisher_directory(publisher)) < 0)
		return error_no_memory(err);
	*watch = (struct parts_watch){ .publisher = publisher, .listener = &world->task_listener };
	watch->watch = loop_watch_new(world->setup->loop, link, directory_changed, watch, err);
	if (watch->watch == NULL)
		return error_wrap(err, "watching %s", link);
	parts->watch_count++;
	return 0;
}

/* ---- all of them ---- */

/* Closing an inotify instance waits for the kernel's readers, 10 ms and more: who needs none opens
 * none. */
int parts_watches_open(struct parts *parts, const struct parts_world *world, struct error *err)
{
	parts->watches =
		calloc(parts->source_count * WATCHES_PER_SOURCE + parts->publisher_count + 1,
		       sizeof(*parts->watches));
	if (parts->watches == NULL)
		return error_no_memory(err);
	for (size_t i = 0; i < parts->source_count; i++)
		if (watch_source(parts, world->setup->loop, &parts->sources[i], world->setup->fixed,
				 err) < 0)
			return -1;
	for (size_t i = 0; i < parts->publisher_count; i++)
		if (watch_publisher(parts, world, parts->publishers[i], err) < 0)
			return -1;
	return 0;
}

void parts_watches_close(struct parts *parts)
{
	for (size_t i = 0; i < parts->watch_count; i++)
		(void)loop_watch_free(parts->watches[i].watch);
	parts->watch_count = 0;
	free(parts->watches);
	parts->watches = NULL;
}
