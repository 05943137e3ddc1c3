#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the broker can be seen from outside: its sockets, its metrics, its status.
 */
#include "agent/broker.h"

struct broker_views;

/* Opens the configuration's audit, sockets and metrics listener, on this store. What is given
 * outlives the views, but for `old`: a port cannot be listened on twice, so where the address is
 * the same its metrics listener is taken over. NULL: none. */
struct broker_views *broker_views_new(const struct store *store, const struct broker *broker,
				      const struct broker_setup *setup, const struct config *config,
				      struct broker_views *old, struct error *err) MUST_USE;

/* Versions changed: those who wait for one are answered. NULL is allowed. */
void broker_views_changed(struct broker_views *views);

/* One line of the audit per secret that changed. NULL is allowed. */
void broker_views_published(struct broker_views *views, const struct store_entry *entry);

/* Stops listening. Returns NULL; NULL is allowed. */
struct broker_views *broker_views_free(struct broker_views *views);
