/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/oneshot.h"

#include <signal.h>

#include "agent/base/log.h"
#include "agent/publisher.h"

struct oneshot {
	const struct oneshot_request *request;
	struct host host;
	struct loop_timer *timeout;
	struct loop_signal *term, *interrupt;
	bool ending;
	int status;
	struct error *err;
};

static void end(struct oneshot *shot, int status)
{
	if (shot->ending)
		return;
	shot->ending = true;
	shot->status = status;
	shot->timeout = loop_timer_free(shot->timeout);
	shot->term = loop_signal_free(shot->term);
	shot->interrupt = loop_signal_free(shot->interrupt);
	broker_close(shot->host.broker,
		     shot->request->revoke && broker_lease_free(shot->host.broker));
}

static void fail(struct oneshot *shot, const struct store_entry *entry, const struct error *cause)
{
	*shot->err = *cause;
	if (entry != NULL)
		(void)error_wrap(shot->err, "secret '%s'", entry->spec->name);
	end(shot, error_exit_status(cause->code));
}

/* A file that the values at hand cannot make: waiting does not mend it. */
static const struct error *unwritable_file(const struct broker *broker)
{
	for (size_t i = 0; i < broker_publisher_count(broker); i++) {
		const struct files_problem *problem =
			publisher_problem(broker_publisher(broker, i));

		if (problem != NULL)
			return &problem->error;
	}
	return NULL;
}

/* For the sidecar after us; without it, it signs in itself. */
static void leave(const struct broker *broker)
{
	struct error err;

	if (broker_leave(broker, &err) < 0)
		log_warn("nothing is handed over, the sidecar will sign in itself", LOG_ERR(&err));
}

static void progress(void *context, struct broker *broker)
{
	struct oneshot *shot = context;
	const struct store_entry *entry = NULL;
	const struct error *verdict;
	int status = 0;

	if (shot->ending)
		return;
	verdict = broker_verdict(broker, &entry);
	if (verdict != NULL) {
		fail(shot, entry, verdict);
		return;
	}
	if (!store_ready(broker_store(broker)) || !broker_tried(broker))
		return;
	verdict = unwritable_file(broker);
	if (verdict != NULL) {
		fail(shot, NULL, verdict);
		return;
	}
	if (!broker_published(broker))
		return;
	if (shot->request->use != NULL)
		status =
			shot->request->use(shot->request->context, broker_store(broker), shot->err);
	if (status == 0 && (shot->request->flags & HOST_SINKS) != 0)
		leave(broker);
	end(shot, status);
}

static void closed(void *context)
{
	struct oneshot *shot = context;

	loop_stop(shot->host.loop);
}

static void timed_out(void *context)
{
	struct oneshot *shot = context;
	const struct store_entry *entry = NULL;
	struct error late;

	broker_give_up(shot->host.broker, shot->request->timeout_ms, &entry, &late);
	fail(shot, entry, &late);
}

static void interrupted(void *context, int number)
{
	end(context, 128 + number);
}

static int start(struct oneshot *shot)
{
	struct error *err = shot->err;

	if (host_open(&shot->host, err) < 0)
		return -1;
	shot->term = loop_signal_new(shot->host.loop, SIGTERM, interrupted, shot, err);
	shot->interrupt = loop_signal_new(shot->host.loop, SIGINT, interrupted, shot, err);
	shot->timeout = loop_timer_new(shot->host.loop, timed_out, shot, err);
	if (shot->term == NULL || shot->interrupt == NULL || shot->timeout == NULL)
		return -1;
	if (shot->request->timeout_ms > 0)
		loop_timer_set(shot->timeout,
			       clock_now(clock_system()).boot_ms + shot->request->timeout_ms);
	return 0;
}

int oneshot_run(const struct oneshot_request *request, struct error *err)
{
	struct oneshot shot = { .request = request, .err = err };
	const struct broker_listener listener = { .progress = progress,
						  .closed = closed,
						  .context = &shot };
	int started = start(&shot);

	if (started == 0)
		started = host_start(&shot.host, request->config, request->flags | HOST_ONCE,
				     &listener, err);
	if (started < 0) {
		shot.status = error_exit_status(err->code);
		shot.timeout = loop_timer_free(shot.timeout);
		shot.term = loop_signal_free(shot.term);
		shot.interrupt = loop_signal_free(shot.interrupt);
	} else {
		loop_run(shot.host.loop);
	}
	host_close(&shot.host);
	return shot.status;
}
