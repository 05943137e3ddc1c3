/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Print, Println and Printf of Go's fmt. A format that is wrong is no error: it prints what is
 * wrong with it.
 */
#include <string.h>

#include "agent/base/text.h"
#include "agent/template/format.h"
#include "agent/template/printer.h"
#include "agent/template/unicode.h"

/* Larger widths and precisions are none at all. */
#define FORMAT_NUMBER_MAX 1000000

struct formatter {
	struct printer printer;
	const char *format;
	size_t len, at;
	const struct value *values;
	size_t count, next; /* the argument whose turn it is */
	bool reordered, good_index, after_index;
};

static int finish(struct render *render, const struct printer *printer)
{
	return printer->problem == NULL ? 0 : render_error(render, "%s", printer->problem);
}

int format_action(struct render *render, struct buf *out, const struct value *value)
{
	struct printer printer = { .out = out };
	size_t start = out->len;

	if (value->type == VALUE_NONE) {
		buf_puts(out, "<no value>");
		return 0;
	}
	printer_write(&printer, value, 'v');
	/* A struct is printed without the & of its pointer. */
	if (value->type == VALUE_OBJECT && value->object != NULL && out->len > start &&
	    out->data[start] == '&' && !out->failed) {
		memmove(out->data + start, out->data + start + 1, out->len - start - 1);
		buf_truncate(out, out->len - 1);
	}
	return finish(render, &printer);
}

int format_print(struct render *render, struct buf *out, const struct value *values, size_t count)
{
	struct printer printer = { .out = out };

	for (size_t i = 0; i < count; i++) {
		if (i > 0 && !value_is_text(&values[i]) && !value_is_text(&values[i - 1]))
			buf_putc(out, ' ');
		printer_write(&printer, &values[i], 'v');
	}
	return finish(render, &printer);
}

int format_println(struct render *render, struct buf *out, const struct value *values, size_t count)
{
	struct printer printer = { .out = out };

	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_putc(out, ' ');
		printer_write(&printer, &values[i], 'v');
	}
	buf_putc(out, '\n');
	return finish(render, &printer);
}

/* ---- the parts of a verb ---- */

static int byte_at(const struct formatter *formatter, size_t at)
{
	return at < formatter->len ? (unsigned char)formatter->format[at] : -1;
}

/* Digits up to `end`; false when there are none or the number is too large. */
static bool read_digits(struct formatter *formatter, size_t end, int *ret)
{
	bool any = false;

	*ret = 0;
	while (formatter->at < end && formatter->format[formatter->at] >= '0' &&
	       formatter->format[formatter->at] <= '9') {
		if (*ret > FORMAT_NUMBER_MAX) {
			*ret = 0;
			formatter->at = end;
			return false;
		}
		*ret = *ret * 10 + (formatter->format[formatter->at++] - '0');
		any = true;
	}
	return any;
}

/* [3] chooses the argument that comes next. */
static void read_index(struct formatter *formatter)
{
	size_t start = formatter->at;
	const char *close;
	int number;
	bool good;

	formatter->after_index = false;
	if (byte_at(formatter, start) != '[')
		return;
	formatter->reordered = true;
	close = memchr(formatter->format + start, ']', formatter->len - start);
	if (close == NULL || formatter->len - start < 3) {
		formatter->good_index = false;
		formatter->at = start + 1;
		return;
	}
	formatter->at = start + 1;
	good = read_digits(formatter, (size_t)(close - formatter->format), &number) &&
	       formatter->format + formatter->at == close;
	formatter->at = (size_t)(close - formatter->format) + 1;
	formatter->after_index = good;
	if (good && number >= 1 && (size_t)number <= formatter->count)
		formatter->next = (size_t)number - 1;
	else
		formatter->good_index = false;
}

/* The integer that a * takes; false when there is none. */
static bool read_star(struct formatter *formatter, int *ret)
{
	const struct value *value;
	int64_t number;

	*ret = 0;
	if (formatter->next >= formatter->count)
		return false;
	value = &formatter->values[formatter->next++];
	if (value->type == VALUE_INT || value->type == VALUE_INT64)
		number = value->integer;
	else if ((value->type == VALUE_UINT64 || value->type == VALUE_UINT8) &&
		 value->unsigned_ <= FORMAT_NUMBER_MAX)
		number = (int64_t)value->unsigned_;
	else
		return false;
	if (number > FORMAT_NUMBER_MAX || number < -FORMAT_NUMBER_MAX)
		return false;
	*ret = (int)number;
	return true;
}

static void read_width(struct formatter *formatter)
{
	struct printer *printer = &formatter->printer;

	if (byte_at(formatter, formatter->at) != '*') {
		printer->width_present = read_digits(formatter, formatter->len, &printer->width);
		if (formatter->after_index && printer->width_present)
			formatter->good_index = false;
		return;
	}
	formatter->at++;
	printer->width_present = read_star(formatter, &printer->width);
	if (!printer->width_present)
		buf_puts(printer->out, "%!(BADWIDTH)");
	if (printer->width < 0) {
		printer->width = -printer->width;
		printer->minus = true;
		printer->zero = false;
	}
	formatter->after_index = false;
}

static void read_precision(struct formatter *formatter)
{
	struct printer *printer = &formatter->printer;

	if (formatter->at + 1 >= formatter->len || byte_at(formatter, formatter->at) != '.')
		return;
	formatter->at++;
	if (formatter->after_index)
		formatter->good_index = false;
	read_index(formatter);
	if (byte_at(formatter, formatter->at) != '*') {
		(void)read_digits(formatter, formatter->len, &printer->precision);
		printer->precision_present = true;
		return;
	}
	formatter->at++;
	printer->precision_present = read_star(formatter, &printer->precision);
	if (printer->precision < 0) {
		printer->precision = 0;
		printer->precision_present = false;
	}
	if (!printer->precision_present)
		buf_puts(printer->out, "%!(BADPREC)");
	formatter->after_index = false;
}

static void read_flags(struct formatter *formatter)
{
	struct printer *printer = &formatter->printer;

	for (;; formatter->at++) {
		switch (byte_at(formatter, formatter->at)) {
		case '#':
			printer->sharp = true;
			break;
		case '0':
			printer->zero = true;
			break;
		case '+':
			printer->plus = true;
			break;
		case '-':
			printer->minus = true;
			break;
		case ' ':
			printer->space = true;
			break;
		default:
			return;
		}
	}
}

/* ---- verbs ---- */

static void write_complaint(struct buf *out, const char *verb, size_t len, const char *what)
{
	buf_puts(out, "%!");
	buf_put(out, verb, len);
	buf_puts(out, what);
}

static void write_verb(struct formatter *formatter)
{
	struct printer *printer = &formatter->printer;
	const char *verb = formatter->format + formatter->at;
	uint32_t character = 0;
	size_t len = text_read_character(verb, formatter->len - formatter->at, &character);

	if (len == 0) {
		character = UNICODE_REPLACEMENT;
		formatter->at++;
		verb = "\xef\xbf\xbd";
		len = 3;
	} else {
		formatter->at += len;
	}
	if (character == '%') {
		buf_putc(printer->out, '%');
	} else if (!formatter->good_index) {
		write_complaint(printer->out, verb, len, "(BADINDEX)");
	} else if (formatter->next >= formatter->count) {
		write_complaint(printer->out, verb, len, "(MISSING)");
	} else {
		if (character == 'v' || character == 'w') {
			printer->sharp_v = printer->sharp;
			printer->plus_v = printer->plus;
			printer->sharp = printer->plus = false;
		}
		printer_write(printer, &formatter->values[formatter->next++], character);
	}
}

static void write_extra(struct formatter *formatter)
{
	struct printer plain = { .out = formatter->printer.out,
				 .problem = formatter->printer.problem };

	buf_puts(plain.out, "%!(EXTRA ");
	for (size_t i = formatter->next; i < formatter->count; i++) {
		const struct value *value = &formatter->values[i];

		if (i > formatter->next)
			buf_puts(plain.out, ", ");
		if (value->type != VALUE_NIL && value->type != VALUE_NONE) {
			printer_write(&plain, value, 'T');
			buf_putc(plain.out, '=');
		}
		printer_write(&plain, value, 'v');
	}
	buf_putc(plain.out, ')');
	formatter->printer.problem = plain.problem;
}

/* Text up to the next verb, and the verb; false at the end. */
static bool write_part(struct formatter *formatter)
{
	const char *text = formatter->format + formatter->at;
	size_t left = formatter->len - formatter->at;
	const char *percent = left > 0 ? memchr(text, '%', left) : NULL;

	buf_put(formatter->printer.out, text, percent != NULL ? (size_t)(percent - text) : left);
	if (percent == NULL)
		return false;
	formatter->at = (size_t)(percent - formatter->format) + 1;
	formatter->printer = (struct printer){ .out = formatter->printer.out,
					       .problem = formatter->printer.problem };
	formatter->good_index = true;
	read_flags(formatter);
	read_index(formatter);
	read_width(formatter);
	read_precision(formatter);
	if (!formatter->after_index)
		read_index(formatter);
	if (formatter->at >= formatter->len) {
		buf_puts(formatter->printer.out, "%!(NOVERB)");
		return false;
	}
	write_verb(formatter);
	return true;
}

int format_printf(struct render *render, struct buf *out, const struct value *format,
		  const struct value *values, size_t count)
{
	struct formatter formatter = {
		.printer = { .out = out },
		.format = format->bytes,
		.len = format->len,
		.values = values,
		.count = count,
	};

	while (write_part(&formatter) && formatter.printer.problem == NULL && !out->failed)
		;
	if (!formatter.reordered && formatter.next < formatter.count)
		write_extra(&formatter);
	return finish(render, &formatter.printer);
}
