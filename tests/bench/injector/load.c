/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load on a TLS port. `load PORT FILE CONNECTIONS COUNT` sends the request in FILE over keep-alive
 * connections, each again as soon as it was answered, and prints one JSON line. One thread, so that
 * it does not get in the way of what it measures more than it must.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REPLY_MAX = 1 << 17, EVENTS = 64, REQUEST_MAX = 1 << 20 };

struct connection {
	SSL *ssl;
	size_t len;
	int64_t asked_ns;
	char *reply;
};

struct load {
	int poll;
	char *request;
	size_t request_len;
	long wanted, asked, done;
	int64_t *took_ns;
	size_t reply_len;
};

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void open_connection(struct connection *c, SSL_CTX *context, unsigned port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				       .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		err(1, "connect");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->ssl = SSL_new(context);
	c->reply = malloc(REPLY_MAX);
	if (c->ssl == NULL || c->reply == NULL || SSL_set_fd(c->ssl, fd) != 1 ||
	    SSL_connect(c->ssl) != 1)
		errx(1, "no TLS");
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
}

static void ask(struct load *load, struct connection *c)
{
	if (load->asked == load->wanted)
		return;
	load->asked++;
	c->len = 0;
	c->asked_ns = now_ns();
	if (SSL_write(c->ssl, load->request, (int)load->request_len) != (int)load->request_len)
		errx(1, "write");
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
	size_t got;

	while (SSL_read_ex(c->ssl, c->reply + c->len, REPLY_MAX - 1 - c->len, &got) == 1) {
		c->len += got;
		c->reply[c->len] = '\0';
		if (!is_whole(c))
			continue;
		load->took_ns[load->done++] = now_ns() - c->asked_ns;
		load->reply_len = c->len;
		ask(load, c);
	}
	if (SSL_get_error(c->ssl, 0) != SSL_ERROR_WANT_READ)
		errx(1, "the connection ended");
}

static int compare(const void *a, const void *b)
{
	const int64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static void drive(struct load *load, struct connection *connections, long count)
{
	struct epoll_event events[EVENTS];
	int64_t start = now_ns(), end;

	for (long i = 0; i < count; i++)
		ask(load, &connections[i]);
	while (load->done < load->wanted) {
		int n = epoll_wait(load->poll, events, EVENTS, -1);

		if (n < 0)
			err(1, "epoll_wait");
		for (int i = 0; i < n; i++)
			receive(load, events[i].data.ptr);
	}
	end = now_ns();
	qsort(load->took_ns, (size_t)load->wanted, sizeof(*load->took_ns), compare);
	(void)printf(
		"{\"requests\":%ld,\"seconds\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
		"\"request_bytes\":%zu,\"reply_bytes\":%zu}\n",
		load->wanted, (double)(end - start) / 1e9,
		(double)load->took_ns[load->wanted / 2] / 1e3,
		(double)load->took_ns[load->wanted * 99 / 100] / 1e3, load->request_len,
		load->reply_len);
}

static void read_request(struct load *load, const char *path)
{
	FILE *file = fopen(path, "r");

	load->request = malloc(REQUEST_MAX);
	if (file == NULL || load->request == NULL)
		err(64, "%s", path);
	load->request_len = fread(load->request, 1, REQUEST_MAX, file);
	(void)fclose(file);
}

int main(int argc, char **argv)
{
	struct load load = { .poll = epoll_create1(EPOLL_CLOEXEC) };
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	struct connection *connections;
	long count;

	if (argc != 5)
		errx(64, "usage: load PORT FILE CONNECTIONS COUNT");
	count = strtol(argv[3], NULL, 10);
	load.wanted = strtol(argv[4], NULL, 10);
	if (count < 1 || load.wanted < count || context == NULL)
		errx(64, "unusable arguments");
	read_request(&load, argv[2]);
	connections = calloc((size_t)count, sizeof(*connections));
	load.took_ns = calloc((size_t)load.wanted, sizeof(*load.took_ns));
	if (connections == NULL || load.took_ns == NULL)
		err(1, "memory");
	for (long i = 0; i < count; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &connections[i] };

		open_connection(&connections[i], context, (unsigned)strtoul(argv[1], NULL, 10));
		if (epoll_ctl(load.poll, EPOLL_CTL_ADD, SSL_get_fd(connections[i].ssl), &event) < 0)
			err(1, "epoll_ctl");
	}
	drive(&load, connections, count);
	return 0;
}
