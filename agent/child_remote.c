/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question after the other, then the environment, then, without --watch, the end: nothing here
 * needs a loop. With --watch one question stays open, for all secrets together: whether anything is
 * not as it was.
 */
#include "agent/child_remote.h"

#include <poll.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/schedule.h"
#include "agent/base/text.h"
#include "agent/environment.h"
#include "agent/harden.h"
#include "agent/io/unix_client.h"
#include "agent/remote.h"
#include "agent/sink/child.h"
#include "agent/variables.h"

enum {
	RETRY_MS = 100,
	WAIT_FITS_MS = 2000,
	WATCH_MS = 300000, /* of one long poll: no wake-up without need */
};

struct remote_child {
	const struct config *config;
	const struct run_request *request;
	struct remote remote;
	int channel; /* to the launcher, which says nothing before it ends */
	struct store store;
	struct variables given;
	bool told; /* the launcher has an environment */
};

static int harden(const char *socket, struct error *err)
{
	AUTO(harden_rules_free) struct harden_rules rules = { 0 };
	struct harden_report report;

	if (harden_allow_path(&rules, socket, false, err) < 0 ||
	    harden_broker(&rules, true, &report, err) < 0)
		return error_wrap(err, "hardening");
	return 0;
}

static int64_t now_ms(void)
{
	return clock_now(clock_system()).boot_ms;
}

/* Sleeps, unless the launcher wants no more. */
static int pause_ms(const struct remote_child *child, int64_t ms, struct error *err)
{
	struct pollfd launcher = { .fd = child->channel, .events = POLLIN };

	if (poll(&launcher, 1, (int)ms) > 0)
		return error_set(err, ERROR_CANCELED, "the launcher is gone");
	return 0;
}

static bool needs(const struct remote_child *child, const struct store_entry *entry)
{
	return variables_need(child->config, child->request, entry->spec->name);
}

/* ---- the first environment ---- */

/* A running agent may still be fetching, or be replaced by the next: asked again until time is
 * over. */
static int fetch(const struct remote_child *child, int64_t deadline, struct store_entry *entry,
		 struct error *err)
{
	AUTO(buf_deinit) struct buf waited = BUF_INIT(64);
	struct remote_wish wish = { .name = entry->spec->name };
	struct remote remote = child->remote;
	int64_t left;

	for (;;) {
		left = deadline - now_ms();
		/* The last answers shall say what is missing, not that time is over. */
		wish.wait = !entry->spec->optional && left > WAIT_FITS_MS;
		if (left < UNIX_CLIENT_TIMEOUT_MS)
			remote.timeout_ms = left > 0 ? left : 1;
		if (remote_version(&remote, &wish, &entry->version, err) > 0)
			return 0;
		if (err->code != ERROR_UNAVAILABLE)
			return -1;
		/* The command is not kept waiting for what it may go without. */
		if (entry->spec->optional)
			return 0;
		if (now_ms() >= deadline - RETRY_MS)
			break;
		if (pause_ms(child, RETRY_MS, err) < 0)
			return -1;
	}
	text_write_duration(&waited, child->request->timeout_ms);
	return error_wrap(err, "not within %s", buf_string(&waited));
}

static int fetch_needed(struct remote_child *child, struct error *err)
{
	int64_t deadline = child->request->timeout_ms > 0 ? now_ms() + child->request->timeout_ms
							  : DEADLINE_NEVER;

	for (size_t i = 0; i < child->store.count; i++)
		if (needs(child, &child->store.entries[i]) &&
		    fetch(child, deadline, &child->store.entries[i], err) < 0)
			return -1;
	return 0;
}

/* Hands over what the versions make, unless the command has exactly that. */
static int give(struct remote_child *child, struct error *err)
{
	AUTO(variables_free) struct variables fresh = { 0 };
	bool watch = child->request->watch;

	if (variables_compute(&child->store, child->config, child->request, &fresh, err) < 0)
		return -1;
	if (child->told && variables_equal(&fresh, &child->given))
		return 0;
	if (child_send_env(child->channel, fresh.items, fresh.count, watch, err) < 0)
		return -1;
	child->told = true;
	variables_free(&child->given);
	child->given = fresh;
	fresh = (struct variables){ 0 };
	return 0;
}

static int begin(struct remote_child *child, struct error *err)
{
	AUTO(environment_freep) struct environment *environment = environment_take(NULL, err);

	if (environment == NULL || harden(child->request->socket, err) < 0)
		return -1;
	if (store_init(&child->store, child->config->secrets, child->config->secret_count, err) <
		    0 ||
	    fetch_needed(child, err) < 0)
		return -1;
	return give(child, err);
}

/* ---- later ones ---- */

/* What is in hand stays where there is nothing newer: promise 2. */
static int refresh(struct remote_child *child, struct store_entry *entry, struct error *err)
{
	const struct remote_wish wish = { .name = entry->spec->name, .known = entry->version };
	struct secret_version *version;
	int got = remote_version(&child->remote, &wish, &version, err);

	if (got > 0) {
		(void)secret_version_unref(entry->version);
		entry->version = version;
	}
	if (got >= 0 || (entry->version == NULL && err->code == ERROR_UNAVAILABLE))
		return 0;
	if (err->code != ERROR_NOT_FOUND && err->code != ERROR_BAD_DATA)
		return -1;
	log_warn("a secret keeps its version", LOG_STR("secret", entry->spec->name), LOG_ERR(err));
	return 0;
}

/* Waits for the next change and hands it over. -1: the agent cannot be asked. */
static int follow(struct remote_child *child, struct remote_mark *seen, struct error *err)
{
	struct remote_mark mark = *seen;
	int changed = remote_wait(&child->remote, &mark, WATCH_MS, err);

	if (changed <= 0)
		return changed;
	for (size_t i = 0; i < child->store.count; i++)
		if (needs(child, &child->store.entries[i]) &&
		    refresh(child, &child->store.entries[i], err) < 0)
			return -1;
	*seen = mark;
	if (give(child, err) == 0)
		return 1;
	if (err->code == ERROR_CANCELED)
		return -1;
	log_warn("new versions not handed over", LOG_ERR(err));
	return 1;
}

/* Until the launcher wants no more. An agent that is gone is asked for until there is one again. */
static void watch(struct remote_child *child)
{
	struct remote_mark seen = { "" };
	struct error err = ERROR_INIT;
	unsigned failures = 0;

	for (;;) {
		if (follow(child, &seen, &err) >= 0) {
			if (failures > 0)
				log_info("the running agent answers again",
					 LOG_STR("socket", child->request->socket));
			failures = 0;
		} else if (err.code == ERROR_CANCELED) {
			return;
		} else if (failures++ == 0) {
			log_warn(
				"the running agent cannot be asked; the command keeps the "
				"secrets it has",
				LOG_STR("socket", child->request->socket), LOG_ERR(&err));
		}
		if (pause_ms(child,
			     failures > 0 ? schedule_retry_ms(clock_system(), &err, failures)
					  : SCHEDULE_WAIT_LEAST_MS,
			     &err) < 0)
			return;
	}
}

int child_remote_main(const struct config *config, const struct run_request *request, int channel)
{
	struct remote_child child = {
		.config = config,
		.request = request,
		.channel = channel,
	};
	struct error err = ERROR_INIT;
	int status = 0;

	child.remote = (struct remote){ .socket = request->socket, .canceled_by = &child.channel };
	if (begin(&child, &err) < 0) {
		status = error_exit_status(err.code);
		if (child_send_fail(channel, status, err.text) < 0)
			log_error("the launcher cannot be told", LOG_ERR(&err));
	} else if (request->watch) {
		watch(&child);
	}
	variables_free(&child.given);
	store_deinit(&child.store);
	(void)close(channel);
	return status;
}
