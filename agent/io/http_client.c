/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flight is one request with its reply: it waits in line, flies in one of the pool's two lanes,
 * and lands. The first lane has one connection that is kept for a while, the second has the others,
 * which go soon: bursts are fast and an idle pool costs nothing. What ends otherwise than by curl's
 * word (canceled, could not start) lands through a timer, so that `done` is never called from
 * within http_send or http_cancel.
 */
#include "agent/io/http_client.h"

#include <assert.h>
#include <sys/stat.h>

#include "agent/base/wipe.h"
#include "agent/io/http_flight.h"
#include "agent/io/http_lane.h"

enum { LANES = 2 };

/* The lanes of a pool, in the order in which they are filled. */
static const struct {
	unsigned connections;
	unsigned linger_ms;
} lane_kinds[LANES] = {
	{ 1, HTTP_IDLE_FIRST_MS },
	{ HTTP_CONNECTIONS_MAX - 1, HTTP_IDLE_OTHERS_MS },
};

struct http_client {
	struct loop *loop;
	const struct clock *clock;
	bool curl_started;
	bool threads_resolve; /* this libcurl looks names up in threads */
	size_t pools;
};

struct http_pool {
	uv_timer_t land; /* first: freed when closed */
	struct http_client *client;
	struct http_target target;
	struct http_lane *lanes[LANES];
	struct flights waiting, flying, landing;
	bool closing;
};

struct http_client *http_client_new(struct loop *loop, const struct clock *clock, struct error *err)
{
	struct http_client *client = calloc(1, sizeof(*client));

	if (client == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	client->loop = loop;
	client->clock = clock;
	return client;
}

struct http_client *http_client_free(struct http_client *client)
{
	if (client == NULL)
		return NULL;
	assert(client->pools == 0);
	if (client->curl_started)
		curl_global_cleanup();
	free(client);
	return NULL;
}

static int start_curl(struct http_client *client, struct error *err)
{
	const curl_version_info_data *version;

	if (client->curl_started)
		return 0;
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, wipe_malloc, wipe_free, wipe_realloc,
				 wipe_strdup, wipe_calloc) != CURLE_OK)
		return error_set(err, ERROR_EXHAUSTED, "cannot start libcurl");
	client->curl_started = true;
	version = curl_version_info(CURLVERSION_NOW);
	client->threads_resolve =
		(version->features & CURL_VERSION_ASYNCHDNS) != 0 && version->ares == NULL;
	return 0;
}

static void on_lane_completed(void *context, CURL *easy, CURLcode result);

static void pool_release(struct http_pool *pool)
{
	for (size_t i = 0; i < LANES; i++)
		pool->lanes[i] = http_lane_free(pool->lanes[i]);
	http_target_deinit(&pool->target);
	pool->client->pools--;
	loop_close_and_free((uv_handle_t *)&pool->land);
}

struct http_pool *http_pool_new(struct http_client *client, const struct endpoint *endpoint,
				struct x509_store_st *trust, struct error *err)
{
	struct http_pool *pool;

	if (start_curl(client, err) < 0)
		return NULL;
	pool = wipe_calloc(1, sizeof(*pool));
	if (pool == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	pool->client = client;
	client->pools++;
	TAILQ_INIT(&pool->waiting);
	TAILQ_INIT(&pool->flying);
	TAILQ_INIT(&pool->landing);
	(void)uv_timer_init(loop_uv(client->loop), &pool->land);

	if (http_target_init(&pool->target, endpoint, trust, err) < 0)
		return http_pool_free(pool);
	for (size_t i = 0; i < LANES; i++) {
		pool->lanes[i] =
			http_lane_new(client->loop, lane_kinds[i].connections,
				      lane_kinds[i].linger_ms, on_lane_completed, pool, err);
		if (pool->lanes[i] == NULL)
			return http_pool_free(pool);
	}
	return pool;
}

static void move_to(struct http_flight *flight, struct flights *list)
{
	if (flight->list != NULL)
		TAILQ_REMOVE(flight->list, flight, entry);
	flight->list = list;
	if (list != NULL)
		TAILQ_INSERT_TAIL(list, flight, entry);
}

static void give_back(struct http_flight *flight)
{
	http_lane_keep(flight->lane, flight->easy);
	flight->easy = NULL;
	flight->lane = NULL;
}

static void leave_lane(struct http_flight *flight)
{
	if (flight->lane == NULL)
		return;
	http_flight_note_sent(flight);
	http_lane_remove(flight->lane, flight->easy);
	give_back(flight);
}

/* The last thing that a flight sees; the pool may be gone after. */
static void touch_down(struct http_flight *flight, bool good)
{
	struct http_transfer *transfer = flight->transfer;

	move_to(flight, NULL);
	transfer->flight = NULL;
	transfer->done(transfer, good ? &flight->reply : NULL, good ? NULL : &flight->error);
	http_flight_free(flight);
}

static void pump(struct http_pool *pool);

static void on_land(uv_timer_t *timer)
{
	struct http_pool *pool = CONTAINER_OF(timer, struct http_pool, land);
	struct http_flight *flight;

	pump(pool);
	while ((flight = TAILQ_FIRST(&pool->landing)) != NULL)
		touch_down(flight, false);
}

static void land_later(struct http_flight *flight)
{
	struct http_pool *pool = flight->pool;

	move_to(flight, &pool->landing);
	(void)uv_timer_start(&pool->land, on_land, 0, 0);
}

struct http_pool *http_pool_free(struct http_pool *pool)
{
	struct http_flight *flight;

	if (pool == NULL)
		return NULL;
	pool->closing = true;
	TAILQ_CONCAT(&pool->landing, &pool->flying, entry);
	TAILQ_CONCAT(&pool->landing, &pool->waiting, entry);
	TAILQ_FOREACH(flight, &pool->landing, entry)
	{
		flight->list = &pool->landing;
		leave_lane(flight);
		(void)error_set(&flight->error, ERROR_CANCELED, "the request was canceled");
	}
	while ((flight = TAILQ_FIRST(&pool->landing)) != NULL)
		touch_down(flight, false);
	pool_release(pool);
	return NULL;
}

static void on_lane_completed(void *context, CURL *easy, CURLcode result)
{
	struct http_pool *pool = context;
	struct http_flight *flight = NULL;
	bool good;

	(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &flight);
	good = http_flight_conclude(flight, result) == 0;
	give_back(flight);
	pump(pool);
	touch_down(flight, good);
}

/* Look-ups that hang linger in threads of libcurl's after their transfer has ended; they are our
 * only threads, and a directory's link count tells how many there are without listing it. */
static bool too_many_resolvers(const struct http_pool *pool)
{
	struct stat st;

	if (!pool->target.named || !pool->client->threads_resolve ||
	    stat("/proc/self/task", &st) < 0)
		return false;
	return st.st_nlink > 2 + 1 + HTTP_RESOLVERS_MAX;
}

static int take_off(struct http_flight *flight, struct http_lane *lane)
{
	struct http_pool *pool = flight->pool;
	struct error *err = &flight->error;

	if (too_many_resolvers(pool))
		return error_set(
			err, ERROR_UNAVAILABLE,
			"%.150s cannot be looked up: %d look-ups wait for the name server in "
			"/etc/resolv.conf",
			pool->target.origin, HTTP_RESOLVERS_MAX);
	flight->easy = http_lane_take(lane);
	if (flight->easy == NULL)
		return error_no_memory(err);
	flight->lane = lane;
	http_flight_prepare(flight);
	if (http_lane_add(lane, flight->easy, err) < 0) {
		give_back(flight);
		return -1;
	}
	move_to(flight, &pool->flying);
	return 0;
}

static void pump(struct http_pool *pool)
{
	struct http_flight *flight;

	while (!pool->closing && (flight = TAILQ_FIRST(&pool->waiting)) != NULL) {
		size_t i = 0;

		while (i < LANES && http_lane_full(pool->lanes[i]))
			i++;
		if (i == LANES)
			return;
		if (take_off(flight, pool->lanes[i]) < 0)
			land_later(flight);
	}
}

int http_send(struct http_pool *pool, const struct request *request, int64_t timeout_ms,
	      struct http_transfer *transfer, struct error *err)
{
	struct http_flight *flight;

	if (pool->closing)
		return error_set(err, ERROR_CANCELED, "the request was canceled");
	flight = http_flight_new(&pool->target, pool->client->clock, request, timeout_ms, transfer,
				 err);
	if (flight == NULL)
		return -1;
	flight->pool = pool;
	transfer->request_sent = false;
	transfer->reply_began = false;
	transfer->flight = flight;
	move_to(flight, &pool->waiting);
	pump(pool);
	return 0;
}

void http_cancel(struct http_transfer *transfer)
{
	struct http_flight *flight = transfer->flight;

	if (flight == NULL)
		return;
	leave_lane(flight);
	(void)error_set(&flight->error, ERROR_CANCELED, "the request was canceled");
	land_later(flight);
}
