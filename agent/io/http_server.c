/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who comes in and how many, the one timer, and the end. Listening stops before descriptors run
 * out, and the kernel's backlog does the waiting: libuv would accept and drop.
 */
#include "agent/io/http_server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/wipe.h"
#include "agent/io/http_call.h"
#include "agent/io/loop_uv.h"

enum {
	ACCEPTS_PER_TURN = 64,
	RESERVED_FDS = 16, /* left to files, backends and the rest of the program */
	RESUME_MS = 1000,  /* descriptors may have come free elsewhere */
};

static void on_listener(uv_poll_t *poll, int status, int events);

/* The timer may fire early, never late; a deadline that moves away does not touch it. */
void server_arm(struct http_server *server, int64_t deadline)
{
	if (deadline >= server->armed)
		return;
	server->armed = deadline;
	loop_timer_set(server->timer, deadline);
}

static void server_listen(struct http_server *server, bool on)
{
	if (server->closing || on == (server->resume_at == DEADLINE_NEVER))
		return;
	server->resume_at = on ? DEADLINE_NEVER : server->now + RESUME_MS;
	if (!on)
		(void)uv_poll_stop(&server->listener);
	else if (uv_poll_start(&server->listener, UV_READABLE, on_listener) < 0)
		server->resume_at = server->now + RESUME_MS;
	server_arm(server, server->resume_at);
}

void server_call_ended(struct http_server *server)
{
	if (--server->handles > 0)
		return;
	(void)loop_timer_free(server->timer);
	free(server->path);
	wipe_free(server);
}

static void on_listener_closed(uv_handle_t *handle)
{
	server_call_ended(CONTAINER_OF(handle, struct http_server, listener));
}

/* A place among the connections of that uid; given back with usage_release. */
static struct usage *usage_take(struct http_server *server, uid_t uid)
{
	struct usage *usage;

	LIST_FOREACH(usage, &server->usages, entry)
	{
		if (usage->uid == uid) {
			usage->count++;
			return usage;
		}
	}
	usage = calloc(1, sizeof(*usage));
	if (usage != NULL) {
		usage->uid = uid;
		usage->count = 1;
		LIST_INSERT_HEAD(&server->usages, usage, entry);
	}
	return usage;
}

static void usage_release(struct usage *usage)
{
	if (--usage->count > 0)
		return;
	LIST_REMOVE(usage, entry);
	free(usage);
}

void server_call_closed(struct http_server *server, struct usage *usage)
{
	usage_release(usage);
	server->connections--;
	server_listen(server, true);
}

static void on_deadline(void *context)
{
	struct http_server *server = context;
	struct http_call *call;

	server->now = clock_now(server->clock).boot_ms;
	server->armed = DEADLINE_NEVER;
	for (size_t i = 0; i < CALL_STATES; i++) {
		while ((call = TAILQ_FIRST(&server->lists[i])) != NULL &&
		       call->deadline <= server->now)
			call_expire(call);
		if (call != NULL)
			server_arm(server, call->deadline);
	}
	if (server->resume_at <= server->now)
		server_listen(server, true);
	server_arm(server, server->resume_at);
}

static void refuse_descriptor(int fd)
{
	struct http_unsent *unsent = NULL;

	(void)http_reply_send(fd, &(struct http_answer){ .status = 503, .retry_after = 1 }, true,
			      &unsent);
	(void)http_unsent_free(unsent);
	(void)close(fd);
}

static int read_peer(const struct http_server *server, int fd, struct http_peer *ret)
{
	struct ucred credentials;
	socklen_t len = sizeof(credentials);
	const int on = 1;

	*ret = (struct http_peer){ (uid_t)-1, (gid_t)-1, -1 };
	if (server->path == NULL)
		return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) < 0)
		return -1;
	*ret = (struct http_peer){ credentials.uid, credentials.gid, credentials.pid };
	return 0;
}

static void admit(struct http_server *server, int fd)
{
	uint64_t per_uid = server->path != NULL ? server->limits.connections_per_uid : UINT64_MAX;
	struct usage *usage;
	struct http_peer peer;

	if (read_peer(server, fd, &peer) < 0) {
		(void)close(fd);
		return;
	}
	usage = usage_take(server, peer.uid);
	if (usage == NULL || usage->count > per_uid ||
	    server->connections >= server->limits.connections ||
	    !call_open(server, fd, usage, &peer)) {
		refuse_descriptor(fd);
		if (usage != NULL)
			usage_release(usage);
	}
	if ((uint64_t)fd + RESERVED_FDS >= server->fd_limit)
		server_listen(server, false);
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
	struct http_server *server = CONTAINER_OF(poll, struct http_server, listener);
	int fd;

	(void)status;
	(void)events;
	server->now = clock_now(server->clock).boot_ms;
	for (unsigned i = 0; i < ACCEPTS_PER_TURN && server->resume_at == DEADLINE_NEVER; i++) {
		fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			admit(server, fd);
		else if (errno == EAGAIN)
			return;
		else if (errno != EINTR && errno != ECONNABORTED)
			server_listen(server, false);
	}
}

static int open_listener(struct http_server *server, const struct http_listen *listen,
			 struct error *err)
{
	if (listen->path == NULL) {
		/* Whoever is called by an address of the pod cannot know every name that leads
		 * there. */
		server->fd = listen->anywhere && !listen_is_loopback(listen->address)
				     ? listen_tcp(listen->address, &server->port, err)
				     : listen_loopback(listen->address, server->host, &server->port,
						       err);
		return server->fd < 0 ? -1 : 0;
	}
	(void)snprintf(server->host, sizeof(server->host), "localhost");
	server->path = strdup(listen->path);
	if (server->path == NULL)
		return error_no_memory(err);
	server->fd = listen_unix(listen->path, listen->mode, &server->name, err);
	return server->fd < 0 ? -1 : 0;
}

static struct http_server *server_discard(struct http_server *server)
{
	if (server->fd >= 0) {
		(void)close(server->fd);
		if (server->path != NULL)
			listen_unlink(server->path, &server->name);
	}
	(void)loop_timer_free(server->timer);
	free(server->path);
	wipe_free(server);
	return NULL;
}

static void set_limits(struct http_server *server, const struct http_listen *listen)
{
	struct rlimit files;

	server->limits = *listen;
	if (listen->connections == 0)
		server->limits.connections = HTTP_SERVER_CONNECTIONS_MAX;
	if (listen->connections_per_uid == 0)
		server->limits.connections_per_uid = HTTP_SERVER_CONNECTIONS_PER_UID;
	if (listen->idle_ms == 0)
		server->limits.idle_ms = HTTP_SERVER_IDLE_MS;
	server->fd_limit = UINT64_MAX;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
		server->fd_limit = files.rlim_cur;
}

struct http_server *http_server_new(struct loop *loop, const struct clock *clock,
				    const struct http_listen *listen, http_serve_fn *serve,
				    void *context, struct error *err)
{
	struct http_server *server = wipe_calloc(1, sizeof(*server));

	if (server == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	server->loop = loop;
	server->clock = clock;
	server->serve = serve;
	server->context = context;
	server->fd = -1;
	server->armed = server->resume_at = DEADLINE_NEVER;
	for (size_t i = 0; i < CALL_STATES; i++)
		TAILQ_INIT(&server->lists[i]);
	set_limits(server, listen);
	server->timer = loop_timer_new(loop, on_deadline, server, err);
	if (server->timer == NULL || open_listener(server, listen, err) < 0)
		return server_discard(server);
	if (uv_poll_init(loop_uv(loop), &server->listener, server->fd) < 0) {
		(void)error_set(err, ERROR_EXHAUSTED, "cannot watch the listening socket");
		return server_discard(server);
	}
	server->handles = 1;
	if (uv_poll_start(&server->listener, UV_READABLE, on_listener) < 0) {
		(void)error_set(err, ERROR_EXHAUSTED, "cannot watch the listening socket");
		return http_server_close(server);
	}
	return server;
}

pid_t http_server_before(const struct http_server *server)
{
	return server->path != NULL ? server->name.before : -1;
}

int http_server_see_to_name(struct http_server *server, struct error *err)
{
	enum listen_owner owner =
		server->path != NULL ? listen_owner(server->path, &server->name) : LISTEN_OURS;
	AUTO(closep) int fd = -1;

	if (owner != LISTEN_FREE)
		return owner == LISTEN_OURS ? HTTP_NAME_OURS : HTTP_NAME_OTHERS;
	fd = listen_unix(server->path, server->limits.mode, &server->name, err);
	if (fd < 0)
		return -1;
	/* The new socket under the old number, which libuv must not watch meanwhile. */
	(void)uv_poll_stop(&server->listener);
	if (dup3(fd, server->fd, O_CLOEXEC) < 0)
		return error_errno(err, errno, "cannot listen on '%s' again", server->path);
	if (server->resume_at == DEADLINE_NEVER &&
	    uv_poll_start(&server->listener, UV_READABLE, on_listener) < 0)
		return error_set(err, ERROR_EXHAUSTED, "cannot watch the listening socket");
	return HTTP_NAME_AGAIN;
}

struct http_server *http_server_close(struct http_server *server)
{
	struct http_call *call, *next;

	if (server == NULL)
		return NULL;
	server->now = clock_now(server->clock).boot_ms;
	server->closing = true;
	if (server->path != NULL)
		listen_unlink(server->path, &server->name);
	for (size_t i = 0; i < CALL_STATES; i++)
		for (call = TAILQ_FIRST(&server->lists[i]); call != NULL; call = next) {
			next = TAILQ_NEXT(call, entry);
			call_drain(call);
		}
	uv_close((uv_handle_t *)&server->listener, on_listener_closed);
	(void)close(server->fd);
	return NULL;
}

void http_server_wake(struct http_server *server)
{
	struct call_list waiting = TAILQ_HEAD_INITIALIZER(waiting);
	struct http_call *call;

	server->now = clock_now(server->clock).boot_ms;
	TAILQ_CONCAT(&waiting, &server->lists[CALL_WAITING], entry);
	while ((call = TAILQ_FIRST(&waiting)) != NULL) {
		TAILQ_REMOVE(&waiting, call, entry);
		call->state = CALL_SERVING;
		call_ask_again(call, false);
	}
}

uint64_t http_server_connections(const struct http_server *server)
{
	return server->connections;
}

uint64_t http_server_requests(const struct http_server *server)
{
	return server->requests;
}

uint16_t http_server_port(const struct http_server *server)
{
	return server->port;
}
