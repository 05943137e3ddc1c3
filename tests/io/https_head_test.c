/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/io/https_head.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define JSON   "Content-Type: application/json\r\n"
#define LENGTH "Content-Length: 7\r\n"

static void none(void *context, const struct https_request *request, struct https_answer *answer)
{
	(void)context;
	(void)request;
	(void)answer;
}

static const struct https_route routes[] = {
	{ "/mutate", "application/json", true, none },
	{ "/live", NULL, false, none },
	{ NULL, NULL, false, NULL },
};

static unsigned read_head(const char *text, struct https_head *head)
{
	return https_head_read(text, strlen(text), routes, head);
}

Test(https_head, is_judged_before_its_body_is_read)
{
	static const struct {
		const char *head;
		unsigned status;
	} rows[] = {
		{ "POST /mutate HTTP/1.1\r\n" JSON LENGTH "\r\n", 0 },
		{ "POST /mutate?timeout=5s HTTP/1.1\r\n" JSON LENGTH "\r\n", 0 },
		{ "POST /mutate HTTP/1.1\r\ncontent-type: Application/JSON; "
		  "charset=utf-8\r\n" LENGTH "\r\n",
		  0 },
		{ "POST /mutate HTTP/1.1\r\nContent-Type: application/json ;x\r\n" LENGTH "\r\n",
		  0 },
		{ "GET /live HTTP/1.1\r\n\r\n", 0 },
		{ "GET /live?verbose HTTP/1.0\r\n\r\n", 0 },
		{ "POST /mutate HTTP/1.1\r\n" LENGTH "\r\n", 415 },
		{ "POST /mutate HTTP/1.1\r\nContent-Type: text/plain\r\n" LENGTH "\r\n", 415 },
		{ "POST /mutate HTTP/1.1\r\nContent-Type: application/jsonx\r\n" LENGTH "\r\n",
		  415 },
		{ "POST /mutate HTTP/1.1\r\nContent-Type: application/jso\r\n" LENGTH "\r\n", 415 },
		{ "POST /mutate HTTP/1.1\r\n" JSON JSON LENGTH "\r\n", 415 },
		{ "POST /mutate HTTP/1.1\r\n" JSON "\r\n", 411 },
		{ "POST /mutate HTTP/1.1\r\n" JSON "Content-Length: 0\r\n\r\n", 411 },
		{ "POST /mutate HTTP/1.1\r\n" JSON "Transfer-Encoding: chunked\r\n\r\n", 411 },
		{ "POST /mutate HTTP/1.1\r\n" JSON LENGTH LENGTH "\r\n", 400 },
		{ "POST /mutate HTTP/1.1\r\n" JSON LENGTH "Transfer-Encoding: chunked\r\n\r\n",
		  400 },
		{ "POST /mutate HTTP/1.1\r\n" JSON "Content-Length: -7\r\n\r\n", 400 },
		{ "POST /mutate HTTP/1.1\r\n" JSON "Content-Length: 99999999999999999999\r\n\r\n",
		  400 },
		{ "GET /mutate HTTP/1.1\r\n\r\n", 405 },
		{ "PUT /mutate HTTP/1.1\r\n" JSON LENGTH "\r\n", 405 },
		{ "POST /live HTTP/1.1\r\n" JSON LENGTH "\r\n", 405 },
		{ "FETCH /live HTTP/1.1\r\n\r\n", 405 },
		{ "GET /live HTTP/1.1\r\n" LENGTH "\r\n", 413 },
		{ "GET /live HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 413 },
		{ "POST /mutat HTTP/1.1\r\n" JSON LENGTH "\r\n", 404 },
		{ "POST /mutate/ HTTP/1.1\r\n" JSON LENGTH "\r\n", 404 },
		{ "GET http://x/live HTTP/1.1\r\n\r\n", 404 },
		{ "GET /live HTTP/2.0\r\n\r\n", 505 },
		{ "GET /live\r\n\r\n", 505 },
		{ "\x16\x03\x01 HTTP/1.1\r\n\r\n", 400 },
	};
	struct https_head head;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect_eq(read_head(rows[i].head, &head), rows[i].status, "row %zu: %u", i,
			     read_head(rows[i].head, &head));
}

Test(https_head, takes_a_body_up_to_its_limit)
{
	static const int sides[] = { -1, 0, 1 };
	static const unsigned statuses[] = { 0, 0, 413 };
	struct https_head head;
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(sides); i++) {
		size_t len = HTTPS_BODY_MAX + (size_t)sides[i];

		(void)snprintf(text, sizeof(text),
			       "POST /mutate HTTP/1.1\r\n" JSON "Content-Length: %zu\r\n\r\n", len);
		cr_expect_eq(read_head(text, &head), statuses[i], "row %zu", i);
		cr_expect_eq(head.body, statuses[i] == 0 ? len : 0);
	}
}

Test(https_head, says_what_route_was_meant_and_whether_the_connection_stays)
{
	struct https_head head;

	cr_expect_eq(read_head("GET /mutate HTTP/1.1\r\n\r\n", &head), 405);
	cr_expect_eq(head.route, &routes[0]);
	cr_expect_eq(read_head("GET /live HTTP/1.1\r\n\r\n", &head), 0);
	cr_expect_eq(head.route, &routes[1]);
	cr_expect(head.keep_alive);
	cr_expect_eq(read_head("GET /live HTTP/1.1\r\nConnection: close\r\n\r\n", &head), 0);
	cr_expect_not(head.keep_alive);
	cr_expect_eq(read_head("GET /live HTTP/1.0\r\n\r\n", &head), 0);
	cr_expect_not(head.keep_alive);
}
