/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file is not sealed: a key for it could only lie beside it, or be the very credential that
 * signs in. What protects it is that it lies in memory, in a directory that no application mounts,
 * is ours alone, and goes when it is taken up.
 */
#include "agent/hand_over.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/hand_over_record.h"
#include "agent/io/file.h"

enum { SCHEMA = 1, PATH_MOST = 4096, BINDING_MAX = 64 << 10 };
#define FILE_MAX ((size_t)16 << 20)

/* Is this what both sides have configured? Everything that says whom the session is of. */
static void put_binding(struct buf *out, const struct source *source)
{
	const struct backend_ops *ops = source->config->ops;
	struct endpoint endpoint;

	buf_printf(out, "type=%s\n", ops->type);
	option_write(out, ops->options, source->config->options);
	/* Addresses may come from the environment. */
	for (size_t i = 0; ops->endpoint != NULL && ops->endpoint(source->backend, i, &endpoint);
	     i++)
		buf_printf(out, "endpoint=%s\n", endpoint.url);
}

/* ---- leaving ---- */

static void put_member(struct buf *out, const char *between, const char *name, const char *value)
{
	buf_printf(out, "%s\"%s\":", between, name);
	if (value != NULL)
		text_write_json(out, value, strlen(value));
	else
		buf_puts(out, "null");
}

static void put_session(struct buf *out, const struct source *source)
{
	AUTO(buf_deinit) struct buf binding = BUF_INIT(BINDING_MAX);

	put_binding(&binding, source);
	put_member(out, "{", "backend", source->config->name);
	put_member(out, ",", "binding", buf_string(&binding));
	buf_puts(out, ",\"version\":");
	hand_over_put_version(out, session_version(source->session));
	buf_putc(out, '}');
}

static void put_secret(struct buf *out, const struct store_entry *entry)
{
	const struct secret_spec *spec = entry->spec;

	put_member(out, "{", "name", spec->name);
	put_member(out, ",", "backend", spec->backend);
	put_member(out, ",", "path", spec->path);
	put_member(out, ",", "write", spec->write);
	buf_printf(out, ",\"verbatim\":%d,\"version\":", (int)spec->verbatim);
	hand_over_put_version(out, entry->version);
	buf_putc(out, '}');
}

/* What fetching it once more would make a second time. */
static bool is_made_for_us(const struct store_entry *entry)
{
	return entry->version != NULL &&
	       (entry->version->lease.kind == LEASE_TIMED ||
		entry->version->lease.kind == LEASE_CERTIFICATE || entry->spec->write != NULL);
}

/* How many sessions and secrets there are to leave. */
static size_t write_document(struct buf *out, const struct parts *parts)
{
	size_t sessions = 0, secrets = 0;

	buf_printf(out, "{\"schema\":%d,\"sessions\":[", SCHEMA);
	for (size_t i = 0; i < parts->source_count; i++)
		if (session_version(parts->sources[i].session) != NULL) {
			if (sessions++ > 0)
				buf_putc(out, ',');
			put_session(out, &parts->sources[i]);
		}
	buf_puts(out, "],\"secrets\":[");
	for (size_t i = 0; i < parts->store.count; i++)
		if (is_made_for_us(&parts->store.entries[i])) {
			if (secrets++ > 0)
				buf_putc(out, ',');
			put_secret(out, &parts->store.entries[i]);
		}
	buf_puts(out, "]}\n");
	return sessions + secrets;
}

static int check_directory(const char *directory, struct error *err)
{
	struct statfs system;

	if (statfs(directory, &system) < 0)
		return error_errno(err, errno, "hand_over: cannot use '%s'", directory);
	if (system.f_type != TMPFS_MAGIC && system.f_type != RAMFS_MAGIC)
		return error_set(
			err, ERROR_INVALID,
			"hand_over: '%s' is not in memory, where a token may lie; mount an "
			"emptyDir with medium: Memory there",
			directory);
	return 0;
}

int hand_over_leave(const struct parts *parts, const char *directory, struct error *err)
{
	AUTO(buf_deinit) struct buf path = BUF_INIT(PATH_MOST);
	AUTO(buf_deinit) struct buf text = BUF_INIT(FILE_MAX);

	buf_printf(&path, "%s/" HAND_OVER_FILE, directory);
	if (buf_check(&path, "hand_over", err) < 0 || check_directory(directory, err) < 0)
		return -1;
	if (write_document(&text, parts) == 0)
		return 0;
	if (buf_check(&text, "what is handed over", err) < 0)
		return -1;
	return file_replace(path.data, text.data, text.len, 0600, err);
}

/* ---- taking ---- */

struct taken {
	unsigned sessions, secrets;
};

static int check_file(int fd, struct error *err)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return error_errno(err, errno, "cannot examine it");
	if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() ||
	    (status.st_mode & 0077) != 0 || status.st_nlink != 1)
		return error_set(err, ERROR_FORBIDDEN,
				 "it is not a file of uid %u that is nobody else's", geteuid());
	if ((uint64_t)status.st_size > FILE_MAX)
		return error_set(err, ERROR_EXHAUSTED, "it has more than %zu MiB", FILE_MAX >> 20);
	return 0;
}

static int read_bytes(int fd, struct buf *out, struct error *err)
{
	ssize_t got = 1;
	char *room;

	while (got > 0) {
		room = buf_reserve(out, BUFSIZ);
		if (room == NULL)
			return buf_check(out, "the file", err);
		got = TEMP_FAILURE_RETRY(read(fd, room, BUFSIZ));
		if (got < 0)
			return error_errno(err, errno, "cannot read it");
		buf_commit(out, (size_t)got);
	}
	return 0;
}

/* 1: there; 0: nothing lies there. Ours is removed at once, whatever is in it: a token must not
 * linger. */
static int read_file(const char *path, struct buf *out, struct error *err)
{
	AUTO(closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return error_errno(err, errno, "cannot open it");
	if (check_file(fd, err) < 0)
		return -1;
	if (unlink(path) < 0)
		return error_errno(err, errno, "cannot remove it");
	return read_bytes(fd, out, err) < 0 ? -1 : 1;
}

static struct source *find_source(const struct parts *parts, const char *name)
{
	for (size_t i = 0; name != NULL && i < parts->source_count; i++)
		if (strcmp(parts->sources[i].config->name, name) == 0)
			return &parts->sources[i];
	return NULL;
}

static bool has_ended(const struct secret_version *version, const struct clock *clock)
{
	struct stamp now = clock_now(clock);

	return lease_expires_boot_ms(&version->lease, now) <= now.boot_ms;
}

static int take_session(struct parts *parts, const struct json_node *node,
			const struct clock *clock, struct error *err)
{
	AUTO(secret_version_unrefp) struct secret_version *version = NULL;
	AUTO(buf_deinit) struct buf binding = BUF_INIT(BINDING_MAX);
	const char *name = json_string(json_get(node, "backend"));
	const char *theirs = json_string(json_get(node, "binding"));
	struct source *source = find_source(parts, name);

	if (source != NULL)
		put_binding(&binding, source);
	if (source == NULL || theirs == NULL || binding.failed ||
	    strcmp(theirs, buf_string(&binding)) != 0)
		return error_set(err, ERROR_INVALID,
				 "it is of another configuration of backend '%.80s'",
				 name != NULL ? name : "?");
	if (hand_over_read_version(json_get(node, "version"), &version, err) < 0)
		return -1;
	if (secret_version_field(version, SESSION_TOKEN) == NULL || has_ended(version, clock))
		return error_set(err, ERROR_UNAUTHENTICATED,
				 "the session of backend '%.80s' in it has ended", name);
	session_take(source->session, version);
	return 0;
}

static bool same_text(const char *one, const struct json_node *other)
{
	const char *text = json_string(other);

	return one != NULL && text != NULL ? strcmp(one, text) == 0 : one == text;
}

/* The entry that declares the very same, and whose session was taken up: leases die with theirs. */
static struct task *find_task(struct parts *parts, const struct json_node *node)
{
	for (size_t i = 0; i < parts->store.count; i++) {
		const struct secret_spec *spec = parts->store.entries[i].spec;
		const struct source *source = parts->tasks[i].source;

		if (same_text(spec->name, json_get(node, "name")) &&
		    same_text(spec->backend, json_get(node, "backend")) &&
		    same_text(spec->path, json_get(node, "path")) &&
		    same_text(spec->write, json_get(node, "write")) &&
		    (int)spec->verbatim == json_integer(json_get(node, "verbatim"), -1) &&
		    session_version(source->session) != NULL)
			return &parts->tasks[i];
	}
	return NULL;
}

static int take_secret(struct parts *parts, const struct json_node *node, const struct clock *clock,
		       struct taken *taken, struct error *err)
{
	AUTO(secret_version_unrefp) struct secret_version *version = NULL;
	struct task *task = find_task(parts, node);

	if (task == NULL)
		return 0;
	if (hand_over_read_version(json_get(node, "version"), &version, err) < 0)
		return -1;
	if (has_ended(version, clock))
		return 0;
	task_take(task, version);
	taken->secrets++;
	return 0;
}

static void tell_ignored(const char *path, const struct error *err)
{
	log_warn("hand-over ignored, as if it were not there", LOG_STR("file", path), LOG_ERR(err));
}

/* A session that cannot be used is no reason to do without the others. */
static void take_sessions(struct parts *parts, const struct json_node *list, const char *path,
			  const struct clock *clock, struct taken *taken)
{
	struct error err;

	for (const struct json_node *node = list != NULL ? list->first : NULL; node != NULL;
	     node = node->next) {
		if (take_session(parts, node, clock, &err) < 0)
			tell_ignored(path, &err);
		else
			taken->sessions++;
	}
}

static int take_document(struct parts *parts, const struct buf *text, const char *path,
			 const struct clock *clock, struct taken *taken, struct error *err)
{
	const struct json_limits limits = { .depth = 8, .nodes = 1 << 20, .bytes = FILE_MAX };
	AUTO(json_doc_freep)
	struct json_doc *doc = json_doc_read(buf_string(text), text->len, &limits, err);
	const struct json_node *root, *secrets;

	if (doc == NULL)
		return -1;
	root = json_doc_root(doc);
	if (json_integer(json_get(root, "schema"), 0) != SCHEMA)
		return error_set(err, ERROR_INVALID, "its schema is not %d, which this version has",
				 SCHEMA);
	take_sessions(parts, json_get(root, "sessions"), path, clock, taken);
	secrets = json_get(root, "secrets");
	for (const struct json_node *node = secrets != NULL ? secrets->first : NULL; node != NULL;
	     node = node->next)
		if (take_secret(parts, node, clock, taken, err) < 0)
			return -1;
	return 0;
}

void hand_over_take(struct parts *parts, const char *directory, const struct clock *clock)
{
	AUTO(buf_deinit) struct buf path = BUF_INIT(PATH_MOST);
	AUTO(buf_deinit) struct buf text = BUF_INIT(FILE_MAX);
	struct taken taken = { 0 };
	struct error err = ERROR_INIT;
	int found;

	buf_printf(&path, "%s/" HAND_OVER_FILE, directory);
	found = read_file(buf_string(&path), &text, &err);
	if (found == 0)
		return;
	if (found < 0 || take_document(parts, &text, buf_string(&path), clock, &taken, &err) < 0)
		tell_ignored(buf_string(&path), &err);
	if (taken.sessions > 0)
		log_info("hand-over taken up", LOG_STR("file", buf_string(&path)),
			 LOG_NUM("sessions", taken.sessions), LOG_NUM("secrets", taken.secrets));
}
