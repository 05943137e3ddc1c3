#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP server for tests, on the test's own loop: what it answers is the test's to say.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/io/loop.h"

enum { SMALL_CONNECTIONS = 32, SMALL_REQUEST = 16384 };

struct small_server;

struct small_connection {
	struct small_server *server;
	int fd;
	struct loop_reader *reader;
	size_t len;
	char request[SMALL_REQUEST];
};

struct small_server {
	struct loop *loop;
	int fd;
	unsigned port;
	char url[64];
	struct loop_reader *reader;
	unsigned accepted; /* connections, ever */
	unsigned closed;   /* of these */
	unsigned requests;
	bool close_after; /* each answer */
	/* The bytes to answer with; NULL: silence. */
	const char *(*answer)(struct small_server *server, const char *request);
	char last[SMALL_REQUEST];
	struct small_connection connections[SMALL_CONNECTIONS];
};

static inline void small_close(struct small_connection *connection)
{
	connection->reader = loop_reader_free(connection->reader);
	(void)close(connection->fd);
	connection->fd = -1;
	connection->server->closed++;
}

static inline bool small_complete(const struct small_connection *connection)
{
	const char *end = strstr(connection->request, "\r\n\r\n");
	const char *length = strcasestr(connection->request, "\r\nContent-Length:");

	if (end == NULL)
		return false;
	if (length == NULL || length > end)
		return true;
	return strlen(end + 4) >= strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
}

static inline void small_readable(void *context)
{
	struct small_connection *connection = context;
	struct small_server *server = connection->server;
	const char *answer;
	ssize_t got = read(connection->fd, connection->request + connection->len,
			   SMALL_REQUEST - 1 - connection->len);

	if (got <= 0) {
		small_close(connection);
		return;
	}
	connection->len += (size_t)got;
	connection->request[connection->len] = '\0';
	if (!small_complete(connection))
		return;
	server->requests++;
	memcpy(server->last, connection->request, connection->len + 1);
	answer = server->answer(server, server->last);
	connection->len = 0;
	if (answer == NULL)
		return;
	(void)send(connection->fd, answer, strlen(answer), MSG_NOSIGNAL);
	if (server->close_after)
		small_close(connection);
}

static inline void small_accept(void *context)
{
	struct small_server *server = context;
	struct error err;
	int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (size_t i = 0; fd >= 0 && i < SMALL_CONNECTIONS; i++) {
		struct small_connection *connection = &server->connections[i];

		if (connection->reader != NULL)
			continue;
		connection->server = server;
		connection->fd = fd;
		connection->len = 0;
		connection->reader =
			loop_reader_new(server->loop, fd, small_readable, connection, &err);
		server->accepted++;
		return;
	}
}

static inline int small_listen(unsigned *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(fd, 64), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static inline void small_start(struct small_server *server, struct loop *loop,
			       const char *(*answer)(struct small_server *, const char *))
{
	struct error err;

	server->loop = loop;
	server->answer = answer;
	server->fd = small_listen(&server->port);
	(void)snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u", server->port);
	server->reader = loop_reader_new(loop, server->fd, small_accept, server, &err);
	cr_assert_not_null(server->reader);
}

/* Also refuses whoever comes next: the port is closed. */
static inline void small_stop(struct small_server *server)
{
	for (size_t i = 0; i < SMALL_CONNECTIONS; i++)
		if (server->connections[i].reader != NULL)
			small_close(&server->connections[i]);
	server->reader = loop_reader_free(server->reader);
	if (server->fd >= 0)
		(void)close(server->fd);
	server->fd = -1;
}
