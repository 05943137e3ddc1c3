/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/io/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/io/http_server.h"

/* A bare name beside the last one; the directory is reached through its descriptor, so that a long
 * path fits. */
enum { TEMPORARY_MAX = 40 };

static int steal_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static int check_path(const char *path, const char **name, struct error *err)
{
	size_t len = strlen(path);
	const char *slash = strrchr(path, '/');
	struct stat status;

	if (len > HTTP_SERVER_PATH_MAX)
		return error_set(
			err, ERROR_INVALID,
			"the socket path '%.120s' is %zu bytes long: at most %d are possible", path,
			len, HTTP_SERVER_PATH_MAX);
	*name = slash != NULL ? slash + 1 : path;
	if (**name == '\0')
		return error_set(err, ERROR_INVALID, "the socket path '%s' names a directory",
				 path);
	if (lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode))
		return error_set(err, ERROR_INVALID,
				 "'%s' exists and is no socket: move it away or name another path",
				 path);
	return 0;
}

static int open_directory(const char *path, const char *name, struct error *err)
{
	char directory[HTTP_SERVER_PATH_MAX + 1] = ".";
	int fd;

	if (name != path)
		(void)snprintf(directory, sizeof(directory), "%.*s", (int)(name - path), path);
	fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return error_set(err, ERROR_INVALID,
				 "the directory of the socket '%s' is not there: make it, or name "
				 "another path",
				 path);
	if (fd < 0)
		return error_errno(err, errno, "cannot open the directory of the socket '%s'",
				   path);
	return fd;
}

static int bind_temporary(int fd, int directory, const char *temporary, unsigned mode)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t before;
	int bound;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", directory,
		       temporary);
	(void)unlinkat(directory, temporary, 0);
	before = umask((mode_t)(0777 & ~mode));
	bound = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	(void)umask(before);
	return bound;
}

/* The pid of another process that answers on this socket; 0 where it is not known, -1: nobody does.
 * A full backlog is somebody too. */
static pid_t who_answers(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	AUTO(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return errno == EAGAIN ? 0 : -1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return 0;
	return peer.pid != getpid() ? peer.pid : -1;
}

int listen_unix(const char *path, unsigned mode, struct listen_name *ret, struct error *err)
{
	AUTO(closep) int fd = -1, directory = -1;
	char temporary[TEMPORARY_MAX];
	const char *name = path;
	struct stat status;
	pid_t before;

	if (check_path(path, &name, err) < 0)
		return -1;
	before = who_answers(path);
	directory = open_directory(path, name, err);
	if (directory < 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(err, errno, "cannot make the socket '%s'", path);
	(void)snprintf(temporary, sizeof(temporary), ".agent-socket-%d", (int)getpid());
	if (bind_temporary(fd, directory, temporary, mode) < 0)
		return error_errno(err, errno, "cannot make the socket '%s'", path);
	if (listen(fd, SOMAXCONN) < 0 ||
	    fstatat(directory, temporary, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
	    renameat(directory, temporary, directory, name) < 0) {
		(void)error_errno(err, errno, "cannot listen on the socket '%s'", path);
		(void)unlinkat(directory, temporary, 0);
		return -1;
	}
	*ret = (struct listen_name){ status.st_dev, status.st_ino, before };
	return steal_fd(&fd);
}

enum listen_owner listen_owner(const char *path, const struct listen_name *name)
{
	struct stat status;

	if (lstat(path, &status) < 0)
		return LISTEN_FREE;
	if (status.st_dev == name->device && status.st_ino == name->inode)
		return LISTEN_OURS;
	return S_ISSOCK(status.st_mode) && who_answers(path) < 0 ? LISTEN_FREE : LISTEN_OTHERS;
}

void listen_unlink(const char *path, const struct listen_name *name)
{
	struct stat status;

	if (lstat(path, &status) == 0 && status.st_dev == name->device &&
	    status.st_ino == name->inode)
		(void)unlink(path);
}

struct endpoint_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

/* Splits at the last colon; brackets of an IPv6 address stay with the host, as in a Host header. */
static int split(const char *address, char host[LISTEN_HOST_MAX], uint16_t *port)
{
	const char *colon = strrchr(address, ':');
	char *end;
	unsigned long number;

	if (colon == NULL || colon == address || (size_t)(colon - address) >= LISTEN_HOST_MAX)
		return -1;
	(void)snprintf(host, LISTEN_HOST_MAX, "%.*s", (int)(colon - address), address);
	if (colon[1] < '0' || colon[1] > '9')
		return -1;
	number = strtoul(colon + 1, &end, 10);
	if (*end != '\0' || number > UINT16_MAX)
		return -1;
	*port = (uint16_t)number;
	return 0;
}

static void resolve_v4(struct in_addr host, uint16_t port, struct endpoint_address *ret)
{
	*ret = (struct endpoint_address){ .len = sizeof(ret->v4) };
	ret->v4.sin_family = AF_INET;
	ret->v4.sin_addr = host;
	ret->v4.sin_port = htons(port);
}

static void resolve_v6(struct in6_addr host, uint16_t port, struct endpoint_address *ret)
{
	*ret = (struct endpoint_address){ .len = sizeof(ret->v6) };
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_addr = host;
	ret->v6.sin6_port = htons(port);
}

static int resolve_loopback(const char *host, uint16_t port, struct endpoint_address *ret)
{
	struct in_addr v4;

	if (strcmp(host, "[::1]") == 0) {
		resolve_v6(in6addr_loopback, port, ret);
		return 0;
	}
	if (strcmp(host, "localhost") == 0)
		v4.s_addr = htonl(INADDR_LOOPBACK);
	else if (inet_pton(AF_INET, host, &v4) != 1)
		return -1;
	if (ntohl(v4.s_addr) >> 24 != IN_LOOPBACKNET)
		return -1;
	resolve_v4(v4, port, ret);
	return 0;
}

/* Literal addresses alone: a name would be looked up once and mean something else later. */
static int resolve_any(const char *host, uint16_t port, struct endpoint_address *ret)
{
	char literal[LISTEN_HOST_MAX];
	struct in6_addr v6;
	struct in_addr v4;
	size_t len = strlen(host);

	if (inet_pton(AF_INET, host, &v4) == 1) {
		resolve_v4(v4, port, ret);
		return 0;
	}
	if (len < 2 || host[0] != '[' || host[len - 1] != ']')
		return -1;
	(void)snprintf(literal, sizeof(literal), "%.*s", (int)(len - 2), host + 1);
	if (inet_pton(AF_INET6, literal, &v6) != 1)
		return -1;
	resolve_v6(v6, port, ret);
	return 0;
}

static uint16_t bound_port(int fd)
{
	struct endpoint_address own = { .len = sizeof(own.v6) };

	if (getsockname(fd, &own.any, &own.len) < 0)
		return 0;
	return ntohs(own.any.sa_family == AF_INET6 ? own.v6.sin6_port : own.v4.sin_port);
}

/* errno says why not. An IPv6 socket takes IPv4 too, whatever the machine's default is. */
static int open_stream(const struct endpoint_address *to)
{
	AUTO(closep)
	int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1, off = 0;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (to->any.sa_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0) ||
	    bind(fd, &to->any, to->len) < 0 || listen(fd, SOMAXCONN) < 0)
		return -1;
	return steal_fd(&fd);
}

bool listen_is_loopback(const char *address)
{
	char host[LISTEN_HOST_MAX];
	struct endpoint_address to;
	uint16_t port;

	return split(address, host, &port) == 0 && resolve_loopback(host, port, &to) == 0;
}

static int listen_failed(const char *address, struct error *err)
{
	if (errno == EADDRINUSE)
		return error_set(err, ERROR_UNAVAILABLE,
				 "cannot listen on '%.100s': another process does; end it, or name "
				 "another port",
				 address);
	return error_errno(err, errno, "cannot listen on '%.100s'", address);
}

int listen_loopback(const char *address, char host[LISTEN_HOST_MAX], uint16_t *ret_port,
		    struct error *err)
{
	AUTO(closep) int fd = -1;
	struct endpoint_address to;
	uint16_t port;

	if (split(address, host, &port) < 0)
		return error_set(
			err, ERROR_INVALID,
			"cannot listen on '%.100s': write host:port, such as 127.0.0.1:9102",
			address);
	if (resolve_loopback(host, port, &to) < 0)
		return error_set(
			err, ERROR_INVALID,
			"cannot listen on '%.100s': only the loopback interface is possible, "
			"such as 127.0.0.1, [::1] or localhost",
			address);
	fd = open_stream(&to);
	if (fd < 0)
		return listen_failed(address, err);
	*ret_port = bound_port(fd);
	return steal_fd(&fd);
}

int listen_tcp(const char *address, uint16_t *ret_port, struct error *err)
{
	AUTO(closep) int fd = -1;
	char host[LISTEN_HOST_MAX];
	struct endpoint_address to;
	uint16_t port;

	if (split(address, host, &port) < 0 || resolve_any(host, port, &to) < 0)
		return error_set(err, ERROR_INVALID,
				 "cannot listen on '%.100s': write an address and a port, such as "
				 "[::]:8443",
				 address);
	fd = open_stream(&to);
	if (fd < 0 && errno == EAFNOSUPPORT && strcmp(host, "[::]") == 0) {
		resolve_v4((struct in_addr){ htonl(INADDR_ANY) }, port, &to);
		fd = open_stream(&to);
	}
	if (fd < 0)
		return listen_failed(address, err);
	*ret_port = bound_port(fd);
	return steal_fd(&fd);
}
