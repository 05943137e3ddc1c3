/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever is written is read back the same; whatever is read does not pass its buffer's limit.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { TEXT_MAX = 1 << 20 };

static void expect(const struct buf *buf, const uint8_t *bytes, size_t len)
{
	if (buf->failed || buf->len != len || (len > 0 && memcmp(buf->data, bytes, len) != 0))
		abort();
}

static void base64_there_and_back(const uint8_t *bytes, size_t len)
{
	AUTO(buf_deinit) struct buf written = BUF_INIT(TEXT_MAX);
	AUTO(buf_deinit) struct buf exact = BUF_INIT(len);
	struct error err;

	text_write_base64(&written, bytes, len);
	if (text_read_base64(&exact, buf_string(&written), written.len, &err) < 0)
		abort();
	expect(&exact, bytes, len);
	buf_reset(&written);
	buf_reset(&exact);
	text_write_base64_raw(&written, bytes, len);
	if (text_read_base64(&exact, buf_string(&written), written.len, &err) < 0)
		abort();
	expect(&exact, bytes, len);
}

static void percent_there_and_back(const uint8_t *bytes, size_t len)
{
	AUTO(buf_deinit) struct buf written = BUF_INIT(TEXT_MAX);
	AUTO(buf_deinit) struct buf exact = BUF_INIT(len);
	struct error err;

	text_write_percent(&written, bytes, len, "/");
	if (text_read_percent(&exact, buf_string(&written), written.len, &err) == 0)
		expect(&exact, bytes, len);
	else if (memchr(bytes, '\0', len) == NULL)
		abort();
}

static void json_there_and_back(const uint8_t *bytes, size_t len)
{
	AUTO(buf_deinit) struct buf written = BUF_INIT(TEXT_MAX);
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	const struct json_node *root;
	struct error err;

	text_write_json(&written, bytes, len);
	doc = json_doc_read(written.data, written.len, &JSON_REPLY_LIMITS, &err);
	if (doc == NULL)
		abort();
	root = json_doc_root(doc);
	if (text_is_utf8(bytes, len) &&
	    (root->text_len != len || memcmp(root->text, bytes, len) != 0))
		abort();
}

/* The readers of configuration take strings. */
static void read_spellings(const char *text, size_t len)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(TEXT_MAX);
	struct error err;
	uint64_t number;
	int64_t ms, again;
	unsigned mode;

	if (text_read_duration(text, &ms, &err) == 0) {
		text_write_duration(&buf, ms);
		if (text_read_duration(buf_string(&buf), &again, &err) < 0 || again != ms)
			abort();
		buf_reset(&buf);
	}
	if (text_read_time(text, len, &ms, &err) == 0) {
		text_write_time(&buf, ms);
		/* A time whose offset takes it out of the four-digit years is written, not read. */
		if (text_read_time(buf.data, buf.len, &again, &err) == 0 &&
		    (ms - again < 0 || ms - again > 999))
			abort();
		buf_reset(&buf);
	}
	(void)text_read_size(text, &number, &err);
	(void)text_read_unsigned(text, UINT64_MAX, &number, &err);
	(void)text_read_mode(text, &mode, &err);
	(void)text_read_base64(&buf, text, len, &err);
	(void)text_read_percent(&buf, text, len, &err);
	text_write_shell(&buf, text, len);
	text_write_variable(&buf, text);
	(void)text_nearest(text, (const char *const[]){ "address", "namespace", "auth", NULL });
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	AUTO(freep) char *text = NULL;

	if (len > TEXT_MAX / 8)
		return 0;
	text = calloc(1, len + 1);
	if (text == NULL)
		return 0;
	if (len > 0)
		memcpy(text, bytes, len);
	base64_there_and_back(bytes, len);
	percent_there_and_back(bytes, len);
	json_there_and_back(bytes, len);
	read_spellings(text, len);
	return 0;
}
