#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the versions in the store to the variables and files of a child: names, collisions,
 * dangerous names, limits.
 */
#include <stdbool.h>
#include <stddef.h>

#include "agent/config/config.h"
#include "agent/run_request.h"
#include "agent/sink/child.h"
#include "agent/store.h"

/* The kernel's MAX_ARG_STRLEN: NAME=value with its NUL. */
#define VARIABLE_MAX ((size_t)128 << 10)

struct variables {
	struct child_variable *items;
	size_t count;
};

/* Does the child need this secret? False for what --only or the explicit variables leave out. */
bool variables_need(const struct config *config, const struct run_request *request,
		    const char *secret);

/* Every needed secret that is not optional must have a version. ERROR_BAD_DATA or ERROR_NOT_FOUND
 * (both 65) with the variable's name: a field that is not there, two that make one name, a name
 * that changes how programs run and that the user did not give, a NUL, a value over the kernel's
 * limit, a name of --only that nothing has. */
int variables_compute(const struct store *store, const struct config *config,
		      const struct run_request *request, struct variables *ret,
		      struct error *err) MUST_USE;
void variables_free(struct variables *variables);

/* The same names with the same values, in the same order. */
bool variables_equal(const struct variables *one, const struct variables *other);

/* The value that a reference names: a field, or with a leading '/' a pointer into fields (and into
 * their JSON). NULL as `field`: the only field. A new reference, or NULL with ERROR_NOT_FOUND that
 * lists the fields there are. */
struct secret *version_select(const struct secret_version *version, const char *field,
			      struct error *err) MUST_USE;
