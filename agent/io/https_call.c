/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection is always in one state, and each state has one list in the order of its deadlines.
 * A head is read into the server's scratch and judged before its body gets memory; the body then
 * grows with what has really come. Input is not read while an answer is unsent. What OpenSSL last
 * wanted decides what the descriptor is watched for.
 */
#include "agent/io/https_call.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/wipe.h"
#include "agent/io/http_message.h"
#include "agent/io/http_reply.h"
#include "agent/io/loop_uv.h"

static void on_call(uv_poll_t *poll, int status, int events);
static void call_receive(struct https_call *call);

/* What a refused client is told; the last row for all others. */
static const struct {
	unsigned status;
	const char *words;
} refusals[] = {
	{ 400, "not a request for this server" },
	{ 403, "a client certificate is needed here" },
	{ 404, "not found" },
	{ 405, "this method is not allowed here" },
	{ 408, "the request took longer than 2 s" },
	{ 411, "a body is needed here, with its length and not in chunks" },
	{ 413, "the body is larger than 4 MiB, or none is taken here" },
	{ 415, "the body has the wrong Content-Type, or none" },
	{ 429, "too many requests at once, try again" },
	{ 431, "the request's head is larger than 8 KiB" },
	{ 505, "only HTTP/1.0 and HTTP/1.1 are spoken" },
	{ 500, "the answer does not fit into memory" },
};

static const char *words_of(unsigned status)
{
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(refusals) && refusals[i].status != status)
		i++;
	return refusals[i].words;
}

/* ---- life ---- */

static void on_call_closed(uv_handle_t *handle)
{
	struct https_call *call = CONTAINER_OF(handle, struct https_call, poll);
	struct https_server *server = call->server;

	free(call);
	https_server_ended(server);
}

static void body_release(struct https_call *call)
{
	buf_deinit(&call->body);
	call->server->bodies -= call->charged;
	call->charged = 0;
}

static void flight_end(struct https_call *call)
{
	if (call->in_flight)
		call->server->requests--;
	call->in_flight = false;
}

static void call_leave_list(struct https_call *call)
{
	if (call->state < HTTPS_STATES)
		TAILQ_REMOVE(&call->server->lists[call->state], call, entry);
}

void https_call_close(struct https_call *call)
{
	struct https_server *server = call->server;
	int fd;

	if (call->state == HTTPS_CLOSED)
		return;
	if (call->state == HTTPS_HANDSHAKE || call->state == HTTPS_FRESH)
		server->counts.handshakes_failed++;
	call_leave_list(call);
	call->state = HTTPS_CLOSED;
	body_release(call);
	flight_end(call);
	buf_deinit(&call->input);
	buf_deinit(&call->unsent);
	fd = SSL_get_fd(call->ssl);
	SSL_free(call->ssl);
	call->ssl = NULL;
	uv_close((uv_handle_t *)&call->poll, on_call_closed);
	(void)close(fd);
	server->counts.connections--;
}

/* Says good-bye; only where OpenSSL has no quarrel with the connection. */
static void call_end(struct https_call *call)
{
	(void)SSL_shutdown(call->ssl);
	https_call_close(call);
}

static void call_enter(struct https_call *call, enum https_state state, int64_t deadline)
{
	struct https_calls *list = &call->server->lists[state];
	struct https_call *before;

	call_leave_list(call);
	call->state = (uint8_t)state;
	call->deadline = deadline;
	before = TAILQ_LAST(list, https_calls);
	while (before != NULL && before->deadline > deadline)
		before = TAILQ_PREV(before, https_calls, entry);
	if (before != NULL)
		TAILQ_INSERT_AFTER(list, before, call, entry);
	else
		TAILQ_INSERT_HEAD(list, call, entry);
	https_server_arm(call->server, deadline);
}

static void call_serve_on(struct https_call *call)
{
	call_leave_list(call);
	call->state = HTTPS_SERVING;
}

static void call_watch(struct https_call *call, int events)
{
	if (call->events == events)
		return;
	call->events = (uint8_t)events;
	if (uv_poll_start(&call->poll, events, on_call) < 0)
		https_call_close(call);
}

/* After a call of OpenSSL that did not succeed and found no old errors in the thread's queue: waits
 * for what it wants, or ends. */
static void call_wait(struct https_call *call, int result)
{
	switch (SSL_get_error(call->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		call_watch(call, UV_READABLE);
		break;
	case SSL_ERROR_WANT_WRITE:
		call_watch(call, UV_WRITABLE);
		break;
	case SSL_ERROR_ZERO_RETURN:
		call_end(call);
		break;
	default:
		https_call_close(call);
		break;
	}
}

/* ---- answers ---- */

static void call_linger(struct https_call *call)
{
	body_release(call);
	buf_deinit(&call->input);
	(void)SSL_shutdown(call->ssl);
	(void)shutdown(SSL_get_fd(call->ssl), SHUT_WR);
	call_enter(call, HTTPS_LINGER, call->server->now + HTTPS_LINGER_MS);
	call_watch(call, UV_READABLE);
}

/* The answer is out whole. */
static void call_answered(struct https_call *call)
{
	flight_end(call);
	if (call->then == HTTPS_THEN_LINGER && !call->server->closing)
		call_linger(call);
	else if (call->then != HTTPS_THEN_KEEP || call->server->closing)
		call_end(call);
	else
		call_serve_on(call);
}

/* Writes until all of it is out (call_answered) or OpenSSL wants something first; returns what was
 * written. */
static size_t call_write(struct https_call *call, const char *bytes, size_t len)
{
	size_t sent = 0, wrote = 0;
	int result = 1;

	ERR_clear_error();
	while (sent < len) {
		result = SSL_write_ex(call->ssl, bytes + sent, len - sent, &wrote);
		if (result != 1)
			break;
		sent += wrote;
	}
	if (sent == len)
		call_answered(call);
	else
		call_wait(call, result);
	return sent;
}

static void call_send(struct https_call *call, const struct http_answer *answer)
{
	struct https_server *server = call->server;
	struct buf *output = &server->output;
	size_t sent;

	server->counts.requests++;
	http_reply_write(output, answer, call->then != HTTPS_THEN_KEEP);
	if (output->failed) {
		https_call_close(call);
		return;
	}
	sent = call_write(call, output->data, output->len);
	if (call->state != HTTPS_CLOSED && sent < output->len) {
		call->unsent = BUF_INIT(output->len - sent);
		buf_put(&call->unsent, output->data + sent, output->len - sent);
		call->sent = 0;
		if (call->unsent.failed)
			https_call_close(call);
		else
			call_enter(call, HTTPS_WRITING,
				   server->closing ? server->now + HTTPS_CLOSE_MS
						   : call->began + HTTPS_REQUEST_MS);
	}
	https_server_trim(server);
}

static void call_refuse(struct https_call *call, unsigned status)
{
	const struct https_route *route = call->head.route;
	char body[128];
	int len = snprintf(body, sizeof(body), "{\"error\":\"%s\"}\n", words_of(status));

	call->then = HTTPS_THEN_LINGER;
	call->server->counts.refused++;
	if (status == 429)
		call->server->counts.refused_busy++;
	call_serve_on(call);
	call_send(call, &(struct http_answer){
				.status = status,
				.retry_after = status == 429 ? 1 : 0,
				.allow = route != NULL && route->body_type != NULL ? "POST" : "GET",
				.body = body,
				.len = (size_t)len,
			});
}

static void call_serve(struct https_call *call)
{
	struct https_server *server = call->server;
	const struct https_request request = {
		.body = buf_string(&call->body),
		.len = call->body.len,
		.began_ms = call->began,
	};
	struct https_answer answer = { .status = 200, .body = &server->answer };

	call_serve_on(call);
	buf_reset(&server->answer);
	call->head.route->serve(server->listen.context, &request, &answer);
	body_release(call);
	if (server->answer.failed) {
		call_refuse(call, 500);
		return;
	}
	call->served++;
	call->then = call->head.keep_alive && !server->retired && call->served < HTTPS_PIPELINE_MAX
			     ? HTTPS_THEN_KEEP
			     : HTTPS_THEN_CLOSE;
	call_send(call, &(struct http_answer){
				.status = answer.status,
				.type = answer.type,
				.body = buf_string(answer.body),
				.len = answer.body->len,
			});
}

/* ---- requests ---- */

static bool lacks_certificate(const struct https_call *call, const struct https_route *route)
{
	return route->identified && call->server->listen.clients != NULL &&
	       SSL_get0_peer_certificate(call->ssl) == NULL;
}

/* A head has come whole. */
static void call_begin(struct https_call *call, const char *bytes, size_t len)
{
	struct https_server *server = call->server;
	unsigned refused = https_head_read(bytes, len, server->listen.routes, &call->head);

	if (refused == 0 && lacks_certificate(call, call->head.route))
		refused = 403;
	if (refused == 0 && call->head.body > 0 && server->requests >= HTTPS_REQUESTS_MAX)
		refused = 429;
	if (refused != 0) {
		call_refuse(call, refused);
		return;
	}
	if (call->head.body == 0) {
		call_serve(call);
		return;
	}
	call->in_flight = true;
	server->requests++;
	call->body = BUF_INIT(call->head.body);
	call_enter(call, HTTPS_BODY, call->began + HTTPS_REQUEST_MS);
}

/* `len` more bytes of the body have come. */
static void call_body_came(struct https_call *call, size_t len)
{
	call->charged += len;
	call->server->bodies += len;
	if (call->server->bodies > HTTPS_BODIES_MAX)
		call_refuse(call, 429);
	else if (call->body.len == call->head.body)
		call_serve(call);
}

/* What of the input belongs to the body; returns how much. */
static size_t call_take_body(struct https_call *call, const char *bytes, size_t len)
{
	size_t missing = call->head.body - call->body.len;

	if (len > missing)
		len = missing;
	buf_put(&call->body, bytes, len);
	if (call->body.failed)
		call_refuse(call, 429);
	else
		call_body_came(call, len);
	return len;
}

/* Input that cannot be served yet stays with the connection. */
static void call_keep(struct https_call *call, const char *bytes, size_t len)
{
	call->input = BUF_INIT(HTTPS_INPUT_SIZE);
	if (len > 0)
		buf_put(&call->input, bytes, len);
	if (call->input.failed)
		https_call_close(call);
}

/* Brings the kept input to the front of the server's. */
static size_t call_take_kept(struct https_call *call)
{
	size_t len = call->input.len;

	if (len > 0)
		memcpy(call->server->input, call->input.data, len);
	buf_deinit(&call->input);
	return len;
}

/* The next head in the input; 0: it has not come whole, or was refused. */
static size_t call_next_head(struct https_call *call, const char *bytes, size_t len)
{
	size_t head = http_message_length(bytes, len);

	if (head > HTTPS_HEAD_MAX || (head == 0 && len >= HTTPS_HEAD_MAX)) {
		call->head.route = NULL;
		call_refuse(call, 431);
		return 0;
	}
	return head;
}

/* Serves what has come in the server's input until it ends or an answer cannot be written. */
static void call_process(struct https_call *call, size_t len)
{
	struct https_server *server = call->server;
	const char *bytes = server->input, *end = bytes + len;
	size_t head;

	if (call->state != HTTPS_HEAD)
		call->began = server->now;
	call_serve_on(call);
	while (call->state == HTTPS_SERVING) {
		while (bytes < end && (*bytes == '\r' || *bytes == '\n'))
			bytes++;
		head = call_next_head(call, bytes, (size_t)(end - bytes));
		if (head == 0)
			break;
		call_begin(call, bytes, head);
		bytes += head;
		if (call->state == HTTPS_BODY && bytes < end)
			bytes += call_take_body(call, bytes, (size_t)(end - bytes));
		if (call->state == HTTPS_SERVING)
			call->began = server->now;
	}
	if (call->state == HTTPS_CLOSED || call->state == HTTPS_LINGER)
		return;
	call_keep(call, bytes, (size_t)(end - bytes));
	if (call->state != HTTPS_SERVING)
		return;
	if (bytes == end)
		call_enter(call, HTTPS_IDLE, server->now + HTTPS_IDLE_MS);
	else
		call_enter(call, HTTPS_HEAD, call->began + HTTPS_REQUEST_MS);
}

/* False when there is nothing to read now, or nobody to read from. */
static bool call_read_head(struct https_call *call)
{
	char *input = call->server->input;
	size_t have = call_take_kept(call), got = 0;
	int result;

	ERR_clear_error();
	result = SSL_read_ex(call->ssl, input + have, HTTPS_READ_SIZE, &got);
	if (result == 1) {
		call_process(call, have + got);
		return true;
	}
	call_keep(call, input, have);
	if (call->state != HTTPS_CLOSED)
		call_wait(call, result);
	return false;
}

static bool call_read_body(struct https_call *call)
{
	size_t want = call->head.body - call->body.len, got = 0;
	char *room;
	int result;

	if (want > HTTPS_READ_SIZE)
		want = HTTPS_READ_SIZE;
	room = buf_reserve(&call->body, want);
	if (room == NULL) {
		call_refuse(call, 429);
		return false;
	}
	ERR_clear_error();
	result = SSL_read_ex(call->ssl, room, want, &got);
	if (result != 1) {
		call_wait(call, result);
		return false;
	}
	buf_commit(&call->body, got);
	call_body_came(call, got);
	if (call->state == HTTPS_SERVING)
		call_enter(call, HTTPS_IDLE, call->server->now + HTTPS_IDLE_MS);
	return true;
}

static bool is_reading(const struct https_call *call)
{
	return call->state == HTTPS_FRESH || call->state == HTTPS_IDLE ||
	       call->state == HTTPS_HEAD || call->state == HTTPS_BODY;
}

/* Reads as long as OpenSSL has something; what the kernel still has will wake the loop again. */
static void call_receive(struct https_call *call)
{
	bool more = true;

	while (more && is_reading(call)) {
		more = call->state == HTTPS_BODY ? call_read_body(call) : call_read_head(call);
		if (more && is_reading(call) && SSL_has_pending(call->ssl) == 0) {
			call_watch(call, UV_READABLE);
			return;
		}
	}
}

/* ---- events ---- */

static void call_shake(struct https_call *call)
{
	int result;

	ERR_clear_error();
	result = SSL_accept(call->ssl);
	if (result != 1) {
		call_wait(call, result);
		return;
	}
	call_enter(call, HTTPS_FRESH, call->deadline);
	call_receive(call);
}

static void call_flush(struct https_call *call)
{
	call->sent +=
		call_write(call, call->unsent.data + call->sent, call->unsent.len - call->sent);
	if (call->state == HTTPS_WRITING || call->state == HTTPS_CLOSED)
		return;
	buf_deinit(&call->unsent);
	if (call->state == HTTPS_SERVING) {
		call_process(call, call_take_kept(call));
		call_receive(call);
	}
}

static void call_discard(struct https_call *call)
{
	ssize_t got =
		recv(SSL_get_fd(call->ssl), call->server->input, HTTPS_INPUT_SIZE, MSG_DONTWAIT);

	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		https_call_close(call);
}

static void on_call(uv_poll_t *poll, int status, int events)
{
	struct https_call *call = CONTAINER_OF(poll, struct https_call, poll);

	(void)events;
	call->server->now = clock_now(call->server->clock).boot_ms;
	call->served = 0;
	if (status < 0) {
		https_call_close(call);
		return;
	}
	switch ((enum https_state)call->state) {
	case HTTPS_HANDSHAKE:
		call_shake(call);
		break;
	case HTTPS_FRESH:
	case HTTPS_IDLE:
	case HTTPS_HEAD:
	case HTTPS_BODY:
		call_receive(call);
		break;
	case HTTPS_WRITING:
		call_flush(call);
		break;
	case HTTPS_LINGER:
		call_discard(call);
		break;
	case HTTPS_SERVING:
	case HTTPS_CLOSED:
		break;
	}
}

void https_call_expire(struct https_call *call)
{
	if (call->state == HTTPS_HEAD)
		call->head.route = NULL;
	if (call->state == HTTPS_HEAD || call->state == HTTPS_BODY)
		call_refuse(call, 408);
	else if (call->state == HTTPS_IDLE)
		call_end(call);
	else
		https_call_close(call);
}

void https_call_drain(struct https_call *call)
{
	int64_t end = deadline_earlier(call->deadline, call->server->now + HTTPS_CLOSE_MS);

	if (call->state == HTTPS_HEAD || call->state == HTTPS_BODY || call->state == HTTPS_WRITING)
		call_enter(call, (enum https_state)call->state, end);
	else if (call->state == HTTPS_IDLE || call->state == HTTPS_FRESH)
		call_end(call);
	else
		https_call_close(call);
}

bool https_call_open(struct https_server *server, int fd)
{
	struct https_call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return false;
	call->server = server;
	call->state = HTTPS_SERVING;
	call->ssl = SSL_new(server->tls);
	if (call->ssl == NULL || SSL_set_fd(call->ssl, fd) != 1 ||
	    uv_poll_init(loop_uv(server->loop), &call->poll, fd) < 0) {
		SSL_free(call->ssl);
		free(call);
		return false;
	}
	server->counts.connections++;
	server->counts.accepted++;
	server->handles++;
	call_enter(call, HTTPS_HANDSHAKE, server->now + HTTPS_HANDSHAKE_MS);
	call_watch(call, UV_READABLE);
	return true;
}
