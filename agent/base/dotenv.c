/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/dotenv.h"

#include <ctype.h>
#include <string.h>

static const char mark[] = "\xef\xbb\xbf"; /* Windows' editors write it before UTF-8 */

struct dotenv_reader dotenv_reader(const char *text, size_t len)
{
	size_t skipped = len >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0 ? 3 : 0;

	return (struct dotenv_reader){
		.text = text, .len = len, .at = skipped, .line = 1, .next_line = 1
	};
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* '\n' at the end of the text too. */
static char peek(const struct dotenv_reader *r)
{
	return r->at < r->len ? r->text[r->at] : '\n';
}

static void skip_blanks(struct dotenv_reader *r)
{
	while (is_blank(peek(r)))
		r->at++;
}

/* To the start of the next line. */
static void skip_line(struct dotenv_reader *r)
{
	const char *end = memchr(r->text + r->at, '\n', r->len - r->at);

	r->at = end != NULL ? (size_t)(end + 1 - r->text) : r->len;
	r->next_line++;
}

static bool line_ends(const struct dotenv_reader *r)
{
	return peek(r) == '\n' ||
	       (peek(r) == '\r' && (r->at + 1 == r->len || r->text[r->at + 1] == '\n'));
}

static int bad(const struct dotenv_reader *r, const char *what, struct error *err)
{
	return error_set(err, ERROR_BAD_DATA, "line %u: %s", r->line, what);
}

static int read_name(struct dotenv_reader *r, struct buf *name, struct error *err)
{
	static const char export[] = "export";
	size_t start = r->at, end;

	if (r->len - r->at > strlen(export) &&
	    memcmp(r->text + r->at, export, strlen(export)) == 0 &&
	    is_blank(r->text[r->at + strlen(export)])) {
		r->at += strlen(export);
		skip_blanks(r);
		start = r->at;
	}
	while (!line_ends(r) && peek(r) != '=' && !is_blank(peek(r)))
		r->at++;
	end = r->at;
	skip_blanks(r);
	if (peek(r) != '=' || end == start)
		return bad(r, "neither NAME=value nor a comment", err);
	r->at++;
	buf_reset(name);
	buf_put(name, r->text + start, end - start);
	return buf_check(name, "a name", err);
}

/* What a backslash and this character mean in double quotes; 0: just these two. */
static char escaped(char c)
{
	static const char from[] = "nrt\\\"$`", to[] = "\n\r\t\\\"$`";
	const char *found = c != '\0' ? strchr(from, c) : NULL;

	return found != NULL ? to[found - from] : '\0';
}

static int read_quoted(struct dotenv_reader *r, struct buf *value, struct error *err)
{
	char quote = r->text[r->at++];

	for (; r->at < r->len && r->text[r->at] != quote; r->at++) {
		char c = r->text[r->at], meant = '\0';

		if (quote == '"' && c == '\\' && r->at + 1 < r->len)
			meant = escaped(r->text[r->at + 1]);
		if (meant != '\0')
			r->at++;
		if (c == '\r' && r->at + 1 < r->len && r->text[r->at + 1] == '\n')
			continue; /* of a line's end */
		r->next_line += c == '\n';
		buf_putc(value, meant != '\0' ? meant : c);
	}
	if (r->at >= r->len)
		return bad(r,
			   "the quote that opens the value is never closed; a value that begins "
			   "with a "
			   "quote goes into quotes of the other kind",
			   err);
	r->at++;
	skip_blanks(r);
	if (!line_ends(r) && peek(r) != '#')
		return bad(r,
			   "something follows the quote that closes the value; in double quotes "
			   "\\\" is "
			   "a quote",
			   err);
	skip_line(r);
	return 0;
}

static void read_plain(struct dotenv_reader *r, struct buf *value)
{
	size_t start = r->at, end;

	while (!line_ends(r) &&
	       !(peek(r) == '#' && (r->at == start || is_blank(r->text[r->at - 1]))))
		r->at++;
	for (end = r->at; end > start && is_blank(r->text[end - 1]);)
		end--;
	buf_put(value, r->text + start, end - start);
	skip_line(r);
}

int dotenv_next(struct dotenv_reader *r, struct buf *name, struct buf *value, struct error *err)
{
	for (;; skip_line(r)) {
		skip_blanks(r);
		if (r->at >= r->len)
			return 0;
		if (!line_ends(r) && peek(r) != '#')
			break;
	}
	r->line = r->next_line;
	if (read_name(r, name, err) < 0)
		return -1;
	skip_blanks(r);
	buf_reset(value);
	r->quoted = strchr("\"'`", peek(r)) != NULL;
	if (!r->quoted)
		read_plain(r, value);
	else if (read_quoted(r, value, err) < 0)
		return -1;
	return buf_check(value, "a value", err) < 0 ? -1 : 1;
}

bool dotenv_name_is_valid(const char *name)
{
	for (const char *c = name; *c != '\0'; c++)
		if ((uint8_t)*c <= ' ' || *c == '=' || *c == 0x7f)
			return false;
	return name[0] != '\0' && name[0] != '#';
}

static bool plain_is_safe(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)value[i]) && (uint8_t)value[i] < 0x80 &&
		    (value[i] == '\0' || strchr("_-+./:@%,=?^", value[i]) == NULL))
			return false;
	return true;
}

void dotenv_write_value(struct buf *out, const char *value, size_t len)
{
	if (plain_is_safe(value, len)) {
		buf_put(out, value, len);
		return;
	}
	/* Single quotes need no escapes; some readers take a backslash in them for one. */
	if (memchr(value, '\'', len) == NULL && memchr(value, '\\', len) == NULL &&
	    memchr(value, '\r', len) == NULL) {
		buf_putc(out, '\'');
		buf_put(out, value, len);
		buf_putc(out, '\'');
		return;
	}
	buf_putc(out, '"');
	for (size_t i = 0; i < len; i++) {
		if (value[i] == '\r')
			buf_puts(out, "\\r");
		else if (value[i] != '\0' && strchr("\\\"$`", value[i]) != NULL)
			buf_printf(out, "\\%c", value[i]);
		else
			buf_putc(out, value[i]);
	}
	buf_putc(out, '"');
}
