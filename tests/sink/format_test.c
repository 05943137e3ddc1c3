/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/base/secret.h"
#include "agent/sink/format.h"

struct given {
	const char *name, *value;
	enum field_type type;
};

#define CERT	       "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
#define ISSUER	       "-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----"
#define ROOT	       "-----BEGIN CERTIFICATE-----\nCCCC\n-----END CERTIFICATE-----"
#define KEY	       "-----BEGIN EC PRIVATE KEY-----\nKKKK\n-----END EC PRIVATE KEY-----"
#define ESCAPED(block) "\"-----BEGIN CERTIFICATE-----\\n" block "\\n-----END CERTIFICATE-----\""

static struct secret_version *version_of(const struct given *given, size_t count)
{
	struct error err = ERROR_INIT;
	struct secret_version *version = secret_version_new(&err);

	for (size_t i = 0; i < count && given[i].name != NULL; i++)
		cr_assert_eq(secret_version_add_bytes(version, given[i].name, given[i].type,
						      given[i].value, strlen(given[i].value), &err),
			     0);
	return version;
}

Test(format, writes_each_format_byte_for_byte)
{
	static const struct {
		enum file_format format;
		struct given given[5];
		const char *expected;
	} cases[] = {
		{ FORMAT_JSON, { { NULL, NULL, 0 } }, "{}\n" },
		{ FORMAT_JSON,
		  { { "user", "a\"b\n", FIELD_STRING },
		    { "port", "5432", FIELD_JSON },
		    { "on", "true", FIELD_JSON } },
		  "{\"user\":\"a\\\"b\\n\",\"port\":5432,\"on\":true}\n" },
		{ FORMAT_JSON,
		  { { "big", "12345678901234567890.10", FIELD_JSON } },
		  "{\"big\":12345678901234567890.10}\n" },
		{ FORMAT_ENV, { { NULL, NULL, 0 } }, "" },
		{ FORMAT_ENV,
		  { { "user", "it's", FIELD_STRING },
		    { "a.b-c", "x y\n$z", FIELD_STRING },
		    { "n", "1", FIELD_JSON } },
		  "USER='it'\\''s'\nA_B_C='x y\n$z'\nN='1'\n" },
		{ FORMAT_YAML, { { NULL, NULL, 0 } }, "{}\n" },
		{ FORMAT_YAML,
		  { { "no", "yes", FIELD_STRING },
		    { "t", "tab\t\"q\" \\ \xc2\x85 \xe2\x80\xa8 \xc3\xa9", FIELD_STRING },
		    { "m", "{\"a\":[1,null,\"\\ud83d\\ude00\"],\"b\":{}}", FIELD_JSON } },
		  "\"no\": \"yes\"\n\"t\": \"tab\\u0009\\\"q\\\" \\\\ \\u0085 \\u2028 \xc3\xa9\"\n"
		  "\"m\": {\"a\": [1, null, \"\xf0\x9f\x98\x80\"], \"b\": {}}\n" },
		{ FORMAT_RAW, { { "only", "bytes \x80", FIELD_STRING } }, "bytes \x80" },
		{ FORMAT_GO_MAP, { { NULL, NULL, 0 } }, "" },
		{ FORMAT_GO_MAP,
		  { { "n", "null", FIELD_JSON },
		    { "Z", "1E+10", FIELD_JSON },
		    { "m", "{\"b\":{\"c\":null,\"a\":-0},\"a\":[1.50,\"x y\",[],{}]}", FIELD_JSON },
		    { "b", "raw\n\x80", FIELD_STRING } },
		  "Z: 1E+10\nb: raw\n\x80\nm: map[a:[1.50 x y [] map[]] b:map[a:-0 c:<nil>]]\n"
		  "n: <no value>\n" },
		{ FORMAT_GO_JSON, { { NULL, NULL, 0 } }, "{}\n" },
		{ FORMAT_GO_JSON,
		  { { "s", "<&>\b\f\x01\x7f\"\\ \xe2\x80\xa8\xc3\xa9", FIELD_STRING },
		    { "m", "{\"b\":1e400,\"<a>\":[true,null]}", FIELD_JSON } },
		  "{\"m\":{\"\\u003ca\\u003e\":[true,null],\"b\":1e400},\"s\":\"\\u003c\\u0026"
		  "\\u003e\\b\\f\\u0001\x7f\\\"\\\\ \\u2028\xc3\xa9\"}\n" },
		{ FORMAT_PEM,
		  { { "private_key", KEY, FIELD_STRING },
		    { "certificate", CERT "\n\n", FIELD_STRING },
		    { "issuing_ca", ISSUER, FIELD_STRING },
		    { "ca_chain", "[" ESCAPED("BBBB") "," ESCAPED("CCCC") "]", FIELD_JSON } },
		  CERT "\n" ISSUER "\n" ROOT "\n" KEY "\n" },
		{ FORMAT_PEM,
		  { { "certificate", "text before\n" CERT "\n" ISSUER, FIELD_STRING },
		    { "ca_chain", "null", FIELD_JSON },
		    { "issuing_ca", ISSUER "\n", FIELD_STRING } },
		  CERT "\n" ISSUER "\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(secret_version_unrefp)
		struct secret_version *version = version_of(cases[i].given, 5);
		AUTO(buf_deinit) struct buf out = BUF_INIT(4096);
		struct error err = ERROR_INIT;

		cr_expect_eq(format_write(&out, version, cases[i].format, &err), 0, "case %zu: %s",
			     i, err.text);
		cr_expect_str_eq(buf_string(&out), cases[i].expected, "case %zu", i);
	}
}

Test(format, appends_and_compares_pem_with_nothing_that_stood_before)
{
	static const struct given given[] = { { "certificate", CERT, FIELD_STRING } };
	AUTO(secret_version_unrefp) struct secret_version *version = version_of(given, 1);
	AUTO(buf_deinit) struct buf out = BUF_INIT(4096);
	struct error err = ERROR_INIT;

	buf_puts(&out, CERT "\n");
	cr_assert_eq(format_write(&out, version, FORMAT_PEM, &err), 0);
	cr_expect_str_eq(buf_string(&out), CERT "\n" CERT "\n");
}

Test(format, refuses_what_it_cannot_carry_by_the_field_s_name_and_without_its_bytes)
{
	static const struct {
		enum file_format format;
		struct given given[3];
		const char *names;
	} cases[] = {
		{ FORMAT_JSON, { { "blob", "canary\xff", FIELD_STRING } }, "'blob'" },
		{ FORMAT_YAML, { { "blob", "canary\xff", FIELD_STRING } }, "'blob'" },
		{ FORMAT_GO_JSON, { { "blob", "canary\xff", FIELD_STRING } }, "'blob'" },
		{ FORMAT_ENV,
		  { { "a.b", "canary", FIELD_STRING }, { "a_b", "2", FIELD_STRING } },
		  "'A_B'" },
		{ FORMAT_RAW,
		  { { "a", "canary", FIELD_STRING }, { "b", "2", FIELD_STRING } },
		  "2" },
		{ FORMAT_RAW, { { NULL, NULL, 0 } }, "0" },
		{ FORMAT_PEM, { { "private_key", KEY, FIELD_STRING } }, "'certificate'" },
		{ FORMAT_PEM, { { "certificate", "canary", FIELD_STRING } }, "'certificate'" },
		{ FORMAT_PEM,
		  { { "certificate", CERT, FIELD_STRING },
		    { "private_key", "canary", FIELD_STRING } },
		  "'private_key'" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(secret_version_unrefp)
		struct secret_version *version = version_of(cases[i].given, 3);
		AUTO(buf_deinit) struct buf out = BUF_INIT(4096);
		struct error err = ERROR_INIT;

		cr_expect_eq(format_write(&out, version, cases[i].format, &err), -1, "case %zu", i);
		cr_expect_eq(err.code, ERROR_BAD_DATA, "case %zu", i);
		cr_expect_not_null(strstr(err.text, cases[i].names), "case %zu: %s", i, err.text);
		cr_expect_null(strstr(err.text, "canary"), "case %zu", i);
	}
}

Test(format, refuses_a_nul_byte_in_a_variable)
{
	AUTO(secret_version_unrefp) struct secret_version *version = NULL;
	AUTO(buf_deinit) struct buf out = BUF_INIT(4096);
	struct error err = ERROR_INIT;

	version = secret_version_new(&err);
	cr_assert_eq(secret_version_add_bytes(version, "key", FIELD_STRING, "a\0b", 3, &err), 0);
	cr_expect_eq(format_write(&out, version, FORMAT_ENV, &err), -1);
	cr_expect_eq(err.code, ERROR_BAD_DATA);
	cr_expect_not_null(strstr(err.text, "'key'"));
	buf_reset(&out);
	cr_expect_eq(format_write(&out, version, FORMAT_RAW, &err), 0);
	cr_expect_eq(out.len, 3);
	cr_expect_eq(format_write(&out, version, FORMAT_JSON, &err), 0);
}

Test(format, says_when_the_buffer_was_too_small)
{
	static const struct given given[] = { { "user", "0123456789", FIELD_STRING } };
	AUTO(secret_version_unrefp) struct secret_version *version = version_of(given, 1);
	struct error err = ERROR_INIT;

	for (size_t max = 0; max < 21; max++) {
		AUTO(buf_deinit) struct buf out = BUF_INIT(max);

		cr_expect_eq(format_write(&out, version, FORMAT_JSON, &err), max >= 22 - 1 ? 0 : -1,
			     "%zu", max);
		cr_expect_eq(err.code, ERROR_EXHAUSTED);
	}
}

Test(format, leaves_fields_that_are_not_text_to_the_caller_and_counts_them)
{
	static const struct given given[] = { { "a", "\xff", FIELD_STRING },
					      { "b", "x", FIELD_STRING },
					      { "c", "\xc3", FIELD_STRING },
					      { "d", "[1]", FIELD_JSON } };
	AUTO(secret_version_unrefp) struct secret_version *version = version_of(given, 4);
	AUTO(buf_deinit) struct buf out = BUF_INIT(4096);

	cr_expect_eq(format_write_json_fields(&out, version), 2);
	cr_expect_str_eq(buf_string(&out), "{\"b\":\"x\",\"d\":[1]}");
}

Test(format, finds_a_field_by_name_and_by_pointer)
{
	static const struct given given[] = { { "a.b", "deep", FIELD_STRING },
					      { "x/y", "slash", FIELD_STRING },
					      { "top", "top", FIELD_STRING },
					      { "/odd", "odd", FIELD_STRING } };
	AUTO(secret_version_unrefp) struct secret_version *version = version_of(given, 4);
	static const struct {
		const char *reference, *value;
		enum error_code code;
	} cases[] = {
		{ "a.b", "deep", 0 },
		{ "/a/b", "deep", 0 },
		{ "/top", "top", 0 },
		{ "top", "top", 0 },
		{ "/x~1y", "slash", 0 },
		{ "/odd", "odd", 0 },
		{ "none", NULL, ERROR_NOT_FOUND },
		{ "/a", NULL, ERROR_NOT_FOUND },
		{ "", NULL, ERROR_NOT_FOUND },
		{ "/", NULL, ERROR_NOT_FOUND },
	};
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct field *field = format_find_field(version, cases[i].reference, &err);

		if (cases[i].value == NULL) {
			cr_expect_null(field, "%s", cases[i].reference);
			cr_expect_eq(err.code, cases[i].code);
			continue;
		}
		cr_assert_not_null(field, "%s", cases[i].reference);
		cr_expect_eq(
			memcmp(secret_bytes(field->value), cases[i].value, strlen(cases[i].value)),
			0);
	}
	cr_expect_null(format_find_field(version, "/a~2", &err));
}

static void expect_kubelet_env(const void *bytes, size_t len, const char *expected,
			       const char *says)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT((size_t)128 << 10);
	struct error err = ERROR_INIT;
	AUTO(secret_unrefp) struct secret *value = secret_new(bytes, len, &err);

	cr_assert_not_null(value);
	if (says == NULL) {
		cr_expect_eq(format_write_kubelet_env(&out, "NAME", value, &err), 0, "%s",
			     err.text);
		if (expected != NULL)
			cr_expect_str_eq(buf_string(&out), expected);
		return;
	}
	cr_expect_eq(format_write_kubelet_env(&out, "NAME", value, &err), -1);
	cr_expect_eq(err.code, ERROR_BAD_DATA);
	cr_expect_not_null(strstr(err.text, says), "%s", err.text);
	cr_expect_null(strstr(err.text, "canary"));
	cr_expect_eq(out.len, 0);
}

Test(format, writes_one_value_as_a_kubelet_reads_it)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *expected, *says;
	} cases[] = {
		{ "p", 1, "NAME='p'\n", NULL },
		{ "# $x \\ \"q\" \n= \t", 15, "NAME='# $x \\ \"q\" \n= \t'\n", NULL },
		{ "\xc3\xa9", 2, "NAME='\xc3\xa9'\n", NULL },
		{ "", 0, NULL,
		  "empty, which a kubelet cannot read from a file; set env-method: run" },
		{ "canary'", 7, NULL,
		  "single quote, which a kubelet cannot read from a file; set env-method: run" },
		{ "canary\r\n", 8, NULL,
		  "carriage return, which a kubelet cannot read from a file; set env-method: run" },
		{ "canary\xff", 7, NULL, "not UTF-8" },
		{ "canary\0x", 8, NULL, "NUL byte, which no variable can carry" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_kubelet_env(cases[i].bytes, cases[i].len, cases[i].expected, cases[i].says);
}

Test(format, kubelet_s_line_keeps_its_limit)
{
	static char bytes[61 << 10];

	memset(bytes, 'x', sizeof(bytes));
	expect_kubelet_env(bytes, (60 << 10) - 1, NULL, NULL);
	expect_kubelet_env(bytes, 60 << 10, NULL, "60 KiB or more");
	expect_kubelet_env(bytes, (60 << 10) + 1, NULL, "60 KiB or more");
}
