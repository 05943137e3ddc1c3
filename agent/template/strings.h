#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts as Go's package strings sees them.
 */
#include "agent/template/value.h"

/* Without the white space (Unicode's) around it; points into the same bytes. */
struct value strings_trim_space(const struct value *text);

/* Where `part` stands in the text at or after `from`; SIZE_MAX: nowhere. */
size_t strings_find(const struct value *text, const struct value *part, size_t from);

/* How many bytes the character at `at` takes; what is no UTF-8 is one byte. */
size_t strings_character(const struct value *text, size_t at, uint32_t *ret);
