/* SPDX-License-Identifier: Apache-2.0 */
/*
 * llhttp reads a head that has come whole, so no name or value is ever in two pieces.
 */
#include "agent/io/http_message.h"

#include <llhttp.h>
#include <string.h>
#include <strings.h>

#include "agent/base/macros.h"

struct reading {
	llhttp_t parser;
	struct http_span target;
	struct http_span name, value;
	http_visit_fn *visit;
	void *context;
	bool refused;
	bool complete;
};

size_t http_message_length(const char *bytes, size_t len)
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

bool http_span_is(struct http_span span, const char *text, size_t len)
{
	return span.len == len && strncasecmp(span.at, text, len) == 0;
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
		reading->target = (struct http_span){ at, len };
	return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
	struct reading *reading = reading_of(parser);

	reading->name = (struct http_span){ at, len };
	reading->value = (struct http_span){ at, 0 };
	return 0;
}

/* A value in two pieces is one that was folded over lines: obsolete, and a way to hide. */
static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
	struct reading *reading = reading_of(parser);

	if (reading->value.len > 0 && len > 0)
		reading->refused = true;
	if (len > 0)
		reading->value = (struct http_span){ at, len };
	return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
	struct reading *reading = reading_of(parser);

	if (!reading->visit(reading->context, reading->name, reading->value))
		reading->refused = true;
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

static enum http_method method_of(const llhttp_t *parser)
{
	if (parser->method == HTTP_GET)
		return HTTP_METHOD_GET;
	return parser->method == HTTP_POST ? HTTP_METHOD_POST : HTTP_METHOD_OTHER;
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

unsigned http_message_read(const char *bytes, size_t len, http_visit_fn *visit, void *context,
			   struct http_message *ret)
{
	struct reading reading = { .visit = visit, .context = context };
	llhttp_t *parser = &reading.parser;

	llhttp_init(parser, HTTP_REQUEST, &settings);
	if (llhttp_execute(parser, bytes, len) != HPE_PAUSED || !reading.complete)
		return parse_refusal(&reading, bytes, len);
	if (parser->http_major != 1 || parser->http_minor > 1)
		return 505;
	*ret = (struct http_message){
		.method = method_of(parser),
		.target = reading.target,
		.minor = parser->http_minor,
		.content_length = parser->content_length,
		.transfer_encoded = (parser->flags & (F_CHUNKED | F_TRANSFER_ENCODING)) != 0,
		.keep_alive = parser->http_minor == 1 && llhttp_should_keep_alive(parser) != 0,
	};
	return reading.refused ? 400 : 0;
}
