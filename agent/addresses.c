/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/addresses.h"

#include <stdlib.h>
#include <string.h>

static void close_items(struct address **items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		(void)address_unref(items[i]);
	free(items);
}

static void forget_guests(struct addresses *addresses)
{
	while (addresses->guest_count > 0)
		(void)address_unref(addresses->guests[--addresses->guest_count]);
}

int addresses_open(struct addresses *addresses, const struct backend_ops *ops,
		   const struct backend *backend, struct http_client *client, struct error *err)
{
	struct address **items = NULL;
	struct endpoint endpoint;
	size_t count = 0;

	while (ops->endpoint != NULL && client != NULL &&
	       ops->endpoint(backend, count, &endpoint)) {
		struct address **longer = reallocarray(items, count + 1, sizeof(struct address *));

		if (longer == NULL) {
			close_items(items, count);
			return error_no_memory(err);
		}
		items = longer;
		items[count] = address_open(client, &endpoint, items, count, err);
		if (items[count] == NULL) {
			close_items(items, count);
			return -1;
		}
		count++;
	}
	close_items(addresses->items, addresses->count);
	addresses->items = items;
	addresses->count = count;
	addresses->current = count > 0 ? addresses->current % count : 0;
	forget_guests(addresses);
	return 0;
}

void addresses_close(struct addresses *addresses)
{
	close_items(addresses->items, addresses->count);
	forget_guests(addresses);
	*addresses = (struct addresses){ 0 };
}

int addresses_find(const struct addresses *addresses, const char *origin)
{
	for (size_t i = 0; i < addresses->count; i++)
		if (strcmp(addresses->items[i]->origin, origin) == 0)
			return (int)i;
	return -1;
}

struct address *addresses_guest(struct addresses *addresses, struct http_client *client,
				const struct address *model, const char *origin, struct error *err)
{
	struct address *guest;

	for (size_t i = 0; i < addresses->guest_count; i++)
		if (strcmp(addresses->guests[i]->origin, origin) == 0)
			return address_ref(addresses->guests[i]);
	guest = address_like(client, model, origin, err);
	if (guest == NULL)
		return NULL;
	if (addresses->guest_count == GUESTS_MAX)
		(void)address_unref(addresses->guests[--addresses->guest_count]);
	addresses->guests[addresses->guest_count++] = guest;
	return address_ref(guest);
}
