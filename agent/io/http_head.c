/* SPDX-License-Identifier: Apache-2.0 */
/*
 * llhttp reads a head that has come whole, so no name or value is ever in two pieces. What only a
 * proxy or a browser would send is refused: whoever may talk to us opens the socket itself.
 */
#include "agent/io/http_head.h"

#include <llhttp.h>
#include <string.h>
#include <strings.h>

struct span {
	const char *at;
	size_t len;
};

struct reading {
	llhttp_t parser;
	struct span target;
	struct span name, value;
	struct span host, if_none_match;
	unsigned hosts;
	unsigned refuse; /* the status that the headers alone deserve; 0: none */
	bool complete;
};

size_t http_head_length(const char *bytes, size_t len)
{
	const char *end = bytes + len, *line = bytes;

	for (;;) {
		line = memchr(line, '\n', (size_t)(end - line));
		if (line == NULL)
			return 0;
		line++;
		if (line < end && line[0] == '\n')
			return (size_t)(line + 1 - bytes);
		if (end - line >= 2 && line[0] == '\r' && line[1] == '\n')
			return (size_t)(line + 2 - bytes);
	}
}

static struct reading *reading_of(llhttp_t *parser)
{
	return CONTAINER_OF(parser, struct reading, parser);
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
	struct reading *reading = reading_of(parser);

	if (reading->target.len > 0)
		reading->target.len += len;
	else
		reading->target = (struct span){ at, len };
	return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
	struct reading *reading = reading_of(parser);

	reading->name = (struct span){ at, len };
	reading->value = (struct span){ at, 0 };
	return 0;
}

/* A value in two pieces is one that was folded over lines: obsolete, and a way to hide. */
static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
	struct reading *reading = reading_of(parser);

	if (reading->value.len > 0 && len > 0)
		reading->refuse = 400;
	if (len > 0)
		reading->value = (struct span){ at, len };
	return 0;
}

static bool span_is(struct span span, const char *text, size_t len)
{
	return span.len == len && strncasecmp(span.at, text, len) == 0;
}

#define SPAN_IS(span, literal) span_is((span), (literal), sizeof(literal) - 1)

static bool is_from_a_proxy(struct span name)
{
	static const char forwarded[] = "x-forwarded";

	if (SPAN_IS(name, "via") || SPAN_IS(name, "origin") || SPAN_IS(name, "forwarded"))
		return true;
	return name.len >= sizeof(forwarded) - 1 &&
	       strncasecmp(name.at, forwarded, sizeof(forwarded) - 1) == 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
	struct reading *reading = reading_of(parser);

	if (SPAN_IS(reading->name, "host")) {
		reading->host = reading->value;
		reading->hosts++;
	} else if (SPAN_IS(reading->name, "if-none-match")) {
		reading->if_none_match = reading->value;
	} else if (is_from_a_proxy(reading->name)) {
		reading->refuse = 400;
	}
	return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
	reading_of(parser)->complete = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_header_value_complete = on_header_value_complete,
	.on_headers_complete = on_headers_complete,
};

/* A port may follow: "localhost:9102". */
static bool host_is(struct span host, const char *name)
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
		return reading->parser.http_minor == 0;
	return reading->hosts == 1 &&
	       (host_is(reading->host, "localhost") || host_is(reading->host, "agent") ||
		(own != NULL && host_is(reading->host, own)));
}

static char *scratch_put(struct http_scratch *scratch, struct span span)
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

static unsigned read_target(struct span target, struct http_scratch *scratch, struct http_head *ret)
{
	const char *query, *from;
	char *to;

	if (target.len == 0 || target.at[0] != '/' || memchr(target.at, '#', target.len) != NULL)
		return 400;
	query = memchr(target.at, '?', target.len);
	ret->query = "";
	if (query != NULL) {
		ret->query = scratch_put(
			scratch,
			(struct span){ query + 1, (size_t)(target.at + target.len - query) - 1 });
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

static unsigned refusal(struct reading *reading, const char *host)
{
	const llhttp_t *parser = &reading->parser;

	if (parser->http_major != 1 || parser->http_minor > 1)
		return 505;
	if (parser->content_length > 0 || (parser->flags & (F_CHUNKED | F_TRANSFER_ENCODING)) != 0)
		return 413;
	if (parser->method != HTTP_GET)
		return 405;
	if (reading->refuse != 0)
		return reading->refuse;
	return host_is_ours(reading, host) ? 0 : 400;
}

/* A method that llhttp does not know is one that we do not have. */
static unsigned parse_refusal(const struct reading *reading, const char *bytes, size_t len)
{
	size_t word = 0;

	if (reading->parser.error != HPE_INVALID_METHOD)
		return 400;
	while (word < len && bytes[word] >= 'A' && bytes[word] <= 'Z')
		word++;
	return word > 0 && word < len && bytes[word] == ' ' ? 405 : 400;
}

unsigned http_head_read(const char *bytes, size_t len, const char *host,
			struct http_scratch *scratch, struct http_head *ret, bool *keep_alive)
{
	struct reading reading = { 0 };
	unsigned refused;

	*keep_alive = false;
	llhttp_init(&reading.parser, HTTP_REQUEST, &settings);
	if (llhttp_execute(&reading.parser, bytes, len) != HPE_PAUSED || !reading.complete)
		return parse_refusal(&reading, bytes, len);
	refused = refusal(&reading, host);
	if (refused != 0)
		return refused;
	scratch->used = 0;
	*ret = (struct http_head){ 0 };
	refused = read_target(reading.target, scratch, ret);
	if (refused == 400)
		return refused;
	if (reading.if_none_match.at != NULL)
		ret->if_none_match = scratch_put(scratch, reading.if_none_match);
	*keep_alive = reading.parser.http_minor == 1 && llhttp_should_keep_alive(&reading.parser);
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
