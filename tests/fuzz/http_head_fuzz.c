/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads arbitrary bytes as heads, one after the other, as the server does. Whatever comes, a head
 * is refused with a status or is within its limits, and reading it twice says the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/io/http_head.h"
#include "agent/io/http_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool truth)
{
	if (!truth)
		abort();
}

static void check_head(const struct http_scratch *scratch, const struct http_head *head)
{
	check(scratch->used <= sizeof(scratch->bytes));
	check(head->segment_count <= HTTP_SERVER_SEGMENTS_MAX);
	for (size_t i = 0; i < head->segment_count; i++)
		check(strlen(head->segments[i]) < HTTP_SERVER_HEAD_MAX);
	check(strlen(head->query) < HTTP_SERVER_HEAD_MAX);
	(void)http_etag_matches(head->if_none_match, "7");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_scratch scratch;
	/* A copy of its own size, so that a read past the end is seen. */
	char *bytes = malloc(size > 0 ? size : 1);
	struct http_head head;
	bool keep_alive;
	unsigned status;

	memcpy(bytes, data, size);
	for (size_t at = 0, len; (len = http_message_length(bytes + at, size - at)) > 0;
	     at += len) {
		if (len > HTTP_SERVER_HEAD_MAX)
			break;
		status = http_head_read(bytes + at, len, "localhost", &scratch, &head, &keep_alive);
		check(status == 0 || (status >= 400 && status < 600));
		check(status == 0 || status == 404 || !keep_alive);
		if (status == 0)
			check_head(&scratch, &head);
		check(http_head_read(bytes + at, len, "localhost", &scratch, &head, &keep_alive) ==
		      status);
	}
	free(bytes);
	return 0;
}
