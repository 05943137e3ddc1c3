/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three documents, a line each: the third is applied to the first as a patch, and the difference of
 * the first two, applied, is the second.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "injector/patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { TEXT_MOST = 1 << 22 };

static const struct json_limits limits = { .depth = 64, .nodes = 50000, .bytes = TEXT_MOST };

static struct json_doc *read_line(const char **at, const char *end)
{
	const char *newline = memchr(*at, '\n', (size_t)(end - *at));
	const char *stop = newline != NULL ? newline : end, *start = *at;
	struct error err;

	*at = newline != NULL ? newline + 1 : end;
	return json_doc_read(start, (size_t)(stop - start), &limits, &err);
}

static void check_difference(const struct json_node *before, const struct json_node *after)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	AUTO(buf_deinit) struct buf patch = BUF_INIT(TEXT_MOST);
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	const struct json_node *applied;
	struct error err;

	patch_write(before, after, &patch);
	if (patch.failed)
		return;
	doc = json_doc_read(patch.data, patch.len, &limits, &err);
	/* Two more levels than the document itself may be too many. */
	if (doc == NULL)
		return;
	applied = patch_apply(&edit, before, json_doc_root(doc), &err);
	if (applied == NULL || !json_equal(applied, after))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	const char *at = (const char *)bytes, *end = at + len;
	AUTO(json_doc_freep) struct json_doc *before = read_line(&at, end);
	AUTO(json_doc_freep) struct json_doc *after = read_line(&at, end);
	AUTO(json_doc_freep) struct json_doc *patch = read_line(&at, end);
	AUTO(buf_deinit) struct buf text = BUF_INIT(TEXT_MOST);
	const struct json_node *applied;
	struct error err;

	if (before != NULL && after != NULL)
		check_difference(json_doc_root(before), json_doc_root(after));
	if (before == NULL || patch == NULL)
		return 0;
	applied = patch_apply(&edit, json_doc_root(before), json_doc_root(patch), &err);
	if (applied != NULL)
		json_write(&text, applied);
	return 0;
}
