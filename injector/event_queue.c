/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A series is one Event: what is said of whom, how often it happened, and how much of that the API
 * server knows. One that has happened more often than was told waits; the others are kept to count
 * up what comes again, until somebody needs their place.
 */
#include "injector/event_queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/schedule.h"
#include "agent/base/text.h"

#define COMPONENT   "secrets-agent-injector"
#define JSON_TYPE   "Content-Type: application/json\n"
#define MERGE_PATCH "Content-Type: application/merge-patch+json\n"

enum {
	OK = 200,
	CREATED = 201,
	UNAUTHORIZED = 401,
	NOT_FOUND = 404,
	CONFLICT = 409,
	TOO_MANY = 429,
	SERVER = 500,
};

struct series {
	bool used;
	char namespace[REVIEW_NAMESPACE_MAX];
	struct review_owner owner;
	enum mutate_verdict verdict;
	char message[REVIEW_TEXT_MAX];
	uint64_t id;  /* of its name */
	bool created; /* it is there to be counted up */
	int64_t first_real_ms, last_real_ms;
	uint64_t count, told;
	int64_t due_ms; /* boot time: not told again, nor its place given up, before */
};

struct event_queue {
	const struct clock *clock;
	struct series series[EVENT_SERIES_MAX];
	struct series *asked; /* NULL: no request is out */
	uint64_t asked_count; /* what it tells */
	struct request request;
	unsigned failures; /* in a row, of a server that cannot be reached */
	int64_t not_before_ms;
	struct error problem;
	struct event_counts counts;
};

struct event_queue *event_queue_new(const struct clock *clock, struct error *err)
{
	struct event_queue *queue = calloc(1, sizeof(*queue));

	if (queue == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	queue->clock = clock;
	queue->request = REQUEST_INIT;
	return queue;
}

struct event_queue *event_queue_free(struct event_queue *queue)
{
	if (queue == NULL)
		return NULL;
	request_deinit(&queue->request);
	free(queue);
	return NULL;
}

/* ---- what is taken ---- */

/* It becomes part of a path: what is no label of DNS names no namespace. */
static bool is_label(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len > 0 && text[len] == '\0';
}

static bool is_worth_it(const struct review_outcome *outcome)
{
	return !outcome->dry_run && outcome->text[0] != '\0' && outcome->owner.uid[0] != '\0' &&
	       is_label(outcome->namespace);
}

static bool waits(const struct series *series)
{
	return series->count > series->told;
}

/* Its place is its own still. */
static bool is_held(const struct series *series, int64_t now_ms)
{
	return series->used && (waits(series) || series->due_ms > now_ms);
}

static bool same_owner(const struct series *series, const char *namespace, const char *uid)
{
	return series->used && strcmp(series->namespace, namespace) == 0 &&
	       strcmp(series->owner.uid, uid) == 0;
}

/* What is known of the one that is to be told. */
struct neighbours {
	struct series *same; /* says the same of it; NULL: none does */
	size_t of_owner, of_namespace;
	int64_t due_ms; /* it may not be told anything before */
};

static struct neighbours look(struct event_queue *queue, const struct review_outcome *outcome,
			      int64_t now_ms)
{
	struct neighbours found = { .due_ms = now_ms };

	for (size_t i = 0; i < EVENT_SERIES_MAX; i++) {
		struct series *series = &queue->series[i];
		bool owned = same_owner(series, outcome->namespace, outcome->owner.uid);

		if (owned && series->verdict == outcome->verdict &&
		    strcmp(series->message, outcome->text) == 0)
			found.same = series;
		if (!is_held(series, now_ms))
			continue;
		if (owned && series->due_ms > found.due_ms)
			found.due_ms = series->due_ms;
		found.of_owner += owned;
		found.of_namespace += strcmp(series->namespace, outcome->namespace) == 0;
	}
	return found;
}

/* The place of nobody, else of the series that was told the longest ago, else NULL. */
static struct series *find_place(struct event_queue *queue, int64_t now_ms)
{
	struct series *found = NULL;

	for (size_t i = 0; i < EVENT_SERIES_MAX; i++) {
		struct series *series = &queue->series[i];

		if (!series->used)
			return series;
		if (!is_held(series, now_ms) && (found == NULL || series->due_ms < found->due_ms))
			found = series;
	}
	return found;
}

static struct series *drop(struct event_queue *queue, enum event_drop why)
{
	queue->counts.dropped[why]++;
	return NULL;
}

/* NULL: there is none, and that is counted. */
static struct series *take_place(struct event_queue *queue, const struct neighbours *near,
				 int64_t now_ms)
{
	struct series *place;

	if (near->of_owner >= EVENT_PER_OWNER)
		return drop(queue, EVENT_DROP_OWNER);
	if (near->of_namespace >= EVENT_PER_NAMESPACE)
		return drop(queue, EVENT_DROP_NAMESPACE);
	place = find_place(queue, now_ms);
	return place != NULL ? place : drop(queue, EVENT_DROP_FULL);
}

bool event_queue_add(struct event_queue *queue, const struct review_outcome *outcome)
{
	struct stamp now = clock_now(queue->clock);
	struct neighbours near;
	struct series *series;

	if (!is_worth_it(outcome))
		return false;
	near = look(queue, outcome, now.boot_ms);
	if (near.same != NULL) {
		near.same->count++;
		near.same->last_real_ms = now.real_ms;
		return true;
	}
	series = take_place(queue, &near, now.boot_ms);
	if (series == NULL)
		return false;
	*series = (struct series){
		.used = true,
		.owner = outcome->owner,
		.verdict = outcome->verdict,
		.id = queue->clock->random(queue->clock),
		.first_real_ms = now.real_ms,
		.last_real_ms = now.real_ms,
		.count = 1,
		.due_ms = near.due_ms,
	};
	memcpy(series->namespace, outcome->namespace, sizeof(series->namespace));
	memcpy(series->message, outcome->text, sizeof(series->message));
	return true;
}

/* ---- what is asked ---- */

static void put_string(struct buf *out, const char *key, const char *text)
{
	buf_printf(out, "\"%s\":", key);
	text_write_json(out, text, strlen(text));
	buf_putc(out, ',');
}

static void put_time(struct buf *out, const char *key, int64_t real_ms)
{
	buf_printf(out, "\"%s\":\"", key);
	text_write_time(out, real_ms);
	buf_puts(out, "\",");
}

static const char *reason_of(enum mutate_verdict verdict)
{
	static const char *const reasons[MUTATE_VERDICTS] = {
		[MUTATE_SKIP] = "SecretsNotInjected",
		[MUTATE_INJECT] = "SecretsInjectedWithWarnings",
		[MUTATE_REFUSE] = "PodRefused",
	};

	return reasons[verdict];
}

/* The name is no word of the pod's: it stands in a path later. */
static void put_name(struct buf *out, const struct series *series)
{
	buf_printf(out, COMPONENT ".%016" PRIx64, series->id);
}

static void ask_create(struct event_queue *queue, const struct series *series)
{
	struct buf *body = &queue->request.body;

	queue->request.method = "POST";
	queue->request.once = true;
	buf_puts(&queue->request.headers, JSON_TYPE);
	buf_puts(body, "{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{\"name\":\"");
	put_name(body, series);
	buf_printf(body, "\",\"namespace\":\"%s\"},\"involvedObject\":{", series->namespace);
	put_string(body, "apiVersion", series->owner.api_version);
	put_string(body, "kind", series->owner.kind);
	put_string(body, "name", series->owner.name);
	put_string(body, "uid", series->owner.uid);
	buf_printf(body, "\"namespace\":\"%s\"},", series->namespace);
	put_string(body, "reason", reason_of(series->verdict));
	put_string(body, "message", series->message);
	put_time(body, "firstTimestamp", series->first_real_ms);
	put_time(body, "lastTimestamp", series->last_real_ms);
	buf_printf(body,
		   "\"count\":%" PRIu64
		   ",\"type\":\"Warning\",\"source\":{\"component\":"
		   "\"" COMPONENT "\"},\"reportingComponent\":\"" COMPONENT "\"}",
		   series->count);
}

static void ask_count(struct event_queue *queue, const struct series *series)
{
	struct buf *body = &queue->request.body;

	queue->request.method = "PATCH";
	buf_puts(&queue->request.headers, MERGE_PATCH);
	buf_putc(&queue->request.path, '/');
	put_name(&queue->request.path, series);
	buf_putc(body, '{');
	put_time(body, "lastTimestamp", series->last_real_ms);
	buf_printf(body, "\"count\":%" PRIu64 "}", series->count);
}

static enum event_next ask(struct event_queue *queue, struct series *series)
{
	request_reset(&queue->request);
	buf_printf(&queue->request.path, "/api/v1/namespaces/%s/events", series->namespace);
	if (series->created)
		ask_count(queue, series);
	else
		ask_create(queue, series);
	queue->asked = series;
	queue->asked_count = series->count;
	return EVENT_SEND;
}

/* ---- what is answered ---- */

/* Whatever the answer was, this owner is left alone for a while. */
static void settle(struct event_queue *queue, struct series *series, uint64_t told)
{
	int64_t next_ms = clock_now(queue->clock).boot_ms + EVENT_OWNER_MS;

	series->told = told;
	for (size_t i = 0; i < EVENT_SERIES_MAX; i++)
		if (same_owner(&queue->series[i], series->namespace, series->owner.uid))
			queue->series[i].due_ms = next_ms;
}

static void give_up(struct event_queue *queue, struct series *series, enum event_drop why,
		    const struct error *err)
{
	if (queue->problem.code == ERROR_NONE)
		queue->problem = *err;
	(void)drop(queue, why);
	settle(queue, series, queue->asked_count);
}

/* The server is not there, or busy: nobody is told anything for a while. */
static void postpone(struct event_queue *queue, struct series *series, const struct error *err)
{
	queue->not_before_ms = clock_now(queue->clock).boot_ms +
			       schedule_retry_ms(queue->clock, err, ++queue->failures);
	if (queue->failures >= EVENT_FAILURES_MAX)
		give_up(queue, series, EVENT_DROP_UNREACHABLE, err);
}

static void was_told(struct event_queue *queue, struct series *series)
{
	queue->counts.sent++;
	queue->failures = 0;
	queue->problem = ERROR_INIT;
	series->created = true;
	settle(queue, series, queue->asked_count);
}

/* Events end after an hour: what came since is a new one. */
static void begin_anew(struct event_queue *queue, struct series *series)
{
	series->created = false;
	series->id = queue->clock->random(queue->clock);
	series->count -= series->told;
	series->first_real_ms = series->last_real_ms;
	settle(queue, series, 0);
}

static void refused(struct event_queue *queue, struct series *series, const struct reply *reply)
{
	bool later = reply->status == UNAUTHORIZED || reply->status == TOO_MANY ||
		     reply->status >= SERVER;
	struct error err = ERROR_INIT;

	(void)error_set(&err, later ? ERROR_UNAVAILABLE : ERROR_DENIED,
			"%s %s: the API server answered %d (does the service account have the "
			"chart's role?)",
			queue->request.method, buf_string(&queue->request.path), reply->status);
	if (reply->retry_after_ms > 0)
		err.retry_after_ms = (uint32_t)reply->retry_after_ms;
	if (later)
		postpone(queue, series, &err);
	else
		give_up(queue, series, EVENT_DROP_REFUSED, &err);
}

static void take(struct event_queue *queue, const struct reply *reply, const struct error *failed)
{
	struct series *series = queue->asked;

	queue->asked = NULL;
	if (reply == NULL) {
		postpone(queue, series, failed);
	} else if (reply->status == OK || reply->status == CREATED) {
		was_told(queue, series);
	} else if (series->created && reply->status == NOT_FOUND) {
		begin_anew(queue, series);
	} else if (!series->created && reply->status == CONFLICT) {
		/* An answer was lost, the Event was not. */
		series->created = true;
		settle(queue, series, 0);
	} else {
		refused(queue, series, reply);
	}
}

/* When it is `index`' turn; DEADLINE_NEVER: it does not wait. */
static int64_t due_of(const struct event_queue *queue, size_t index)
{
	const struct series *series = &queue->series[index];

	return waits(series) ? series->due_ms : DEADLINE_NEVER;
}

static size_t first_due(const struct event_queue *queue)
{
	size_t first = 0;

	for (size_t i = 1; i < EVENT_SERIES_MAX; i++)
		if (due_of(queue, i) < due_of(queue, first))
			first = i;
	return first;
}

enum event_next event_queue_step(struct event_queue *queue, const struct reply *reply,
				 const struct error *failed)
{
	int64_t now_ms = clock_now(queue->clock).boot_ms;

	if (queue->asked != NULL)
		take(queue, reply, failed);
	if (event_queue_wake_ms(queue) > now_ms)
		return EVENT_REST;
	return ask(queue, &queue->series[first_due(queue)]);
}

const struct request *event_queue_request(const struct event_queue *queue)
{
	return &queue->request;
}

int64_t event_queue_wake_ms(const struct event_queue *queue)
{
	int64_t due_ms = queue->asked == NULL ? due_of(queue, first_due(queue)) : DEADLINE_NEVER;

	return due_ms > queue->not_before_ms ? due_ms : queue->not_before_ms;
}

const struct error *event_queue_problem(const struct event_queue *queue)
{
	return &queue->problem;
}

const struct event_counts *event_queue_counts(const struct event_queue *queue)
{
	return &queue->counts;
}

const char *event_drop_name(enum event_drop drop)
{
	static const char *const names[EVENT_DROPS] = {
		[EVENT_DROP_FULL] = "queue_full",	    [EVENT_DROP_OWNER] = "owner_limit",
		[EVENT_DROP_NAMESPACE] = "namespace_limit", [EVENT_DROP_REFUSED] = "refused",
		[EVENT_DROP_UNREACHABLE] = "unreachable",
	};

	return names[drop];
}
