#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One files sink at work: publishes when there is news, tries again with back-off when it cannot,
 * and tells the application afterwards, again after a restart that may have come before it was
 * told.
 */
#include <stdbool.h>

#include "agent/sink/files.h"

struct publisher;
struct hooks;

/* Everything given outlives the publisher. `hooks` runs on_change.exec; NULL where nobody can: then
 * nobody waits to be told. */
struct publisher *publisher_new(const struct config_files *config, const struct store *store,
				const struct clock *clock, struct hooks *hooks,
				struct error *err) MUST_USE;
struct publisher *publisher_free(struct publisher *publisher);

/* There is news in the store: publish at the next tick. */
void publisher_wake(struct publisher *publisher);

/* The directory may have been changed by somebody: true when what was published there is gone and
 * is published anew at the next tick. */
bool publisher_look(struct publisher *publisher);

/* Publishes, retries and collects what is due. Returns the next deadline in boot time. */
int64_t publisher_tick(struct publisher *publisher, struct stamp now);

/* True when what the store held at the last wake stands in the directory: all that is required was
 * written as configured, once, and no variable for kubelets is left out now. */
bool publisher_done(const struct publisher *publisher);

/* True when every required secret stands in the directory, also while a newer version of one waits
 * to be written there. */
bool publisher_stands(const struct publisher *publisher);

/* What of a required secret the last publication could not write as configured; NULL: nothing. */
const struct files_problem *publisher_problem(const struct publisher *publisher);

/* All of them, optional secrets' too, side by side; good until the next tick. */
const struct files_problem *publisher_problems(const struct publisher *publisher, size_t *count);

const char *publisher_directory(const struct publisher *publisher);
uint64_t publisher_generation(const struct publisher *publisher);
const struct error *publisher_error(const struct publisher *publisher); /* code NONE: all is well */
