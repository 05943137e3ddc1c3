/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A function per kind of value; flags mean what they mean in Go, also where that is odd.
 */
#include "agent/template/printer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/template/format.h"
#include "agent/template/number.h"
#include "agent/template/unicode.h"

enum { CHARACTER_LAST = 0x10ffff, SCRATCH_MAX = 1 << 20, DIGITS_MAX = 68 };

static void write_value(struct printer *printer, const struct value *value, uint32_t verb,
			unsigned depth);

/* ---- padding ---- */

static size_t count_characters(const char *bytes, size_t len)
{
	size_t count = 0;
	uint32_t character;

	while (len > 0) {
		size_t one = text_read_character(bytes, len, &character);

		one = one == 0 ? 1 : one;
		bytes += one;
		len -= one;
		count++;
	}
	return count;
}

static void write_padding(struct printer *printer, size_t len)
{
	char *room = buf_reserve(printer->out, len);

	if (room == NULL)
		return;
	memset(room, printer->zero && !printer->minus ? '0' : ' ', len);
	buf_commit(printer->out, len);
}

static void pad(struct printer *printer, const char *bytes, size_t len)
{
	size_t count = printer->width_present ? count_characters(bytes, len) : 0;
	size_t width = printer->width_present ? (size_t)printer->width : 0;
	size_t padding = width > count ? width - count : 0;

	if (!printer->minus)
		write_padding(printer, padding);
	buf_put(printer->out, bytes, len);
	if (printer->minus)
		write_padding(printer, padding);
}

static void pad_text(struct printer *printer, const char *text)
{
	pad(printer, text, strlen(text));
}

static void pad_buf(struct printer *printer, const struct buf *buf)
{
	if (buf->failed)
		printer->out->failed = true;
	else
		pad(printer, buf_string(buf), buf->len);
}

static void write_character(struct buf *out, uint32_t character)
{
	char bytes[4];

	if (character > CHARACTER_LAST || (character >= 0xd800 && character <= 0xdfff))
		character = UNICODE_REPLACEMENT;
	buf_put(out, bytes, text_encode_character(bytes, character));
}

/* ---- quotes ---- */

static void write_escape(struct buf *out, uint32_t character)
{
	static const char letters[] = "abfnrtv", values[] = "\a\b\f\n\r\t\v";
	const char *found =
		character != 0 && character < 0x80 ? strchr(values, (int)character) : NULL;

	if (found != NULL)
		buf_printf(out, "\\%c", letters[found - values]);
	else if (character < ' ' || character == 0x7f)
		buf_printf(out, "\\x%02x", character);
	else if (character < 0x10000)
		buf_printf(out, "\\u%04x", character);
	else
		buf_printf(out, "\\U%08x", character);
}

static void write_quoted_character(struct buf *out, uint32_t character, char quote, bool ascii)
{
	if (character == (unsigned char)quote || character == '\\')
		buf_printf(out, "\\%c", (char)character);
	else if (unicode_is_printable(character) && (!ascii || character < 0x80))
		write_character(out, character);
	else
		write_escape(out, character);
}

static void write_quoted(struct buf *out, const char *bytes, size_t len, bool ascii)
{
	buf_putc(out, '"');
	while (len > 0) {
		uint32_t character = 0;
		size_t one = text_read_character(bytes, len, &character);

		if (one == 0) {
			buf_printf(out, "\\x%02x", (unsigned char)*bytes);
			one = 1;
		} else {
			write_quoted_character(out, character, '"', ascii);
		}
		bytes += one;
		len -= one;
	}
	buf_putc(out, '"');
}

void format_quote(struct buf *out, const char *bytes, size_t len)
{
	write_quoted(out, bytes, len, false);
}

/* Can it stand between back quotes as it is? */
static bool is_raw(const char *bytes, size_t len)
{
	while (len > 0) {
		uint32_t character = 0;
		size_t one = text_read_character(bytes, len, &character);

		if (one == 0 || character == 0xfeff || character == '`' || character == 0x7f ||
		    (character < ' ' && character != '\t'))
			return false;
		bytes += one;
		len -= one;
	}
	return true;
}

/* ---- verbs that do not fit ---- */

static const char *type_name(const struct value *value, char *room, size_t size)
{
	if (value->type != VALUE_OBJECT || value->object == NULL)
		return value_type_name(value);
	(void)snprintf(room, size, "%s%s", value->object->type->by_value ? "" : "*",
		       value_type_name(value));
	return room;
}

static void write_bad_verb(struct printer *printer, const struct value *value, uint32_t verb)
{
	char room[64];

	buf_puts(printer->out, "%!");
	write_character(printer->out, verb);
	buf_putc(printer->out, '(');
	if (value->type == VALUE_NIL || value->type == VALUE_NONE) {
		buf_puts(printer->out, "<nil>");
	} else {
		buf_printf(printer->out, "%s=", type_name(value, room, sizeof(room)));
		printer_write(printer, value, 'v');
	}
	buf_putc(printer->out, ')');
}

/* ---- numbers ---- */

/* Digits of the magnitude in the base, backwards. */
static size_t digits_of(uint64_t magnitude, unsigned base, bool large, char ret[DIGITS_MAX])
{
	const char *digits = large ? "0123456789ABCDEF" : "0123456789abcdef";
	size_t count = 0;

	do {
		ret[count++] = digits[magnitude % base];
		magnitude /= base;
	} while (magnitude > 0);
	return count;
}

static void write_base_prefix(struct buf *out, const struct printer *printer, uint32_t verb,
			      bool leading_zero)
{
	if (verb == 'O')
		buf_puts(out, "0o");
	else if (printer->sharp && verb == 'b')
		buf_puts(out, "0b");
	else if (printer->sharp && verb == 'o' && !leading_zero)
		buf_putc(out, '0');
	else if (printer->sharp && (verb == 'x' || verb == 'X'))
		buf_printf(out, "0%c", (char)verb);
}

static void write_integer(struct printer *printer, uint64_t magnitude, bool negative, unsigned base,
			  uint32_t verb)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(SCRATCH_MAX * 2);
	bool zero = printer->zero, sign = negative || printer->plus || printer->space;
	size_t precision = 0, count;
	char digits[DIGITS_MAX];

	if (printer->precision_present) {
		precision = (size_t)printer->precision;
		if (precision == 0 && magnitude == 0) {
			printer->zero = false;
			write_padding(printer, printer->width_present ? (size_t)printer->width : 0);
			printer->zero = zero;
			return;
		}
	} else if (printer->zero && !printer->minus && printer->width_present) {
		precision = (size_t)printer->width;
		if (sign && precision > 0)
			precision--;
	}
	count = digits_of(magnitude, base, verb == 'X', digits);
	if (sign)
		buf_putc(&text, negative ? '-' : printer->plus ? '+' : ' ');
	write_base_prefix(&text, printer, verb, precision > count || digits[count - 1] == '0');
	for (size_t i = count; i < precision; i++)
		buf_putc(&text, '0');
	while (count > 0)
		buf_putc(&text, digits[--count]);
	printer->zero = false;
	pad_buf(printer, &text);
	printer->zero = zero;
}

/* U+0041, and with # also 'A'. */
static void write_unicode(struct printer *printer, uint64_t number)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(SCRATCH_MAX * 2);
	int precision =
		printer->precision_present && printer->precision > 4 ? printer->precision : 4;
	bool zero = printer->zero;

	buf_printf(&text, "U+%0*lX", precision, (unsigned long)number);
	if (printer->sharp && number <= CHARACTER_LAST && unicode_is_printable((uint32_t)number)) {
		buf_puts(&text, " '");
		write_character(&text, (uint32_t)number);
		buf_putc(&text, '\'');
	}
	printer->zero = false;
	pad_buf(printer, &text);
	printer->zero = zero;
}

static void write_as_character(struct printer *printer, uint64_t number, bool quoted)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(SCRATCH_MAX);
	uint32_t character = number > CHARACTER_LAST ? UNICODE_REPLACEMENT : (uint32_t)number;

	if (character >= 0xd800 && character <= 0xdfff)
		character = UNICODE_REPLACEMENT;
	if (quoted)
		buf_putc(&text, '\'');
	if (quoted)
		write_quoted_character(&text, character, '\'', printer->plus);
	else
		write_character(&text, character);
	if (quoted)
		buf_putc(&text, '\'');
	pad_buf(printer, &text);
}

static void write_whole(struct printer *printer, const struct value *value, uint64_t magnitude,
			bool negative, uint32_t verb)
{
	uint64_t number = negative ? 0 - magnitude : magnitude;
	bool is_unsigned = value->type == VALUE_UINT8 || value->type == VALUE_UINT64;
	bool sharp = printer->sharp;

	switch (verb) {
	case 'v':
		if (printer->sharp_v && is_unsigned) {
			printer->sharp = true;
			write_integer(printer, magnitude, false, 16, 'x');
			printer->sharp = sharp;
			return;
		}
		write_integer(printer, magnitude, negative, 10, verb);
		return;
	case 'd':
		write_integer(printer, magnitude, negative, 10, verb);
		return;
	case 'b':
		write_integer(printer, magnitude, negative, 2, verb);
		return;
	case 'o':
	case 'O':
		write_integer(printer, magnitude, negative, 8, verb);
		return;
	case 'x':
	case 'X':
		write_integer(printer, magnitude, negative, 16, verb);
		return;
	case 'c':
	case 'q':
		write_as_character(printer, number, verb == 'q');
		return;
	case 'U':
		write_unicode(printer, number);
		return;
	default:
		write_bad_verb(printer, value, verb);
	}
}

/* ---- reals ---- */

/* What # adds: a point, and the zeros that %g takes away. */
static void restore_zeros(struct buf *text, uint32_t verb, int precision)
{
	AUTO(buf_deinit) struct buf whole = BUF_INIT(SCRATCH_MAX * 2);
	bool general = verb == 'v' || verb == 'g' || verb == 'G';
	int digits = !general ? 0 : precision < 0 ? 6 : precision;
	bool point = false, nonzero = false;
	size_t tail = text->len;

	for (size_t i = 1; i < tail; i++) {
		char byte = text->data[i];

		if (byte == '.') {
			point = true;
		} else if (byte == 'e' || byte == 'E') {
			tail = i;
		} else {
			nonzero = nonzero || byte != '0';
			digits -= nonzero ? 1 : 0;
		}
	}
	buf_put(&whole, text->data, tail);
	if (!point) {
		if (tail == 2 && text->data[1] == '0')
			digits--;
		buf_putc(&whole, '.');
	}
	for (; digits > 0; digits--)
		buf_putc(&whole, '0');
	buf_put(&whole, text->data + tail, text->len - tail);
	buf_reset(text);
	buf_put(text, buf_string(&whole), whole.len);
	text->failed = text->failed || whole.failed;
}

/* A sign stands in front always; it is left out here when nobody asked for it. */
static void pad_real(struct printer *printer, const struct buf *text)
{
	size_t width = printer->width_present ? (size_t)printer->width : 0;
	bool keep_sign = printer->plus || text->data[0] != '+';

	if (keep_sign && printer->zero && !printer->minus && width > text->len) {
		buf_putc(printer->out, text->data[0]);
		write_padding(printer, width - text->len);
		buf_put(printer->out, text->data + 1, text->len - 1);
		return;
	}
	pad(printer, text->data + (keep_sign ? 0 : 1), text->len - (keep_sign ? 0 : 1));
}

static void pad_special(struct printer *printer, const struct buf *text)
{
	bool zero = printer->zero;
	size_t bare = text->data[1] == 'N' && !printer->space && !printer->plus ? 1 : 0;

	printer->zero = false;
	pad(printer, text->data + bare, text->len - bare);
	printer->zero = zero;
}

static void write_real(struct printer *printer, double value, char verb, int precision)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(SCRATCH_MAX * 2);

	if (printer->precision_present)
		precision = printer->precision;
	if (isnan(value) || !signbit(value))
		buf_putc(&text, '+');
	if (isinf(value))
		buf_reset(&text);
	number_write_real(&text, value, verb == 'v' ? 'g' : verb, precision);
	if (text.failed) {
		printer->out->failed = true;
		return;
	}
	if (printer->space && text.data[0] == '+' && !printer->plus)
		text.data[0] = ' ';
	if (isnan(value) || isinf(value)) {
		pad_special(printer, &text);
		return;
	}
	if (printer->sharp)
		restore_zeros(&text, (unsigned char)verb, precision);
	pad_real(printer, &text);
}

static void write_float(struct printer *printer, const struct value *value, uint32_t verb)
{
	switch (verb) {
	case 'v':
		write_real(printer, value->real, 'v', -1);
		return;
	case 'g':
	case 'G':
		write_real(printer, value->real, (char)verb, -1);
		return;
	case 'e':
	case 'E':
	case 'f':
	case 'F':
		write_real(printer, value->real, verb == 'F' ? 'f' : (char)verb, 6);
		return;
	case 'b':
	case 'x':
	case 'X':
		printer->problem = "%b and %x of a float64 are not supported";
		return;
	default:
		write_bad_verb(printer, value, verb);
	}
}

/* ---- texts ---- */

/* The first `precision` characters. */
static size_t truncate(const struct printer *printer, const char *bytes, size_t len)
{
	size_t at = 0;
	uint32_t character;

	if (!printer->precision_present)
		return len;
	for (int i = 0; i < printer->precision && at < len; i++) {
		size_t one = text_read_character(bytes + at, len - at, &character);

		at += one == 0 ? 1 : one;
	}
	return at;
}

static void write_hex(struct printer *printer, const char *bytes, size_t len, bool large)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	const char *prefix = !printer->sharp ? "" : large ? "0X" : "0x";

	if (printer->precision_present && (size_t)printer->precision < len)
		len = (size_t)printer->precision;
	if (len > 0)
		buf_puts(&text, prefix);
	for (size_t i = 0; i < len; i++) {
		if (printer->space && i > 0)
			buf_printf(&text, " %s", prefix);
		buf_printf(&text, large ? "%02X" : "%02x", (unsigned char)bytes[i]);
	}
	pad_buf(printer, &text);
}

static void write_quoted_text(struct printer *printer, const char *bytes, size_t len)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(TEMPLATE_OUTPUT_MAX);

	len = truncate(printer, bytes, len);
	if (printer->sharp && is_raw(bytes, len)) {
		buf_putc(&text, '`');
		buf_put(&text, bytes, len);
		buf_putc(&text, '`');
	} else {
		write_quoted(&text, bytes, len, printer->plus);
	}
	pad_buf(printer, &text);
}

static void write_text(struct printer *printer, const struct value *value, uint32_t verb)
{
	switch (verb) {
	case 'v':
		if (printer->sharp_v)
			write_quoted_text(printer, value->bytes, value->len);
		else
			pad(printer, value->bytes, truncate(printer, value->bytes, value->len));
		return;
	case 's':
		pad(printer, value->bytes, truncate(printer, value->bytes, value->len));
		return;
	case 'x':
	case 'X':
		write_hex(printer, value->bytes, value->len, verb == 'X');
		return;
	case 'q':
		write_quoted_text(printer, value->bytes, value->len);
		return;
	default:
		write_bad_verb(printer, value, verb);
	}
}

/* ---- what holds other values ---- */

static bool write_typed_nil(struct printer *printer, const struct value *value)
{
	if (!printer->sharp_v || !value_is_nil(value))
		return false;
	buf_printf(printer->out, "%s(nil)", value_type_name(value));
	return true;
}

static void write_list(struct printer *printer, const struct value *value, uint32_t verb,
		       unsigned depth)
{
	if (write_typed_nil(printer, value))
		return;
	buf_printf(printer->out, "%s%s", printer->sharp_v ? value_type_name(value) : "",
		   printer->sharp_v ? "{" : "[");
	for (size_t i = 0; i < value->count; i++) {
		if (i > 0)
			buf_puts(printer->out, printer->sharp_v ? ", " : " ");
		write_value(printer, &value->items[i], verb, depth + 1);
	}
	buf_putc(printer->out, printer->sharp_v ? '}' : ']');
}

static void write_map(struct printer *printer, const struct value *value, uint32_t verb,
		      unsigned depth)
{
	size_t count = value->map != NULL ? value->map->count : 0;

	if (write_typed_nil(printer, value))
		return;
	buf_printf(printer->out, "%s%s", printer->sharp_v ? value_type_name(value) : "map",
		   printer->sharp_v ? "{" : "[");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_puts(printer->out, printer->sharp_v ? ", " : " ");
		write_value(printer, &value->map->entries[i].key, verb, depth + 1);
		buf_putc(printer->out, ':');
		write_value(printer, &value->map->entries[i].value, verb, depth + 1);
	}
	buf_putc(printer->out, printer->sharp_v ? '}' : ']');
}

static void write_object(struct printer *printer, const struct value *value, uint32_t verb,
			 unsigned depth)
{
	const struct object *object = value->object;

	if (object == NULL && printer->sharp_v) {
		printer->problem = "%#v of a nil pointer is not supported";
		return;
	}
	if (object == NULL) {
		if (verb == 'v')
			pad_text(printer, "<nil>");
		else
			write_bad_verb(printer, value, verb);
		return;
	}
	if ((depth > 0 && !object->type->by_value) || object->type->fields == NULL) {
		printer->problem = "a pointer cannot be printed";
		return;
	}
	buf_printf(printer->out, "%s%s{", object->type->by_value ? "" : "&",
		   printer->sharp_v ? object->type->name : "");
	for (size_t i = 0; i < object->type->count; i++) {
		if (i > 0)
			buf_puts(printer->out, printer->sharp_v ? ", " : " ");
		if (printer->plus_v || printer->sharp_v)
			buf_printf(printer->out, "%s:", object->type->fields[i]);
		write_value(printer, &object->fields[i], verb, depth + 1);
	}
	buf_putc(printer->out, '}');
}

static void write_nil(struct printer *printer, uint32_t verb, unsigned depth)
{
	if (depth > 0)
		buf_puts(printer->out, printer->sharp_v ? "interface {}(nil)" : "<nil>");
	else if (verb == 'v')
		pad_text(printer, "<nil>");
	else
		write_bad_verb(printer, &VALUE_OF_NONE, verb);
}

/* ---- any value ---- */

static void write_value(struct printer *printer, const struct value *value, uint32_t verb,
			unsigned depth)
{
	if (depth > TEMPLATE_NESTING_MAX) {
		printer->problem = "the value is nested too deep";
		return;
	}
	switch (value->type) {
	case VALUE_BOOL:
		if (verb == 't' || verb == 'v')
			pad_text(printer, value->truth ? "true" : "false");
		else
			write_bad_verb(printer, value, verb);
		return;
	case VALUE_INT:
	case VALUE_INT64:
		write_whole(printer, value,
			    value->integer < 0 ? 0 - (uint64_t)value->integer
					       : (uint64_t)value->integer,
			    value->integer < 0, verb);
		return;
	case VALUE_UINT8:
	case VALUE_UINT64:
		write_whole(printer, value, value->unsigned_, false, verb);
		return;
	case VALUE_FLOAT64:
		write_float(printer, value, verb);
		return;
	case VALUE_STRING:
	case VALUE_NUMBER:
		write_text(printer, value, verb);
		return;
	case VALUE_LIST:
	case VALUE_STRINGS:
		write_list(printer, value, verb, depth);
		return;
	case VALUE_MAP:
	case VALUE_STRING_MAP:
	case VALUE_ANY_MAP:
		write_map(printer, value, verb, depth);
		return;
	case VALUE_OBJECT:
		write_object(printer, value, verb, depth);
		return;
	case VALUE_LOOP:
		printer->problem = "the result of loop cannot be printed";
		return;
	case VALUE_NONE:
	case VALUE_NIL:
	case VALUE_TYPES:
	default:
		write_nil(printer, verb, depth);
	}
}

static void write_type(struct printer *printer, const struct value *value)
{
	char room[64];
	const char *name = type_name(value, room, sizeof(room));

	if (value->type == VALUE_NIL || value->type == VALUE_NONE) {
		pad_text(printer, "<nil>");
		return;
	}
	pad(printer, name, truncate(printer, name, strlen(name)));
}

void printer_write(struct printer *printer, const struct value *value, uint32_t verb)
{
	if (verb == 'p')
		printer->problem = "%p is not supported";
	else if (verb == 'T')
		write_type(printer, value);
	else
		write_value(printer, value, verb, 0);
}
