/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection is always in one state, and each state has one list in the order of its deadlines,
 * so that a single timer serves all. While idle a connection is its struct and nothing else. Input
 * is not read while an answer is unsent: a client that does not take its answers cannot make us
 * hold more than one. A deferred request keeps its bytes and is served anew from them when asked
 * again.
 */
#include "agent/io/http_call.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/wipe.h"
#include "agent/io/http_message.h"
#include "agent/io/loop_uv.h"

static void on_call(uv_poll_t *poll, int status, int events);

static void on_call_closed(uv_handle_t *handle)
{
	struct http_call *call = CONTAINER_OF(handle, struct http_call, poll);
	struct http_server *server = call->server;

	free(call);
	server_call_ended(server);
}

static void call_forget(struct http_call *call)
{
	wipe_free(call->kept);
	call->kept = NULL;
	call->unsent = http_unsent_free(call->unsent);
}

static void call_leave_list(struct http_call *call)
{
	if (call->state < CALL_STATES)
		TAILQ_REMOVE(&call->server->lists[call->state], call, entry);
}

void call_close(struct http_call *call)
{
	if (call->state == CALL_CLOSED)
		return;
	call_leave_list(call);
	call->state = CALL_CLOSED;
	call_forget(call);
	uv_close((uv_handle_t *)&call->poll, on_call_closed);
	(void)close(call->fd);
	server_call_closed(call->server, call->usage);
}

/* Most lists see deadlines in order, so that the walk from the end is no walk. */
static void call_enter(struct http_call *call, enum call_state state, int64_t deadline)
{
	static const uint8_t events[CALL_STATES] = {
		[CALL_IDLE] = UV_READABLE,    [CALL_HEAD] = UV_READABLE,
		[CALL_WRITING] = UV_WRITABLE, [CALL_WAITING] = UV_DISCONNECT,
		[CALL_LINGER] = UV_READABLE,
	};
	struct call_list *list = &call->server->lists[state];
	struct http_call *before;

	call_leave_list(call);
	call->state = (uint8_t)state;
	call->deadline = deadline;
	before = TAILQ_LAST(list, call_list);
	while (before != NULL && before->deadline > deadline)
		before = TAILQ_PREV(before, call_list, entry);
	if (before != NULL)
		TAILQ_INSERT_AFTER(list, before, call, entry);
	else
		TAILQ_INSERT_HEAD(list, call, entry);
	server_arm(call->server, deadline);
	if (call->events == events[state])
		return;
	call->events = events[state];
	if (uv_poll_start(&call->poll, call->events, on_call) < 0)
		call_close(call);
}

static void call_serve_on(struct http_call *call)
{
	call_leave_list(call);
	call->state = CALL_SERVING;
}

static void call_linger(struct http_call *call)
{
	call_forget(call);
	(void)shutdown(call->fd, SHUT_WR);
	call_enter(call, CALL_LINGER, call->server->now + HTTP_SERVER_LINGER_MS);
}

/* The answer is out whole. The connection goes on being served unless this was its last. */
static void call_answered(struct http_call *call)
{
	call->wait_until = 0;
	call->expired = false;
	if (call->then == THEN_LINGER && !call->server->closing)
		call_linger(call);
	else if (call->then != THEN_KEEP || call->server->closing)
		call_close(call);
	else
		call_serve_on(call);
}

static void call_write(struct http_call *call, const struct http_answer *answer)
{
	struct http_server *server = call->server;
	int64_t deadline = server->now + HTTP_SERVER_WRITE_MS;

	server->requests++;
	switch (http_reply_send(call->fd, answer, call->then != THEN_KEEP, &call->unsent)) {
	case HTTP_REPLY_SENT:
		call_answered(call);
		break;
	case HTTP_REPLY_PARTLY:
		if (server->closing)
			deadline = server->now + HTTP_SERVER_CLOSE_MS;
		call_enter(call, CALL_WRITING, deadline);
		break;
	case HTTP_REPLY_FAILED:
		call_close(call);
		break;
	}
}

void http_answer(struct http_call *call, const struct http_answer *answer)
{
	if (call->state != CALL_SERVING)
		return;
	if (call->server->closing)
		call->then = THEN_CLOSE;
	call_write(call, answer);
}

void http_defer(struct http_call *call, int64_t ms)
{
	if (call->state != CALL_SERVING)
		return;
	if (call->expired) {
		http_answer(call, &(struct http_answer){ .status = 503, .retry_after = 1 });
		return;
	}
	if (ms > HTTP_SERVER_WAIT_MOST_MS)
		ms = HTTP_SERVER_WAIT_MOST_MS;
	if (call->wait_until == 0)
		call->wait_until = call->server->now + ms;
	call_enter(call, CALL_WAITING, call->wait_until);
}

static void call_refuse(struct http_call *call, unsigned status, bool keep_alive)
{
	call->then = keep_alive ? THEN_KEEP : THEN_LINGER;
	call_write(call, &(struct http_answer){ .status = status });
}

static void call_serve(struct http_call *call, const char *bytes, size_t len)
{
	struct http_server *server = call->server;
	struct http_head head;
	bool keep_alive;
	unsigned refused =
		http_head_read(bytes, len, server->host, &server->scratch, &head, &keep_alive);

	if (refused != 0) {
		call_refuse(call, refused, keep_alive);
		return;
	}
	call->then = keep_alive ? THEN_KEEP : THEN_CLOSE;
	head.peer = call->peer;
	head.expired = call->expired;
	server->serve(server->context, call, &head);
}

/* What is left of the input stays with the connection until more comes or it may be served. */
static bool call_keep(struct http_call *call, const char *bytes, size_t len)
{
	if (len == 0)
		return true;
	call->kept = wipe_malloc(sizeof(*call->kept) + len);
	if (call->kept == NULL) {
		call_close(call);
		return false;
	}
	call->kept->len = len;
	memcpy(call->kept->bytes, bytes, len);
	return true;
}

/* A head's time counts from its first byte. */
static void call_rest(struct http_call *call, bool fresh, size_t left)
{
	const struct http_server *server = call->server;

	if (left == 0)
		call_enter(call, CALL_IDLE, server->now + server->limits.idle_ms);
	else
		call_enter(call, CALL_HEAD,
			   fresh ? server->now + HTTP_SERVER_HEAD_MS : call->deadline);
}

/* Serves what has come whole in the server's input, until an answer is deferred or cannot be
 * written. */
static void call_process(struct http_call *call, size_t len)
{
	const char *bytes = call->server->input, *end = bytes + len;
	bool fresh = call->state != CALL_HEAD;
	size_t head;

	call_serve_on(call);
	while (call->state == CALL_SERVING) {
		while (bytes < end && (*bytes == '\r' || *bytes == '\n'))
			bytes++;
		head = http_message_length(bytes, (size_t)(end - bytes));
		if (head > HTTP_SERVER_HEAD_MAX ||
		    (head == 0 && end - bytes >= HTTP_SERVER_HEAD_MAX)) {
			call_refuse(call, 431, false);
			return;
		}
		if (head == 0)
			break;
		call_serve(call, bytes, head);
		if (call->state == CALL_WAITING)
			break;
		fresh = true;
		bytes += head;
	}
	if (call->state == CALL_CLOSED || call->state == CALL_LINGER)
		return;
	if (call_keep(call, bytes, (size_t)(end - bytes)) && call->state == CALL_SERVING)
		call_rest(call, fresh, (size_t)(end - bytes));
}

/* Brings the kept input to the front of the server's. */
static size_t call_take_kept(struct http_call *call)
{
	size_t len = 0;

	if (call->kept != NULL) {
		len = call->kept->len;
		memcpy(call->server->input, call->kept->bytes, len);
		wipe_free(call->kept);
		call->kept = NULL;
	}
	return len;
}

static void call_receive(struct http_call *call)
{
	struct http_server *server = call->server;
	size_t have = call_take_kept(call);
	ssize_t got = recv(call->fd, server->input + have, READ_SIZE, MSG_DONTWAIT);

	if (got > 0)
		call_process(call, have + (size_t)got);
	else if (got < 0 && (errno == EAGAIN || errno == EINTR))
		(void)call_keep(call, server->input, have);
	else
		call_close(call);
}

static void call_discard(struct http_call *call)
{
	ssize_t got = recv(call->fd, call->server->input, INPUT_SIZE, MSG_DONTWAIT);

	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		call_close(call);
}

static void call_flush(struct http_call *call)
{
	switch (http_unsent_send(call->fd, &call->unsent)) {
	case HTTP_REPLY_SENT:
		call_answered(call);
		if (call->state == CALL_SERVING)
			call_process(call, call_take_kept(call));
		break;
	case HTTP_REPLY_PARTLY:
		break;
	case HTTP_REPLY_FAILED:
		call_close(call);
		break;
	}
}

static void on_call(uv_poll_t *poll, int status, int events)
{
	struct http_call *call = CONTAINER_OF(poll, struct http_call, poll);

	(void)events;
	call->server->now = clock_now(call->server->clock).boot_ms;
	if (status < 0) {
		call_close(call);
		return;
	}
	switch ((enum call_state)call->state) {
	case CALL_IDLE:
	case CALL_HEAD:
		call_receive(call);
		break;
	case CALL_WRITING:
		call_flush(call);
		break;
	case CALL_LINGER:
		call_discard(call);
		break;
	case CALL_WAITING:
		call_close(call);
		break;
	case CALL_SERVING:
	case CALL_CLOSED:
		break;
	}
}

void call_ask_again(struct http_call *call, bool expired)
{
	call->expired = expired;
	call_process(call, call_take_kept(call));
}

void call_expire(struct http_call *call)
{
	switch ((enum call_state)call->state) {
	case CALL_HEAD:
		call_serve_on(call);
		call_refuse(call, 408, false);
		break;
	case CALL_WAITING:
		call_ask_again(call, true);
		break;
	case CALL_IDLE:
	case CALL_WRITING:
	case CALL_LINGER:
	case CALL_SERVING:
	case CALL_CLOSED:
		call_close(call);
		break;
	}
}

void call_drain(struct http_call *call)
{
	if (call->state == CALL_WAITING)
		call_ask_again(call, true);
	else if (call->state == CALL_WRITING)
		call_enter(
			call, CALL_WRITING,
			deadline_earlier(call->deadline, call->server->now + HTTP_SERVER_CLOSE_MS));
	else
		call_close(call);
}

bool call_open(struct http_server *server, int fd, struct usage *usage,
	       const struct http_peer *peer)
{
	struct http_call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return false;
	call->server = server;
	call->usage = usage;
	call->peer = *peer;
	call->fd = fd;
	call->state = CALL_SERVING;
	if (uv_poll_init(loop_uv(server->loop), &call->poll, fd) < 0) {
		free(call);
		return false;
	}
	server->connections++;
	server->handles++;
	call_enter(call, CALL_IDLE, server->now + server->limits.idle_ms);
	return true;
}
