/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever is read can be written so that it is read again as the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/dotenv.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void expect_same(const struct buf *value)
{
	AUTO(buf_deinit)
	struct buf text = BUF_INIT(1 << 20), name = BUF_INIT(64), again = BUF_INIT(1 << 20);
	struct dotenv_reader reader;
	struct error err;

	buf_puts(&text, "A=");
	dotenv_write_value(&text, value->data, value->len);
	reader = dotenv_reader(text.data, text.len);
	if (dotenv_next(&reader, &name, &again, &err) != 1 || again.len != value->len ||
	    (value->len > 0 && memcmp(again.data, value->data, value->len) != 0) ||
	    dotenv_next(&reader, &name, &again, &err) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	AUTO(buf_deinit) struct buf name = BUF_INIT(1 << 20), value = BUF_INIT(1 << 20);
	struct dotenv_reader reader = dotenv_reader((const char *)bytes, len);
	unsigned line = 0;
	struct error err;

	while (dotenv_next(&reader, &name, &value, &err) > 0) {
		if (reader.line <= line || name.len == 0)
			abort();
		line = reader.line;
		expect_same(&value);
	}
	return 0;
}
