/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/child.h"

#include <signal.h>

#include "agent/base/log.h"
#include "agent/host.h"
#include "agent/sink/child.h"
#include "agent/variables.h"

struct child {
	const struct config *config;
	const struct run_request *request;
	struct host host;
	struct child_sink *sink;
	struct loop_timer *timeout;
	struct loop_signal *term;
	uint64_t generation; /* of the store, when the last environment was handed over; 0: none was
			      */
	bool sinks; /* the configuration has files or sockets: they are served while the child runs
		     */
	bool given;
	struct variables variables; /* what was given, with --watch */
	bool ending;
	int status;
};

static void end(struct child *child, int status, bool revoke)
{
	if (child->ending)
		return;
	child->ending = true;
	child->status = status;
	child->timeout = loop_timer_free(child->timeout);
	child->term = loop_signal_free(child->term);
	if (child->host.broker != NULL)
		broker_close(child->host.broker, revoke && broker_lease_free(child->host.broker));
}

static void tell_launcher(const struct child *child, const struct error *err)
{
	if (child->sink == NULL ||
	    child_sink_fail(child->sink, error_exit_status(err->code), err->text) < 0)
		log_error("the launcher cannot be told", LOG_ERR(err));
}

/* Before the child runs this ends the program; after that the child goes on with what it has. */
static void fail(struct child *child, const struct store_entry *entry, const struct error *cause)
{
	struct error err = *cause;

	if (entry != NULL)
		(void)error_wrap(&err, "secret '%s'", entry->spec->name);
	if (child->given) {
		log_warn("new versions not handed over", LOG_ERR(&err));
		return;
	}
	tell_launcher(child, &err);
	end(child, error_exit_status(err.code), true);
}

static const struct error *needed_verdict(const struct child *child, const struct store_entry **ret)
{
	const struct error *verdict = broker_verdict(child->host.broker, ret);

	return verdict != NULL && variables_need(child->config, child->request, (*ret)->spec->name)
		       ? verdict
		       : NULL;
}

/* What the child may go without is given to it all the same when it is there, so at the start it is
 * asked for once. */
static bool needed_are_there(const struct child *child)
{
	const struct store *store = broker_store(child->host.broker);

	if (!child->given && !broker_tried(child->host.broker))
		return false;
	for (size_t i = 0; i < store->count; i++) {
		const struct store_entry *entry = &store->entries[i];

		if (entry->version == NULL && !entry->spec->optional &&
		    variables_need(child->config, child->request, entry->spec->name))
			return false;
	}
	return true;
}

static void hand_over(struct child *child)
{
	const struct store *store = broker_store(child->host.broker);
	bool stay = child->request->watch || child->sinks || !broker_lease_free(child->host.broker);
	AUTO(variables_free) struct variables fresh = { 0 };
	struct error err = ERROR_INIT;

	child->generation = store->generation;
	if (variables_compute(store, child->config, child->request, &fresh, &err) < 0) {
		fail(child, NULL, &err);
		return;
	}
	/* A version that changes nothing for the command is no reason to disturb it; files of the
	 * configuration's own it may read are. */
	if (child->given && !child->sinks && variables_equal(&fresh, &child->variables))
		return;
	if (child_sink_env(child->sink, fresh.items, fresh.count, stay, &err) < 0) {
		fail(child, NULL, &err);
		return;
	}
	if (child->request->watch) {
		variables_free(&child->variables);
		child->variables = fresh;
		fresh = (struct variables){ 0 };
	}
	child->given = true;
	child->timeout = loop_timer_free(child->timeout);
	/* Nothing to keep fresh: the session has done its work. */
	if (!stay)
		end(child, 0, true);
}

static void progress(void *context, struct broker *broker)
{
	struct child *child = context;
	const struct store_entry *entry = NULL;
	const struct error *verdict;

	if (child->ending)
		return;
	verdict = needed_verdict(child, &entry);
	if (verdict != NULL && !child->given) {
		fail(child, entry, verdict);
		return;
	}
	if (!child->given && child->sinks && !broker_published(broker))
		return;
	if (!needed_are_there(child) ||
	    (child->given && broker_store(broker)->generation == child->generation))
		return;
	if (!child->given || child->request->watch)
		hand_over(child);
}

static void closed(void *context)
{
	struct child *child = context;

	child->sink = child_sink_free(child->sink);
	loop_stop(child->host.loop);
}

static void timed_out(void *context)
{
	struct child *child = context;
	const struct store_entry *entry = NULL;
	struct error late;

	broker_give_up(child->host.broker, child->request->timeout_ms, &entry, &late);
	fail(child, entry, &late);
}

static void terminated(void *context, int number)
{
	end(context, 128 + number, true);
}

static void child_ended(void *context, int status)
{
	(void)status;
	end(context, 0, true);
}

static void launcher_gone(void *context)
{
	end(context, 0, true);
}

static int start(struct child *child, int channel, const struct broker_listener *listener,
		 struct error *err)
{
	static const struct child_sink_events events = {
		.child_ended = child_ended,
		.closed = launcher_gone,
	};
	unsigned flags = HOST_ALLOW_DEGRADED;

	if (host_open(&child->host, err) < 0)
		return -1;
	child->sink = child_sink_new(child->host.loop, channel, &events, child, err);
	if (child->sink == NULL)
		return -1;
	child->term = loop_signal_new(child->host.loop, SIGTERM, terminated, child, err);
	child->timeout = loop_timer_new(child->host.loop, timed_out, child, err);
	if (child->term == NULL || child->timeout == NULL)
		return -1;
	if (child->request->timeout_ms > 0)
		loop_timer_set(child->timeout,
			       clock_now(clock_system()).boot_ms + child->request->timeout_ms);
	child->sinks = child->config->files_count + child->config->socket_count > 0;
	if (child->sinks)
		flags |= HOST_SINKS;
	else
		/* Without sinks nothing is declared but what the child needs. */
		flags |= HOST_VERDICT_ENDS | (child->request->watch ? 0 : HOST_FIXED);
	return host_start(&child->host, child->config, flags, listener, err);
}

int child_broker_main(const struct config *config, const struct run_request *request, int channel)
{
	struct child child = { .config = config, .request = request };
	const struct broker_listener listener = { .progress = progress,
						  .closed = closed,
						  .context = &child };
	struct error err = ERROR_INIT;

	if (start(&child, channel, &listener, &err) == 0) {
		loop_run(child.host.loop);
	} else {
		child.status = error_exit_status(err.code);
		tell_launcher(&child, &err);
		child.timeout = loop_timer_free(child.timeout);
		child.term = loop_signal_free(child.term);
		child.sink = child_sink_free(child.sink);
	}
	variables_free(&child.variables);
	host_close(&child.host);
	return child.status;
}
