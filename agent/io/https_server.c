/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who comes in, the one timer, the certificate and the end. Anybody in the cluster may connect, so
 * when all places are taken it is the connection that has done nothing for longest that goes, never
 * the newcomer: idle strangers cannot lock the API server out.
 */
#include "agent/io/https_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/wipe.h"
#include "agent/io/https_call.h"
#include "agent/io/listen.h"
#include "agent/io/loop_uv.h"
#include "agent/io/tls.h"

enum {
	ACCEPTS_PER_TURN = 64,
	RESERVED_FDS = 32, /* left to files and the rest of the program */
	RESUME_MS = 1000,  /* descriptors may have come free elsewhere */
	KEPT_BUFFER = 64 << 10,
};

static void on_listener(uv_poll_t *poll, int status, int events);

/* The timer may fire early, never late; a deadline that moves away does not touch it. */
void https_server_arm(struct https_server *server, int64_t deadline)
{
	if (deadline >= server->armed)
		return;
	server->armed = deadline;
	loop_timer_set(server->timer, deadline);
}

/* One large answer is no reason to hold its memory for good. */
void https_server_trim(struct https_server *server)
{
	if (server->answer.cap > KEPT_BUFFER)
		buf_deinit(&server->answer);
	if (server->output.cap > KEPT_BUFFER)
		buf_deinit(&server->output);
}

static void server_listen(struct https_server *server, bool on)
{
	if (server->closing || on == (server->resume_at == DEADLINE_NEVER))
		return;
	server->resume_at = on ? DEADLINE_NEVER : server->now + RESUME_MS;
	if (!on)
		(void)uv_poll_stop(&server->listener);
	else if (uv_poll_start(&server->listener, UV_READABLE, on_listener) < 0)
		server->resume_at = server->now + RESUME_MS;
	https_server_arm(server, server->resume_at);
}

static struct https_server *server_free(struct https_server *server)
{
	(void)loop_timer_free(server->timer);
	SSL_CTX_free(server->tls);
	buf_deinit(&server->answer);
	buf_deinit(&server->output);
	wipe_free(server);
	return NULL;
}

void https_server_ended(struct https_server *server)
{
	if (--server->handles == 0)
		(void)server_free(server);
}

static void on_listener_closed(uv_handle_t *handle)
{
	https_server_ended(CONTAINER_OF(handle, struct https_server, listener));
}

static void on_deadline(void *context)
{
	struct https_server *server = context;
	struct https_call *call;

	server->now = clock_now(server->clock).boot_ms;
	server->armed = DEADLINE_NEVER;
	for (size_t i = 0; i < HTTPS_STATES; i++) {
		while ((call = TAILQ_FIRST(&server->lists[i])) != NULL &&
		       call->deadline <= server->now)
			https_call_expire(call);
		if (call != NULL)
			https_server_arm(server, call->deadline);
	}
	if (server->resume_at <= server->now)
		server_listen(server, true);
	https_server_arm(server, server->resume_at);
}

/* ---- coming in ---- */

/* The first of the lists in their order whose connections may go for a newcomer. */
static bool make_room(struct https_server *server)
{
	struct https_call *call;

	for (size_t i = 0; i < HTTPS_BODY; i++) {
		call = TAILQ_FIRST(&server->lists[i]);
		if (call == NULL)
			continue;
		server->counts.evicted++;
		https_call_close(call);
		return true;
	}
	return false;
}

static void admit(struct https_server *server, int fd)
{
	const int on = 1;

	if ((server->counts.connections >= server->capacity && !make_room(server)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
	    !https_call_open(server, fd))
		(void)close(fd);
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
	struct https_server *server = CONTAINER_OF(poll, struct https_server, listener);
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
		else if (errno != EINTR && errno != ECONNABORTED && !make_room(server))
			server_listen(server, false);
	}
}

/* ---- the certificate ---- */

static SSL_CTX *make_context(const struct https_listen *listen, const struct tls_identity *identity)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (context == NULL)
		return NULL;
	if (tls_setup_server(context, listen->clients, identity) < 0) {
		SSL_CTX_free(context);
		return NULL;
	}
	return context;
}

int https_server_show(struct https_server *server, const struct tls_identity *identity,
		      struct error *err)
{
	SSL_CTX *context = make_context(&server->listen, identity);

	ERR_clear_error();
	if (context == NULL)
		return error_set(err, ERROR_INVALID, "OpenSSL cannot serve with this certificate");
	SSL_CTX_free(server->tls);
	server->tls = context;
	return 0;
}

/* ---- life ---- */

static size_t capacity(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == RLIM_INFINITY ||
	    files.rlim_cur >= HTTPS_CONNECTIONS_MAX + RESERVED_FDS)
		return HTTPS_CONNECTIONS_MAX;
	return files.rlim_cur > RESERVED_FDS ? files.rlim_cur - RESERVED_FDS : 1;
}

static struct https_server *server_discard(struct https_server *server)
{
	if (server->fd >= 0)
		(void)close(server->fd);
	return server_free(server);
}

struct https_server *https_server_new(struct loop *loop, const struct clock *clock,
				      const struct https_listen *listen,
				      const struct tls_identity *identity, struct error *err)
{
	struct https_server *server = wipe_calloc(1, sizeof(*server));

	if (server == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	/* OpenSSL writes to a connection whose client has gone as to any other. */
	(void)signal(SIGPIPE, SIG_IGN);
	server->loop = loop;
	server->clock = clock;
	server->listen = *listen;
	server->answer = BUF_INIT(HTTPS_ANSWER_MAX);
	server->output = BUF_INIT(HTTPS_ANSWER_MAX + HTTPS_HEAD_MAX);
	server->capacity = capacity();
	server->armed = server->resume_at = DEADLINE_NEVER;
	for (size_t i = 0; i < HTTPS_STATES; i++)
		TAILQ_INIT(&server->lists[i]);
	server->fd = listen_tcp(listen->address, &server->port, err);
	if (server->fd < 0 || https_server_show(server, identity, err) < 0)
		return server_discard(server);
	server->timer = loop_timer_new(loop, on_deadline, server, err);
	if (server->timer == NULL)
		return server_discard(server);
	if (uv_poll_init(loop_uv(loop), &server->listener, server->fd) < 0) {
		(void)error_set(err, ERROR_EXHAUSTED, "cannot watch the listening socket");
		return server_discard(server);
	}
	server->handles = 1;
	if (uv_poll_start(&server->listener, UV_READABLE, on_listener) < 0) {
		(void)error_set(err, ERROR_EXHAUSTED, "cannot watch the listening socket");
		return https_server_close(server);
	}
	return server;
}

void https_server_retire(struct https_server *server)
{
	server->retired = true;
}

struct https_server *https_server_close(struct https_server *server)
{
	struct https_call *call, *next;

	if (server == NULL)
		return NULL;
	server->now = clock_now(server->clock).boot_ms;
	server->closing = server->retired = true;
	for (size_t i = 0; i < HTTPS_STATES; i++)
		for (call = TAILQ_FIRST(&server->lists[i]); call != NULL; call = next) {
			next = TAILQ_NEXT(call, entry);
			https_call_drain(call);
		}
	uv_close((uv_handle_t *)&server->listener, on_listener_closed);
	(void)close(server->fd);
	return NULL;
}

const struct https_counts *https_server_counts(const struct https_server *server)
{
	return &server->counts;
}

uint16_t https_server_port(const struct https_server *server)
{
	return server->port;
}
