/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every answer comes from the store, in memory; nothing here waits for a backend. What a caller may
 * not have and what does not exist are the same to it. A long poll is the same request asked again
 * when versions change.
 */
#include "agent/sink/socket.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/io/http_server.h"
#include "agent/sink/format.h"
#include "agent/sink/views.h"

/* Working memory larger than this goes back after each answer. */
#define TEXT_KEPT ((size_t)16 << 10)

enum {
	MARK_SIZE = 17,
	NAME_AGAIN_MS = 5000, /* how often a name that another process has is looked at */
};

struct socket_sink {
	const struct clock *clock;
	const struct config *config;
	const struct config_socket *socket;
	const struct store *store;
	const struct socket_views *views;
	struct audit *audit;
	struct http_server *server;
	struct loop_watch *watch; /* of the name */
	struct loop_timer *timer; /* while another process has it */
	struct error lost;	  /* why nobody finds us; code NONE: the name is ours */
	uid_t own_uid;
	struct buf text;
};

struct asked {
	struct http_call *call;
	const struct http_head *head;
	struct socket_sink *sink;
};

static bool rule_allows(const struct config_allow *rule, uid_t uid, const char *name)
{
	if (!rule->any && (rule->uid < 0 || (uid_t)rule->uid != uid))
		return false;
	for (size_t i = 0; i < rule->secrets.count; i++)
		if (strcmp(rule->secrets.items[i], name) == 0)
			return true;
	return rule->secrets.count == 0;
}

static bool may_see(const struct socket_sink *sink, uid_t uid, const char *name)
{
	const struct config_socket *socket = sink->socket;

	if (socket->status_only)
		return false;
	if (socket->allow_count == 0)
		return uid == sink->own_uid;
	for (size_t i = 0; i < socket->allow_count; i++)
		if (rule_allows(&socket->allow[i], uid, name))
			return true;
	return false;
}

static void answer_status(const struct asked *asked, unsigned status)
{
	http_answer(asked->call,
		    &(struct http_answer){ .status = status, .retry_after = status == 503 });
}

/* Sends what stands in the working memory. */
static void answer_text(const struct asked *asked, const char *etag)
{
	struct buf *text = &asked->sink->text;

	buf_putc(text, '\n');
	if (text->failed)
		answer_status(asked, 500);
	else
		http_answer(asked->call, &(struct http_answer){ .status = 200,
								.etag = etag,
								.body = text->data,
								.len = text->len });
	if (text->cap > TEXT_KEPT)
		buf_deinit(text);
	else
		buf_reset(text);
}

static void put_string(struct buf *text, const char *value)
{
	if (value != NULL)
		text_write_json(text, value, strlen(value));
	else
		buf_puts(text, "null");
}

static void put_member(struct buf *text, const char *name)
{
	buf_putc(text, ',');
	put_string(text, name);
	buf_putc(text, ':');
}

static void put_time(struct buf *text, int64_t real_ms)
{
	if (real_ms == 0) {
		buf_puts(text, "null");
		return;
	}
	buf_putc(text, '"');
	text_write_time(text, real_ms);
	buf_putc(text, '"');
}

static void put_age(struct buf *text, const struct store_entry *entry, struct stamp now)
{
	int64_t age_ms = now.boot_ms - entry->version->fetched.boot_ms;

	put_member(text, "fetched_at");
	put_time(text, entry->version->fetched.real_ms);
	put_member(text, "age_seconds");
	buf_printf(text, "%lld", (long long)(age_ms > 0 ? age_ms / 1000 : 0));
	put_member(text, "stale");
	buf_puts(text, entry->state == STATE_FRESH ? "false" : "true");
}

static void put_lease(struct buf *text, const struct lease *lease)
{
	put_member(text, "lease");
	if (lease->kind == LEASE_NONE) {
		buf_puts(text, "null");
		return;
	}
	buf_printf(text, "{\"duration_seconds\":%lld,\"renewable\":%s,\"expires_at\":",
		   (long long)(lease->duration_ms / 1000), lease->renewable ? "true" : "false");
	put_time(text, lease_expires_real_ms(lease));
	buf_putc(text, '}');
}

static bool is_text(const struct field *field)
{
	return text_is_utf8(secret_bytes(field->value), secret_len(field->value));
}

static void put_base64_fields(struct buf *text, const struct secret_version *version)
{
	const char *between = "";

	put_member(text, "fields_base64");
	buf_putc(text, '{');
	for (size_t i = 0; i < version->count; i++) {
		const struct field *field = &version->fields[i];

		if (is_text(field))
			continue;
		buf_puts(text, between);
		put_string(text, field->name);
		buf_puts(text, ":\"");
		text_write_base64(text, secret_bytes(field->value), secret_len(field->value));
		buf_putc(text, '"');
		between = ",";
	}
	buf_putc(text, '}');
}

static void answer_too_large(const struct asked *asked, const struct field *field)
{
	struct buf *text = &asked->sink->text;

	buf_puts(text, "{\"error\":\"a value is larger than 64 KiB\",\"field\":");
	put_string(text, field->name);
	buf_puts(text, "}\n");
	http_answer(asked->call, &(struct http_answer){
					 .status = 500,
					 .body = text->data,
					 .len = text->len,
				 });
	buf_reset(text);
}

static void answer_version(const struct asked *asked, const struct store_entry *entry)
{
	const struct secret_version *version = entry->version;
	struct buf *text = &asked->sink->text;

	for (size_t i = 0; i < version->count; i++)
		if (secret_len(version->fields[i].value) > FIELD_VALUE_MAX) {
			answer_too_large(asked, &version->fields[i]);
			return;
		}
	buf_puts(text, "{\"name\":");
	put_string(text, entry->spec->name);
	put_member(text, "version");
	put_string(text, version->id);
	put_member(text, "fields");
	if (format_write_json_fields(text, version) > 0)
		put_base64_fields(text, version);
	put_lease(text, &version->lease);
	put_age(text, entry, clock_now(asked->sink->clock));
	buf_putc(text, '}');
	answer_text(asked, version->id);
}

static void answer_field(const struct asked *asked, const struct secret_version *version,
			 const struct field *field)
{
	if (secret_len(field->value) > FIELD_VALUE_MAX) {
		answer_too_large(asked, field);
		return;
	}
	http_answer(asked->call, &(struct http_answer){
					 .status = 200,
					 .type = "application/octet-stream",
					 .etag = version->id,
					 .secret = field->value,
				 });
}

static void refuse(const struct asked *asked, const char *version, enum audit_result result)
{
	audit_read(asked->sink->audit, &asked->head->peer, asked->head->segments[2], version,
		   result);
	answer_status(asked, result == AUDIT_NOT_FOUND ? 404 : 503);
}

/* The wait of the query, 0 without one; -1 for a query that is none of ours. */
static int read_wait(const char *query, int64_t *ret_ms)
{
	struct error err;

	*ret_ms = 0;
	if (query[0] == '\0')
		return 0;
	if (!text_starts_with(query, "wait="))
		return -1;
	return text_read_duration(query + strlen("wait="), ret_ms, &err);
}

/* NAME, or NAME/FIELD. */
static void serve_secret(const struct asked *asked)
{
	const struct http_head *head = asked->head;
	struct socket_sink *sink = asked->sink;
	const struct store_entry *entry = store_find(sink->store, head->segments[2]);
	const struct secret_version *version;
	const struct field *field = NULL;
	int64_t wait_ms;

	if (read_wait(head->query, &wait_ms) < 0) {
		answer_status(asked, 400);
		return;
	}
	if (entry == NULL || !may_see(sink, head->peer.uid, head->segments[2])) {
		refuse(asked, NULL, AUDIT_NOT_FOUND);
		return;
	}
	version = entry->version;
	if (version == NULL || http_etag_matches(head->if_none_match, version->id)) {
		if (wait_ms > 0 && !head->expired)
			http_defer(asked->call, wait_ms);
		else if (version == NULL)
			refuse(asked, NULL, AUDIT_NOT_FETCHED);
		else
			http_answer(asked->call,
				    &(struct http_answer){ .status = 304, .etag = version->id });
		return;
	}
	if (head->segment_count == 4) {
		field = secret_version_field(version, head->segments[3]);
		if (field == NULL) {
			refuse(asked, version->id, AUDIT_NOT_FOUND);
			return;
		}
	}
	audit_read(sink->audit, &head->peer, entry->spec->name, version->id, AUDIT_OK);
	if (field != NULL)
		answer_field(asked, version, field);
	else
		answer_version(asked, entry);
}

static void put_entry(struct buf *text, const struct store_entry *entry, struct stamp now)
{
	const struct secret_version *version = entry->version;

	buf_puts(text, "{\"name\":");
	put_string(text, entry->spec->name);
	put_member(text, "required");
	buf_puts(text, entry->spec->optional ? "false" : "true");
	put_member(text, "version");
	put_string(text, version != NULL ? version->id : NULL);
	if (version != NULL) {
		put_member(text, "expires_at");
		put_time(text, lease_expires_real_ms(&version->lease));
		put_age(text, entry, now);
	}
	buf_putc(text, '}');
}

/* FNV-1a: names what the caller would be told, ages left out, so that a list can be waited for too.
 * Not a secret's protection: names and ids stand in the list. */
static uint64_t add_to_mark(uint64_t mark, const char *text)
{
	for (; *text != '\0'; text++)
		mark = (mark ^ (uint8_t)*text) * 0x100000001b3u;
	return (mark ^ 0xff) * 0x100000001b3u; /* ends the text: no byte of UTF-8 */
}

static void write_mark(const struct asked *asked, char *ret, size_t size)
{
	const struct store *store = asked->sink->store;
	uint64_t mark = 0xcbf29ce484222325u;

	for (size_t i = 0; i < store->count; i++) {
		const struct store_entry *entry = &store->entries[i];

		if (!may_see(asked->sink, asked->head->peer.uid, entry->spec->name))
			continue;
		mark = add_to_mark(mark, entry->spec->name);
		mark = add_to_mark(mark, entry->version != NULL ? entry->version->id : "");
	}
	(void)snprintf(ret, size, "%016llx", (unsigned long long)mark);
}

static void write_list(const struct asked *asked)
{
	const struct store *store = asked->sink->store;
	struct stamp now = clock_now(asked->sink->clock);
	struct buf *text = &asked->sink->text;
	const char *between = "";

	buf_puts(text, "{\"secrets\":[");
	for (size_t i = 0; i < store->count; i++) {
		if (!may_see(asked->sink, asked->head->peer.uid, store->entries[i].spec->name))
			continue;
		buf_puts(text, between);
		put_entry(text, &store->entries[i], now);
		between = ",";
	}
	buf_puts(text, "]}");
}

static void serve_list(const struct asked *asked)
{
	const struct http_head *head = asked->head;
	char mark[MARK_SIZE];
	int64_t wait_ms;

	if (read_wait(head->query, &wait_ms) < 0) {
		answer_status(asked, 400);
		return;
	}
	write_mark(asked, mark, sizeof(mark));
	if (!http_etag_matches(head->if_none_match, mark)) {
		write_list(asked);
		answer_text(asked, mark);
	} else if (wait_ms > 0 && !head->expired) {
		http_defer(asked->call, wait_ms);
	} else {
		http_answer(asked->call, &(struct http_answer){ .status = 304, .etag = mark });
	}
}

/* The `env:` mapping, for `agent run --socket`. */
static void serve_env(const struct asked *asked)
{
	const struct config *config = asked->sink->config;
	struct buf *text = &asked->sink->text;
	const char *between = "";

	buf_putc(text, '{');
	for (size_t i = 0; i < config->variable_count; i++) {
		const struct config_variable *variable = &config->variables[i];

		if (!may_see(asked->sink, asked->head->peer.uid, variable->secret))
			continue;
		buf_puts(text, between);
		put_string(text, variable->variable);
		buf_puts(text, ":{\"secret\":");
		put_string(text, variable->secret);
		put_member(text, "field");
		put_string(text, variable->field);
		buf_putc(text, '}');
		between = ",";
	}
	buf_putc(text, '}');
	answer_text(asked, NULL);
}

static const struct route {
	const char *name; /* after /v1/ */
	size_t segments;
	void (*serve)(const struct asked *asked);
} routes[] = {
	{ "secrets", 4, serve_secret },
	{ "secrets", 3, serve_secret },
	{ "secrets", 2, serve_list },
	{ "env", 2, serve_env },
};

static void serve(void *context, struct http_call *call, const struct http_head *head)
{
	struct socket_sink *sink = context;
	const struct asked asked = { .call = call, .head = head, .sink = sink };

	for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
		if (head->segment_count == routes[i].segments &&
		    strcmp(head->segments[0], "v1") == 0 &&
		    strcmp(head->segments[1], routes[i].name) == 0) {
			routes[i].serve(&asked);
			return;
		}
	if (!views_serve(sink->views, call, head, true, &sink->text))
		answer_status(&asked, 404);
}

/* ---- the name ---- */

/* Two agents on one path: the younger has it, and the older gets it back when that one has ended.
 */
static void see_to_name(void *context)
{
	struct socket_sink *sink = context;
	bool news = sink->lost.code == ERROR_NONE;
	struct error err = ERROR_INIT;
	int found = http_server_see_to_name(sink->server, &err);

	if (found == HTTP_NAME_OTHERS)
		(void)error_set(
			&err, ERROR_UNAVAILABLE,
			"another process has taken '%.150s': end it, or give it another path",
			sink->socket->path);
	sink->lost = err;
	loop_timer_set(sink->timer, err.code != ERROR_NONE
					    ? clock_now(sink->clock).boot_ms + NAME_AGAIN_MS
					    : DEADLINE_NEVER);
	if (err.code != ERROR_NONE && news)
		log_error("no client finds the socket", LOG_ERR(&err));
	else if (found == HTTP_NAME_AGAIN)
		log_warn("listening again: the socket's name was gone",
			 LOG_STR("path", sink->socket->path));
}

static int watch_name(struct socket_sink *sink, struct loop *loop, struct error *err)
{
	pid_t before = http_server_before(sink->server);

	if (before >= 0)
		log_warn(
			"another process answered on the socket and is found no more: two agents "
			"on one path?",
			LOG_STR("path", sink->socket->path), LOG_NUM("pid", before));
	sink->timer = loop_timer_new(loop, see_to_name, sink, err);
	if (sink->timer == NULL)
		return -1;
	sink->watch = loop_watch_new(loop, sink->socket->path, see_to_name, sink, err);
	return sink->watch != NULL ? 0 : -1;
}

struct socket_sink *socket_sink_new(struct loop *loop, const struct clock *clock,
				    const struct config *config, const struct config_socket *socket,
				    const struct store *store, const struct socket_views *views,
				    struct audit *audit, struct error *err)
{
	struct socket_sink *sink = calloc(1, sizeof(*sink));
	const struct http_listen listen = {
		.path = socket->path,
		.mode = socket->mode,
		.connections = socket->max_connections,
		.connections_per_uid = socket->max_connections_per_uid,
		.idle_ms = socket->idle_timeout_ms,
	};

	if (sink == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	*sink = (struct socket_sink){
		.clock = clock,
		.config = config,
		.socket = socket,
		.store = store,
		.views = views,
		.audit = audit,
		.own_uid = getuid(),
		.text = BUF_INIT(VIEW_MAX),
	};
	sink->server = http_server_new(loop, clock, &listen, serve, sink, err);
	if (sink->server == NULL || watch_name(sink, loop, err) < 0)
		return socket_sink_close(sink);
	return sink;
}

void socket_sink_changed(struct socket_sink *sink)
{
	http_server_wake(sink->server);
}

struct socket_sink *socket_sink_close(struct socket_sink *sink)
{
	if (sink == NULL)
		return NULL;
	(void)loop_watch_free(sink->watch);
	if (sink->timer != NULL)
		(void)loop_timer_free(sink->timer);
	(void)http_server_close(sink->server);
	buf_deinit(&sink->text);
	free(sink);
	return NULL;
}

const struct error *socket_sink_error(const struct socket_sink *sink)
{
	return &sink->lost;
}

uint64_t socket_sink_requests(const struct socket_sink *sink)
{
	return http_server_requests(sink->server);
}

uint64_t socket_sink_connections(const struct socket_sink *sink)
{
	return http_server_connections(sink->server);
}
