#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic over names of files; nothing is looked up.
 */
#include <stdbool.h>

/* What is wrong with the path of an entry, as the end of a sentence that starts with the path;
 * NULL: nothing. */
const char *entry_path_fault(const char *path);

/* `directory` is a proper prefix of `path` that ends at a component. */
bool entry_path_holds(const char *directory, const char *path);

/* The same but for double and trailing slashes and components that are ".". */
bool path_is_same(const char *one, const char *other);
