/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/store.h"

#include <string.h>

int store_init(struct store *store, const struct secret_spec *specs, size_t count,
	       struct error *err)
{
	store->entries = calloc(count > 0 ? count : 1, sizeof(*store->entries));
	if (store->entries == NULL)
		return error_no_memory(err);
	store->count = count;
	store->generation = 0;
	for (size_t i = 0; i < count; i++)
		store->entries[i] = (struct store_entry){
			.spec = &specs[i],
			.next_refresh_boot_ms = DEADLINE_NEVER,
		};
	return 0;
}

void store_deinit(struct store *store)
{
	for (size_t i = 0; i < store->count; i++)
		(void)secret_version_unref(store->entries[i].version);
	free(store->entries);
	*store = (struct store){ 0 };
}

struct store_entry *store_find(const struct store *store, const char *name)
{
	for (size_t i = 0; i < store->count; i++)
		if (strcmp(store->entries[i].spec->name, name) == 0)
			return &store->entries[i];
	return NULL;
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
