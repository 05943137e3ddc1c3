/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/dotenv.h"

#include <criterion/criterion.h>
#include <string.h>

/* Every entry as NAME=<value> with a line's end. */
static int read_all(const char *text, struct buf *out, struct error *err)
{
	AUTO(buf_deinit) struct buf name = BUF_INIT(4096), value = BUF_INIT(4096);
	struct dotenv_reader reader = dotenv_reader(text, strlen(text));
	int status;

	while ((status = dotenv_next(&reader, &name, &value, err)) > 0)
		buf_printf(out, "%u %s=<%s>\n", reader.line, buf_string(&name), buf_string(&value));
	return status;
}

Test(dotenv, reads_what_shells_and_libraries_read)
{
	static const struct {
		const char *text, *read;
	} cases[] = {
		{ "", "" },
		{ "\n \n# c\n  # d\n", "" },
		{ "A=1", "1 A=<1>\n" },
		{ "A=1\r\nB=2\r\n", "1 A=<1>\n2 B=<2>\n" },
		{ "\xef\xbb\xbf"
		  "A=1\n",
		  "1 A=<1>\n" },
		{ "  export  A = 1 \nexport=2\n", "1 A=<1>\n2 export=<2>\n" },
		{ "A=\nB= # c\nC=#c\n", "1 A=<>\n2 B=<>\n3 C=<>\n" },
		{ "A=x#y # c\nB=x y\t#\n", "1 A=<x#y>\n2 B=<x y>\n" },
		{ "A=a=b\nB=$C ${D}\nC=it's \"so\"\n",
		  "1 A=<a=b>\n2 B=<$C ${D}>\n3 C=<it's \"so\">\n" },
		{ "A=\"x y\" # c\nB='x # y'\nC=`\"'`\n", "1 A=<x y>\n2 B=<x # y>\n3 C=<\"'>\n" },
		{ "A=\"a\\nb\\t\\\"\\\\\\$\\z\"\n", "1 A=<a\nb\t\"\\$\\z>\n" },
		{ "A='a\\nb'\nB=a\\nb\n", "1 A=<a\\nb>\n2 B=<a\\nb>\n" },
		{ "A=\"one\ntwo\n\"\nB='x\r\ny'\nC=1\n",
		  "1 A=<one\ntwo\n>\n4 B=<x\ny>\n6 C=<1>\n" },
		{ "A=\"\"\nA.b-c=1\n", "1 A=<>\n2 A.b-c=<1>\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(buf_deinit) struct buf out = BUF_INIT(4096);
		struct error err = ERROR_INIT;

		cr_expect_eq(read_all(cases[i].text, &out, &err), 0, "%s: %s", cases[i].text,
			     err.text);
		cr_expect_str_eq(buf_string(&out), cases[i].read, "%s\nis read as\n%s",
				 cases[i].text, buf_string(&out));
	}
}

Test(dotenv, says_in_which_line_and_why_but_no_value)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "A=1\nhunter2\n", "line 2: neither NAME=value nor a comment" },
		{ "hun ter2=x\n", "line 1: neither" },
		{ "=hunter2\n", "line 1: neither" },
		{ "\nA=\"hunter2\nB=1\n",
		  "line 2: the quote that opens the value is never closed" },
		{ "A='hunter2'x\n", "line 1: something follows the quote" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(buf_deinit) struct buf out = BUF_INIT(4096);
		struct error err = ERROR_INIT;

		cr_expect_eq(read_all(cases[i].text, &out, &err), -1, "%s", cases[i].text);
		cr_expect_eq(err.code, ERROR_BAD_DATA);
		cr_expect_eq(strncmp(err.text, cases[i].says, strlen(cases[i].says)), 0, "%s",
			     err.text);
		cr_expect_null(strstr(err.text, "ter2"), "%s", err.text);
	}
}

Test(dotenv, what_is_written_is_read_back)
{
	static const char *const values[] = { "",	  "plain",  "http://x/y?a=b,c",
					      "a b",	  " a ",    "#x",
					      "x #y",	  "it's",   "\"q\"",
					      "a\\nb",	  "a\nb\n", "a\r\nb",
					      "$HOME",	  "`id`",   "'\"`\\$\n",
					      "\xc3\xbc", "\\",	    "'\\n\\r'",
					      "\t" };

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		AUTO(buf_deinit)
		struct buf text = BUF_INIT(4096), name = BUF_INIT(64), value = BUF_INIT(4096);
		struct dotenv_reader reader;
		struct error err = ERROR_INIT;

		buf_puts(&text, "A=");
		dotenv_write_value(&text, values[i], strlen(values[i]));
		buf_puts(&text, "\nB=1\n");
		reader = dotenv_reader(text.data, text.len);
		cr_assert_eq(dotenv_next(&reader, &name, &value, &err), 1, "%s: %s", values[i],
			     err.text);
		cr_expect_str_eq(buf_string(&value), values[i], "%s", buf_string(&text));
		cr_expect_eq(dotenv_next(&reader, &name, &value, &err), 1, "%s", values[i]);
		cr_expect_str_eq(buf_string(&name), "B");
	}
}

Test(dotenv, a_name_is_one_word_and_no_comment)
{
	static const char *const good[] = { "A", "a.b-c", "1", "\xc3\xbc", "a#b" };
	static const char *const bad[] = { "", "a b", "a=b", "#a", "a\n", "\ta", "a\x7f" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		cr_expect(dotenv_name_is_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect_not(dotenv_name_is_valid(bad[i]), "%s", bad[i]);
}
