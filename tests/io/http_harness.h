#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop, a clock that stands still until told, a folder for sockets, and clients in the same
 * thread.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/io/http_server.h"
#include "agent/io/loop_uv.h"

#define HARNESS_REPLY ((size_t)2 << 20)

/* Before the machine's own start: the loop's timers count real time, and whatever the tests reach
 * by passing time must lie behind it, also on a machine that has just started. */
static struct stamp harness_now = { .boot_ms = -3600000, .real_ms = 1700000000000 };

static struct stamp harness_clock_now(const struct clock *clock)
{
	(void)clock;
	return harness_now;
}

static const struct clock harness_clock = { .now = harness_clock_now };

struct harness {
	struct loop *loop;
	char directory[64];
	char path[96];
	char *reply; /* what receive() got last */
	size_t reply_len;
};

static inline void harness_open(struct harness *harness)
{
	struct error err = ERROR_INIT;

	(void)snprintf(harness->directory, sizeof(harness->directory), "/tmp/agent-test-XXXXXX");
	cr_assert_not_null(mkdtemp(harness->directory));
	(void)snprintf(harness->path, sizeof(harness->path), "%s/agent.sock", harness->directory);
	harness->loop = loop_new(&err);
	cr_assert_not_null(harness->loop, "%s", err.text);
	harness->reply = calloc(1, HARNESS_REPLY + 1);
}

/* What is due now, and what follows from it at once. */
static inline void harness_turn(struct harness *harness)
{
	for (int i = 0; i < 8; i++)
		(void)uv_run(loop_uv(harness->loop), UV_RUN_NOWAIT);
}

static inline void harness_pass(struct harness *harness, int64_t ms)
{
	harness_now.boot_ms += ms;
	harness_now.real_ms += ms;
	harness_turn(harness);
}

static inline void harness_close(struct harness *harness)
{
	harness_turn(harness);
	harness->loop = loop_free(harness->loop);
	free(harness->reply);
	cr_expect_eq(rmdir(harness->directory), 0, "the socket's folder is not empty");
}

static inline int client_open(const struct harness *harness)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", harness->path);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static inline void client_send(int fd, const char *bytes, size_t len)
{
	cr_assert_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Everything that comes now, as a string. */
static inline const char *client_receive(struct harness *harness, int fd)
{
	ssize_t got = 1;

	harness->reply_len = 0;
	while (got > 0 && harness->reply_len < HARNESS_REPLY) {
		harness_turn(harness);
		got = recv(fd, harness->reply + harness->reply_len,
			   HARNESS_REPLY - harness->reply_len, 0);
		if (got > 0)
			harness->reply_len += (size_t)got;
	}
	harness->reply[harness->reply_len] = '\0';
	return harness->reply;
}

static inline const char *client_ask(struct harness *harness, int fd, const char *request)
{
	client_send(fd, request, strlen(request));
	return client_receive(harness, fd);
}

/* A request on a connection of its own. */
static inline const char *ask(struct harness *harness, const char *request)
{
	int fd = client_open(harness);

	(void)client_ask(harness, fd, request);
	(void)close(fd);
	harness_turn(harness);
	return harness->reply;
}

static inline bool client_closed(struct harness *harness, int fd)
{
	char byte;

	harness_turn(harness);
	return recv(fd, &byte, 1, MSG_PEEK) == 0;
}

static inline unsigned status_of(const char *reply)
{
	unsigned status = 0;

	return sscanf(reply, "HTTP/1.1 %u ", &status) == 1 ? status : 0;
}
