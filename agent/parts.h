#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that one configuration declares, opened: sources, the store and its tasks, files
 * sinks, watches. The broker has one of it; a reload makes another and swaps them.
 */
#include "agent/broker_views.h"
#include "agent/publisher.h"
#include "agent/task.h"

struct parts {
	const struct config *config;
	struct store store;
	struct task_policy policy;
	struct source *sources;
	size_t source_count;
	struct task *tasks; /* one per entry of the store, in its order */
	struct publisher **publishers;
	size_t publisher_count;
	struct parts_watch *watches;
	size_t watch_count;
	struct broker_views *views; /* opened by the broker, once the rest stands */
};

/* What parts need of the broker; outlives them. */
struct parts_world {
	const struct broker_setup *setup;
	struct http_client **client; /* made when the first backend needs one */
	struct session_listener session_listener;
	struct task_listener task_listener;
	struct hooks *hooks; /* NULL: none are run */
};

/* Opens what `config` declares; asks nothing yet. NULL with *err. */
struct parts *parts_new(const struct parts_world *world, const struct config *config,
			struct error *err) MUST_USE;

/* Carries over what both declare alike: the versions of secrets, the sessions of backends. */
void parts_adopt(struct parts *parts, const struct parts *old);

/* Cancels what runs. Returns NULL; NULL is allowed. */
struct parts *parts_free(struct parts *parts);
