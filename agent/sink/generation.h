#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One generation on disk: written whole into a directory of its own, compared, removed. Never
 * changed once written. `directory` is the sink's, open; `name` the generation's in it.
 */
#include <stdbool.h>

#include "agent/sink/file_set.h"

/* Creates `name` with everything in it, modes and owners final. A failure leaves part of it behind.
 */
int generation_write(int directory, const char *name, const struct file_set *set,
		     struct error *err) MUST_USE;

/* The same names, bytes, modes and owners, and nothing else. */
bool generation_matches(int generation, const struct file_set *set);

/* True when it is gone. */
bool generation_remove(int directory, const char *name);
