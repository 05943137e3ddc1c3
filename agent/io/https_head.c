/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/io/https_head.h"

#include <string.h>

#include "agent/io/http_message.h"

struct reading {
	struct http_message message;
	struct http_span type;
	unsigned types;
};

static bool visit(void *context, struct http_span name, struct http_span value)
{
	struct reading *reading = context;

	if (HTTP_SPAN_IS(name, "content-type")) {
		reading->type = value;
		reading->types++;
	}
	return true;
}

/* Of several rows with the path the one with the method, else the last. */
static const struct https_route *find(const struct https_route *routes,
				      const struct http_message *message)
{
	const char *query = memchr(message->target.at, '?', message->target.len);
	size_t len = query != NULL ? (size_t)(query - message->target.at) : message->target.len;
	const struct https_route *found = NULL;

	for (; routes->path != NULL; routes++) {
		if (strlen(routes->path) != len ||
		    memcmp(routes->path, message->target.at, len) != 0)
			continue;
		found = routes;
		if ((routes->body_type != NULL) == (message->method == HTTP_METHOD_POST))
			return routes;
	}
	return found;
}

/* Parameters may follow: "application/json; charset=utf-8". */
static bool type_is(struct http_span type, const char *wanted)
{
	size_t len = strlen(wanted);

	if (type.len < len || !http_span_is((struct http_span){ type.at, len }, wanted, len))
		return false;
	while (len < type.len && (type.at[len] == ' ' || type.at[len] == '\t'))
		len++;
	return len == type.len || type.at[len] == ';';
}

static unsigned check_body(const struct reading *reading, const struct https_route *route)
{
	const struct http_message *message = &reading->message;

	if (route->body_type == NULL)
		return message->content_length > 0 || message->transfer_encoded ? 413 : 0;
	if (reading->types != 1 || !type_is(reading->type, route->body_type))
		return 415;
	if (message->transfer_encoded || message->content_length == 0)
		return 411;
	return message->content_length > HTTPS_BODY_MAX ? 413 : 0;
}

unsigned https_head_read(const char *bytes, size_t len, const struct https_route *routes,
			 struct https_head *ret)
{
	struct reading reading = { 0 };
	const struct http_message *message = &reading.message;
	unsigned refused = http_message_read(bytes, len, visit, &reading, &reading.message);

	*ret = (struct https_head){ 0 };
	if (refused != 0)
		return refused;
	ret->route = find(routes, message);
	if (ret->route == NULL)
		return 404;
	if (message->method != (ret->route->body_type != NULL ? HTTP_METHOD_POST : HTTP_METHOD_GET))
		return 405;
	refused = check_body(&reading, ret->route);
	if (refused != 0)
		return refused;
	ret->body = (size_t)message->content_length;
	ret->keep_alive = message->keep_alive;
	return 0;
}
