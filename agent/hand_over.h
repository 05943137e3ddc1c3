#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an init container leaves to the sidecar after it: its sessions and what they leased, in a
 * file of a directory in memory that only the two mount. So there is one login and no second
 * credential, and the one who lives renews.
 */
#include "agent/parts.h"

#define HAND_OVER_FILE "hand-over.json"

/* Writes DIR/hand-over.json (0600) whole or not at all; nothing where there is nothing to leave.
 * ERROR_INVALID when DIR is not in memory. */
int hand_over_leave(const struct parts *parts, const char *directory, struct error *err) MUST_USE;

/* Takes up what lies there for this very configuration, before the first tick, and removes it. What
 * cannot be used (another configuration's, ended, damaged, not ours alone) is told in one line of
 * the log, for each backend, and is fetched as if nothing had been there. */
void hand_over_take(struct parts *parts, const char *directory, const struct clock *clock);
