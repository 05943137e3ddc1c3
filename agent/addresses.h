#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of one backend: which is asked first, and the guests, origins of a 307 that no
 * option names. For agent/exchange*.c alone.
 */
#include "agent/address.h"

enum { GUESTS_MAX = 4 };

/* All zero is dead: no address. */
struct addresses {
	struct address **items;
	size_t count;
	size_t current; /* answered last, so is asked first */
	struct address *guests[GUESTS_MAX];
	size_t guest_count;
};

/* Opens the backend's addresses anew and forgets the guests; what stood stays when that fails. */
int addresses_open(struct addresses *addresses, const struct backend_ops *ops,
		   const struct backend *backend, struct http_client *client,
		   struct error *err) MUST_USE;
void addresses_close(struct addresses *addresses);

/* The index of the address with this origin (as origin_read spells it); -1 when none has it. */
int addresses_find(const struct addresses *addresses, const char *origin);

/* A reference to the guest of this origin, which is opened like `model` when it is new. */
struct address *addresses_guest(struct addresses *addresses, struct http_client *client,
				const struct address *model, const char *origin, struct error *err);
