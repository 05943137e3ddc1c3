/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load on a unix socket. `load SOCKET TARGET CONNECTIONS READS` reads TARGET over keep-alive
 * connections, each asking again as soon as it was answered, and prints one JSON line.
 * `load SOCKET - CONNECTIONS 0` opens them, says "ready" and holds them until standard input ends.
 */
#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { REPLY_MAX = 4096, EVENTS = 64 };

struct connection {
	int fd;
	size_t len;
	int64_t asked_ns;
	char reply[REPLY_MAX];
};

struct load {
	int poll;
	const char *request;
	size_t request_len;
	struct connection *connections;
	long count, wanted, asked, done;
	int64_t *took_ns;
};

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int open_connection(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		errx(64, "%s: too long for a socket", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (fd < 0)
		err(1, "socket");
	while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		if (errno != EAGAIN)
			err(1, "connect to %s", path);
	return fd;
}

static void ask(struct load *load, struct connection *c)
{
	if (load->asked == load->wanted)
		return;
	load->asked++;
	c->len = 0;
	c->asked_ns = now_ns();
	if (write(c->fd, load->request, load->request_len) != (ssize_t)load->request_len)
		err(1, "write");
}

static bool is_whole(const struct connection *c)
{
	const char *body = strstr(c->reply, "\r\n\r\n");
	const char *length = strcasestr(c->reply, "\r\ncontent-length:");

	if (body == NULL)
		return false;
	if (length == NULL || strncmp(c->reply, "HTTP/1.1 200", 12) != 0)
		errx(1, "unexpected reply: %s", c->reply);
	return c->len == (size_t)(body + 4 - c->reply) + strtoul(length + 17, NULL, 10);
}

static void receive(struct load *load, struct connection *c)
{
	ssize_t n = read(c->fd, c->reply + c->len, sizeof(c->reply) - 1 - c->len);

	if (n <= 0)
		err(1, "read");
	c->len += (size_t)n;
	c->reply[c->len] = '\0';
	if (!is_whole(c))
		return;
	load->took_ns[load->done++] = now_ns() - c->asked_ns;
	ask(load, c);
}

static int compare(const void *a, const void *b)
{
	const int64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static void drive(struct load *load)
{
	struct epoll_event events[EVENTS];
	int64_t start = now_ns(), end;

	for (long i = 0; i < load->count; i++)
		ask(load, &load->connections[i]);
	while (load->done < load->wanted) {
		int n = epoll_wait(load->poll, events, EVENTS, -1);

		if (n < 0)
			err(1, "epoll_wait");
		for (int i = 0; i < n; i++)
			receive(load, events[i].data.ptr);
	}
	end = now_ns();
	qsort(load->took_ns, (size_t)load->wanted, sizeof(*load->took_ns), compare);
	(void)printf("{\"reads\":%ld,\"seconds\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
		     load->wanted, (double)(end - start) / 1e9,
		     (double)load->took_ns[load->wanted / 2] / 1e3,
		     (double)load->took_ns[load->wanted * 99 / 100] / 1e3);
}

int main(int argc, char **argv)
{
	struct load load = { .poll = epoll_create1(EPOLL_CLOEXEC) };
	char request[512];

	if (argc != 5)
		errx(64, "usage: load SOCKET TARGET CONNECTIONS READS");
	load.count = strtol(argv[3], NULL, 10);
	load.wanted = strtol(argv[4], NULL, 10);
	load.request = request;
	load.request_len = (size_t)snprintf(request, sizeof(request),
					    "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", argv[2]);
	load.connections = calloc((size_t)load.count, sizeof(*load.connections));
	load.took_ns = calloc((size_t)load.wanted + 1, sizeof(*load.took_ns));
	if (load.count < 1 || load.connections == NULL || load.took_ns == NULL ||
	    load.request_len >= sizeof(request))
		errx(64, "unusable arguments");

	for (long i = 0; i < load.count; i++) {
		struct connection *c = &load.connections[i];
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };

		c->fd = open_connection(argv[1]);
		if (load.wanted > 0 && epoll_ctl(load.poll, EPOLL_CTL_ADD, c->fd, &event) < 0)
			err(1, "epoll_ctl");
	}
	if (load.wanted > 0) {
		drive(&load);
	} else {
		(void)puts("ready");
		(void)fflush(stdout);
		while (getchar() != EOF)
			;
	}
	free(load.connections);
	free(load.took_ns);
	return 0;
}
