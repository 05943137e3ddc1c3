/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/wipe.h"

enum { FIRST_CAPACITY = 64 };

char *buf_reserve(struct buf *buf, size_t len)
{
	size_t cap, need;
	char *grown;

	if (buf->failed || len > buf->max - buf->len) {
		buf->failed = true;
		return NULL;
	}
	need = buf->len + len + 1;
	if (need > buf->cap) {
		cap = buf->cap > 0 ? buf->cap : FIRST_CAPACITY;
		while (cap < need)
			cap *= 2;
		if (cap > buf->max + 1)
			cap = buf->max + 1;
		grown = wipe_realloc(buf->data, cap);
		if (grown == NULL) {
			buf->failed = true;
			return NULL;
		}
		buf->data = grown;
		buf->cap = cap;
	}
	return buf->data + buf->len;
}

void buf_commit(struct buf *buf, size_t len)
{
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void buf_put(struct buf *buf, const void *bytes, size_t len)
{
	char *room = buf_reserve(buf, len);

	if (room == NULL)
		return;
	if (len > 0)
		memcpy(room, bytes, len);
	buf_commit(buf, len);
}

void buf_puts(struct buf *buf, const char *text)
{
	buf_put(buf, text, strlen(text));
}

void buf_putc(struct buf *buf, char byte)
{
	/* Where there is room, without the way round. */
	if (buf->failed || buf->len == buf->max || buf->len + 1 >= buf->cap) {
		buf_put(buf, &byte, 1);
		return;
	}
	buf->data[buf->len++] = byte;
	buf->data[buf->len] = '\0';
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	int len;
	char *room;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0) {
		buf->failed = true;
		return;
	}
	room = buf_reserve(buf, (size_t)len);
	if (room == NULL)
		return;
	va_start(args, format);
	(void)vsnprintf(room, (size_t)len + 1, format, args);
	va_end(args);
	buf_commit(buf, (size_t)len);
}

void buf_truncate(struct buf *buf, size_t len)
{
	if (len >= buf->len)
		return;
	wipe(buf->data + len, buf->len - len);
	buf->len = len;
}

void buf_reset(struct buf *buf)
{
	buf_truncate(buf, 0);
	buf->failed = false;
}

int buf_check(const struct buf *buf, const char *what, struct error *err)
{
	if (!buf->failed)
		return 0;
	return error_set(err, ERROR_EXHAUSTED, "%s is larger than %zu bytes", what, buf->max);
}

const char *buf_string(const struct buf *buf)
{
	return buf->data != NULL ? buf->data : "";
}

char *buf_steal(struct buf *buf)
{
	char *data;

	if (buf->failed)
		return NULL;
	if (buf->data == NULL)
		buf_put(buf, "", 0);
	data = STEAL(buf->data);
	buf->len = 0;
	buf->cap = 0;
	return data;
}

void buf_deinit(struct buf *buf)
{
	wipe_free(buf->data);
	buf->data = NULL;
	buf->len = 0;
	buf->cap = 0;
	buf->failed = false;
}
