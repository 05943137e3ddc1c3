#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What launcher and broker say to each other: a type, a length and that many bytes, over a stream
 * socket. Bodies may hold secrets, so every buffer on the way is wiped.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/error.h"

/* More than the kernel takes for arguments and environment together (3/4 of 8 MiB). */
#define FRAME_BODY_MAX ((size_t)8 << 20)

enum frame_type {
	/* broker to launcher */
	FRAME_ENV = 1, /* flags, then name and value by turns: the child's variables and files */
	FRAME_FAIL,    /* exit status, then the text */
	FRAME_EXEC,    /* argv of a command to run */
	/* launcher to broker */
	FRAME_EXIT,	 /* wait status of the child */
	FRAME_HOOK_DONE, /* wait status of the command */
	FRAME_TYPES,
};

/* Flags of FRAME_ENV. */
enum { FRAME_ENV_SUPERVISE = 1 };

/* Kinds of an item in FRAME_ENV. */
enum { FRAME_ITEM_VARIABLE = 0, FRAME_ITEM_FILE = 1 };

struct frame {
	enum frame_type type;
	const char *body; /* until the next frame_next */
	size_t len;
	size_t at; /* where frame_take_… reads on */
};

/* A frame being built: frame_begin, frame_put…, frame_send. */
void frame_begin(struct buf *buf, enum frame_type type);
void frame_put_number(struct buf *buf, uint32_t number);
void frame_put_bytes(struct buf *buf, const void *bytes, size_t len);

/* Sends the whole frame, waiting for room, and wipes the buffer. ERROR_EXHAUSTED when it did not
 * fit into the buffer, ERROR_CANCELED when nobody is at the other end. */
int frame_send(int fd, struct buf *buf, struct error *err) MUST_USE;

/* Bytes that came, until they make frames. */
struct frame_reader {
	struct buf buf;
	size_t used; /* bytes of the frame that was handed out */
};

#define FRAME_BUF	  BUF_INIT(FRAME_BODY_MAX + 8)
#define FRAME_READER_INIT ((struct frame_reader){ .buf = FRAME_BUF })

/* Reads what is there without waiting. 1: something came, 0: nothing yet, -1: the other end is
 * closed (ERROR_CANCELED) or broken. */
int frame_receive(struct frame_reader *reader, int fd, struct error *err) MUST_USE;

/* 1: *ret is the next whole frame, 0: more bytes are needed, -1 (ERROR_PROTOCOL): this can be no
 * frame. */
int frame_next(struct frame_reader *reader, struct frame *ret, struct error *err) MUST_USE;

/* False past the end of the body. */
bool frame_take_number(struct frame *frame, uint32_t *ret);
bool frame_take_bytes(struct frame *frame, const char **ret, size_t *len);

void frame_reader_deinit(struct frame_reader *reader);
