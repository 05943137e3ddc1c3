#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files: complete generations behind one symlink, DESIGN §6. A reader of `..data` sees one moment
 * or nothing.
 */
#include <stdbool.h>

#include "agent/base/clock.h"
#include "agent/config/config.h"
#include "agent/store.h"

struct files_sink;

/* What could not be written as the configuration says, while all else was. */
struct files_problem {
	const char *secret; /* the configuration's */
	const char *path;   /* of the entry */
	const char *
		variable; /* of an entry for kubelets, which is left out; NULL: what stands stays */
	struct error error;
};

/* Only remembers; touches nothing. The configuration and the clock outlive the sink. */
struct files_sink *files_sink_new(const struct config_files *config, const struct clock *clock,
				  struct error *err) MUST_USE;
struct files_sink *files_sink_free(struct files_sink *sink);

/* Publishes what the store holds now as one generation, or adopts the standing one when its content
 * is the same. Returns 1 when something visible changed, 0 when not, -1 when the old set stays: try
 * again with back-off. A secret that cannot be written as configured, or was never fetched by this
 * process (no version, none `published`, neither denied nor missing), keeps the files that stand;
 * the others are published. */
int files_sink_publish(struct files_sink *sink, const struct store *store,
		       struct error *err) MUST_USE;

/* Deletes generations whose 60 s are over. Returns when to be called again, in boot time. */
int64_t files_sink_collect(struct files_sink *sink);

/* Whether what the last publish left is still what ..data leads to; true before the first. */
bool files_sink_stands(const struct files_sink *sink);

/* Whether the standing generation's change was told to the application, by this process or one
 * before it: the mark stands in the directory. */
bool files_sink_told(const struct files_sink *sink);
/* Notes that it was. False when another generation stands by now, or the mark cannot be written:
 * then it will be told once more. */
bool files_sink_mark_told(struct files_sink *sink, uint64_t generation);

/* Number of the generation that stands; 0: none. */
uint64_t files_sink_generation(const struct files_sink *sink);

/* What the last publish could not write; NULL past the last. They lie side by side, and are good
 * until the next publish. */
const struct files_problem *files_sink_problem(const struct files_sink *sink, size_t i);
size_t files_sink_problem_count(const struct files_sink *sink);

static inline void files_sink_freep(struct files_sink **sink)
{
	*sink = files_sink_free(*sink);
}
