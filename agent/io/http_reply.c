/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head is put together from constant pieces on the stack; the body goes from where it lives.
 * Only what the client did not take is kept: a secret by reference, everything else as a copy that
 * is wiped.
 */
#include "agent/io/http_reply.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "agent/base/wipe.h"

enum { REPLY_HEAD_MAX = 512, DIGITS_MAX = 20 };

struct status_words {
	unsigned status;
	const char *line;
	const char *body;
};

#define STATUS(number, reason, text)                                                               \
	{                                                                                          \
		(number), "HTTP/1.1 " #number " " reason "\r\nCache-Control: no-store\r\n",        \
			"{\"error\":\"" text "\"}\n"                                               \
	}

static const struct status_words statuses[] = {
	STATUS(200, "OK", "none"),
	STATUS(304, "Not Modified", "none"),
	STATUS(400, "Bad Request", "not a request for this server"),
	STATUS(403, "Forbidden", "forbidden"),
	STATUS(404, "Not Found", "not found"),
	STATUS(405, "Method Not Allowed", "only GET is allowed"),
	STATUS(408, "Request Timeout", "the request's head took too long"),
	STATUS(411, "Length Required", "a body needs its length"),
	STATUS(413, "Content Too Large", "a request has no body here"),
	STATUS(415, "Unsupported Media Type", "the body has another type"),
	STATUS(429, "Too Many Requests", "too many requests at once, try again"),
	STATUS(431, "Request Header Fields Too Large", "the request's head is larger than 8 KiB"),
	STATUS(503, "Service Unavailable", "not now, try again"),
	STATUS(505, "HTTP Version Not Supported", "only HTTP/1.0 and HTTP/1.1 are spoken"),
	STATUS(500, "Internal Server Error", "out of memory"), /* last: any other */
};

struct http_unsent {
	struct secret *secret; /* follows the copy */
	size_t copied;
	size_t sent; /* of both */
	char copy[];
};

struct reply_head {
	size_t len;
	char bytes[REPLY_HEAD_MAX];
};

static const struct status_words *words_of(unsigned status)
{
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(statuses) && statuses[i].status != status)
		i++;
	return &statuses[i];
}

/* What does not fit is left out; the pieces are ours and fit. */
static void put(struct reply_head *head, const char *text, size_t len)
{
	if (len > sizeof(head->bytes) - head->len)
		return;
	memcpy(head->bytes + head->len, text, len);
	head->len += len;
}

#define PUT(head, literal) put((head), (literal), sizeof(literal) - 1)

static void put_number(struct reply_head *head, size_t number)
{
	char digits[DIGITS_MAX];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	put(head, digits + at, sizeof(digits) - at);
}

static void write_head(struct reply_head *head, const struct http_answer *answer, size_t len,
		       bool last)
{
	const char *line = words_of(answer->status)->line;

	head->len = 0;
	put(head, line, strlen(line));
	if (answer->etag != NULL) {
		PUT(head, "ETag: \"");
		put(head, answer->etag, strlen(answer->etag));
		PUT(head, "\"\r\n");
	}
	if (answer->status == 405) {
		const char *allow = answer->allow != NULL ? answer->allow : "GET";

		PUT(head, "Allow: ");
		put(head, allow, strlen(allow));
		PUT(head, "\r\n");
	}
	if (answer->retry_after > 0) {
		PUT(head, "Retry-After: ");
		put_number(head, answer->retry_after);
		PUT(head, "\r\n");
	}
	if (answer->status != 304) {
		PUT(head, "Content-Type: ");
		if (answer->type != NULL)
			put(head, answer->type, strlen(answer->type));
		else
			PUT(head, "application/json");
		PUT(head, "\r\nContent-Length: ");
		put_number(head, len);
		PUT(head, "\r\n");
	}
	if (last)
		PUT(head, "Connection: close\r\n");
	PUT(head, "\r\n");
}

static struct iovec body_of(const struct http_answer *answer)
{
	const char *words;

	if (answer->status == 304)
		return (struct iovec){ 0 };
	if (answer->secret != NULL)
		return (struct iovec){ (void *)(uintptr_t)secret_bytes(answer->secret),
				       secret_len(answer->secret) };
	if (answer->body != NULL)
		return (struct iovec){ (void *)(uintptr_t)answer->body, answer->len };
	words = words_of(answer->status)->body;
	return (struct iovec){ (void *)(uintptr_t)words, strlen(words) };
}

/* Bytes taken, 0 where the client takes none now, -1 where it is gone. */
static ssize_t send_pieces(int fd, struct iovec *pieces, size_t count)
{
	const struct msghdr message = { .msg_iov = pieces, .msg_iovlen = count };
	ssize_t sent;

	do
		sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
		return 0;
	return sent;
}

static struct http_unsent *unsent_new(const struct iovec pieces[2], size_t sent,
				      struct secret *secret)
{
	size_t copied = pieces[0].iov_len + (secret == NULL ? pieces[1].iov_len : 0);
	struct http_unsent *unsent = wipe_malloc(sizeof(*unsent) + copied);

	if (unsent == NULL)
		return NULL;
	unsent->copied = copied;
	unsent->sent = sent;
	unsent->secret = secret != NULL ? secret_ref(secret) : NULL;
	memcpy(unsent->copy, pieces[0].iov_base, pieces[0].iov_len);
	if (secret == NULL && pieces[1].iov_len > 0)
		memcpy(unsent->copy + pieces[0].iov_len, pieces[1].iov_base, pieces[1].iov_len);
	return unsent;
}

enum http_reply_result http_reply_send(int fd, const struct http_answer *answer, bool last,
				       struct http_unsent **unsent)
{
	struct reply_head head;
	struct iovec pieces[2];
	ssize_t sent;

	pieces[1] = body_of(answer);
	write_head(&head, answer, pieces[1].iov_len, last);
	pieces[0] = (struct iovec){ head.bytes, head.len };
	sent = send_pieces(fd, pieces, 2);
	if (sent < 0)
		return HTTP_REPLY_FAILED;
	if ((size_t)sent == pieces[0].iov_len + pieces[1].iov_len)
		return HTTP_REPLY_SENT;
	*unsent = unsent_new(pieces, (size_t)sent, answer->secret);
	return *unsent != NULL ? HTTP_REPLY_PARTLY : HTTP_REPLY_FAILED;
}

void http_reply_write(struct buf *out, const struct http_answer *answer, bool last)
{
	struct reply_head head;
	struct iovec body = body_of(answer);

	write_head(&head, answer, body.iov_len, last);
	buf_reset(out);
	buf_put(out, head.bytes, head.len);
	buf_put(out, body.iov_base, body.iov_len);
}

static struct iovec piece(const void *bytes, size_t len, size_t skip)
{
	if (skip > len)
		skip = len;
	return (struct iovec){ (char *)(uintptr_t)bytes + skip, len - skip };
}

enum http_reply_result http_unsent_send(int fd, struct http_unsent **unsent)
{
	struct http_unsent *rest = *unsent;
	struct iovec pieces[2] = { piece(rest->copy, rest->copied, rest->sent) };
	ssize_t sent;

	if (rest->secret != NULL)
		pieces[1] = piece(secret_bytes(rest->secret), secret_len(rest->secret),
				  rest->sent > rest->copied ? rest->sent - rest->copied : 0);
	sent = send_pieces(fd, pieces, 2);
	if (sent < 0)
		return HTTP_REPLY_FAILED;
	rest->sent += (size_t)sent;
	if ((size_t)sent < pieces[0].iov_len + pieces[1].iov_len)
		return HTTP_REPLY_PARTLY;
	*unsent = http_unsent_free(rest);
	return HTTP_REPLY_SENT;
}

struct http_unsent *http_unsent_free(struct http_unsent *unsent)
{
	if (unsent == NULL)
		return NULL;
	(void)secret_unref(unsent->secret);
	wipe_free(unsent);
	return NULL;
}
