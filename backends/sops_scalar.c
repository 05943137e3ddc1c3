/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/sops_scalar.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/base/wipe.h"

enum { NUMBER_MAX = 400, DOUBLE_DIGITS = 17, FRACTION_DIGITS = 9 };

static void write_finite(struct buf *buf, double value)
{
	char spelled[40], digits[DOUBLE_DIGITS + 1] = "";
	int point, count = 0;

	for (int precision = 0; precision < DOUBLE_DIGITS; precision++) {
		(void)snprintf(spelled, sizeof(spelled), "%.*e", precision, value);
		if (strtod(spelled, NULL) == value)
			break;
	}
	for (const char *c = spelled; *c != 'e'; c++)
		if (isdigit((unsigned char)*c) && count < DOUBLE_DIGITS)
			digits[count++] = *c;
	point = (int)strtol(strchr(spelled, 'e') + 1, NULL, 10) + 1;
	while (count > 1 && digits[count - 1] == '0')
		count--;
	if (spelled[0] == '-')
		buf_putc(buf, '-');
	if (point <= 0)
		buf_putc(buf, '0');
	for (int i = 0; i < point; i++)
		buf_putc(buf, i < count ? digits[i] : '0');
	if (count > point && !(count == 1 && digits[0] == '0'))
		buf_putc(buf, '.');
	else
		count = 0;
	for (int i = point; i < 0 && count > 0; i++)
		buf_putc(buf, '0');
	for (int i = point > 0 ? point : 0; i < count; i++)
		buf_putc(buf, digits[i]);
	wipe(spelled, sizeof(spelled));
	wipe(digits, sizeof(digits));
}

bool sops_write_float(struct buf *buf, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || strlen(text) > NUMBER_MAX)
		return false;
	if (isinf(value) && strpbrk(text, "0123456789") != NULL)
		return false; /* 1e400: finite, but past what a float holds */
	if (isnan(value))
		buf_puts(buf, "NaN");
	else if (isinf(value))
		buf_puts(buf, value > 0 ? "+Inf" : "-Inf");
	else
		write_finite(buf, value);
	return true;
}

struct word {
	const char *text;
	enum sops_kind kind;
	const char *canonical;
};

static const struct word words[] = {
	{ "", SOPS_NULL, "" },		 { "~", SOPS_NULL, "" },
	{ "null", SOPS_NULL, "" },	 { "Null", SOPS_NULL, "" },
	{ "NULL", SOPS_NULL, "" },	 { "true", SOPS_BOOL, "True" },
	{ "True", SOPS_BOOL, "True" },	 { "TRUE", SOPS_BOOL, "True" },
	{ "false", SOPS_BOOL, "False" }, { "False", SOPS_BOOL, "False" },
	{ "FALSE", SOPS_BOOL, "False" }, { ".nan", SOPS_FLOAT, "NaN" },
	{ ".NaN", SOPS_FLOAT, "NaN" },	 { ".NAN", SOPS_FLOAT, "NaN" },
	{ ".inf", SOPS_FLOAT, "+Inf" },	 { ".Inf", SOPS_FLOAT, "+Inf" },
	{ ".INF", SOPS_FLOAT, "+Inf" },	 { "+.inf", SOPS_FLOAT, "+Inf" },
	{ "+.Inf", SOPS_FLOAT, "+Inf" }, { "+.INF", SOPS_FLOAT, "+Inf" },
	{ "-.inf", SOPS_FLOAT, "-Inf" }, { "-.Inf", SOPS_FLOAT, "-Inf" },
	{ "-.INF", SOPS_FLOAT, "-Inf" },
};

/* 12, -0x1f, 0o17, 017, 0b101, with underscores gone; past 64 bits it is no integer. */
static bool read_integer(const char *text, struct buf *canonical)
{
	bool negative = *text == '-';
	int base = 10;
	unsigned long long value;
	char *end;

	text += *text == '-' || *text == '+';
	if (text[0] == '0' && text[1] != '\0') {
		char mark = (char)tolower((unsigned char)text[1]);

		base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
		text += mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1;
	}
	if (!isxdigit((unsigned char)*text))
		return false;
	errno = 0;
	value = strtoull(text, &end, base);
	if (*end != '\0' || errno != 0 || (negative && value > (unsigned long long)INT64_MAX + 1))
		return false;
	buf_printf(canonical, "%s%llu", negative && value > 0 ? "-" : "", value);
	return true;
}

bool sops_integer_fits(const char *canonical)
{
	static const char largest[] = "9223372036854775807";
	size_t len = strlen(canonical);

	return canonical[0] == '-' || len < strlen(largest) ||
	       (len == strlen(largest) && strcmp(canonical, largest) <= 0);
}

static bool looks_float(const char *text)
{
	size_t digits = 0;

	text += *text == '-' || *text == '+';
	for (; isdigit((unsigned char)*text); text++)
		digits++;
	if (*text == '.')
		for (text++; isdigit((unsigned char)*text); text++)
			digits++;
	if (digits == 0)
		return false;
	if (*text == 'e' || *text == 'E') {
		text++;
		text += *text == '-' || *text == '+';
		if (!isdigit((unsigned char)*text))
			return false;
		text += strspn(text, "0123456789");
	}
	return *text == '\0';
}

static bool real_date(int year, int month, int day)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month >= 1 && month <= 12 && day >= 1 &&
	       day <= days[month - 1] + (month == 2 && leap);
}

/* 2001-12-14, 2001-12-14t21:59:43.10-05:00, 2001-12-14 21:59:43: without fractions, as sops hashes
 * them. */
static bool read_time(const char *text, struct buf *canonical)
{
	int year, month, day, hour = 0, minute = 0, second = 0, used = 0, more = 0;
	const char *zone = "Z", *fraction = "";
	int fraction_len = 0;
	char mark = '\0';

	if (strspn(text, "0123456789") != 4 || text[4] != '-' ||
	    sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) != 3 ||
	    !real_date(year, month, day))
		return false;
	if (text[used] != '\0') {
		mark = text[used];
		if ((mark != 'T' && mark != 't' && mark != ' ') ||
		    !isdigit((unsigned char)text[used + 1]) ||
		    sscanf(text + used + 1, "%2d:%2d:%2d%n", &hour, &minute, &second, &more) != 3 ||
		    hour > 23 || minute > 59 || second > 59)
			return false;
		zone = text + used + 1 + more;
		if (*zone == '.' && isdigit((unsigned char)zone[1])) {
			fraction = zone;
			fraction_len = 1 + (int)strspn(zone + 1, "0123456789");
			zone += fraction_len;
			if (fraction_len > 1 + FRACTION_DIGITS)
				return false;
			while (fraction_len > 0 && strchr("0.", fraction[fraction_len - 1]) != NULL)
				fraction_len--;
		}
		if (mark == ' ' && *zone == '\0')
			zone = "Z";
		else if (mark == ' ' || !(strcmp(zone, "Z") == 0 ||
					  (strlen(zone) == 6 && strchr("+-", zone[0]) != NULL &&
					   strspn(zone + 1, "0123456789") == 2 && zone[3] == ':' &&
					   strspn(zone + 4, "0123456789") == 2)))
			return false;
	}
	if (strcmp(zone, "+00:00") == 0 || strcmp(zone, "-00:00") == 0)
		zone = "Z";
	buf_printf(canonical, "%04d-%02d-%02dT%02d:%02d:%02d%.*s%s", year, month, day, hour, minute,
		   second, fraction_len, fraction, zone);
	return true;
}

enum sops_kind sops_resolve(const char *text, size_t len, struct buf *canonical)
{
	char number[NUMBER_MAX + 1], plain[NUMBER_MAX + 1];
	size_t used = 0;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i].text) == len && memcmp(words[i].text, text, len) == 0) {
			buf_puts(canonical, words[i].canonical);
			return words[i].kind;
		}
	if (len <= NUMBER_MAX && len > 0 && strchr("+-.0123456789", text[0]) != NULL &&
	    memchr(text, '\0', len) == NULL) {
		memcpy(number, text, len);
		number[len] = '\0';
		for (size_t i = 0; i < len; i++)
			if (text[i] != '_')
				plain[used++] = text[i];
		plain[used] = '\0';
		if (read_time(number, canonical))
			return SOPS_TIME;
		if (text[0] != '.' && read_integer(plain, canonical))
			return SOPS_INT;
		if (looks_float(text[0] == '.' ? number : plain) &&
		    sops_write_float(canonical, plain))
			return SOPS_FLOAT;
	}
	buf_put(canonical, text, len);
	return SOPS_STRING;
}

void sops_write_json_scalar(struct buf *buf, const struct sops_node *node)
{
	bool finite = node->len > 0 && isdigit((unsigned char)node->text[node->len - 1]);

	if (node->kind == SOPS_NULL)
		buf_puts(buf, "null");
	else if (node->kind == SOPS_BOOL)
		buf_puts(buf, node->text[0] == 'T' ? "true" : "false");
	else if ((node->kind == SOPS_INT || node->kind == SOPS_FLOAT) && finite)
		buf_put(buf, node->text, node->len);
	else
		text_write_json(buf, node->text, node->len);
}

/* Decodes one UTF-8 character; the text is valid. */
static uint32_t character(const char *text, size_t *size)
{
	const uint8_t *byte = (const uint8_t *)text;

	*size = byte[0] < 0x80 ? 1 : byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
	if (*size == 1)
		return byte[0];
	if (*size == 2)
		return (byte[0] & 0x1fu) << 6 | (byte[1] & 0x3fu);
	if (*size == 3)
		return (byte[0] & 0xfu) << 12 | (byte[1] & 0x3fu) << 6 | (byte[2] & 0x3fu);
	return (byte[0] & 7u) << 18 | (byte[1] & 0x3fu) << 12 | (byte[2] & 0x3fu) << 6 |
	       (byte[3] & 0x3fu);
}

/* What YAML takes for a line break or for no text at all. */
static bool must_escape(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
	       c == 0xfffe || c == 0xffff;
}

static void write_quoted(struct buf *buf, const char *text, size_t len)
{
	size_t size;

	buf_putc(buf, '"');
	for (size_t i = 0; i < len; i += size) {
		uint32_t c = character(text + i, &size);

		if (c == '"' || c == '\\')
			buf_printf(buf, "\\%c", (int)c);
		else if (c == '\n')
			buf_puts(buf, "\\n");
		else if (c == '\t')
			buf_puts(buf, "\\t");
		else if (c == '\r')
			buf_puts(buf, "\\r");
		else if (must_escape(c))
			buf_printf(buf, c < 0x100 ? "\\x%02X" : "\\u%04X", (unsigned)c);
		else
			buf_put(buf, text + i, size);
	}
	buf_putc(buf, '"');
}

static bool old_bool(const char *text, size_t len)
{
	static const char *const yaml_1_1[] = { "y", "n", "yes", "no", "on", "off" };

	for (size_t i = 0; i < ARRAY_SIZE(yaml_1_1); i++)
		if (strlen(yaml_1_1[i]) == len && strncasecmp(yaml_1_1[i], text, len) == 0)
			return true;
	return false;
}

static bool plain_is_safe(const char *text, size_t len, bool flow)
{
	AUTO(buf_deinit) struct buf canonical = BUF_INIT(len + 64);
	size_t size;

	if (len == 0 || text[0] == ' ' || text[len - 1] == ' ' || text[len - 1] == ':' ||
	    old_bool(text, len) || strchr("-?:,[]{}#&*!|>'\"%@`=<", text[0]) != NULL)
		return false;
	for (size_t i = 0; i < len; i += size) {
		if (must_escape(character(text + i, &size)) ||
		    (flow && strchr(",[]{}:\"", text[i]) != NULL) ||
		    (text[i] == ':' && text[i + 1] == ' ') ||
		    (text[i] == '#' && text[i - 1] == ' '))
			return false;
	}
	return sops_resolve(text, len, &canonical) == SOPS_STRING;
}

/* Several clean lines, the first not indented: what a | block can hold. */
static bool block_is_safe(const char *text, size_t len)
{
	size_t size;

	if (memchr(text, '\n', len) == NULL || text[0] == ' ' || text[0] == '\n' || text[0] == '\t')
		return false;
	for (size_t i = 0; i < len; i += size) {
		uint32_t c = character(text + i, &size);

		if (must_escape(c) && c != '\n' && c != '\t')
			return false;
	}
	return true;
}

static void write_block(struct buf *buf, const char *text, size_t len, int indent)
{
	size_t newlines = 0;

	while (newlines < len && text[len - 1 - newlines] == '\n')
		newlines++;
	buf_puts(buf, newlines == 0 ? "|-" : newlines == 1 ? "|" : "|+");
	while (len > 0) {
		const char *stop = memchr(text, '\n', len);
		size_t size = stop != NULL ? (size_t)(stop - text) : len;

		buf_putc(buf, '\n');
		for (int i = 0; i < indent && size > 0; i++)
			buf_putc(buf, ' ');
		buf_put(buf, text, size);
		text += size + (stop != NULL);
		len -= size + (stop != NULL);
	}
	buf_putc(buf, '\n');
}

void sops_write_yaml_string(struct buf *buf, const char *text, size_t len, int indent)
{
	if (plain_is_safe(text, len, indent < 0))
		buf_put(buf, text, len);
	else if (indent > 0 && block_is_safe(text, len))
		write_block(buf, text, len, indent);
	else
		write_quoted(buf, text, len);
}

void sops_write_yaml_scalar(struct buf *buf, const struct sops_node *node, int indent)
{
	if (node->kind == SOPS_STRING)
		sops_write_yaml_string(buf, node->text, node->len, indent);
	else if (node->kind == SOPS_TIME)
		buf_put(buf, node->text, node->len);
	else if (node->kind == SOPS_FLOAT && strcmp(node->text, "NaN") == 0)
		buf_puts(buf, ".nan");
	else if (node->kind == SOPS_FLOAT && strstr(node->text, "Inf") != NULL)
		buf_puts(buf, node->text[0] == '-' ? "-.inf" : ".inf");
	else if (node->kind == SOPS_FLOAT && strchr(node->text, '.') == NULL)
		buf_printf(buf, "%s.0", node->text);
	else
		sops_write_json_scalar(buf, node);
}

void sops_write_yaml_comment(struct buf *buf, const char *text, size_t len)
{
	size_t size;

	for (size_t i = 0; i < len; i += size) {
		uint32_t c = character(text + i, &size);

		if (must_escape(c) && c != '\t')
			buf_putc(buf, '?');
		else
			buf_put(buf, text + i, size);
	}
}
