/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the reader accepts it reads again after writing, and writes the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Six bytes at most for one: \u0000. */
enum { WRITTEN_MAX = 1 << 23, GROWTH = 6 };

static void visit(const struct json_node *node)
{
	size_t count = 0;

	for (const struct json_node *child = node->first; child != NULL; child = child->next) {
		count++;
		visit(child);
	}
	if (count != node->count)
		abort();
	(void)json_string(node);
	(void)json_integer(node, 0);
	if (node->text != NULL && node->text[node->text_len] != '\0')
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	AUTO(json_doc_freep) struct json_doc *again = NULL;
	AUTO(buf_deinit) struct buf written = BUF_INIT(WRITTEN_MAX);
	AUTO(buf_deinit) struct buf rewritten = BUF_INIT(WRITTEN_MAX);
	struct error err;

	doc = json_doc_read(bytes, len, &JSON_REPLY_LIMITS, &err);
	if (doc == NULL)
		return 0;
	visit(json_doc_root(doc));
	json_write(&written, json_doc_root(doc));
	if (written.len > GROWTH * len)
		abort();
	again = json_doc_read(written.data, written.len, &JSON_REPLY_LIMITS, &err);
	if (again == NULL)
		abort();
	json_write(&rewritten, json_doc_root(again));
	if (written.len != rewritten.len || memcmp(written.data, rewritten.data, written.len) != 0)
		abort();
	return 0;
}
