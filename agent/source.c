/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/source.h"

static int open_parts(struct source *source, const struct source_world *world,
		      const struct session_listener *listener, struct error *err)
{
	const struct config_backend *config = source->config;
	const struct backend_config backend_config = {
		.name = config->name,
		.options = config->options,
		.lookup = world->lookup,
		.environment = world->environment,
	};

	source->backend = config->ops->open(&backend_config, err);
	if (source->backend == NULL)
		return -1;
	source->wire =
		wire_new(config->ops, source->backend, world->loop,
			 config->ops->endpoint != NULL ? world->client : NULL, world->clock, err);
	if (source->wire == NULL)
		return -1;
	source->session = session_new(config->name, config->ops, source->backend, source->wire,
				      world->clock, listener, err);
	return source->session != NULL ? 0 : -1;
}

int source_open(struct source *source, const struct config_backend *config,
		const struct source_world *world, const struct session_listener *listener,
		struct error *err)
{
	*source = (struct source){ .config = config };
	if (open_parts(source, world, listener, err) < 0) {
		source_close(source);
		return error_wrap(err, "backend '%s'", config->name);
	}
	return 0;
}

void source_close(struct source *source)
{
	if (source->wire != NULL)
		source->wire = wire_free(source->wire);
	source->session = session_free(source->session);
	if (source->backend != NULL)
		source->config->ops->close(source->backend);
	*source = (struct source){ 0 };
}
