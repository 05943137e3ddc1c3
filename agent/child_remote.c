/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question after the other, then the environment, then the end: nothing here needs a loop.
 */
#include "agent/child_remote.h"

#include <poll.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/environment.h"
#include "agent/harden.h"
#include "agent/io/unix_client.h"
#include "agent/remote.h"
#include "agent/sink/child.h"
#include "agent/variables.h"

enum { RETRY_MS = 100, WAIT_FITS_MS = 2000 };

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

/* A running agent may still be fetching, or be replaced by the next: asked again until time is
 * over or the launcher, which says nothing before it ends, wants no more. */
static int fetch(const struct run_request *request, int64_t deadline, int channel,
		 struct store_entry *entry, struct error *err)
{
	struct pollfd launcher = { .fd = channel, .events = POLLIN };
	AUTO(buf_deinit) struct buf waited = BUF_INIT(64);
	int64_t left;
	bool wait;

	for (;;) {
		left = deadline - now_ms();
		/* The last answers shall say what is missing, not that time is over. */
		wait = !entry->spec->optional && left > WAIT_FITS_MS;
		if (left > UNIX_CLIENT_TIMEOUT_MS)
			left = UNIX_CLIENT_TIMEOUT_MS;
		if (remote_version(request->socket, entry->spec->name, wait, left > 0 ? left : 1,
				   &entry->version, err) == 0)
			return 0;
		if (err->code != ERROR_UNAVAILABLE)
			return -1;
		/* The command is not kept waiting for what it may go without. */
		if (entry->spec->optional)
			return 0;
		if (now_ms() >= deadline - RETRY_MS)
			break;
		if (poll(&launcher, 1, RETRY_MS) > 0)
			return error_set(err, ERROR_CANCELED, "the launcher is gone");
	}
	text_write_duration(&waited, request->timeout_ms);
	return error_wrap(err, "not within %s", buf_string(&waited));
}

static int fetch_needed(const struct config *config, const struct run_request *request, int channel,
			struct store *store, struct error *err)
{
	int64_t deadline =
		request->timeout_ms > 0 ? now_ms() + request->timeout_ms : DEADLINE_NEVER;

	for (size_t i = 0; i < store->count; i++)
		if (variables_need(config, request, store->entries[i].spec->name) &&
		    fetch(request, deadline, channel, &store->entries[i], err) < 0)
			return -1;
	return 0;
}

static int give(const struct config *config, const struct run_request *request, int channel,
		struct error *err)
{
	AUTO(environment_freep) struct environment *environment = environment_take(NULL, err);
	AUTO(store_deinit) struct store store = { 0 };
	AUTO(variables_free) struct variables variables = { 0 };

	if (environment == NULL || harden(request->socket, err) < 0)
		return -1;
	if (store_init(&store, config->secrets, config->secret_count, err) < 0 ||
	    fetch_needed(config, request, channel, &store, err) < 0 ||
	    variables_compute(&store, config, request, &variables, err) < 0)
		return -1;
	return child_send_env(channel, variables.items, variables.count, false, err);
}

int child_remote_main(const struct config *config, const struct run_request *request, int channel)
{
	struct error err = ERROR_INIT;
	int status = 0;

	if (give(config, request, channel, &err) < 0) {
		status = error_exit_status(err.code);
		if (child_send_fail(channel, status, err.text) < 0)
			log_error("the launcher cannot be told", LOG_ERR(&err));
	}
	(void)close(channel);
	return status;
}
