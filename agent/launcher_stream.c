/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At most one chunk waits for a slow reader; until it is gone nothing is read, so the child waits
 * as it would have.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/wipe.h"
#include "agent/launcher_parts.h"

/* A write of this much does not block once poll said that there is room (PIPE_BUF). */
enum { WRITE_MOST = 4096, FINISH_MS = 1000 };

void stream_init(struct stream *stream, int from, int to, const struct mask *mask)
{
	*stream = (struct stream){
		.from = from,
		.to = to,
		.mask = mask,
		.out = BUF_INIT(SIZE_MAX / 2),
	};
	if (mask != NULL)
		mask_stream_init(&stream->masked, mask);
}

bool stream_wants_read(const struct stream *stream)
{
	return !stream->ended && stream->out.len == 0;
}

bool stream_wants_write(const struct stream *stream)
{
	return stream->out.len > 0;
}

/* Standard streams are shared with others, so they stay blocking, and each call asks first. */
static bool can(int fd, short event)
{
	struct pollfd polled = { .fd = fd, .events = event };

	return poll(&polled, 1, 0) == 1;
}

bool stream_read(struct stream *stream)
{
	char chunk[STREAM_CHUNK];
	ssize_t got;

	if (!stream_wants_read(stream) || !can(stream->from, POLLIN))
		return false;
	got = read(stream->from, chunk, sizeof(chunk));
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	/* A pty whose other side is closed by everyone says EIO. */
	if (got <= 0) {
		stream->ended = true;
		return false;
	}
	if (stream->mask != NULL)
		mask_put(&stream->masked, chunk, (size_t)got, &stream->out);
	else
		buf_put(&stream->out, chunk, (size_t)got);
	wipe(chunk, sizeof(chunk));
	return true;
}

bool stream_write(struct stream *stream)
{
	size_t len = stream->out.len < WRITE_MOST ? stream->out.len : WRITE_MOST;
	ssize_t put;

	if (len == 0 || !can(stream->to, POLLOUT))
		return false;
	put = write(stream->to, stream->out.data, len);
	if (put < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (put < 0) {
		/* The child would have seen it: now its next write fails, and what is lost is
		 * said. */
		if (errno != EPIPE && errno != EIO)
			(void)dprintf(STDERR_FILENO, "agent: output is lost: %s\n",
				      strerror(errno));
		buf_reset(&stream->out);
		stream->ended = true;
		return false;
	}
	memmove(stream->out.data, stream->out.data + put, stream->out.len - (size_t)put);
	buf_truncate(&stream->out, stream->out.len - (size_t)put);
	return true;
}

void stream_idle(struct stream *stream)
{
	if (stream->mask != NULL && !stream->ended)
		mask_idle(&stream->masked, &stream->out);
}

void stream_remask(struct stream *stream, const struct mask *mask)
{
	mask_end(&stream->masked, &stream->out);
	mask_stream_deinit(&stream->masked);
	stream->mask = mask;
	mask_stream_init(&stream->masked, mask);
}

void stream_finish(struct stream *stream)
{
	struct pollfd room = { .fd = stream->to, .events = POLLOUT };

	if (stream->mask != NULL)
		mask_end(&stream->masked, &stream->out);
	while (stream_wants_write(stream) && poll(&room, 1, FINISH_MS) == 1)
		if (!stream_write(stream))
			break;
}

void stream_deinit(struct stream *stream)
{
	mask_stream_deinit(&stream->masked);
	buf_deinit(&stream->out);
}
