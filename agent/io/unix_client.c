/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request, one connection, one deadline. The server is trusted no more than its size and its
 * time allow.
 */
#include "agent/io/unix_client.h"

#include <errno.h>
#include <llhttp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/wipe.h"

enum { CHUNK = 16 << 10, RETRY_MS = 10 };

struct talk {
	llhttp_t parser;
	const struct clock *clock;
	const struct unix_get *get;
	int64_t deadline;
	int fd;
	struct unix_reply reply;
	bool is_etag; /* the header that is being read */
	size_t name_len;
	bool begun; /* some of the answer has come */
	bool done;
	char chunk[CHUNK];
};

static struct talk *talk_of(llhttp_t *parser)
{
	return CONTAINER_OF(parser, struct talk, parser);
}

/* A name may come in pieces, each of which must go on as "etag" does. */
static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
	static const char etag[] = "etag";
	struct talk *talk = talk_of(parser);

	if (talk->name_len == 0)
		talk->is_etag = true;
	talk->is_etag = talk->is_etag && talk->name_len + len <= sizeof(etag) - 1 &&
			strncasecmp(etag + talk->name_len, at, len) == 0;
	talk->name_len += len;
	return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
	struct talk *talk = talk_of(parser);
	size_t have = strlen(talk->reply.etag);

	if (!talk->is_etag || talk->name_len != strlen("etag"))
		return 0;
	for (size_t i = 0; i < len; i++)
		if (at[i] != '"' && have + 1 < sizeof(talk->reply.etag))
			talk->reply.etag[have++] = at[i];
	talk->reply.etag[have] = '\0';
	return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
	talk_of(parser)->name_len = 0;
	return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
	buf_put(&talk_of(parser)->reply.body, at, len);
	return 0;
}

static int on_message_complete(llhttp_t *parser)
{
	talk_of(parser)->done = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_header_value_complete = on_header_value_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

static int out_of_time(const struct talk *talk, struct error *err)
{
	return error_set(err, ERROR_UNAVAILABLE, "no answer from the agent on '%s' in time",
			 talk->get->socket);
}

/* Waits for the descriptor (-1: for time alone) at most that long; 0 once it may be tried. */
static int await(const struct talk *talk, int fd, short events, int64_t most_ms, struct error *err)
{
	const int *canceled_by = talk->get->canceled_by;
	struct pollfd watched[] = {
		{ .fd = fd, .events = events },
		{ .fd = canceled_by != NULL ? *canceled_by : -1, .events = POLLIN },
	};
	int64_t left = talk->deadline - clock_now(talk->clock).boot_ms;

	if (left <= 0)
		return out_of_time(talk, err);
	if (poll(watched, ARRAY_SIZE(watched), (int)(left < most_ms ? left : most_ms)) < 0 &&
	    errno != EINTR)
		return error_errno(err, errno, "cannot wait for the agent");
	if (watched[1].revents != 0)
		return error_set(err, ERROR_CANCELED, "the answer is not wanted any more");
	return 0;
}

static int connect_to(struct talk *talk, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = talk->get->socket;
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(address.sun_path))
		return error_set(
			err, ERROR_INVALID,
			"the socket path '%.120s' is %zu bytes long: 1 to %zu are possible", path,
			len, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, len);
	talk->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (talk->fd < 0)
		return error_errno(err, errno, "cannot make a socket");
	/* EAGAIN: the listener's backlog is full, and no event says when it is not. */
	while (connect(talk->fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		int number = errno;

		if (number == ENOENT || number == ECONNREFUSED)
			return error_set(err, ERROR_UNAVAILABLE,
					 "no agent listens on '%s': is 'agent serve' running?",
					 path);
		if (number != EAGAIN && number != EINTR)
			return error_errno(err, number, "cannot connect to '%s'", path);
		if (await(talk, -1, 0, RETRY_MS, err) < 0)
			return -1;
	}
	return 0;
}

static int send_request(struct talk *talk, struct error *err)
{
	AUTO(buf_deinit) struct buf request = BUF_INIT((size_t)16 << 10);
	size_t sent = 0;
	ssize_t now;

	buf_printf(&request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
		   talk->get->target);
	if (talk->get->if_none_match != NULL)
		buf_printf(&request, "If-None-Match: \"%s\"\r\n", talk->get->if_none_match);
	buf_puts(&request, "\r\n");
	if (buf_check(&request, "the request", err) < 0)
		return -1;
	while (sent < request.len) {
		now = send(talk->fd, request.data + sent, request.len - sent, MSG_NOSIGNAL);
		if (now > 0)
			sent += (size_t)now;
		else if (errno == EPIPE)
			return 0; /* refused already; the answer says why */
		else if (errno != EAGAIN && errno != EINTR)
			return error_errno(err, errno, "cannot ask the agent on '%s'",
					   talk->get->socket);
		else if (await(talk, talk->fd, POLLOUT, INT32_MAX, err) < 0)
			return -1;
	}
	return 0;
}

static int read_chunk(struct talk *talk, size_t len, struct error *err)
{
	llhttp_errno_t result = len > 0 ? llhttp_execute(&talk->parser, talk->chunk, len)
					: llhttp_finish(&talk->parser);

	if (talk->reply.body.failed)
		return error_set(err, ERROR_EXHAUSTED,
				 "the agent's answer is larger than %zu bytes",
				 talk->reply.body.max);
	if (talk->done)
		return 0;
	if (len == 0 && !talk->begun)
		return error_set(err, ERROR_UNAVAILABLE,
				 "the agent on '%s' ended before it answered", talk->get->socket);
	talk->begun = true;
	if (result != HPE_OK || len == 0)
		return error_set(err, ERROR_PROTOCOL,
				 "what listens on '%s' did not answer as an agent does",
				 talk->get->socket);
	return 0;
}

static int receive(struct talk *talk, struct error *err)
{
	ssize_t got;

	llhttp_init(&talk->parser, HTTP_RESPONSE, &settings);
	while (!talk->done) {
		got = recv(talk->fd, talk->chunk, sizeof(talk->chunk), 0);
		if (got < 0 && errno == ECONNRESET)
			got = 0;
		if (got >= 0) {
			if (read_chunk(talk, (size_t)got, err) < 0)
				return -1;
		} else if (errno != EAGAIN && errno != EINTR) {
			return error_errno(err, errno, "no answer from the agent on '%s'",
					   talk->get->socket);
		} else if (await(talk, talk->fd, POLLIN, INT32_MAX, err) < 0) {
			return -1;
		}
	}
	talk->reply.status = talk->parser.status_code;
	return 0;
}

static void talk_freep(struct talk **talk)
{
	if (*talk == NULL)
		return;
	if ((*talk)->fd >= 0)
		(void)close((*talk)->fd);
	unix_reply_deinit(&(*talk)->reply);
	wipe_free(*talk);
}

int unix_client_get(const struct clock *clock, const struct unix_get *get, struct unix_reply *ret,
		    struct error *err)
{
	AUTO(talk_freep) struct talk *talk = wipe_calloc(1, sizeof(*talk));

	if (talk == NULL)
		return error_no_memory(err);
	talk->clock = clock;
	talk->get = get;
	talk->fd = -1;
	talk->deadline = clock_now(clock).boot_ms +
			 (get->timeout_ms > 0 ? get->timeout_ms : UNIX_CLIENT_TIMEOUT_MS);
	talk->reply.body = BUF_INIT(get->reply_max > 0 ? get->reply_max : UNIX_CLIENT_REPLY_MAX);
	if (connect_to(talk, err) < 0 || send_request(talk, err) < 0 || receive(talk, err) < 0)
		return -1;
	*ret = talk->reply;
	talk->reply = (struct unix_reply){ 0 };
	return 0;
}

void unix_reply_deinit(struct unix_reply *reply)
{
	buf_deinit(&reply->body);
	*reply = (struct unix_reply){ 0 };
}
