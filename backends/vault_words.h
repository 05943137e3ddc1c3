#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a server's own words may be told. A server, a plugin or a proxy may put anything into its
 * `errors`, a connection string with its password as well as the token that we sent. So nothing is
 * quoted: words that we know are recognised and told in ours.
 */
#include "agent/base/buf.h"
#include "agent/base/message.h"

/* Puts what is known of the reply's `errors` into `words`, "; " between; nothing where none is.
 * True when there were other words too, which only the server's own log holds. */
bool vault_words(const struct reply *reply, struct buf *words);
