/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/event_sender.h"

#include <stdlib.h>

#include "agent/base/log.h"
#include "agent/base/metrics.h"
#include "agent/io/loop.h"

struct event_sender {
	struct kube *kube;
	struct event_queue *queue;
	struct kube_call call;
	struct loop_timer *timer;
	bool sending;
	bool said; /* that something is wrong */
};

/* Said once, until it went well again. */
static void say_problem(struct event_sender *sender)
{
	const struct error *problem = event_queue_problem(sender->queue);

	if (problem->code != ERROR_NONE && !sender->said)
		log_warn("an Event is dropped", LOG_ERR(problem));
	sender->said = problem->code != ERROR_NONE;
}

static void step(struct event_sender *sender, const struct reply *reply, const struct error *failed)
{
	struct error err = ERROR_INIT;
	enum event_next next = event_queue_step(sender->queue, reply, failed);

	/* What cannot be sent is an answer too; the queue then rests. */
	while (next == EVENT_SEND &&
	       kube_send(sender->kube, event_queue_request(sender->queue), &sender->call, &err) < 0)
		next = event_queue_step(sender->queue, NULL, &err);
	sender->sending = next == EVENT_SEND;
	say_problem(sender);
	loop_timer_set(sender->timer, event_queue_wake_ms(sender->queue));
}

static void on_reply(struct kube_call *call, const struct reply *reply, const struct error *err)
{
	struct event_sender *sender = CONTAINER_OF(call, struct event_sender, call);

	if (reply != NULL || err->code != ERROR_CANCELED) /* else we are ending */
		step(sender, reply, err);
}

/* It also fires when the clock was stepped, and an answer may still be waited for. */
static void on_timer(void *context)
{
	struct event_sender *sender = context;

	if (!sender->sending)
		step(sender, NULL, NULL);
}

struct event_sender *event_sender_new(struct loop *loop, const struct clock *clock,
				      struct kube *kube, struct error *err)
{
	struct event_sender *sender = calloc(1, sizeof(*sender));

	if (sender == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	sender->kube = kube;
	sender->call.done = on_reply;
	sender->queue = event_queue_new(clock, err);
	if (sender->queue == NULL)
		return event_sender_free(sender);
	sender->timer = loop_timer_new(loop, on_timer, sender, err);
	return sender->timer != NULL ? sender : event_sender_free(sender);
}

struct event_sender *event_sender_free(struct event_sender *sender)
{
	if (sender == NULL)
		return NULL;
	sender->timer = loop_timer_free(sender->timer);
	sender->queue = event_queue_free(sender->queue);
	free(sender);
	return NULL;
}

void event_sender_add(struct event_sender *sender, const struct review_outcome *outcome)
{
	if (sender != NULL && event_queue_add(sender->queue, outcome))
		loop_timer_set(sender->timer, event_queue_wake_ms(sender->queue));
}

void event_sender_write_metrics(const struct event_sender *sender, struct buf *out)
{
	static const struct event_counts none;
	const struct event_counts *counts =
		sender != NULL ? event_queue_counts(sender->queue) : &none;

	metrics_family(out, "injector_events_sent_total", METRIC_COUNTER,
		       "Events created on owners of pods, or counted up.");
	metrics_number(out, "injector_events_sent_total", NULL, (int64_t)counts->sent);
	metrics_family(out, "injector_events_dropped_total", METRIC_COUNTER,
		       "Events that nobody will see, by reason.");
	for (unsigned drop = 0; drop < EVENT_DROPS; drop++)
		metrics_number(out, "injector_events_dropped_total",
			       METRIC_LABELS({ "reason", event_drop_name((enum event_drop)drop) }),
			       (int64_t)counts->dropped[drop]);
}
