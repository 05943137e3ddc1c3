/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/mask.h"

DEFINE_FREEP(mask_freep, struct mask, mask_free)

static struct mask *mask_of(const char *const *values)
{
	struct error err = ERROR_INIT;
	struct mask *mask = mask_new(&err);

	for (; *values != NULL; values++)
		cr_assert_eq(mask_add(mask, *values, strlen(*values), &err), 0);
	cr_assert_eq(mask_prepare(mask, &err), 0);
	return mask;
}

/* Every way to cut the text into three. */
static void expect_masked(const char *const *values, const char *text, const char *wanted)
{
	AUTO(mask_freep) struct mask *mask = mask_of(values);
	size_t len = strlen(text);

	for (size_t one = 0; one <= len; one++) {
		for (size_t two = one; two <= len; two++) {
			AUTO(buf_deinit) struct buf out = BUF_INIT(1 << 16);
			AUTO(mask_stream_deinit) struct mask_stream stream;

			mask_stream_init(&stream, mask);
			mask_put(&stream, text, one, &out);
			mask_put(&stream, text + one, two - one, &out);
			mask_put(&stream, text + two, len - two, &out);
			mask_end(&stream, &out);
			cr_assert_str_eq(buf_string(&out), wanted, "cut at %zu and %zu: %s", one,
					 two, buf_string(&out));
		}
	}
}

#define VALUES(...) ((const char *const[]){ __VA_ARGS__, NULL })

Test(mask, hides_a_value_wherever_the_text_is_cut)
{
	expect_masked(VALUES("hunter2!"), "the password is hunter2!, hunter2!hunter2! hunter2",
		      "the password is ***, ****** hunter2");
}

Test(mask, passes_what_only_begins_like_a_value)
{
	expect_masked(VALUES("aabaab", "abcdefgh"), "aabaa abcdefg aabaaabaabcdef",
		      "aabaa abcdefg aaba***cdef");
	expect_masked(VALUES("secret"), "secre", "secre");
	expect_masked(VALUES("secret"), "", "");
}

Test(mask, takes_the_longest_of_values_that_overlap)
{
	expect_masked(VALUES("abcdef", "abcdefghij"), "-abcdefghij-abcdefghi-", "-***-***ghi-");
	expect_masked(VALUES("abcdef", "defghi"), "-abcdefghi-", "-***-");
	expect_masked(VALUES("bcdefg", "abcdefgh"), "-abcdefgh-abcdefg-", "-***-a***-");
	expect_masked(VALUES("aaaaaa"), "aaaaaaaaa-aaaaa", "***-aaaaa");
}

Test(mask, leaves_short_values_alone)
{
	expect_masked(VALUES("12345", "123456"), "12345 123456", "12345 ***");
	expect_masked(VALUES("12345\n"), "12345", "12345");
}

Test(mask, finds_encoded_and_escaped_forms)
{
	/* made with python3: base64.b64encode, urllib.parse.quote, quote_plus, json.dumps */
	static const struct {
		const char *value, *text, *wanted;
	} rows[] = {
		{ "s3cr3t/va+lue", "czNjcjN0L3ZhK2x1ZQ==.", "***." },
		{ "s3cr3t/va+lue", "czNjcjN0L3ZhK2x1ZQ.", "***." },
		/* user:VALUE. The first character of a value shares bits with what stands before.
		 */
		{ "s3cr3t/va+lue", "dXNlcjpzM2NyM3QvdmErbHVl.", "dXNlcjp***." },
		{ "s3cr3t/va+lue", "s3cr3t%2Fva%2Blue s3cr3t%2fva%2blue", "*** ***" },
		{ "pass word&x", "pass%20word%26x pass+word%26x", "*** ***" },
		{ "say \"hi\"\nthere", "say \\\"hi\\\"\\nthere", "***" },
		{ "a/b/c/d/e", "a\\/b\\/c\\/d\\/e", "***" },
		{ "line one\nline two\n", "line one\r\nline two\r\n", "***\r\n" },
		{ "line one\nline two\n", "line one\nline two\n", "***\n" },
		{ "\xff\xfe\xfd\xfc\xfb\xfa\xff\xff", "//79/Pv6//8= __79_Pv6__8", "*** ***" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_masked(VALUES(rows[i].value), rows[i].text, rows[i].wanted);
}

Test(mask, finds_base64_at_each_alignment_and_across_its_lines)
{
	static const char value[] =
		"correct horse battery staple and quite a few words more than one line holds";
	AUTO(mask_freep) struct mask *mask = mask_of(VALUES(value));
	static const size_t widths[] = { 64, 76, 1000 };

	for (size_t before = 0; before < 7; before++) {
		for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
			AUTO(buf_deinit) struct buf plain = BUF_INIT(1 << 12);
			AUTO(buf_deinit) struct buf coded = BUF_INIT(1 << 12);
			AUTO(buf_deinit) struct buf out = BUF_INIT(1 << 12);
			AUTO(mask_stream_deinit) struct mask_stream stream;

			if (before > 0 && widths[i] < 1000)
				continue;
			buf_put(&plain, "xyzxyzxyz", before);
			buf_puts(&plain, value);
			buf_put(&plain, "abcabc", 6 - before % 3);
			text_write_base64(&coded, plain.data,
					  before > 0 ? plain.len : strlen(value));
			mask_stream_init(&stream, mask);
			for (size_t at = 0; at < coded.len; at++) {
				if (at > 0 && at % widths[i] == 0)
					mask_put(&stream, "\n", 1, &out);
				mask_put(&stream, coded.data + at, 1, &out);
			}
			mask_end(&stream, &out);
			cr_expect_not_null(strstr(buf_string(&out), MASK_TEXT), "%zu %zu", before,
					   i);
			cr_expect_lt(out.len, 24, "%zu %zu: %s", before, i, buf_string(&out));
		}
	}
}

Test(mask, shows_a_prompt_that_begins_like_a_value_and_hides_the_rest)
{
	AUTO(mask_freep) struct mask *mask = mask_of(VALUES("> secret"));
	AUTO(buf_deinit) struct buf out = BUF_INIT(1 << 12);
	AUTO(mask_stream_deinit) struct mask_stream stream;

	mask_stream_init(&stream, mask);
	mask_put(&stream, "prompt> ", 8, &out);
	cr_expect_str_eq(buf_string(&out), "prompt");
	mask_idle(&stream, &out);
	cr_expect_str_eq(buf_string(&out), "prompt> ");
	mask_put(&stream, "secre", 5, &out);
	mask_idle(&stream, &out);
	cr_expect_str_eq(buf_string(&out), "prompt> ");
	mask_put(&stream, "t.", 2, &out);
	cr_expect_str_eq(buf_string(&out), "prompt> ***.");
}

Test(mask, passes_every_byte_when_it_has_nothing_to_hide)
{
	AUTO(mask_freep) struct mask *mask = mask_of((const char *const[]){ NULL });
	AUTO(buf_deinit) struct buf out = BUF_INIT(1 << 12);
	AUTO(mask_stream_deinit) struct mask_stream stream;
	char bytes[256];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	mask_stream_init(&stream, mask);
	mask_put(&stream, bytes, sizeof(bytes), &out);
	cr_expect_eq(out.len, sizeof(bytes));
	cr_expect_eq(memcmp(out.data, bytes, sizeof(bytes)), 0);
}
