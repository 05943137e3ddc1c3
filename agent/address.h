#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One address of a backend with its pool of connections, and the origins that URLs name. For
 * agent/addresses.c and agent/exchange*.c.
 */
#include "agent/base/backend.h"
#include "agent/io/http_client.h"
#include "certs/trust.h"

#define ORIGIN_MAX 300

/* Counted: a request that is under way keeps its pool while a new set of addresses is taken into
 * use. */
struct address {
	size_t refs;
	struct http_pool *pool;
	struct trust *trust;	  /* NULL: plain http:// */
	struct endpoint endpoint; /* its strings are the backend's */
	char origin[ORIGIN_MAX];  /* as origin_read spells it */
};

/* Reads the trust bundle, or takes the one of an address in `others` that has the same file. */
struct address *address_open(struct http_client *client, const struct endpoint *endpoint,
			     struct address *const *others, size_t count,
			     struct error *err) MUST_USE;

/* Another server that is as trusted as this one: same CA, name and identity. */
struct address *address_like(struct http_client *client, const struct address *model,
			     const char *origin, struct error *err) MUST_USE;

struct address *address_ref(struct address *address);
struct address *address_unref(struct address *address); /* returns NULL; NULL is allowed */

/* Writes "https://host:port", in lower case and with the port, and gives what follows it in the URL
 * (never with a fragment's #). -1 when the URL is not one of http or https, or has a user name in
 * it. */
int origin_read(const char *url, char origin[ORIGIN_MAX], const char **rest) MUST_USE;
