/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "agent/base/error.h"

Test(error, setting_fills_code_and_text_and_forgets_what_was)
{
	struct error err = { .code = ERROR_DENIED, .retry_after_ms = 5000, .text = "old" };

	cr_assert_eq(error_set(&err, ERROR_INVALID, "key '%s' at line %d", "x", 7), -1);
	cr_assert_eq(err.code, ERROR_INVALID);
	cr_assert_eq(err.retry_after_ms, 0);
	cr_assert_str_eq(err.text, "key 'x' at line 7");
}

Test(error, wrapping_puts_context_in_front_and_keeps_the_code)
{
	struct error err = { .retry_after_ms = 0 };

	(void)error_set(&err, ERROR_UNAVAILABLE, "connection refused");
	err.retry_after_ms = 3000;
	cr_assert_eq(error_wrap(&err, "backend '%s'", "vault"), -1);
	cr_assert_eq(error_wrap(&err, "login"), -1);
	cr_assert_str_eq(err.text, "login: backend 'vault': connection refused");
	cr_assert_eq(err.code, ERROR_UNAVAILABLE);
	cr_assert_eq(err.retry_after_ms, 3000);
}

Test(error, long_texts_are_cut_and_stay_strings)
{
	char context[2 * ERROR_TEXT_MAX];
	struct error err;

	memset(context, 'c', sizeof(context));
	context[sizeof(context) - 1] = '\0';
	(void)error_set(&err, ERROR_INVALID, "%s", context);
	cr_assert_eq(strlen(err.text), ERROR_TEXT_MAX - 1);
	(void)error_wrap(&err, "place");
	cr_assert_eq(strlen(err.text), ERROR_TEXT_MAX - 1);
	cr_assert_eq(strncmp(err.text, "place: ccc", 10), 0);
	/* A context that leaves no room for the cause is worth less than the cause. */
	(void)error_set(&err, ERROR_INVALID, "cause");
	(void)error_wrap(&err, "%s", context);
	cr_assert_str_eq(err.text, "cause");
}

Test(error, errno_values_say_what_to_do_next)
{
	static const struct {
		int number;
		enum error_code code;
	} rows[] = {
		{ ENOENT, ERROR_NOT_FOUND },
		{ ENOTDIR, ERROR_NOT_FOUND },
		{ EACCES, ERROR_FORBIDDEN },
		{ EPERM, ERROR_FORBIDDEN },
		{ EROFS, ERROR_FORBIDDEN },
		{ ENOMEM, ERROR_EXHAUSTED },
		{ ENOSPC, ERROR_EXHAUSTED },
		{ EMFILE, ERROR_EXHAUSTED },
		{ ENFILE, ERROR_EXHAUSTED },
		{ EINVAL, ERROR_INVALID },
		{ ELOOP, ERROR_INVALID },
		{ EIO, ERROR_UNAVAILABLE },
		{ ECONNREFUSED, ERROR_UNAVAILABLE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err;

		cr_assert_eq(error_errno(&err, rows[i].number, "open %s", "/x"), -1);
		cr_assert_eq(err.code, rows[i].code, "%s", strerror(rows[i].number));
		cr_assert_eq(strncmp(err.text, "open /x: ", 9), 0);
		cr_assert_str_eq(err.text + 9, strerror(rows[i].number));
	}
}

Test(error, every_code_has_a_word_and_an_exit_status)
{
	static const struct {
		enum error_code code;
		int status;
	} rows[] = {
		{ ERROR_NONE, 0 },	{ ERROR_UNAVAILABLE, 69 }, { ERROR_UNAUTHENTICATED, 77 },
		{ ERROR_DENIED, 77 },	{ ERROR_NOT_FOUND, 65 },   { ERROR_INVALID, 78 },
		{ ERROR_BAD_DATA, 65 }, { ERROR_PROTOCOL, 69 },	   { ERROR_EXHAUSTED, 69 },
		{ ERROR_CANCELED, 69 }, { ERROR_USAGE, 64 },	   { ERROR_FORBIDDEN, 78 },
	};

	cr_assert_eq(ARRAY_SIZE(rows), ERROR_CODES);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_assert_eq(error_exit_status(rows[i].code), rows[i].status);
		cr_assert_not_null(error_code_name(rows[i].code));
		for (size_t j = 0; j < i; j++)
			cr_assert_str_neq(error_code_name(rows[i].code),
					  error_code_name(rows[j].code));
	}
	cr_assert_str_eq(error_code_name(ERROR_CODES), "unknown");
	cr_assert_neq(error_exit_status(ERROR_CODES), 0);
}
