/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only a proxy or a browser would send is refused: whoever may talk to us opens the socket
 * itself.
 */
#include "agent/io/http_head.h"

#include <string.h>
#include <strings.h>

#include "agent/io/http_message.h"

/* What the headers say that concerns us. */
struct reading {
	struct http_message message;
	struct http_span host, if_none_match;
	unsigned hosts;
};

static bool is_from_a_proxy(struct http_span name)
{
	static const char forwarded[] = "x-forwarded";

	if (HTTP_SPAN_IS(name, "via") || HTTP_SPAN_IS(name, "origin") ||
	    HTTP_SPAN_IS(name, "forwarded"))
		return true;
	return name.len >= sizeof(forwarded) - 1 &&
	       strncasecmp(name.at, forwarded, sizeof(forwarded) - 1) == 0;
}

static bool visit(void *context, struct http_span name, struct http_span value)
{
	struct reading *reading = context;

	if (HTTP_SPAN_IS(name, "host")) {
		reading->host = value;
		reading->hosts++;
	} else if (HTTP_SPAN_IS(name, "if-none-match")) {
		reading->if_none_match = value;
	}
	return !is_from_a_proxy(name);
}

/* A port may follow: "localhost:9102". */
static bool host_is(struct http_span host, const char *name)
{
	size_t len = strlen(name);

	if (host.len < len || strncasecmp(host.at, name, len) != 0)
		return false;
	if (host.len > len && host.at[len++] != ':')
		return false;
	while (len < host.len && host.at[len] >= '0' && host.at[len] <= '9')
		len++;
	return len == host.len;
}

static bool host_is_ours(const struct reading *reading, const char *own)
{
	if (reading->hosts == 0)
		return reading->message.minor == 0;
	return reading->hosts == 1 &&
	       ((own != NULL && own[0] == '\0') || host_is(reading->host, "localhost") ||
		host_is(reading->host, "agent") || (own != NULL && host_is(reading->host, own)));
}

static char *scratch_put(struct http_scratch *scratch, struct http_span span)
{
	char *text = scratch->bytes + scratch->used;

	memcpy(text, span.at, span.len);
	text[span.len] = '\0';
	scratch->used += span.len + 1;
	return text;
}

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
		return (digit | 0x20) - 'a' + 10;
	return -1;
}

/* In place, up to the end or the next "/", which is stepped over. False for half an escape and for
 * NUL. */
static bool decode_segment(const char **from, char **to)
{
	const char *in = *from;
	char *out = *to;
	int high, low;

	for (; *in != '\0' && *in != '/'; in++, out++) {
		*out = *in;
		if (*in != '%')
			continue;
		high = hex_digit(in[1]);
		low = high < 0 ? -1 : hex_digit(in[2]);
		if (low < 0 || high + low == 0)
			return false;
		*out = (char)(high << 4 | low);
		in += 2;
	}
	*from = *in == '/' ? in + 1 : NULL;
	*out = '\0';
	*to = out + 1;
	return true;
}

static unsigned read_target(struct http_span target, struct http_scratch *scratch,
			    struct http_head *ret)
{
	const char *query, *from;
	char *to;

	if (target.len == 0 || target.at[0] != '/' || memchr(target.at, '#', target.len) != NULL)
		return 400;
	query = memchr(target.at, '?', target.len);
	ret->query = "";
	if (query != NULL) {
		ret->query = scratch_put(
			scratch, (struct http_span){
					 query + 1, (size_t)(target.at + target.len - query) - 1 });
		target.len = (size_t)(query - target.at);
	}
	to = scratch_put(scratch, target);
	from = target.len > 1 ? to + 1 : NULL;
	while (from != NULL) {
		if (ret->segment_count == HTTP_SERVER_SEGMENTS_MAX)
			return 404;
		ret->segments[ret->segment_count++] = to;
		if (!decode_segment(&from, &to))
			return 400;
	}
	return 0;
}

static unsigned refusal(const struct reading *reading, const char *host)
{
	const struct http_message *message = &reading->message;

	if (message->content_length > 0 || message->transfer_encoded)
		return 413;
	if (message->method != HTTP_METHOD_GET)
		return 405;
	return host_is_ours(reading, host) ? 0 : 400;
}

unsigned http_head_read(const char *bytes, size_t len, const char *host,
			struct http_scratch *scratch, struct http_head *ret, bool *keep_alive)
{
	struct reading reading = { 0 };
	unsigned refused = http_message_read(bytes, len, visit, &reading, &reading.message);

	*keep_alive = false;
	if (refused == 0)
		refused = refusal(&reading, host);
	if (refused != 0)
		return refused;
	scratch->used = 0;
	*ret = (struct http_head){ 0 };
	refused = read_target(reading.message.target, scratch, ret);
	if (refused == 400)
		return refused;
	if (reading.if_none_match.at != NULL)
		ret->if_none_match = scratch_put(scratch, reading.if_none_match);
	*keep_alive = reading.message.keep_alive;
	return refused;
}

bool http_etag_matches(const char *if_none_match, const char *etag)
{
	size_t len = strlen(etag);
	const char *at = if_none_match, *quote;

	if (at == NULL)
		return false;
	if (strcmp(at, "*") == 0)
		return true;
	for (; (at = strchr(at, '"')) != NULL; at = quote + 1) {
		quote = strchr(++at, '"');
		if (quote == NULL)
			return false;
		if ((size_t)(quote - at) == len && memcmp(at, etag, len) == 0)
			return true;
	}
	return false;
}
