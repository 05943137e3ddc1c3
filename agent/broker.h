#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns one of each: sources, tasks, store, sinks and the timer that drives them. The only module
 * that knows them all; the commands say what they want of it and listen.
 */
#include <stdbool.h>

#include "agent/config/config.h"
#include "agent/io/loop.h"
#include "agent/status.h"
#include "agent/store.h"

struct broker;
struct hooks;

struct broker_listener {
	/* After each batch: versions published, or attempts failed. Called from the loop. */
	void (*progress)(void *context, struct broker *broker);
	/* The broker has closed: nothing of it runs any more. */
	void (*closed)(void *context);
	struct hooks *hooks; /* for on_change.exec; NULL where nobody can run it */
	void *context;
};

struct broker_setup {
	struct loop *loop;
	const struct clock *clock;
	const struct config *config;
	const struct broker_listener *listener;
	environment_lookup_fn *lookup;
	void *environment;
	const struct status_fact *hardening; /* for status */
	size_t hardening_count;
	bool once;  /* fetch each secret until it is there, then rest */
	bool fixed; /* nobody is given later versions: no secret's file is watched */
	bool ends;  /* the first verdict ends us, and whoever listens says it: no line of the log */
	bool sinks; /* open files, sockets and metrics of the configuration */
};

/* Opens backends and sinks; asks nothing yet. What `setup` points to outlives the broker. */
struct broker *broker_new(const struct broker_setup *setup, struct error *err) MUST_USE;

/* Starts the first fetches. */
void broker_start(struct broker *broker);

/* Leaves sessions and leases where the configuration says (`hand_over`), for who comes after us. */
int broker_leave(const struct broker *broker, struct error *err) MUST_USE;

/* Closes the sinks, revokes what may be revoked within two seconds, then calls `closed`. */
void broker_close(struct broker *broker, bool revoke);

/* Only after `closed`, or before broker_start. Returns NULL. */
struct broker *broker_free(struct broker *broker);

const struct store *broker_store(const struct broker *broker);

/* True when every secret has had its first answer, good or bad. */
bool broker_tried(const struct broker *broker);

/* True when the last batch stands in every files sink. */
bool broker_published(const struct broker *broker);

/* True when every required secret is there and stands in every files sink: a newer version that is
 * on its way, or a full disk, makes what is handed out no less so. */
bool broker_ready(const struct broker *broker);

/* The worst that stands between the secrets and being ready: the first error in the configuration's
 * order that waiting does not mend (denied, missing, invalid), else the first other one, else what
 * keeps files from being published (*entry stays as it was); NULL when there is nothing. */
const struct error *broker_trouble(const struct broker *broker, const struct store_entry **entry);

/* The error of whoever waited this long in vain: what stood between, with its code when waiting
 * would never have mended it. */
void broker_give_up(const struct broker *broker, int64_t waited_ms,
		    const struct store_entry **entry, struct error *ret);

/* The same as broker_trouble, but only errors that waiting does not mend. */
const struct error *broker_verdict(const struct broker *broker, const struct store_entry **entry);

/* Every version in hand may outlive the session: none has a lease that dies with it. */
bool broker_lease_free(const struct broker *broker);

/* For status: what there is, and how it is doing. Orphans are credentials that a lost answer may
 * have left at the server with nobody to hold them. */
uint64_t broker_orphans(const struct broker *broker);
struct source;
struct publisher;
size_t broker_source_count(const struct broker *broker);
const struct source *broker_source(const struct broker *broker, size_t i);
size_t broker_publisher_count(const struct broker *broker);
const struct publisher *broker_publisher(const struct broker *broker, size_t i);

/* Applies another configuration whole, or not at all: secrets that it declares alike keep their
 * versions, backends that it declares alike their sessions. The old configuration is not used after
 * this has returned 0. `gate` may refuse what the new backends need: -1. */
typedef int broker_gate_fn(void *context, const struct source *sources, size_t count,
			   struct error *err);
int broker_reconfigure(struct broker *broker, const struct config *config, broker_gate_fn *gate,
		       void *context, struct error *err) MUST_USE;
