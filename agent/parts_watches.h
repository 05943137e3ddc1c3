#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files of a configuration's parts are watched, and what a change of each means. For
 * agent/parts.c alone.
 */
#include "agent/parts.h"

/* A failure leaves what is open to parts_watches_close. */
int parts_watches_open(struct parts *parts, const struct parts_world *world,
		       struct error *err) MUST_USE;
void parts_watches_close(struct parts *parts);
