#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Go's quoted strings and characters.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/template/region.h"

/* What stands between the quotes of "…" or `…`. False when an escape is none of Go's (or there is
 * no memory, which the region remembers). */
bool literal_string(struct region *region, const char *quoted, size_t len, const char **ret,
		    size_t *ret_len);

/* The number of 'x'. */
bool literal_character(const char *quoted, size_t len, uint32_t *ret);
