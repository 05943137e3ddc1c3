#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One verb of Go's fmt on one value.
 */
#include "agent/base/buf.h"
#include "agent/template/value.h"

struct printer {
	struct buf *out;
	bool plus, minus, sharp, space, zero;
	bool plus_v, sharp_v; /* of %+v and %#v */
	bool width_present, precision_present;
	int width, precision;
	const char *problem; /* why the result is wrong; NULL: it is not */
};

/* Writes as %verb does; a verb that does not fit writes %!verb(type=value), as Go does. */
void printer_write(struct printer *printer, const struct value *value, uint32_t verb);
