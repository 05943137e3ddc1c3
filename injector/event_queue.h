#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events on the owners of pods that were refused, or that a warning was given for: whoever writes a
 * Deployment never sees the answer that its ReplicaSet gets. Which ones, when, and how they are
 * asked for, as a step function; no socket in sight.
 *
 * What repeats itself is one Event that is counted up. An owner is told at most once every
 * EVENT_OWNER_MS, and a place is given up no sooner than that, so at most EVENT_SERIES_MAX requests
 * go out in this time, whatever is asked of us.
 */
#include "agent/base/clock.h"
#include "agent/base/message.h"
#include "injector/review.h"

#define EVENT_SERIES_MAX    128 /* that wait, or were told less than EVENT_OWNER_MS ago */
#define EVENT_PER_OWNER	    4	/* of these */
#define EVENT_PER_NAMESPACE 32	/* of these: nobody may take everybody's place */
#define EVENT_OWNER_MS	    30000
#define EVENT_FAILURES_MAX                                                                         \
	5 /* in a row, of reaching the API server; from then on each costs one                     \
	   */

enum event_drop {
	EVENT_DROP_FULL,
	EVENT_DROP_OWNER,
	EVENT_DROP_NAMESPACE,
	EVENT_DROP_REFUSED,	/* the API server does not take it */
	EVENT_DROP_UNREACHABLE, /* the API server does not answer */
	EVENT_DROPS,
};

struct event_counts {
	uint64_t sent; /* created, or counted up */
	uint64_t dropped[EVENT_DROPS];
};

enum event_next {
	EVENT_SEND, /* `event_queue_request`, and step again with its reply */
	EVENT_REST, /* until `event_queue_wake_ms`, and step again with NULL */
};

struct event_queue;
struct event_queue *event_queue_new(const struct clock *clock, struct error *err) MUST_USE;
struct event_queue *event_queue_free(struct event_queue *queue); /* returns NULL */

/* Takes what is worth an Event, and nothing of a dry run or of a pod that nobody owns. Copies, and
 * asks nobody for anything: to be called from within an answer. True when it took note: the wake-up
 * may be another then. */
bool event_queue_add(struct event_queue *queue, const struct review_outcome *outcome);

/* `reply` is NULL at a wake-up, and after a request that got none: then `failed` says why. */
enum event_next event_queue_step(struct event_queue *queue, const struct reply *reply,
				 const struct error *failed);
const struct request *event_queue_request(const struct event_queue *queue);

/* Boot time; DEADLINE_NEVER when nothing waits, or a reply is waited for. */
int64_t event_queue_wake_ms(const struct event_queue *queue);

/* Why something was dropped first since something last went well; code ERROR_NONE: nothing was. */
const struct error *event_queue_problem(const struct event_queue *queue);

const struct event_counts *event_queue_counts(const struct event_queue *queue);
/* "queue_full" */
const char *event_drop_name(enum event_drop drop);
