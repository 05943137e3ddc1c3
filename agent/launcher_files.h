#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that stand while the child runs: the bytes in a private directory of a tmpfs, a symlink
 * where the user wants it.
 */
#include <stddef.h>

#include "agent/base/error.h"

struct child_value;
struct launch_files;

/* Writes those of the values that are files, anew or for the first time; *files is made when one is
 * needed. */
int launch_files_write(struct launch_files **files, const struct child_value *values, size_t count,
		       struct error *err) MUST_USE;
/* Removes links and bytes. NULL is allowed. */
void launch_files_remove(struct launch_files *files);
