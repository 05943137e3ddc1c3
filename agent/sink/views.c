/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sink/views.h"

#include <string.h>

#include "agent/base/text.h"

/* A reason is a secret's name and one error's text; a byte of it is at most six in JSON. */
enum { REASON_MAX = 1024, JSON_ESCAPE_MAX = 7 };

/* Few scrape metrics; whoever floods them takes no descriptor that the sockets need. */
enum { CONNECTIONS_MAX = 16 };

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics_listener {
	const struct socket_views *views;
	struct http_server *server;
	struct buf text;
};

static void answer_text(struct http_call *call, unsigned status, const char *type, const char *text)
{
	http_answer(call, &(struct http_answer){
				  .status = status,
				  .type = type,
				  .body = text,
				  .len = strlen(text),
			  });
}

static void answer_view(const struct socket_views *views, struct http_call *call,
			int (*write)(void *context, struct buf *out), const char *type,
			struct buf *text)
{
	buf_reset(text);
	if (write(views->context, text) < 0 || text->failed)
		http_answer(call, &(struct http_answer){ .status = 500 });
	else
		answer_text(call, 200, type, buf_string(text));
	buf_deinit(text);
}

static bool is_v1(const struct http_head *head, const char *name)
{
	return head->segment_count == 2 && strcmp(head->segments[0], "v1") == 0 &&
	       strcmp(head->segments[1], name) == 0;
}

/* Why it is not ready is for whom the status is for. */
static void answer_ready(const struct socket_views *views, struct http_call *call, bool with_reason)
{
	AUTO(buf_deinit) struct buf reason = BUF_INIT(REASON_MAX);
	AUTO(buf_deinit) struct buf text = BUF_INIT(REASON_MAX * JSON_ESCAPE_MAX);

	if (views->ready(views->context, with_reason ? &reason : NULL)) {
		answer_text(call, 200, NULL, "{\"ready\":true}\n");
		return;
	}
	buf_puts(&text, "{\"ready\":false");
	if (reason.len > 0) {
		buf_puts(&text, ",\"reason\":");
		text_write_json(&text, reason.data, reason.len);
	}
	buf_puts(&text, "}\n");
	answer_text(call, 503, NULL, buf_string(&text));
}

bool views_serve(const struct socket_views *views, struct http_call *call,
		 const struct http_head *head, bool with_status, struct buf *text)
{

	if (head->segment_count == 1 && strcmp(head->segments[0], "metrics") == 0) {
		answer_view(views, call, views->metrics, METRICS_TYPE, text);
	} else if (is_v1(head, "live")) {
		answer_text(call, 200, NULL, "{\"live\":true}\n");
	} else if (is_v1(head, "ready")) {
		answer_ready(views, call, with_status);
	} else if (with_status && is_v1(head, "status")) {
		answer_view(views, call, views->status, NULL, text);
	} else {
		return false;
	}
	return true;
}

static void serve_metrics(void *context, struct http_call *call, const struct http_head *head)
{
	struct metrics_listener *listener = context;

	if (!views_serve(listener->views, call, head, false, &listener->text))
		http_answer(call, &(struct http_answer){ .status = 404 });
}

struct metrics_listener *metrics_listener_new(struct loop *loop, const struct clock *clock,
					      const char *address, const struct socket_views *views,
					      struct error *err)
{
	struct metrics_listener *listener = calloc(1, sizeof(*listener));

	if (listener == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	listener->views = views;
	listener->text = BUF_INIT(VIEW_MAX);
	listener->server = http_server_new(loop, clock,
					   &(struct http_listen){ .address = address,
								  .anywhere = true,
								  .connections = CONNECTIONS_MAX },
					   serve_metrics, listener, err);
	if (listener->server == NULL) {
		(void)error_wrap(err, "metrics");
		return metrics_listener_close(listener);
	}
	return listener;
}

void metrics_listener_use(struct metrics_listener *listener, const struct socket_views *views)
{
	listener->views = views;
}

struct metrics_listener *metrics_listener_close(struct metrics_listener *listener)
{
	if (listener == NULL)
		return NULL;
	(void)http_server_close(listener->server);
	buf_deinit(&listener->text);
	free(listener);
	return NULL;
}

uint16_t metrics_listener_port(const struct metrics_listener *listener)
{
	return http_server_port(listener->server);
}
