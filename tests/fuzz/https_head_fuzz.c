/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads arbitrary bytes as heads of requests to the webhook's port. Whatever comes, a head is
 * refused with a status or takes a route with a body within the limit, and reading it twice says
 * the same.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/io/http_message.h"
#include "agent/io/https_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool truth)
{
	if (!truth)
		abort();
}

static void never(void *context, const struct https_request *request, struct https_answer *answer)
{
	(void)context;
	(void)request;
	(void)answer;
	abort();
}

static const struct https_route routes[] = {
	{ "/mutate", "application/json", true, never },
	{ "/live", NULL, false, never },
	{ NULL, NULL, false, NULL },
};

static void check_head(const struct https_head *head, unsigned status)
{
	check(status == 0 || (status >= 400 && status < 600));
	if (status != 0)
		return;
	check(head->route == &routes[0] || head->route == &routes[1]);
	check((head->route->body_type != NULL) == (head->body > 0));
	check(head->body <= HTTPS_BODY_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of its own size, so that a read past the end is seen. */
	char *bytes = malloc(size > 0 ? size : 1);
	struct https_head head, again;
	unsigned status;

	memcpy(bytes, data, size);
	for (size_t at = 0, len; (len = http_message_length(bytes + at, size - at)) > 0;
	     at += len) {
		if (len > HTTPS_HEAD_MAX)
			break;
		status = https_head_read(bytes + at, len, routes, &head);
		check_head(&head, status);
		check(https_head_read(bytes + at, len, routes, &again) == status);
		check(memcmp(&head, &again, sizeof(head)) == 0);
	}
	free(bytes);
	return 0;
}
