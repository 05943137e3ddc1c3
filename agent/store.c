/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/store.h"

#include <stdlib.h>
#include <string.h>

static int compare_names(const void *one, const void *other)
{
	const struct store_entry *const *left = one, *const *right = other;

	return strcmp((*left)->spec->name, (*right)->spec->name);
}

static int compare_name(const void *name, const void *entry)
{
	const struct store_entry *const *found = entry;

	return strcmp(name, (*found)->spec->name);
}

int store_init(struct store *store, const struct secret_spec *specs, size_t count,
	       struct error *err)
{
	*store = (struct store){
		.entries = calloc(count + 1, sizeof(*store->entries)),
		.by_name = calloc(count + 1, sizeof(*store->by_name)),
	};
	if (store->entries == NULL || store->by_name == NULL) {
		store_deinit(store);
		return error_no_memory(err);
	}
	store->count = count;
	for (size_t i = 0; i < count; i++) {
		store->entries[i] = (struct store_entry){
			.spec = &specs[i],
			.next_refresh_boot_ms = DEADLINE_NEVER,
		};
		store->by_name[i] = &store->entries[i];
	}
	qsort(store->by_name, count, sizeof(struct store_entry *), compare_names);
	return 0;
}

void store_deinit(struct store *store)
{
	for (size_t i = 0; i < store->count; i++)
		(void)secret_version_unref(store->entries[i].version);
	free(store->entries);
	free(store->by_name);
	*store = (struct store){ 0 };
}

struct store_entry *store_find(const struct store *store, const char *name)
{
	struct store_entry **found = bsearch(name, store->by_name, store->count,
					     sizeof(struct store_entry *), compare_name);

	return found != NULL ? *found : NULL;
}

bool store_ready(const struct store *store)
{
	for (size_t i = 0; i < store->count; i++)
		if (store->entries[i].version == NULL && !store->entries[i].spec->optional)
			return false;
	return true;
}

const char *secret_state_name(enum secret_state state)
{
	static const char *const names[] = {
		[STATE_PENDING] = "pending", [STATE_FRESH] = "fresh",	  [STATE_STALE] = "stale",
		[STATE_DENIED] = "denied",   [STATE_MISSING] = "missing", [STATE_FAILED] = "failed",
	};

	return names[state];
}
