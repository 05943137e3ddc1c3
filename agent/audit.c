/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line, one write: where that would block, the line is dropped and counted. Standard error is
 * shared with whoever started us, so that its descriptor's flags are left alone and it is asked
 * before each write.
 */
#include "agent/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/buf.h"
#include "agent/base/log.h"
#include "agent/base/text.h"

/* Up to PIPE_BUF a write to a pipe that has room is whole and does not block. */
enum { NAME_SHOWN = 256, LINE_MAX_BYTES = PIPE_BUF };

enum { TROUBLE_AGAIN_MS = 60 * 1000 };

struct audit {
	const struct clock *clock;
	const char *path; /* NULL: standard error */
	int fd;
	dev_t device; /* of the file that is open */
	ino_t inode;
	uint64_t dropped;
	bool torn; /* the last line is there in part: without its end */
	int64_t quiet_until;
	struct buf line;
};

/* Trouble is said at most once a minute; the counter says how much of it there is. */
static void say(struct audit *audit, const char *event, const char *cause)
{
	int64_t now = clock_now(audit->clock).boot_ms;

	if (now < audit->quiet_until)
		return;
	audit->quiet_until = now + TROUBLE_AGAIN_MS;
	log_warn(event, LOG_STR("file", audit->path != NULL ? audit->path : "stderr"),
		 LOG_STR("cause", cause));
}

static void drop(struct audit *audit, const char *cause)
{
	audit->dropped++;
	say(audit, "audit lines are lost", cause);
}

/* The file that stands is kept when there can be no new one. */
static int open_file(struct audit *audit)
{
	struct stat status;
	int fd =
		open(audit->path,
		     O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK,
		     0600);

	if (fd < 0)
		return -1;
	if (fstat(fd, &status) == 0) {
		audit->device = status.st_dev;
		audit->inode = status.st_ino;
	}
	if (audit->fd >= 0)
		(void)close(audit->fd);
	audit->fd = fd;
	audit->torn = false;
	return 0;
}

/* One call a line, so that not even the first line after a rotation goes to the old file. */
static void see_to_file(struct audit *audit)
{
	struct stat status;

	if (audit->path == NULL ||
	    (lstat(audit->path, &status) == 0 && status.st_dev == audit->device &&
	     status.st_ino == audit->inode))
		return;
	if (open_file(audit) < 0)
		say(audit, "the audit goes on in the file that was renamed or removed",
		    strerror(errno));
}

static int cannot_open(const char *target, struct error *err)
{
	switch (errno) {
	case ELOOP:
		return error_set(err, ERROR_INVALID,
				 "the audit file '%.180s' is a symbolic link, which is not "
				 "followed: name the file itself",
				 target);
	case ENXIO:
		return error_set(err, ERROR_INVALID,
				 "the audit file '%.180s' is a pipe: start who reads it first",
				 target);
	default:
		return error_errno(err, errno, "cannot open the audit file '%.180s'", target);
	}
}

struct audit *audit_open(const char *target, const struct clock *clock, struct error *err)
{
	struct audit *audit = calloc(1, sizeof(*audit));

	if (audit == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	audit->clock = clock;
	audit->fd = STDERR_FILENO;
	audit->line = BUF_INIT(LINE_MAX_BYTES);
	if (strcmp(target, "stderr") == 0)
		return audit;
	audit->path = target;
	audit->fd = -1;
	if (open_file(audit) < 0) {
		(void)cannot_open(target, err);
		return audit_close(audit);
	}
	return audit;
}

struct audit *audit_close(struct audit *audit)
{
	if (audit == NULL)
		return NULL;
	if (audit->path != NULL && audit->fd >= 0)
		(void)close(audit->fd);
	buf_deinit(&audit->line);
	free(audit);
	return NULL;
}

static void put_name(struct buf *line, const char *key, const char *value)
{
	size_t len = strnlen(value, NAME_SHOWN);

	buf_printf(line, ",\"%s\":", key);
	if (text_is_utf8(value, len)) {
		text_write_json(line, value, len);
		return;
	}
	buf_puts(line, "\"base64:");
	text_write_base64(line, value, len);
	buf_putc(line, '"');
}

static void begin(struct audit *audit, const char *event)
{
	see_to_file(audit);
	buf_reset(&audit->line);
	if (audit->torn)
		buf_putc(&audit->line, '\n');
	buf_puts(&audit->line, "{\"time\":\"");
	text_write_time(&audit->line, clock_now(audit->clock).real_ms);
	buf_printf(&audit->line, "\",\"event\":\"%s\"", event);
}

static void end(struct audit *audit)
{
	struct pollfd room = { .events = POLLOUT };
	ssize_t written;

	room.fd = audit->fd;
	buf_puts(&audit->line, "}\n");
	if (audit->line.failed || poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0) {
		drop(audit, "nobody takes them");
		return;
	}
	written = write(audit->fd, audit->line.data, audit->line.len);
	if (written < 0)
		drop(audit, strerror(errno));
	else if ((size_t)written < audit->line.len)
		drop(audit, "written in part");
	if (written > 0)
		audit->torn = (size_t)written < audit->line.len;
}

void audit_read(struct audit *audit, const struct http_peer *peer, const char *secret,
		const char *version, enum audit_result result)
{
	static const char *const results[] = {
		[AUDIT_OK] = "ok",
		[AUDIT_NOT_FOUND] = "not_found",
		[AUDIT_NOT_FETCHED] = "not_fetched",
	};

	if (audit == NULL)
		return;
	begin(audit, "read");
	buf_printf(&audit->line, ",\"uid\":%lld,\"gid\":%lld,\"pid\":%lld", (long long)peer->uid,
		   (long long)peer->gid, (long long)peer->pid);
	put_name(&audit->line, "secret", secret);
	if (version != NULL)
		put_name(&audit->line, "version", version);
	buf_printf(&audit->line, ",\"result\":\"%s\"", results[result]);
	end(audit);
}

void audit_publish(struct audit *audit, const char *secret, const char *version)
{
	if (audit == NULL)
		return;
	begin(audit, "publish");
	put_name(&audit->line, "secret", secret);
	put_name(&audit->line, "version", version);
	buf_puts(&audit->line, ",\"result\":\"ok\"");
	end(audit);
}

uint64_t audit_dropped(const struct audit *audit)
{
	return audit != NULL ? audit->dropped : 0;
}
