/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "agent/base/buf.h"
#include "agent/base/regex.h"

struct row {
	const char *pattern, *text;
	/* "start-end" of each group, "-" for one that took no part; NULL: no match. */
	const char *spans;
};

static void write_spans(struct buf *buf, const struct regex_span *spans, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_putc(buf, ' ');
		if (spans[i].start == SIZE_MAX)
			buf_putc(buf, '-');
		else
			buf_printf(buf, "%zu-%zu", spans[i].start, spans[i].end);
	}
}

static void check_row(const struct row *row)
{
	AUTO(regex_freep) struct regex *regex = NULL;
	AUTO(buf_deinit) struct buf found = BUF_INIT(1000);
	struct regex_span spans[10];
	struct error err;
	bool matched;

	regex = regex_new(row->pattern, &err);
	cr_assert_not_null(regex, "%s: %s", row->pattern, err.text);
	cr_assert_eq(regex_match(regex, row->text, strlen(row->text)), row->spans != NULL,
		     "%s on %s", row->pattern, row->text);
	matched = regex_search(regex, row->text, strlen(row->text), 0, spans, regex_groups(regex));
	cr_assert_eq(matched, row->spans != NULL, "%s on %s", row->pattern, row->text);
	if (!matched)
		return;
	write_spans(&found, spans, regex_groups(regex));
	cr_assert_str_eq(buf_string(&found), row->spans, "%s on %s: %s", row->pattern, row->text,
			 buf_string(&found));
}

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_row(&rows[i]);
}

Test(regex, literals_classes_and_dot)
{
	static const struct row rows[] = {
		{ "", "", "0-0" },
		{ "", "abc", "0-0" },
		{ "b", "abc", "1-2" },
		{ "x", "abc", NULL },
		{ "a.c", "abc", "0-3" },
		{ "a.c", "a\nc", NULL },
		{ "a.c",
		  "a\xc3\xa4"
		  "c",
		  "0-4" },
		{ "a.c",
		  "a\xff"
		  "c",
		  "0-3" },
		{ "[a-c]+", "xxabcd", "2-5" },
		{ "[^a-c]+", "abxyzc", "2-5" },
		{ "[^a]", "\n", "0-1" },
		{ "[]a]+", "]a", "0-2" },
		{ "[^]a]", "]ab", "2-3" },
		{ "[a-]+", "-a-", "0-3" },
		{ "[a\\-z]+", "b-z", "1-3" },
		{ "[\\d\\s]+", "a1 2b", "1-4" },
		{ "[^\\d\\s]+", "1ab 2", "1-3" },
		{ "[[:alpha:]_]+", "1ab_2", "1-4" },
		{ "[[:^digit:]]+", "12ab", "2-4" },
		{ "\\w+", "-a_9-", "1-4" },
		{ "\\W+", "a-\xc3\xa4z", "1-4" },
		{ "\\S+", " a\v ", "1-3" },
		{ "\\x41\\x{1F600}\\101\\.\\n",
		  "A\xf0\x9f\x98\x80"
		  "A.\n",
		  "0-8" },
		{ "[\xc3\xa4-\xc3\xbc]", "x\xc3\xb6", "1-3" },
		{ "\\Qa.b*\\E+", "a.b**", "0-5" },
		{ "\\Qa|b", "a|b", "0-3" },
		{ "a{,2}", "a{,2}", "0-5" },
		{ "a{x", "a{x", "0-3" },
	};

	check_rows(rows, ARRAY_SIZE(rows));
}

Test(regex, leftmost_first_alternatives_and_repeats)
{
	static const struct row rows[] = {
		{ "a|ab", "ab", "0-1" },
		{ "ab|a", "ab", "0-2" },
		{ "(a|ab)(c|bcd)(d*)", "abcd", "0-4 0-1 1-4 4-4" },
		{ "a*", "aaa", "0-3" },
		{ "a*?", "aaa", "0-0" },
		{ "a+?", "aaa", "0-1" },
		{ "a??", "aaa", "0-0" },
		{ "a?", "aaa", "0-1" },
		{ "a{2}", "aaa", "0-2" },
		{ "a{2,}", "aaaa", "0-4" },
		{ "a{1,2}", "aaaa", "0-2" },
		{ "a{1,3}?", "aaaa", "0-1" },
		{ "a{0}b", "ab", "1-2" },
		{ "x{0,2}y", "xxxy", "1-4" },
		{ "(a*)*", "b", "0-0 0-0" },
		{ "(a*)+", "b", "0-0 0-0" },
		{ "(a|b)*", "abab", "0-4 3-4" },
		{ "(a)|(b)", "b", "0-1 - 0-1" },
		{ "(?:ab)+", "xababx", "1-5" },
		{ "(a*)(a|aa)", "aaaa", "0-4 0-3 3-4" },
		{ "(|a)+", "aaa", "0-0 0-0" },
		{ "(a|)+", "aaa", "0-3 2-3" },
		{ "a||b", "b", "0-0" },
		{ "(?:(?:){1000}){1000}a", "a", "0-1" },
	};

	check_rows(rows, ARRAY_SIZE(rows));
}

Test(regex, anchors_and_word_edges)
{
	static const struct row rows[] = {
		{ "^a", "ba", NULL },
		{ "a$", "ab", NULL },
		{ "^(data|stringData)$", "stringData", "0-10 0-10" },
		{ "^(data|stringData)$", "metadata", NULL },
		{ "a$", "a\n", NULL },
		{ "(?m)^b$", "a\nb\nc", "2-3" },
		{ "(?m)\\Ab", "a\nb", NULL },
		{ "(?m)a\\z", "a\nb", NULL },
		{ "\\bfoo\\b", "a foo.", "2-5" },
		{ "\\bfoo\\b", "afoo", NULL },
		{ "\\Boo", "foo", "1-3" },
		{ "\\B", "", "0-0" },
		{ "\\b", "", NULL },
		{ "$^", "", "0-0" },
	};

	check_rows(rows, ARRAY_SIZE(rows));
}

Test(regex, flags_hold_to_the_end_of_their_group)
{
	static const struct row rows[] = {
		{ "(?i)PassWord", "my_passWORD", "3-11" },
		{ "(?i:a)b", "Ab", "0-2" },
		{ "(?i:a)b", "AB", NULL },
		{ "((?i)a)b", "AB", NULL },
		{ "a(?i)b|c", "C", "0-1" },
		{ "(?i)a(?-i)b", "AB", NULL },
		{ "(?s)a.b", "a\nb", "0-3" },
		{ "(?U)a+", "aaa", "0-1" },
		{ "(?U)a+?", "aaa", "0-3" },
		{ "(?i)[^k]", "K", NULL },
		{ "(?i)k", "\xe2\x84\xaa", "0-3" },
		{ "(?i)[a-z]+", "\xc5\xbf", "0-2" },
		{ "(?i)\xc3\x84", "\xc3\xa4", "0-2" },
		{ "(?i)\xcf\x83", "\xcf\x82", "0-2" },
		{ "(?is-m:a.B)", "A\nb", "0-3" },
	};

	check_rows(rows, ARRAY_SIZE(rows));
}

Test(regex, groups_have_names)
{
	AUTO(regex_freep) struct regex *regex = NULL;
	struct error err;

	regex = regex_new("(?P<year>\\d+)-(?<month>\\d+)(-)", &err);
	cr_assert_not_null(regex, "%s", err.text);
	cr_assert_eq(regex_groups(regex), 4);
	cr_assert_null(regex_group_name(regex, 0));
	cr_assert_str_eq(regex_group_name(regex, 1), "year");
	cr_assert_str_eq(regex_group_name(regex, 2), "month");
	cr_assert_null(regex_group_name(regex, 3));
	cr_assert_null(regex_group_name(regex, 4));
}

Test(regex, a_search_goes_on_where_the_last_ended)
{
	AUTO(regex_freep) struct regex *regex = NULL;
	struct regex_span span;
	struct error err;

	regex = regex_new("\\b\\w", &err);
	cr_assert_not_null(regex);
	cr_assert(regex_search(regex, "ab cd", 5, 0, &span, 1));
	cr_assert_eq(span.start, 0);
	cr_assert(regex_search(regex, "ab cd", 5, span.end, &span, 1));
	cr_assert_eq(span.start, 3);
	cr_assert_not(regex_search(regex, "ab cd", 5, span.end, &span, 1));
	cr_assert_eq(span.start, SIZE_MAX);
	cr_assert_not(regex_search(regex, "ab cd", 5, 6, &span, 1));
}

Test(regex, spans_past_the_groups_stay_empty_and_fewer_are_fine)
{
	AUTO(regex_freep) struct regex *regex = NULL;
	struct regex_span spans[3];
	struct error err;

	regex = regex_new("(a)", &err);
	cr_assert_not_null(regex);
	cr_assert(regex_search(regex, "ba", 2, 0, spans, 3));
	cr_assert_eq(spans[1].start, 1);
	cr_assert_eq(spans[2].start, SIZE_MAX);
	cr_assert(regex_search(regex, "ba", 2, 0, spans, 1));
	cr_assert_eq(spans[0].end, 2);
	cr_assert(regex_search(regex, "ba", 2, 0, NULL, 0));
}

Test(regex, what_go_refuses_is_refused_with_its_place)
{
	static const struct {
		const char *pattern, *part;
	} rows[] = {
		{ "*a", "byte 0: nothing to repeat" },
		{ "a|*", "byte 2: nothing to repeat" },
		{ "(+)", "byte 1: nothing to repeat" },
		{ "a**", "byte 2: a repetition of a repetition" },
		{ "a{2}{3}", "byte 4: a repetition of a repetition" },
		{ "a+??", "repetition" },
		{ "{2}", "nothing to repeat" },
		{ "a{1001}", "at most 1000" },
		{ "a{3,2}", "at most 1000 and go up" },
		{ "(a", "byte 0: a group without its )" },
		{ "a)", "byte 1: a ) without its (" },
		{ "[a", "byte 0: a class without its ]" },
		{ "[]", "without its ]" },
		{ "[z-a]", "byte 1: a range that ends before" },
		{ "[a-\\d]", "no such escape" },
		{ "[[:foo:]]", "no such class" },
		{ "\\", "a backslash at the end" },
		{ "a\\", "a backslash at the end" },
		{ "\\q", "no such escape" },
		{ "\\1", "back-references" },
		{ "(a)\\1", "back-references" },
		{ "\\pL", "Unicode classes" },
		{ "\\p{Greek}", "Unicode classes" },
		{ "[\\pN]", "Unicode classes" },
		{ "\\C", "no such escape" },
		{ "\\Z", "no such escape" },
		{ "\\x4", "\\x takes" },
		{ "\\x{}", "\\x takes" },
		{ "\\x{110000}", "no such character" },
		{ "\\x{41", "\\x takes" },
		{ "(?=a)", "not supported" },
		{ "(?!a)", "not supported" },
		{ "(?<=a)", "look-behind" },
		{ "(?<!a)", "look-behind" },
		{ "(?P<>a)", "name" },
		{ "(?P<a b>a)", "name" },
		{ "(?P<a", "name" },
		{ "(?P=a)", "not supported" },
		{ "(?P<a>x)(?P<a>y)", "two groups" },
		{ "(?x)a", "not supported" },
		{ "(?i-)a", "missing" },
		{ "(?i", "not supported" },
		{ "(?i)*", "nothing to repeat" },
		{ "a\xff", "not UTF-8" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(regex_freep) struct regex *regex = NULL;
		struct error err;

		regex = regex_new(rows[i].pattern, &err);
		cr_assert_null(regex, "accepted: %s", rows[i].pattern);
		cr_assert_eq(err.code, ERROR_INVALID);
		cr_assert_not_null(strstr(err.text, rows[i].part), "%s: %s", rows[i].pattern,
				   err.text);
	}
}

Test(regex, steps_at_the_limit_and_one_past)
{
	/* Two saves, the match, and a step for each a. */
	for (size_t count = REGEX_STEPS_MAX - 4; count <= REGEX_STEPS_MAX - 2; count++) {
		AUTO(regex_freep) struct regex *regex = NULL;
		AUTO(buf_deinit) struct buf pattern = BUF_INIT(20000);
		struct error err;

		for (size_t i = 0; i < count; i++)
			buf_putc(&pattern, 'a');
		regex = regex_new(pattern.data, &err);
		cr_assert_eq(regex != NULL, count <= REGEX_STEPS_MAX - 3, "%zu", count);
	}
	{
		AUTO(regex_freep) struct regex *regex = NULL;
		struct error err;

		regex = regex_new("((a{100}){100}){100}", &err);
		cr_assert_null(regex);
		cr_assert_not_null(strstr(err.text, "more than 10000 steps"));
	}
}

Test(regex, nesting_at_the_limit_and_one_past)
{
	for (unsigned depth = REGEX_NESTING_MAX - 1; depth <= REGEX_NESTING_MAX + 1; depth++) {
		AUTO(regex_freep) struct regex *regex = NULL;
		AUTO(buf_deinit) struct buf pattern = BUF_INIT(2000);
		struct error err;

		for (unsigned i = 0; i < depth; i++)
			buf_puts(&pattern, "(?:");
		for (unsigned i = 0; i < depth; i++)
			buf_putc(&pattern, ')');
		regex = regex_new(pattern.data, &err);
		cr_assert_eq(regex != NULL, depth <= REGEX_NESTING_MAX, "%u", depth);
	}
}

Test(regex, what_stalls_a_backtracker_is_matched_at_once)
{
	AUTO(regex_freep) struct regex *regex = NULL;
	AUTO(buf_deinit) struct buf text = BUF_INIT(2000);
	struct error err;

	for (int i = 0; i < 1000; i++)
		buf_putc(&text, 'a');
	regex = regex_new("^(a+)+(a*)*(a|a)*b$", &err);
	cr_assert_not_null(regex);
	cr_assert_not(regex_match(regex, text.data, text.len));
}
