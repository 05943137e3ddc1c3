/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/status.h"

#include <string.h>

#include "agent/base/log.h"
#include "agent/base/secret.h"
#include "agent/base/text.h"

static void put_string(struct buf *buf, const char *value)
{
	size_t len;

	if (value == NULL) {
		buf_puts(buf, "null");
		return;
	}
	len = strlen(value);
	/* An error may quote what a server sent, cut anywhere. */
	if (text_is_utf8(value, len))
		text_write_json(buf, value, len);
	else
		buf_puts(buf, "\"(not UTF-8)\"");
}

static void put_key(struct buf *buf, const char *between, const char *name)
{
	buf_printf(buf, "%s\"%s\":", between, name);
}

static void put_time(struct buf *buf, int64_t real_ms)
{
	if (real_ms == 0) {
		buf_puts(buf, "null");
		return;
	}
	buf_putc(buf, '"');
	text_write_time(buf, real_ms);
	buf_putc(buf, '"');
}

static void put_error(struct buf *buf, const struct error *error)
{
	put_key(buf, ",", "error");
	if (error == NULL || error->code == ERROR_NONE) {
		buf_puts(buf, "null");
		return;
	}
	put_key(buf, "{", "code");
	put_string(buf, error_code_name(error->code));
	put_key(buf, ",", "text");
	put_string(buf, error->text);
	buf_putc(buf, '}');
}

static int64_t age_ms(const struct secret_version *version, struct stamp now)
{
	int64_t age = now.boot_ms - version->fetched.boot_ms;

	return age > 0 ? age : 0;
}

/* In real time; 0: nothing is planned. */
static int64_t next_refresh_real_ms(const struct store_entry *entry, struct stamp now)
{
	if (entry->next_refresh_boot_ms == DEADLINE_NEVER)
		return 0;
	return now.real_ms + entry->next_refresh_boot_ms - now.boot_ms;
}

static void put_secret(struct buf *buf, const struct store_entry *entry, struct stamp now)
{
	const struct secret_version *version = entry->version;

	put_key(buf, "{", "name");
	put_string(buf, entry->spec->name);
	put_key(buf, ",", "state");
	put_string(buf, secret_state_name(entry->state));
	put_key(buf, ",", "version");
	put_string(buf, version != NULL ? version->id : NULL);
	put_key(buf, ",", "fetched_at");
	put_time(buf, version != NULL ? version->fetched.real_ms : 0);
	put_key(buf, ",", "age_seconds");
	if (version != NULL)
		buf_printf(buf, "%lld", (long long)(age_ms(version, now) / 1000));
	else
		buf_puts(buf, "null");
	put_key(buf, ",", "next_refresh_at");
	put_time(buf, next_refresh_real_ms(entry, now));
	put_key(buf, ",", "expires_at");
	put_time(buf, version != NULL ? lease_expires_real_ms(&version->lease) : 0);
	put_error(buf, &entry->error);
	buf_putc(buf, '}');
}

static void put_backend(struct buf *buf, const struct status_backend *backend)
{
	put_key(buf, "{", "name");
	put_string(buf, backend->name);
	put_key(buf, ",", "state");
	put_string(buf, backend->state);
	put_key(buf, ",", "session_expires_at");
	put_time(buf, backend->session_expires_real_ms);
	put_error(buf, backend->error);
	buf_putc(buf, '}');
}

static void put_problem(struct buf *buf, const struct files_problem *problem)
{
	put_key(buf, "{", "secret");
	put_string(buf, problem->secret);
	put_key(buf, ",", "path");
	put_string(buf, problem->path);
	put_key(buf, ",", "variable");
	put_string(buf, problem->variable);
	put_error(buf, &problem->error);
	buf_putc(buf, '}');
}

static void separate(struct buf *buf, size_t i)
{
	if (i > 0)
		buf_putc(buf, ',');
}

static void put_sink(struct buf *buf, const struct status_sink *sink)
{
	put_key(buf, "{", "name");
	put_string(buf, sink->name);
	put_key(buf, ",", "state");
	put_string(buf, sink->state);
	put_key(buf, ",", "generation");
	buf_printf(buf, "%llu", (unsigned long long)sink->generation);
	put_error(buf, sink->error);
	put_key(buf, ",", "problems");
	buf_putc(buf, '[');
	for (size_t i = 0; i < sink->problem_count; i++) {
		separate(buf, i);
		put_problem(buf, &sink->problems[i]);
	}
	buf_puts(buf, "]}");
}

void status_write_json(struct buf *buf, const struct status_source *source, struct stamp now)
{
	put_key(buf, "{", "secrets");
	buf_putc(buf, '[');
	for (size_t i = 0; i < source->store->count; i++) {
		separate(buf, i);
		put_secret(buf, &source->store->entries[i], now);
	}
	put_key(buf, "],", "backends");
	buf_putc(buf, '[');
	for (size_t i = 0; i < source->backend_count; i++) {
		separate(buf, i);
		put_backend(buf, &source->backends[i]);
	}
	put_key(buf, "],", "sinks");
	buf_putc(buf, '[');
	for (size_t i = 0; i < source->sink_count; i++) {
		separate(buf, i);
		put_sink(buf, &source->sinks[i]);
	}
	put_key(buf, "],", "hardening");
	buf_putc(buf, '{');
	for (size_t i = 0; i < source->hardening_count; i++) {
		separate(buf, i);
		put_string(buf, source->hardening[i].name);
		buf_putc(buf, ':');
		put_string(buf, source->hardening[i].value);
	}
	buf_puts(buf, "}}\n");
}

/* The escapes of a label's value. */
static void put_label(struct buf *buf, const char *name, const char *value)
{
	buf_printf(buf, "%s=\"", name);
	for (; *value != '\0'; value++) {
		if (*value == '\\' || *value == '"')
			buf_putc(buf, '\\');
		if (*value == '\n')
			buf_puts(buf, "\\n");
		else
			buf_putc(buf, *value);
	}
	buf_putc(buf, '"');
}

static void put_family(struct buf *buf, const char *name, const char *type, const char *help)
{
	buf_printf(buf, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_sample(struct buf *buf, const char *name, const char *label, const char *value,
		       double number)
{
	buf_puts(buf, name);
	if (label != NULL) {
		buf_putc(buf, '{');
		put_label(buf, label, value);
		buf_putc(buf, '}');
	}
	buf_printf(buf, " %.15g\n", number);
}

static void put_gauge(struct buf *buf, const char *name, const char *help, double number)
{
	put_family(buf, name, "gauge", help);
	put_sample(buf, name, NULL, NULL, number);
}

static void put_counter(struct buf *buf, const char *name, const char *help, uint64_t number)
{
	put_family(buf, name, "counter", help);
	put_sample(buf, name, NULL, NULL, (double)number);
}

static void put_states(struct buf *buf, const struct store *store)
{
	static const char name[] = "agent_secret_state";

	put_family(buf, name, "gauge", "1 for the state that the secret is in.");
	for (size_t i = 0; i < store->count; i++)
		for (enum secret_state state = STATE_PENDING; state <= STATE_FAILED; state++) {
			buf_printf(buf, "%s{", name);
			put_label(buf, "secret", store->entries[i].spec->name);
			buf_putc(buf, ',');
			put_label(buf, "state", secret_state_name(state));
			buf_printf(buf, "} %d\n", store->entries[i].state == state);
		}
}

static void put_times(struct buf *buf, const struct store *store, struct stamp now)
{
	static const char age[] = "agent_secret_age_seconds";
	static const char next[] = "agent_secret_next_refresh_timestamp_seconds";
	static const char expiry[] = "agent_secret_expiry_timestamp_seconds";
	const struct store_entry *entry;

	put_family(buf, age, "gauge", "Time since the version in hand was fetched.");
	for (size_t i = 0; i < store->count; i++) {
		entry = &store->entries[i];
		if (entry->version != NULL)
			put_sample(buf, age, "secret", entry->spec->name,
				   (double)age_ms(entry->version, now) / 1000);
	}
	put_family(buf, next, "gauge", "When the secret is fetched or renewed next.");
	for (size_t i = 0; i < store->count; i++) {
		entry = &store->entries[i];
		if (next_refresh_real_ms(entry, now) != 0)
			put_sample(buf, next, "secret", entry->spec->name,
				   (double)next_refresh_real_ms(entry, now) / 1000);
	}
	put_family(buf, expiry, "gauge", "When the version in hand ends.");
	for (size_t i = 0; i < store->count; i++) {
		entry = &store->entries[i];
		if (entry->version != NULL && lease_expires_real_ms(&entry->version->lease) != 0)
			put_sample(buf, expiry, "secret", entry->spec->name,
				   (double)lease_expires_real_ms(&entry->version->lease) / 1000);
	}
}

static void put_unwritten(struct buf *buf, const struct status_sink *sink)
{
	for (size_t i = 0; i < sink->problem_count; i++) {
		const struct files_problem *problem = &sink->problems[i];

		buf_puts(buf, "agent_file_unwritten{");
		put_label(buf, "sink", sink->name);
		buf_putc(buf, ',');
		put_label(buf, "secret", problem->secret);
		buf_putc(buf, ',');
		put_label(buf, "path", problem->path);
		if (problem->variable != NULL) {
			buf_putc(buf, ',');
			put_label(buf, "variable", problem->variable);
		}
		buf_puts(buf, "} 1\n");
	}
}

static void put_counts(struct buf *buf, const struct status_source *source)
{
	static const char published[] = "agent_secret_versions_total";
	static const char requests[] = "agent_requests_total";
	static const char reads[] = "agent_socket_requests_total";
	static const char connections[] = "agent_socket_connections";
	static const char failed[] = "agent_sink_failed";

	put_family(buf, published, "counter", "Versions handed out under this name.");
	for (size_t i = 0; i < source->store->count; i++)
		put_sample(buf, published, "secret", source->store->entries[i].spec->name,
			   (double)source->store->entries[i].published);
	put_family(buf, requests, "counter", "Requests sent to the backend.");
	for (size_t i = 0; i < source->backend_count; i++)
		put_sample(buf, requests, "backend", source->backends[i].name,
			   (double)source->backends[i].requests);
	put_family(buf, reads, "counter", "Requests answered by the sink.");
	for (size_t i = 0; i < source->sink_count; i++)
		put_sample(buf, reads, "sink", source->sinks[i].name,
			   (double)source->sinks[i].reads);
	put_family(buf, connections, "gauge", "Connections that are open.");
	for (size_t i = 0; i < source->sink_count; i++)
		put_sample(buf, connections, "sink", source->sinks[i].name,
			   (double)source->sinks[i].connections);
	put_family(buf, failed, "gauge", "1 while the sink's last attempt failed.");
	for (size_t i = 0; i < source->sink_count; i++)
		put_sample(buf, failed, "sink", source->sinks[i].name,
			   source->sinks[i].error != NULL &&
				   source->sinks[i].error->code != ERROR_NONE);
}

void status_write_metrics(struct buf *buf, const struct status_source *source, struct stamp now)
{
	static const char arena[] = "agent_arena_bytes";
	struct arena_stats stats = arena_stats();

	put_family(buf, "agent_build_info", "gauge", "1, with the version as a label.");
	put_sample(buf, "agent_build_info", "version", AGENT_VERSION, 1);
	put_gauge(buf, "agent_ready", "1 when every required secret is published.", source->ready);
	put_states(buf, source->store);
	put_times(buf, source->store, now);
	put_counts(buf, source);
	put_family(buf, "agent_file_unwritten", "gauge",
		   "1 for a file that could not be written as configured; a variable that no "
		   "kubelet can read needs env-method: run.");
	for (size_t i = 0; i < source->sink_count; i++)
		put_unwritten(buf, &source->sinks[i]);
	put_family(buf, arena, "gauge", "Memory that holds secrets.");
	put_sample(buf, arena, "kind", "used", (double)stats.used_bytes);
	put_sample(buf, arena, "kind", "mapped", (double)stats.mapped_bytes);
	put_sample(buf, arena, "kind", "locked", (double)stats.locked_bytes);
	put_counter(buf, "agent_log_dropped_total", "Log lines that nobody took.", log_dropped());
	put_counter(buf, "agent_orphans_total",
		    "Credentials that a lost answer may have left with nobody to hold them.",
		    source->orphans);
	put_counter(buf, "agent_audit_dropped_total", "Audit lines that nobody took.",
		    source->audit_dropped);
}
