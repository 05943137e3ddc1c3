/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that fetching takes: one sign-in by AppRole, one question about the mount and N reads
 * over keep-alive connections of plain sockets; nothing is kept, checked or written.
 * `fetch PORT ROLE_ID_FILE SECRET_ID_FILE N CONNECTIONS`
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, REPLY_MAX = 65536, ID_MAX = 128 };

struct connection {
	int fd;
	size_t len;
	char reply[REPLY_MAX];
};

static struct connection connections[CONNECTIONS_MAX];

static int open_connection(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		err(1, "connect to port %d", port);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void read_id(const char *path, char id[ID_MAX])
{
	FILE *file = fopen(path, "re");

	if (file == NULL || fgets(id, ID_MAX, file) == NULL)
		err(1, "%s", path);
	(void)fclose(file);
	id[strcspn(id, "\n")] = '\0';
}

static void send_all(const struct connection *c, const char *bytes, int len)
{
	if (len <= 0 || write(c->fd, bytes, (size_t)len) != len)
		err(1, "write");
}

/* Takes what has come; true when the reply is whole, and its status must be 200. */
static bool receive(struct connection *c)
{
	ssize_t n = read(c->fd, c->reply + c->len, sizeof(c->reply) - 1 - c->len);
	const char *length, *body;

	if (n <= 0)
		err(1, "read");
	c->len += (size_t)n;
	c->reply[c->len] = '\0';
	body = strstr(c->reply, "\r\n\r\n");
	if (body == NULL)
		return false;
	length = strcasestr(c->reply, "\r\ncontent-length:");
	if (length == NULL || strncmp(c->reply, "HTTP/1.1 200", 12) != 0)
		errx(1, "unexpected reply: %.200s", c->reply);
	return c->len >= (size_t)(body + 4 - c->reply) + strtoul(length + 17, NULL, 10);
}

static void login(struct connection *c, const char *role_file, const char *secret_file,
		  char token[ID_MAX])
{
	char role[ID_MAX], secret[ID_MAX], body[3 * ID_MAX], text[6 * ID_MAX];
	const char *found;
	int len;

	read_id(role_file, role);
	read_id(secret_file, secret);
	len = snprintf(body, sizeof(body), "{\"role_id\":\"%s\",\"secret_id\":\"%s\"}", role,
		       secret);
	send_all(c, text,
		 snprintf(text, sizeof(text),
			  "POST /v1/auth/approle/login HTTP/1.1\r\nHost: "
			  "localhost\r\nContent-Length: %d\r\n\r\n%s",
			  len, body));
	while (!receive(c))
		;
	found = strstr(c->reply, "\"client_token\":\"");
	if (found == NULL || sscanf(found, "\"client_token\":\"%100[^\"]", token) != 1)
		errx(1, "no token in the answer to the sign-in");
	c->len = 0;
}

static void ask(const struct connection *c, const char *path, const char *token)
{
	char text[4 * ID_MAX];

	send_all(c, text,
		 snprintf(text, sizeof(text),
			  "GET /v1/%s HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: %s\r\n\r\n",
			  path, token));
}

static void ask_secret(struct connection *c, long number, const char *token)
{
	char path[ID_MAX];

	(void)snprintf(path, sizeof(path), "secret/data/bench/s%04ld", number);
	c->len = 0;
	ask(c, path, token);
}

static void read_all(size_t count, long wanted, const char *token)
{
	struct pollfd polled[CONNECTIONS_MAX];
	long asked = 0, got = 0;

	for (size_t i = 0; i < count; i++) {
		polled[i] = (struct pollfd){ .fd = connections[i].fd, .events = POLLIN };
		ask_secret(&connections[i], asked++, token);
	}
	while (got < wanted) {
		if (poll(polled, count, -1) < 0)
			err(1, "poll");
		for (size_t i = 0; i < count; i++) {
			if (polled[i].revents == 0 || !receive(&connections[i]))
				continue;
			got++;
			if (asked < wanted)
				ask_secret(&connections[i], asked++, token);
		}
	}
}

int main(int argc, char **argv)
{
	char token[ID_MAX];
	long wanted, count;
	int port;

	if (argc != 6)
		errx(64, "usage: fetch PORT ROLE_ID_FILE SECRET_ID_FILE N CONNECTIONS");
	port = (int)strtol(argv[1], NULL, 10);
	wanted = strtol(argv[4], NULL, 10);
	count = strtol(argv[5], NULL, 10);
	if (count > wanted)
		count = wanted;
	if (count < 1 || count > CONNECTIONS_MAX)
		errx(64, "between 1 and %d connections", CONNECTIONS_MAX);

	connections[0].fd = open_connection(port);
	login(&connections[0], argv[2], argv[3], token);
	ask(&connections[0], "sys/internal/ui/mounts/secret/bench", token);
	while (!receive(&connections[0]))
		;
	for (long i = 1; i < count; i++)
		connections[i].fd = open_connection(port);
	read_all((size_t)count, wanted, token);
	return 0;
}
