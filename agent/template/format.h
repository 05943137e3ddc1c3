#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Go's package fmt, for the values that templates have.
 */
#include "agent/template/render.h"

/* What an action prints: %v, and <no value> for nothing. */
int format_action(struct render *render, struct buf *out, const struct value *value) MUST_USE;

/* fmt.Sprint, Sprintln: with spaces between two that are no strings, or between all. */
int format_print(struct render *render, struct buf *out, const struct value *values,
		 size_t count) MUST_USE;
int format_println(struct render *render, struct buf *out, const struct value *values,
		   size_t count) MUST_USE;

int format_printf(struct render *render, struct buf *out, const struct value *format,
		  const struct value *values, size_t count) MUST_USE;

/* strconv.Quote. */
void format_quote(struct buf *out, const char *bytes, size_t len);
