#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files: complete generations behind one symlink, DESIGN §6. A reader of `..data` sees one moment or nothing.
 */
#include <stdbool.h>

#include "agent/base/clock.h"
#include "agent/config/config.h"
#include "agent/store.h"

struct files_sink;

/* Only remembers; touches nothing. The configuration and the clock outlive the sink. */
struct files_sink *files_sink_new(const struct config_files *config, const struct clock *clock,
				  struct error *err) MUST_USE;
struct files_sink *files_sink_free(struct files_sink *sink);

/* Publishes what the store holds now as one generation, or adopts the standing one when its content is the same.
 * Returns 1 when something visible changed, 0 when not, -1 when the old set stays: try again with back-off. */
int files_sink_publish(struct files_sink *sink, const struct store *store, struct error *err) MUST_USE;

/* Deletes generations whose 60 s are over. Returns when to be called again, in boot time. */
int64_t files_sink_collect(struct files_sink *sink);

/* Number of the generation that stands; 0: none. */
uint64_t files_sink_generation(const struct files_sink *sink);
