/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line is built whole and written with one non-blocking attempt: a full pipe loses the line, not
 * the loop.
 */
#include "agent/base/log.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/base/text.h"

enum { LINE_MAX_BYTES = 4096 };

static struct log {
	enum log_level level;
	enum log_format format;
	uint64_t dropped;
} the_log = { .level = LOG_INFO };

static const char *const level_names[] = { "error", "warn", "info", "debug", "trace" };

void log_setup(enum log_level level, enum log_format format)
{
	the_log.level = level;
	the_log.format = format;
}

enum log_level log_level(void)
{
	return the_log.level;
}

uint64_t log_dropped(void)
{
	return the_log.dropped;
}

static void write_line(const struct buf *line)
{
	struct pollfd room = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t written = -1;

	if (poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0)
		written = write(STDERR_FILENO, line->data, line->len);
	if (written < 0 || (size_t)written != line->len)
		the_log.dropped++;
}

static void put_text_value(struct buf *line, const char *value)
{
	if (value[0] != '\0' && value[strcspn(value, " \"=\\\n\r\t")] == '\0')
		buf_puts(line, value);
	else
		text_write_json(line, value, strlen(value));
}

static void put_text(struct buf *line, enum log_level level, const char *event,
		     const struct log_field *field)
{
	buf_printf(line, " %-5s %s", level_names[level], event);
	for (; field->key != NULL; field++) {
		buf_printf(line, " %s=", field->key);
		if (field->text != NULL)
			put_text_value(line, field->text);
		else
			buf_printf(line, "%lld", (long long)field->number);
	}
}

static void put_json(struct buf *line, enum log_level level, const char *event,
		     const struct log_field *field)
{
	buf_printf(line, "\",\"level\":\"%s\",\"event\":", level_names[level]);
	text_write_json(line, event, strlen(event));
	for (; field->key != NULL; field++) {
		buf_printf(line, ",\"%s\":", field->key);
		if (field->text != NULL)
			text_write_json(line, field->text, strlen(field->text));
		else
			buf_printf(line, "%lld", (long long)field->number);
	}
	buf_putc(line, '}');
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
	AUTO(buf_deinit) struct buf line = BUF_INIT(LINE_MAX_BYTES);

	if (level > the_log.level)
		return;
	if (the_log.format == LOG_JSON)
		buf_puts(&line, "{\"time\":\"");
	text_write_time(&line, clock_now(clock_system()).real_ms);
	if (the_log.format == LOG_JSON)
		put_json(&line, level, event, fields);
	else
		put_text(&line, level, event, fields);
	buf_putc(&line, '\n');
	if (line.failed) {
		the_log.dropped++;
		return;
	}
	write_line(&line);
}
