#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's own environment: declared secrets are moved to the arena and their strings
 * overwritten, also as /proc/PID/environ shows them, and whatever a library could react to is gone
 * before any library starts. The child gets the launcher's copy, which this never touches.
 */
#include "agent/base/error.h"
#include "agent/base/secret.h"

struct environment;

/* Call once, in the process that will hold the secrets. `names` (NULL-terminated) are moved to the
 * arena besides BAO_TOKEN, VAULT_TOKEN and SOPS_AGE_KEY; NULL: only those. What is not on the
 * allow-list is removed. */
struct environment *environment_take(const char *const *names, struct error *err) MUST_USE;
struct environment *environment_free(
	struct environment *environment); /* returns NULL; NULL is allowed */

/* An environment_lookup_fn: a new reference to a moved value or to a copy of an allowed variable's,
 * NULL when it was not set. `environment` is a struct environment. */
struct secret *environment_lookup(void *environment, const char *name);

static inline void environment_freep(struct environment **environment)
{
	*environment = environment_free(*environment);
}
