/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timestamp: the moment of the render in UTC, by a layout of Go's: the text that shows how
 * "Mon Jan 2 15:04:05 2006" is to be written.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/template/functions.h"

static const char *const months[] = { "January",   "February", "March",	   "April",
				      "May",	   "June",     "July",	   "August",
				      "September", "October",  "November", "December" };
static const char *const days[] = { "Sunday",	"Monday", "Tuesday", "Wednesday",
				    "Thursday", "Friday", "Saturday" };

enum part {
	PART_LONG_MONTH,
	PART_MONTH,
	PART_NUMBER_MONTH,
	PART_ZERO_MONTH,
	PART_LONG_DAY_OF_WEEK,
	PART_DAY_OF_WEEK,
	PART_DAY,
	PART_SPACE_DAY,
	PART_ZERO_DAY,
	PART_SPACE_DAY_OF_YEAR,
	PART_ZERO_DAY_OF_YEAR,
	PART_HOUR,
	PART_HOUR_12,
	PART_ZERO_HOUR_12,
	PART_MINUTE,
	PART_ZERO_MINUTE,
	PART_SECOND,
	PART_ZERO_SECOND,
	PART_YEAR,
	PART_SHORT_YEAR,
	PART_NOON,
	PART_SMALL_NOON,
	PART_ZONE_NAME,
	PART_ZONE_Z,
	PART_ZONE_HOURS,
	PART_ZONE_MINUTES,
	PART_ZONE_COLON,
	PART_ZONE_SECONDS,
	PART_ZONE_COLONS,
};

/* The longer of two that begin alike stands first. */
static const struct {
	const char *spelling;
	enum part part;
} parts[] = {
	{ "January", PART_LONG_MONTH },
	{ "Jan", PART_MONTH },
	{ "Monday", PART_LONG_DAY_OF_WEEK },
	{ "Mon", PART_DAY_OF_WEEK },
	{ "MST", PART_ZONE_NAME },
	{ "002", PART_ZERO_DAY_OF_YEAR },
	{ "01", PART_ZERO_MONTH },
	{ "02", PART_ZERO_DAY },
	{ "03", PART_ZERO_HOUR_12 },
	{ "04", PART_ZERO_MINUTE },
	{ "05", PART_ZERO_SECOND },
	{ "06", PART_SHORT_YEAR },
	{ "15", PART_HOUR },
	{ "1", PART_NUMBER_MONTH },
	{ "2006", PART_YEAR },
	{ "2", PART_DAY },
	{ "__2", PART_SPACE_DAY_OF_YEAR },
	{ "_2", PART_SPACE_DAY },
	{ "3", PART_HOUR_12 },
	{ "4", PART_MINUTE },
	{ "5", PART_SECOND },
	{ "PM", PART_NOON },
	{ "pm", PART_SMALL_NOON },
	{ "-07:00:00", PART_ZONE_COLONS },
	{ "-070000", PART_ZONE_SECONDS },
	{ "-07:00", PART_ZONE_COLON },
	{ "-0700", PART_ZONE_MINUTES },
	{ "-07", PART_ZONE_HOURS },
	{ "Z07:00:00", PART_ZONE_Z },
	{ "Z070000", PART_ZONE_Z },
	{ "Z07:00", PART_ZONE_Z },
	{ "Z0700", PART_ZONE_Z },
	{ "Z07", PART_ZONE_Z },
};

static void write_part(struct buf *out, const struct tm *tm, enum part part)
{
	int hour = tm->tm_hour % 12 == 0 ? 12 : tm->tm_hour % 12;

	switch (part) {
	case PART_LONG_MONTH:
		buf_puts(out, months[tm->tm_mon]);
		return;
	case PART_MONTH:
		buf_put(out, months[tm->tm_mon], 3);
		return;
	case PART_NUMBER_MONTH:
		buf_printf(out, "%d", tm->tm_mon + 1);
		return;
	case PART_ZERO_MONTH:
		buf_printf(out, "%02d", tm->tm_mon + 1);
		return;
	case PART_LONG_DAY_OF_WEEK:
		buf_puts(out, days[tm->tm_wday]);
		return;
	case PART_DAY_OF_WEEK:
		buf_put(out, days[tm->tm_wday], 3);
		return;
	case PART_DAY:
		buf_printf(out, "%d", tm->tm_mday);
		return;
	case PART_SPACE_DAY:
		buf_printf(out, "%2d", tm->tm_mday);
		return;
	case PART_ZERO_DAY:
		buf_printf(out, "%02d", tm->tm_mday);
		return;
	case PART_SPACE_DAY_OF_YEAR:
		buf_printf(out, "%3d", tm->tm_yday + 1);
		return;
	case PART_ZERO_DAY_OF_YEAR:
		buf_printf(out, "%03d", tm->tm_yday + 1);
		return;
	case PART_HOUR:
		buf_printf(out, "%02d", tm->tm_hour);
		return;
	case PART_HOUR_12:
		buf_printf(out, "%d", hour);
		return;
	case PART_ZERO_HOUR_12:
		buf_printf(out, "%02d", hour);
		return;
	case PART_MINUTE:
		buf_printf(out, "%d", tm->tm_min);
		return;
	case PART_ZERO_MINUTE:
		buf_printf(out, "%02d", tm->tm_min);
		return;
	case PART_SECOND:
		buf_printf(out, "%d", tm->tm_sec);
		return;
	case PART_ZERO_SECOND:
		buf_printf(out, "%02d", tm->tm_sec);
		return;
	case PART_YEAR:
		buf_printf(out, "%04d", tm->tm_year + 1900);
		return;
	case PART_SHORT_YEAR:
		buf_printf(out, "%02d", tm->tm_year % 100);
		return;
	case PART_NOON:
		buf_puts(out, tm->tm_hour >= 12 ? "PM" : "AM");
		return;
	case PART_SMALL_NOON:
		buf_puts(out, tm->tm_hour >= 12 ? "pm" : "am");
		return;
	case PART_ZONE_NAME:
		buf_puts(out, "UTC");
		return;
	case PART_ZONE_Z:
		buf_putc(out, 'Z');
		return;
	case PART_ZONE_HOURS:
		buf_puts(out, "+00");
		return;
	case PART_ZONE_MINUTES:
		buf_puts(out, "+0000");
		return;
	case PART_ZONE_COLON:
		buf_puts(out, "+00:00");
		return;
	case PART_ZONE_SECONDS:
		buf_puts(out, "+000000");
		return;
	case PART_ZONE_COLONS:
	default:
		buf_puts(out, "+00:00:00");
		return;
	}
}

/* A month or a weekday that goes on in small letters is a word, and no part. */
static bool is_word(const char *spelling, const char *after, const char *end)
{
	return (strcmp(spelling, "Jan") == 0 || strcmp(spelling, "Mon") == 0) && after < end &&
	       *after >= 'a' && *after <= 'z';
}

/* .000, ,000, .999: fractions of a second, when no digit follows. Returns how many bytes. */
static size_t fraction(const char *at, const char *end)
{
	const char *digit = at + 1;

	if ((*at != '.' && *at != ',') || digit >= end || (*digit != '0' && *digit != '9'))
		return 0;
	while (digit < end && *digit == at[1])
		digit++;
	return digit < end && *digit >= '0' && *digit <= '9' ? 0 : (size_t)(digit - at);
}

static void write_fraction(struct buf *out, const char *layout, size_t len, unsigned milliseconds)
{
	char digits[10];
	size_t count = len - 1 < 9 ? len - 1 : 9;

	(void)snprintf(digits, sizeof(digits), "%03u000000", milliseconds % 1000);
	if (layout[1] == '9')
		while (count > 0 && digits[count - 1] == '0')
			count--;
	if (count > 0)
		buf_putc(out, layout[0]);
	buf_put(out, digits, count);
}

static void write_layout(struct buf *out, const struct value *layout, int64_t now_ms)
{
	const char *at = layout->bytes, *end = at + layout->len;
	time_t seconds = (time_t)(now_ms / 1000);
	struct tm tm;

	(void)gmtime_r(&seconds, &tm);
	while (at < end) {
		size_t len = fraction(at, end), i = 0;

		if (len > 0) {
			write_fraction(out, at, len, (unsigned)(now_ms % 1000));
			at += len;
			continue;
		}
		/* In _2006 the underscore is one. */
		if (end - at >= 5 && memcmp(at, "_2006", 5) == 0)
			i = ARRAY_SIZE(parts);
		for (; i < ARRAY_SIZE(parts); i++) {
			len = strlen(parts[i].spelling);
			if (len <= (size_t)(end - at) && memcmp(at, parts[i].spelling, len) == 0 &&
			    !is_word(parts[i].spelling, at + len, end))
				break;
		}
		if (i < ARRAY_SIZE(parts)) {
			write_part(out, &tm, parts[i].part);
			at += len;
		} else {
			buf_putc(out, *at++);
		}
	}
}

static int call_timestamp(struct render *render, const struct value *arguments, size_t count,
			  struct value *ret)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct value layout = value_text("2006-01-02T15:04:05Z07:00", 25);

	if (count > 1)
		return render_error(render, "it takes one argument, or none");
	if (count == 1)
		layout = arguments[0];
	if (layout.len == 4 && memcmp(layout.bytes, "unix", 4) == 0)
		buf_printf(&out, "%lld", (long long)(render->source->now_ms / 1000));
	else
		write_layout(&out, &layout, render->source->now_ms);
	return render_string(render, &out, ret);
}

const struct template_function functions_time[] = {
	{ "timestamp", "s*", call_timestamp },
	{ 0 },
};
