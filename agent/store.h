#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Name → current version and how it is doing. Sinks read from it; the broker alone writes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/clock.h"
#include "agent/base/model.h"

enum secret_state {
	STATE_PENDING,
	STATE_FRESH,
	STATE_STALE,
	STATE_DENIED,
	STATE_MISSING,
	STATE_FAILED
};

struct store_entry {
	const struct secret_spec *spec; /* the configuration's; its name is the entry's name */
	enum secret_state state;
	struct secret_version
		*version;   /* NULL: nothing to hand out; may stand while state is not FRESH */
	struct error error; /* of the last attempt; code NONE when it succeeded */
	int64_t confirmed_boot_ms;    /* when the backend last said that `version` is good */
	int64_t next_refresh_boot_ms; /* DEADLINE_NEVER: nothing is planned */
	uint64_t published;	      /* counts versions handed out under this name */
};

struct store {
	struct store_entry *entries;  /* in the configuration's order */
	struct store_entry **by_name; /* the same, for store_find */
	size_t count;
	uint64_t generation; /* counts batches of versions */
};

int store_init(struct store *store, const struct secret_spec *specs, size_t count,
	       struct error *err) MUST_USE;
void store_deinit(struct store *store);

/* NULL when there is no such secret. */
struct store_entry *store_find(const struct store *store, const char *name);

/* True when every secret that is not optional has a version. */
bool store_ready(const struct store *store);

/* "fresh", "stale", … */
const char *secret_state_name(enum secret_state state);
