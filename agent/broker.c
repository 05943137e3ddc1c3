/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that happens ends in one tick: sessions, tasks and publishers do what is due and say
 * when they are due next; the earliest becomes the timer's deadline. Callbacks only note what
 * happened and ask for a tick.
 */
#include "agent/broker.h"

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/hand_over.h"
#include "agent/parts.h"

enum {
	BATCH_MS = 20, /* versions that arrive within this time make one generation */
	/* Each generation is written whole, and the first should have all: what is in flight at the
	 * start holds it back while others arrive, so long after the last and so long in all. */
	START_QUIET_MS = 500,
	START_MOST_MS = 5000,
	REVOKE_MS = 2000,
};

struct broker {
	struct broker_setup setup;
	struct parts_world world;
	struct http_client *client;
	struct loop_timer *timer;
	struct parts *parts;

	bool ticking;
	bool again;
	bool first_batch_done;
	bool started; /* every secret was tried */
	bool news;    /* something settled since the last batch */
	bool changed; /* versions among it */
	int64_t batch_at;
	int64_t batch_latest; /* of a batch of the start */
	uint64_t orphans;
	unsigned revoking;
	bool closing;
	int64_t close_at;
};

/* ---- what the parts tell ---- */

static void wake(void *context)
{
	struct broker *broker = context;

	/* What wakes a tick that is under way may have been looked at already. */
	broker->again = true;
	if (!broker->ticking)
		loop_timer_set(broker->timer, clock_now(broker->setup.clock).boot_ms);
}

static void plan_batch(struct broker *broker)
{
	int64_t now = clock_now(broker->setup.clock).boot_ms;
	bool first = broker->batch_at == DEADLINE_NEVER;

	if (first)
		broker->batch_latest = now + START_MOST_MS;
	if (!broker->started)
		broker->batch_at = deadline_earlier(now + START_QUIET_MS, broker->batch_latest);
	else if (first)
		broker->batch_at = now + BATCH_MS;
}

static void task_settled(void *context, struct task *task, bool changed)
{
	struct broker *broker = context;

	if (changed)
		broker_views_published(broker->parts->views, task->entry);
	broker->news = true;
	broker->changed |= changed;
	plan_batch(broker);
	wake(broker);
}

static void orphaned(void *context)
{
	struct broker *broker = context;

	broker->orphans++;
}

static void session_changed(void *context, struct session *session, bool replaced)
{
	struct broker *broker = context;
	struct parts *parts = broker->parts;

	for (size_t i = 0; i < parts->store.count; i++)
		if (parts->tasks[i].source->session == session)
			task_session_changed(&parts->tasks[i], replaced);
	wake(broker);
}

static void session_confirmed(void *context, struct session *session)
{
	struct broker *broker = context;
	struct parts *parts = broker->parts;

	for (size_t i = 0; i < parts->store.count; i++)
		if (parts->tasks[i].source->session == session)
			task_session_confirmed(&parts->tasks[i]);
	wake(broker);
}

/* ---- the tick ---- */

static bool all_attempted(const struct parts *parts)
{
	for (size_t i = 0; i < parts->store.count; i++)
		if (!parts->tasks[i].attempted)
			return false;
	return true;
}

static bool batch_is_due(const struct broker *broker, struct stamp now)
{
	if (!broker->started && all_attempted(broker->parts))
		return true;
	return broker->news && broker->batch_at <= now.boot_ms;
}

static void flush(struct broker *broker)
{
	struct parts *parts = broker->parts;
	bool changed = broker->changed || !broker->first_batch_done;

	broker->first_batch_done = true;
	broker->started = broker->started || all_attempted(parts);
	broker->news = false;
	broker->changed = false;
	broker->batch_at = DEADLINE_NEVER;
	if (!changed)
		return;
	parts->store.generation++;
	for (size_t i = 0; i < parts->publisher_count; i++)
		publisher_wake(parts->publishers[i]);
}

static int64_t tick_sessions(struct parts *parts)
{
	int64_t next = DEADLINE_NEVER;

	for (size_t i = 0; i < parts->source_count; i++)
		next = deadline_earlier(next, session_tick(parts->sources[i].session));
	return next;
}

static int64_t tick_tasks(struct parts *parts, struct stamp now)
{
	int64_t next = DEADLINE_NEVER;

	for (size_t i = 0; i < parts->store.count; i++)
		next = deadline_earlier(next, task_tick(&parts->tasks[i], now));
	return next;
}

static int64_t tick_publishers(struct parts *parts, struct stamp now)
{
	int64_t next = DEADLINE_NEVER;

	for (size_t i = 0; i < parts->publisher_count; i++)
		next = deadline_earlier(next, publisher_tick(parts->publishers[i], now));
	return next;
}

static void close_parts(struct broker *broker)
{
	broker->parts = parts_free(broker->parts);
	if (broker->client != NULL)
		broker->client = http_client_free(broker->client);
	if (broker->timer != NULL)
		broker->timer = loop_timer_free(broker->timer);
}

static void tick_closing(struct broker *broker, struct stamp now)
{
	if (broker->revoking > 0 && now.boot_ms < broker->close_at) {
		loop_timer_set(broker->timer, broker->close_at);
		return;
	}
	close_parts(broker);
	if (broker->setup.listener->closed != NULL)
		broker->setup.listener->closed(broker->setup.listener->context);
}

static void tick(void *context)
{
	struct broker *broker = context;
	struct stamp now = clock_now(broker->setup.clock);
	bool flushed = false;
	int64_t next;

	if (broker->closing) {
		tick_closing(broker, now);
		return;
	}
	broker->ticking = true;
	broker->again = false;
	(void)tick_sessions(broker->parts);
	next = tick_tasks(broker->parts, now);
	/* Again: a task may just have asked for its session. */
	next = deadline_earlier(next, tick_sessions(broker->parts));
	if (batch_is_due(broker, now)) {
		flush(broker);
		flushed = true;
	}
	next = deadline_earlier(next, tick_publishers(broker->parts, now));
	if (flushed)
		broker_views_changed(broker->parts->views);
	broker->ticking = false;
	next = deadline_earlier(next, broker->batch_at);
	loop_timer_set(broker->timer, broker->again ? now.boot_ms : next);
	if (broker->setup.listener->progress != NULL)
		broker->setup.listener->progress(broker->setup.listener->context, broker);
}

/* ---- life ---- */

/* Puts parts that were opened, and are the broker's from now on, in the place of those before. */
static int install(struct broker *broker, struct parts *parts, const struct config *config,
		   struct error *err)
{
	if (broker->parts != NULL)
		parts_adopt(parts, broker->parts);
	else if (broker->setup.sinks && config->hand_over != NULL)
		hand_over_take(parts, config->hand_over, broker->setup.clock);
	if (broker->setup.sinks && !broker->setup.once) {
		struct broker_views *old = broker->parts != NULL ? broker->parts->views : NULL;

		parts->views =
			broker_views_new(&parts->store, broker, &broker->setup, config, old, err);
		if (parts->views == NULL) {
			parts = parts_free(parts);
			return -1;
		}
	}
	(void)parts_free(broker->parts);
	broker->parts = parts;
	return 0;
}

struct broker *broker_new(const struct broker_setup *setup, struct error *err)
{
	struct broker *broker = calloc(1, sizeof(*broker));
	struct parts *parts;

	if (broker == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	broker->setup = *setup;
	broker->batch_at = DEADLINE_NEVER;
	broker->world = (struct parts_world){
		.setup = &broker->setup,
		.client = &broker->client,
		.session_listener = { .changed = session_changed,
				      .confirmed = session_confirmed,
				      .wake = wake,
				      .context = broker },
		.task_listener = { task_settled, wake, orphaned, broker },
		.hooks = setup->listener->hooks,
	};
	broker->timer = loop_timer_new(setup->loop, tick, broker, err);
	if (broker->timer == NULL)
		return broker_free(broker);
	loop_timer_heed_steps(broker->timer);
	parts = parts_new(&broker->world, setup->config, err);
	if (parts == NULL || install(broker, parts, setup->config, err) < 0)
		return broker_free(broker);
	return broker;
}

void broker_start(struct broker *broker)
{
	wake(broker);
}

int broker_reconfigure(struct broker *broker, const struct config *config, broker_gate_fn *gate,
		       void *context, struct error *err)
{
	struct parts *parts = parts_new(&broker->world, config, err);

	if (parts == NULL)
		return -1;
	if (gate(context, parts->sources, parts->source_count, err) < 0) {
		(void)parts_free(parts);
		return -1;
	}
	if (install(broker, parts, config, err) < 0)
		return -1;
	/* Everything that was in flight is gone; what has no version yet is fetched, and all of it
	 * published. */
	broker->first_batch_done = false;
	broker->started = false;
	broker->batch_at = DEADLINE_NEVER;
	plan_batch(broker);
	broker->news = true;
	wake(broker);
	return 0;
}

int broker_leave(const struct broker *broker, struct error *err)
{
	const char *directory = broker->parts->config->hand_over;

	return directory != NULL ? hand_over_leave(broker->parts, directory, err) : 0;
}

static void revoked(void *context)
{
	struct broker *broker = context;

	broker->revoking--;
	wake(broker);
}

void broker_close(struct broker *broker, bool revoke)
{
	if (broker->closing)
		return;
	broker->closing = true;
	broker->close_at = clock_now(broker->setup.clock).boot_ms + REVOKE_MS;
	for (size_t i = 0; revoke && i < broker->parts->source_count; i++)
		broker->revoking +=
			session_revoke(broker->parts->sources[i].session, revoked, broker);
	wake(broker);
}

struct broker *broker_free(struct broker *broker)
{
	if (broker == NULL)
		return NULL;
	close_parts(broker);
	free(broker);
	return NULL;
}

/* ---- what others may know ---- */

const struct store *broker_store(const struct broker *broker)
{
	return &broker->parts->store;
}

bool broker_tried(const struct broker *broker)
{
	return all_attempted(broker->parts);
}

bool broker_ready(const struct broker *broker)
{
	const struct parts *parts = broker->parts;

	for (size_t i = 0; i < parts->publisher_count; i++)
		if (!publisher_stands(parts->publishers[i]))
			return false;
	return store_ready(&parts->store);
}

bool broker_published(const struct broker *broker)
{
	if (!broker->first_batch_done || broker->news)
		return false;
	for (size_t i = 0; i < broker->parts->publisher_count; i++)
		if (!publisher_done(broker->parts->publishers[i]))
			return false;
	return true;
}

const struct error *broker_verdict(const struct broker *broker, const struct store_entry **ret)
{
	const struct parts *parts = broker->parts;

	for (size_t i = 0; i < parts->store.count; i++) {
		const struct store_entry *entry = &parts->store.entries[i];

		if (entry->version != NULL || entry->spec->optional || !parts->tasks[i].attempted ||
		    !error_is_final(entry->error.code))
			continue;
		*ret = entry;
		return &entry->error;
	}
	return NULL;
}

/* What keeps us waiting when every secret is there: a directory that takes no files, say. */
static const struct error *publishing_trouble(const struct parts *parts)
{
	for (size_t i = 0; i < parts->publisher_count; i++) {
		const struct error *trouble = publisher_error(parts->publishers[i]);

		if (trouble->code != ERROR_NONE)
			return trouble;
	}
	return NULL;
}

const struct error *broker_trouble(const struct broker *broker, const struct store_entry **ret)
{
	const struct error *trouble = broker_verdict(broker, ret);
	const struct store *store = &broker->parts->store;

	for (size_t i = 0; trouble == NULL && i < store->count; i++) {
		if (store->entries[i].version != NULL || store->entries[i].spec->optional)
			continue;
		*ret = &store->entries[i];
		trouble = &store->entries[i].error;
	}
	return trouble != NULL ? trouble : publishing_trouble(broker->parts);
}

void broker_give_up(const struct broker *broker, int64_t waited_ms,
		    const struct store_entry **entry, struct error *ret)
{
	const struct error *trouble = broker_trouble(broker, entry);
	AUTO(buf_deinit) struct buf waited = BUF_INIT(64);
	enum error_code code = ERROR_UNAVAILABLE;

	text_write_duration(&waited, waited_ms);
	if (trouble == NULL || trouble->code == ERROR_NONE) {
		(void)error_set(ret, code, "no answer within %s", buf_string(&waited));
		return;
	}
	if (error_is_final(trouble->code))
		code = trouble->code;
	/* What is not there is a directory of a sink, no secret. */
	if (*entry == NULL && code == ERROR_NOT_FOUND)
		code = ERROR_INVALID;
	(void)error_set(ret, code, "not within %s: %s", buf_string(&waited), trouble->text);
}

bool broker_lease_free(const struct broker *broker)
{
	const struct store *store = &broker->parts->store;

	for (size_t i = 0; i < store->count; i++)
		if (store->entries[i].version != NULL &&
		    store->entries[i].version->lease.kind == LEASE_TIMED)
			return false;
	return true;
}

uint64_t broker_orphans(const struct broker *broker)
{
	return broker->orphans;
}

size_t broker_source_count(const struct broker *broker)
{
	return broker->parts->source_count;
}

const struct source *broker_source(const struct broker *broker, size_t i)
{
	return &broker->parts->sources[i];
}

size_t broker_publisher_count(const struct broker *broker)
{
	return broker->parts->publisher_count;
}

const struct publisher *broker_publisher(const struct broker *broker, size_t i)
{
	return broker->parts->publishers[i];
}
