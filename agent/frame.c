/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers are 32 bits in the machine's own order: both ends are the same program on the same
 * machine. A frame is: type, length of the body, body. A body is a row of numbers and of (length,
 * bytes).
 */
#include "agent/frame.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

enum { HEAD_SIZE = 8, READ_SIZE = 4096 };

void frame_begin(struct buf *buf, enum frame_type type)
{
	buf_reset(buf);
	frame_put_number(buf, (uint32_t)type);
	frame_put_number(buf, 0);
}

void frame_put_number(struct buf *buf, uint32_t number)
{
	buf_put(buf, &number, sizeof(number));
}

void frame_put_bytes(struct buf *buf, const void *bytes, size_t len)
{
	if (len > FRAME_BODY_MAX) {
		buf->failed = true;
		return;
	}
	frame_put_number(buf, (uint32_t)len);
	buf_put(buf, bytes, len);
}

static int send_all(int fd, const char *bytes, size_t len, struct error *err)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	ssize_t sent;

	while (len > 0) {
		sent = send(fd, bytes, len, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN) {
			(void)poll(&room, 1, -1);
			continue;
		}
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return error_set(err, ERROR_CANCELED, "the other process is gone: %s",
					 strerror(errno));
		bytes += sent;
		len -= (size_t)sent;
	}
	return 0;
}

int frame_send(int fd, struct buf *buf, struct error *err)
{
	uint32_t len;
	int result;

	if (buf_check(buf, "what the child is given", err) < 0)
		return -1;
	len = (uint32_t)(buf->len - HEAD_SIZE);
	memcpy(buf->data + sizeof(len), &len, sizeof(len));
	result = send_all(fd, buf->data, buf->len, err);
	buf_reset(buf);
	return result;
}

int frame_receive(struct frame_reader *reader, int fd, struct error *err)
{
	char *room = buf_reserve(&reader->buf, READ_SIZE);
	size_t wanted = READ_SIZE;
	ssize_t got;

	if (room == NULL) {
		/* A whole frame of the greatest size leaves no room for a full read: take what is
		 * left. */
		wanted = reader->buf.max - reader->buf.len;
		reader->buf.failed = false;
		room = wanted > 0 ? buf_reserve(&reader->buf, wanted) : NULL;
	}
	if (room == NULL)
		return error_no_memory(err);
	do
		got = recv(fd, room, wanted, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		return 0;
	if (got <= 0)
		return error_set(err, ERROR_CANCELED, "the other process is gone");
	buf_commit(&reader->buf, (size_t)got);
	return 1;
}

static void drop_used(struct frame_reader *reader)
{
	struct buf *buf = &reader->buf;

	if (reader->used == 0)
		return;
	memmove(buf->data, buf->data + reader->used, buf->len - reader->used);
	buf_truncate(buf, buf->len - reader->used);
	reader->used = 0;
	if (buf->len == 0)
		buf_deinit(buf);
}

int frame_next(struct frame_reader *reader, struct frame *ret, struct error *err)
{
	uint32_t head[2];

	drop_used(reader);
	if (reader->buf.len < HEAD_SIZE)
		return 0;
	memcpy(head, reader->buf.data, sizeof(head));
	if (head[0] == 0 || head[0] >= FRAME_TYPES || head[1] > FRAME_BODY_MAX)
		return error_set(err, ERROR_PROTOCOL, "the other process sent what is no frame");
	if (reader->buf.len - HEAD_SIZE < head[1])
		return 0;
	*ret = (struct frame){
		.type = (enum frame_type)head[0],
		.body = reader->buf.data + HEAD_SIZE,
		.len = head[1],
	};
	reader->used = HEAD_SIZE + (size_t)head[1];
	return 1;
}

bool frame_take_number(struct frame *frame, uint32_t *ret)
{
	if (frame->len - frame->at < sizeof(*ret))
		return false;
	memcpy(ret, frame->body + frame->at, sizeof(*ret));
	frame->at += sizeof(*ret);
	return true;
}

bool frame_take_bytes(struct frame *frame, const char **ret, size_t *len)
{
	struct frame ahead = *frame;
	uint32_t size;

	if (!frame_take_number(&ahead, &size) || ahead.len - ahead.at < size)
		return false;
	*ret = ahead.body + ahead.at;
	*len = size;
	ahead.at += size;
	*frame = ahead;
	return true;
}

void frame_reader_deinit(struct frame_reader *reader)
{
	buf_deinit(&reader->buf);
	reader->used = 0;
}
