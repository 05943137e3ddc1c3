/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl says which sockets and which time-out it waits for; libuv says when one of them has come;
 * libcurl is told and then asked, each time, whether a transfer has ended. Nothing but this
 * exchange happens inside curl's callbacks: transfers are added and removed only by whoever is
 * called from `drain`, or from outside.
 *
 * libcurl 7.88 cannot be told to close connections that have been idle for a while. Giving the
 * whole curl_multi back does close them, and its memory returns too; the next transfer makes a new
 * one.
 */
#include "agent/io/http_lane.h"

#include <malloc.h>
#include <sys/queue.h>

#include "agent/base/wipe.h"
#include "agent/io/http_client.h"

struct socket_watch {
	uv_poll_t poll; /* first: freed when closed */
	LIST_ENTRY(socket_watch) entry;
	struct http_lane *lane;
	curl_socket_t fd;
};

struct http_lane {
	uv_timer_t timeout; /* first: freed when both are closed */
	uv_timer_t linger;
	unsigned open_handles;
	unsigned connections;
	unsigned running;
	unsigned linger_ms;
	CURLM *multi; /* NULL: nothing is connected */
	CURL *spare[HTTP_CONNECTIONS_MAX];
	unsigned spare_count;
	LIST_HEAD(, socket_watch) watches;
	http_lane_fn *completed;
	void *context;
};

static void drop_spares(struct http_lane *lane)
{
	while (lane->spare_count > 0)
		curl_easy_cleanup(lane->spare[--lane->spare_count]);
}

static void close_multi(struct http_lane *lane)
{
	struct socket_watch *watch;

	drop_spares(lane);
	if (lane->multi == NULL)
		return;
	(void)curl_multi_cleanup(lane->multi);
	lane->multi = NULL;
	(void)uv_timer_stop(&lane->timeout);
	while ((watch = LIST_FIRST(&lane->watches)) != NULL) {
		LIST_REMOVE(watch, entry);
		loop_close_and_free((uv_handle_t *)&watch->poll);
	}
}

static void on_linger(uv_timer_t *timer)
{
	struct http_lane *lane = CONTAINER_OF(timer, struct http_lane, linger);

	if (lane->running > 0)
		return;
	close_multi(lane);
	/* A burst leaves its memory in pieces among what stays, and free() returns only the end of
	 * the heap. */
	(void)malloc_trim(0);
}

static void start_linger(struct http_lane *lane)
{
	if (lane->multi == NULL || lane->running > 0)
		return;
	(void)uv_timer_start(&lane->linger, on_linger, lane->linger_ms, 0);
	uv_unref((uv_handle_t *)&lane->linger);
}

/* After every word to curl: ended transfers are reported nowhere else. The lane may be freed in
 * `completed`; its memory then lives until libuv has let go of its handles, which is never from
 * within here. */
static void drain(struct http_lane *lane)
{
	while (lane->multi != NULL) {
		int left;
		CURLMsg *message = curl_multi_info_read(lane->multi, &left);
		CURL *easy;
		CURLcode result;

		if (message == NULL)
			break;
		if (message->msg != CURLMSG_DONE)
			continue;
		easy = message->easy_handle; /* the message is gone once its transfer is removed */
		result = message->data.result;
		http_lane_remove(lane, easy);
		lane->completed(lane->context, easy, result);
	}
	/* What was waiting has been started by now. */
	if (lane->running == 0)
		drop_spares(lane);
}

static void tell(struct http_lane *lane, curl_socket_t fd, int events)
{
	int running;

	if (lane->multi == NULL)
		return;
	(void)curl_multi_socket_action(lane->multi, fd, events, &running);
	drain(lane);
}

static void on_timeout(uv_timer_t *timer)
{
	tell(CONTAINER_OF(timer, struct http_lane, timeout), CURL_SOCKET_TIMEOUT, 0);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct socket_watch *watch = CONTAINER_OF(poll, struct socket_watch, poll);
	struct http_lane *lane = watch->lane; /* the watch may be closed inside */
	int flags = 0;

	if (status < 0)
		flags = CURL_CSELECT_ERR;
	if ((events & UV_READABLE) != 0)
		flags |= CURL_CSELECT_IN;
	if ((events & UV_WRITABLE) != 0)
		flags |= CURL_CSELECT_OUT;
	tell(lane, watch->fd, flags);
}

/* Between two transfers libcurl lets go of a connection's socket. Its watch is only stopped then: a
 * stopped one claims nothing, and fits whatever has that number next. */
static struct socket_watch *find_watch(const struct http_lane *lane, curl_socket_t fd)
{
	struct socket_watch *watch;

	LIST_FOREACH(watch, &lane->watches, entry)
	{
		if (watch->fd == fd)
			break;
	}
	return watch;
}

static struct socket_watch *watch_socket(struct http_lane *lane, curl_socket_t fd)
{
	struct socket_watch *watch = find_watch(lane, fd);

	if (watch != NULL) {
		(void)curl_multi_assign(lane->multi, fd, watch);
		return watch;
	}
	watch = wipe_calloc(1, sizeof(*watch));
	if (watch == NULL)
		return NULL;
	if (uv_poll_init(lane->timeout.loop, &watch->poll, fd) < 0) {
		wipe_free(watch);
		return NULL;
	}
	watch->lane = lane;
	watch->fd = fd;
	LIST_INSERT_HEAD(&lane->watches, watch, entry);
	(void)curl_multi_assign(lane->multi, fd, watch);
	return watch;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *assigned)
{
	struct http_lane *lane = context;
	struct socket_watch *watch = assigned;
	int events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (watch == NULL)
			return 0;
		(void)curl_multi_assign(lane->multi, fd, NULL);
		(void)uv_poll_stop(&watch->poll);
		return 0;
	}
	if (watch == NULL)
		watch = watch_socket(lane, fd);
	if (watch == NULL)
		return 0; /* out of memory: the transfer's own time-out ends it */
	if ((what & CURL_POLL_IN) != 0)
		events |= UV_READABLE;
	if ((what & CURL_POLL_OUT) != 0)
		events |= UV_WRITABLE;
	(void)uv_poll_start(&watch->poll, events, on_socket);
	return 0;
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *context)
{
	struct http_lane *lane = context;

	(void)multi;
	if (timeout_ms < 0)
		(void)uv_timer_stop(&lane->timeout);
	else
		(void)uv_timer_start(&lane->timeout, on_timeout, (uint64_t)timeout_ms, 0);
	return 0;
}

static int open_multi(struct http_lane *lane, struct error *err)
{
	if (lane->multi != NULL)
		return 0;
	lane->multi = curl_multi_init();
	if (lane->multi == NULL)
		return error_no_memory(err);
	(void)curl_multi_setopt(lane->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	(void)curl_multi_setopt(lane->multi, CURLMOPT_SOCKETDATA, lane);
	(void)curl_multi_setopt(lane->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	(void)curl_multi_setopt(lane->multi, CURLMOPT_TIMERDATA, lane);
	(void)curl_multi_setopt(lane->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	(void)curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS, (long)lane->connections);
	(void)curl_multi_setopt(lane->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
				(long)lane->connections);
	return 0;
}

struct http_lane *http_lane_new(struct loop *loop, unsigned connections, unsigned linger_ms,
				http_lane_fn *completed, void *context, struct error *err)
{
	struct http_lane *lane = wipe_calloc(1, sizeof(*lane));

	if (lane == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	lane->connections = connections;
	lane->linger_ms = linger_ms;
	lane->completed = completed;
	lane->context = context;
	LIST_INIT(&lane->watches);
	(void)uv_timer_init(loop_uv(loop), &lane->timeout);
	(void)uv_timer_init(loop_uv(loop), &lane->linger);
	lane->timeout.data = lane;
	lane->linger.data = lane;
	lane->open_handles = 2;
	return lane;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct http_lane *lane = handle->data;

	if (--lane->open_handles == 0)
		wipe_free(lane);
}

struct http_lane *http_lane_free(struct http_lane *lane)
{
	if (lane == NULL)
		return NULL;
	close_multi(lane);
	uv_close((uv_handle_t *)&lane->timeout, on_handle_closed);
	uv_close((uv_handle_t *)&lane->linger, on_handle_closed);
	return NULL;
}

bool http_lane_full(const struct http_lane *lane)
{
	return lane->running >= lane->connections;
}

CURL *http_lane_take(struct http_lane *lane)
{
	return lane->spare_count > 0 ? lane->spare[--lane->spare_count] : curl_easy_init();
}

void http_lane_keep(struct http_lane *lane, CURL *easy)
{
	if (lane->multi == NULL || lane->spare_count == ARRAY_SIZE(lane->spare)) {
		curl_easy_cleanup(easy);
		return;
	}
	curl_easy_reset(easy);
	lane->spare[lane->spare_count++] = easy;
}

int http_lane_add(struct http_lane *lane, CURL *easy, struct error *err)
{
	CURLMcode code;

	if (open_multi(lane, err) < 0)
		return -1;
	code = curl_multi_add_handle(lane->multi, easy);
	if (code != CURLM_OK)
		return error_set(err, ERROR_EXHAUSTED, "cannot start a request: %s",
				 curl_multi_strerror(code));
	lane->running++;
	(void)uv_timer_stop(&lane->linger);
	return 0;
}

void http_lane_remove(struct http_lane *lane, CURL *easy)
{
	(void)curl_multi_remove_handle(lane->multi, easy);
	lane->running--;
	start_linger(lane);
}
