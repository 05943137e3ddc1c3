/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/base/text.h"

static void check_text(const struct buf *buf, const char *expected)
{
	cr_assert_not(buf->failed);
	cr_assert_str_eq(buf_string(buf), expected);
}

Test(text, durations_read_whole_or_not_at_all)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{ "5m", 300000 },
		{ "1h30m", 5400000 },
		{ "250ms", 250 },
		{ "10s", 10000 },
		{ "24h", 86400000 },
		{ "7d", 604800000 },
		{ "0", 0 },
		{ "0s", 0 },
		{ "1h1m1s1ms", 3661001 },
		{ "9223372036854775807ms", INT64_MAX },
	};
	static const char *const refused[] = {
		"",
		"5",
		"m",
		"-5m",
		"5 m",
		" 5m",
		"5m ",
		"1m1h",
		"5m5m",
		"1.5h",
		"5M",
		"5mm",
		"5x",
		"+5m",
		"9223372036854775808ms",
		"99999999999999999999s",
		"106751991168d",
	};
	struct error err;
	int64_t ms;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_assert_eq(text_read_duration(rows[i].text, &ms, &err), 0, "%s", rows[i].text);
		cr_assert_eq(ms, rows[i].ms, "%s", rows[i].text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		ms = 42;
		cr_assert_eq(text_read_duration(refused[i], &ms, &err), -1, "%s", refused[i]);
		cr_assert_eq(err.code, ERROR_INVALID);
		cr_assert_eq(ms, 42);
		cr_assert_not_null(strstr(err.text, "1h30m"));
	}
}

Test(text, durations_written_are_read_back)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
		{ 0, "0s" },	      { 250, "250ms" },		{ 300000, "5m" },
		{ 5400000, "1h30m" }, { 3661001, "1h1m1s1ms" }, { 86400000, "24h" },
		{ 129600000, "36h" }, { -1500, "-1s500ms" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(buf_deinit) struct buf buf = BUF_INIT(64);
		struct error err;
		int64_t ms;

		text_write_duration(&buf, rows[i].ms);
		check_text(&buf, rows[i].text);
		if (rows[i].ms < 0)
			continue;
		cr_assert_eq(text_read_duration(buf.data, &ms, &err), 0);
		cr_assert_eq(ms, rows[i].ms);
	}
}

Test(text, sizes_read_with_binary_and_decimal_units)
{
	static const struct {
		const char *text;
		uint64_t size;
	} rows[] = {
		{ "512", 512 },
		{ "64KiB", 65536 },
		{ "1MiB", 1048576 },
		{ "2GiB", (uint64_t)2 << 30 },
		{ "10kB", 10000 },
		{ "3MB", 3000000 },
		{ "1GB", 1000000000 },
		{ "7B", 7 },
		{ "0", 0 },
		{ "18446744073709551615", UINT64_MAX },
	};
	static const char *const refused[] = {
		"",
		"KiB",
		"-1",
		"1 KiB",
		"1kib",
		"1K",
		"1KiBs",
		"1.5MiB",
		"18446744073709551616",
		"18014398509481984KiB",
		"0x10",
	};
	struct error err;
	uint64_t size;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_assert_eq(text_read_size(rows[i].text, &size, &err), 0, "%s", rows[i].text);
		cr_assert_eq(size, rows[i].size, "%s", rows[i].text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		cr_assert_eq(text_read_size(refused[i], &size, &err), -1, "%s", refused[i]);
}

Test(text, modes_are_three_or_four_octal_digits)
{
	static const char *const refused[] = { "",	"44",	"04400", "0480",
					       "0o440", "-440", "u=rw",	 " 440" };
	struct error err;
	unsigned mode;

	cr_assert_eq(text_read_mode("0440", &mode, &err), 0);
	cr_assert_eq(mode, 0440);
	cr_assert_eq(text_read_mode("600", &mode, &err), 0);
	cr_assert_eq(mode, 0600);
	cr_assert_eq(text_read_mode("7777", &mode, &err), 0);
	cr_assert_eq(mode, 07777);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		cr_assert_eq(text_read_mode(refused[i], &mode, &err), -1, "%s", refused[i]);
}

Test(text, numbers_stop_at_their_maximum)
{
	struct error err;
	uint64_t number;

	cr_assert_eq(text_read_unsigned("1024", 1024, &number, &err), 0);
	cr_assert_eq(number, 1024);
	cr_assert_eq(text_read_unsigned("1025", 1024, &number, &err), -1);
	cr_assert_not_null(strstr(err.text, "at most 1024"));
	cr_assert_eq(text_read_unsigned("18446744073709551615", UINT64_MAX, &number, &err), 0);
	cr_assert_eq(text_read_unsigned("18446744073709551616", UINT64_MAX, &number, &err), -1);
	cr_assert_eq(text_read_unsigned("", 10, &number, &err), -1);
	cr_assert_eq(text_read_unsigned("-1", 10, &number, &err), -1);
	cr_assert_eq(text_read_unsigned("1a", 10, &number, &err), -1);
}

Test(text, times_are_read_with_any_offset_and_written_in_utc)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-11-24T14:29:01Z", 1795530541000 },
		{ "2026-11-24T16:29:01.987654321+02:00", 1795530541987 },
		{ "2026-11-24t09:59:01-04:30", 1795530541000 },
		{ "2024-02-29T00:00:00Z", 1709164800000 },
		{ "1969-12-31T23:59:59.500Z", -500 },
		{ "2016-12-31T23:59:60Z", 1483228800000 },
	};
	static const char *const refused[] = {
		"",
		"2026-11-24",
		"2026-11-24T14:29:01",
		"2026-13-24T14:29:01Z",
		"2026-02-29T00:00:00Z",
		"2026-11-24T24:00:00Z",
		"2026-11-24T14:60:01Z",
		"2026-11-24T14:29:61Z",
		"2026-11-24T14:29:01.Z",
		"2026-11-24T14:29:01Zx",
		"2026-11-24T14:29:01+2:00",
		"26-11-24T14:29:01Z",
		"2026-00-24T14:29:01Z",
		"2026-11-00T14:29:01Z",
		"2026-11-24T14:29:01+24:00",
	};
	struct error err;
	int64_t ms;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_assert_eq(text_read_time(rows[i].text, strlen(rows[i].text), &ms, &err), 0, "%s",
			     rows[i].text);
		cr_assert_eq(ms, rows[i].ms, "%s: %lld", rows[i].text, (long long)ms);
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		cr_assert_eq(text_read_time(refused[i], strlen(refused[i]), &ms, &err), -1, "%s",
			     refused[i]);
	cr_assert_eq(text_read_time("1970-01-01T00:00:00Z", 19, &ms, &err), -1);
}

Test(text, times_written_have_whole_seconds)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(64);

	text_write_time(&buf, 1795530541987);
	check_text(&buf, "2026-11-24T14:29:01Z");
	buf_reset(&buf);
	text_write_time(&buf, -500);
	check_text(&buf, "1969-12-31T23:59:59Z");
}

Test(text, utf8_refuses_what_is_not_shortest_or_no_character)
{
	static const char *const good[] = {
		"",
		"plain",
		"\xc2\x80",
		"\xdf\xbf",
		"\xe0\xa0\x80",
		"\xed\x9f\xbf",
		"\xee\x80\x80",
		"\xef\xbf\xbf",
		"\xf0\x90\x80\x80",
		"\xf4\x8f\xbf\xbf",
	};
	static const char *const bad[] = {
		"\x80",
		"\xc0\x80",
		"\xc1\xbf",
		"\xc2",
		"\xe0\x9f\xbf",
		"\xed\xa0\x80",
		"\xed\xbf\xbf",
		"\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xff",
		"\xe2\x82",
		"\xc3(",
		"\xf0\x9f\x98",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		cr_assert(text_is_utf8(good[i], strlen(good[i])), "row %zu", i);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_not(text_is_utf8(bad[i], strlen(bad[i])), "row %zu", i);
	cr_assert(text_is_utf8("a\0b", 3));
}

Test(text, every_character_survives_encoding)
{
	for (uint32_t character = 0; character <= 0x10ffff; character += 0x35) {
		char bytes[4];
		uint32_t back;
		size_t size;

		if (character >= 0xd800 && character <= 0xdfff)
			continue;
		size = text_encode_character(bytes, character);
		cr_assert_eq(text_read_character(bytes, size, &back), size);
		cr_assert_eq(back, character);
		cr_assert_eq(text_read_character(bytes, size - 1, &back), 0);
	}
}

Test(text, json_strings_escape_what_json_must)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(256);

	text_write_json(&buf, "a\"b\\c/\b\f\n\r\t\0\x1f\x7f\xc3\xa4<>&", 19);
	check_text(&buf, "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\xc3\xa4<>&\"");
	buf_reset(&buf);
	text_write_json(&buf, "", 0);
	check_text(&buf, "\"\"");
	buf_reset(&buf);
	text_write_json(&buf, "a\xff\xe2\x82", 4);
	check_text(&buf, "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

Test(text, base64_of_rfc_4648)
{
	static const struct {
		const char *plain, *padded, *raw;
	} rows[] = {
		{ "", "", "" },
		{ "f", "Zg==", "Zg" },
		{ "fo", "Zm8=", "Zm8" },
		{ "foo", "Zm9v", "Zm9v" },
		{ "foob", "Zm9vYg==", "Zm9vYg" },
		{ "fooba", "Zm9vYmE=", "Zm9vYmE" },
		{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
		{ "\xff\xef\xbe", "/+++", "/+++" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(buf_deinit)
		struct buf written = BUF_INIT(64), read = BUF_INIT(strlen(rows[i].plain));
		struct error err;

		text_write_base64(&written, rows[i].plain, strlen(rows[i].plain));
		check_text(&written, rows[i].padded);
		buf_reset(&written);
		text_write_base64_public(&written, rows[i].plain, strlen(rows[i].plain));
		check_text(&written, rows[i].padded);
		buf_reset(&written);
		text_write_base64_raw(&written, rows[i].plain, strlen(rows[i].plain));
		check_text(&written, rows[i].raw);
		/* The buffer has room for the plain bytes and not one more. */
		cr_assert_eq(text_read_base64(&read, rows[i].padded, strlen(rows[i].padded), &err),
			     0);
		check_text(&read, rows[i].plain);
		buf_reset(&read);
		cr_assert_eq(text_read_base64(&read, rows[i].raw, strlen(rows[i].raw), &err), 0);
		check_text(&read, rows[i].plain);
	}
}

Test(text, base64_refuses_and_leaves_the_buffer_as_it_was)
{
	static const char *const refused[] = {
		"Z",	"Zg=", "Zg===", "Zm 9v", "Zm9v\n", "Zm9_", "Zm9-",
		"Zh==", "Zh",  "=",	"==",	 "====",   "Z=g=",
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		AUTO(buf_deinit) struct buf buf = BUF_INIT(64);
		struct error err;

		buf_puts(&buf, "kept");
		cr_assert_eq(text_read_base64(&buf, refused[i], strlen(refused[i]), &err), -1, "%s",
			     refused[i]);
		cr_assert_eq(err.code, ERROR_BAD_DATA);
		cr_assert_null(strstr(err.text, "Z"));
		check_text(&buf, "kept");
	}
}

Test(text, encoders_latch_when_the_buffer_is_full)
{
	AUTO(buf_deinit) struct buf four = BUF_INIT(4), three = BUF_INIT(3);
	struct error err;

	text_write_base64(&four, "abc", 3);
	check_text(&four, "YWJj");
	text_write_base64(&three, "abc", 3);
	cr_assert(three.failed);
	buf_reset(&three);
	text_write_hex(&three, "ab", 2);
	cr_assert(three.failed);
	buf_reset(&three);
	cr_assert_eq(text_read_base64(&three, "YWJjZA", 6, &err), -1);
	cr_assert_eq(err.code, ERROR_EXHAUSTED);
}

Test(text, hex_is_lower_case)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(64);

	text_write_hex(&buf, "\x00\xab\x7f", 3);
	check_text(&buf, "00ab7f");
}

Test(text, percent_escapes_all_but_unreserved_and_kept)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(64);
	struct error err;

	text_write_percent(&buf, "aZ9-._~/ %\xc3\0", 12, NULL);
	check_text(&buf, "aZ9-._~%2F%20%25%C3%00");
	buf_reset(&buf);
	text_write_percent(&buf, "a/b c", 5, "/");
	check_text(&buf, "a/b%20c");
	buf_reset(&buf);
	cr_assert_eq(text_read_percent(&buf, "a%2fb%20+%C3%a4", 15, &err), 0);
	check_text(&buf, "a/b +\xc3\xa4");
}

Test(text, percent_refuses_half_escapes_and_nul)
{
	static const char *const refused[] = { "%",    "a%",  "a%2",   "%zz", "%2g",
					       "ok%0", "%00", "a%00b", "%%20" };
	AUTO(buf_deinit) struct buf buf = BUF_INIT(64);
	struct error err;

	buf_puts(&buf, "kept");
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		cr_assert_eq(text_read_percent(&buf, refused[i], strlen(refused[i]), &err), -1,
			     "%s", refused[i]);
		check_text(&buf, "kept");
	}
	cr_assert_eq(text_read_percent(&buf, "a\0b", 3, &err), -1);
}

Test(text, shell_quotes_hold_everything)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(64);

	text_write_shell(&buf, "it's $HOME \"x\"\n", 15);
	check_text(&buf, "'it'\\''s $HOME \"x\"\n'");
	buf_reset(&buf);
	text_write_shell(&buf, "", 0);
	check_text(&buf, "''");
	buf_reset(&buf);
	text_write_shell(&buf, "''", 2);
	check_text(&buf, "''\\'''\\'''");
}

Test(text, variables_are_upper_case_words)
{
	static const struct {
		const char *name, *variable;
	} rows[] = {
		{ "app.db.password", "APP_DB_PASSWORD" },
		{ "a-b c/d", "A_B_C_D" },
		{ "9lives", "_9LIVES" },
		{ "x1", "X1" },
		{ "", "_" },
		{ "\xc3\xa4x", "_X" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(buf_deinit) struct buf buf = BUF_INIT(64);

		text_write_variable(&buf, rows[i].name);
		check_text(&buf, rows[i].variable);
	}
}

Test(text, nearest_helps_with_typos_and_not_with_other_words)
{
	static const char *const words[] = { "address", "namespace", "auth", "tls",
					     "mode",	"uid",	     "gid",  NULL };

	cr_assert_str_eq(text_nearest("adress", words), "address");
	cr_assert_str_eq(text_nearest("addresses", words), "address");
	cr_assert_str_eq(text_nearest("nmaespace", words), "namespace");
	cr_assert_str_eq(text_nearest("namespcae", words), "namespace");
	cr_assert_str_eq(text_nearest("auht", words), "auth");
	cr_assert_str_eq(text_nearest("uid", words), "uid");
	cr_assert_str_eq(text_nearest("mod", words), "mode");
	cr_assert_null(text_nearest("password", words));
	cr_assert_null(text_nearest("x", words));
	cr_assert_null(text_nearest("xyz", words));
	cr_assert_null(text_nearest("", words));
}

Test(text, starts_and_ends)
{
	cr_assert(text_starts_with("..data", ".."));
	cr_assert(text_starts_with("a", ""));
	cr_assert_not(text_starts_with("a", "ab"));
	cr_assert(text_ends_with("x.enc.yaml", ".yaml"));
	cr_assert(text_ends_with("a", ""));
	cr_assert_not(text_ends_with("a", "ba"));
}

Test(text, public_base64_is_the_same_text)
{
	uint8_t bytes[70];
	struct buf slow = BUF_INIT(200), fast = BUF_INIT(200);

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 37 + 250);
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		buf_reset(&slow);
		buf_reset(&fast);
		text_write_base64(&slow, bytes, len);
		text_write_base64_public(&fast, bytes, len);
		cr_expect_str_eq(buf_string(&fast), buf_string(&slow), "%zu bytes", len);
	}
	buf_deinit(&slow);
	buf_deinit(&fast);
}
