/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/metrics.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/macros.h"
#include "agent/base/text.h"

/* From work in memory, over a request inside a host, to the time-out of a whole one. */
static const int64_t bounds_us[HISTOGRAM_BOUNDS] = {
	50,    100,    250,    500,    1000,	2500,	 5000,	   10000,
	25000, 100000, 250000, 500000, 1000000, 2500000, 10000000, 15000000,
};

static void put_help(struct buf *buf, const char *help)
{
	for (; *help != '\0'; help++) {
		if (*help == '\\')
			buf_puts(buf, "\\\\");
		else if (*help == '\n')
			buf_puts(buf, "\\n");
		else
			buf_putc(buf, *help);
	}
}

void metrics_family(struct buf *buf, const char *name, enum metric_type type, const char *help)
{
	static const char *const types[] = {
		[METRIC_COUNTER] = "counter",
		[METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM] = "histogram",
	};

	buf_printf(buf, "# HELP %s ", name);
	put_help(buf, help);
	buf_printf(buf, "\n# TYPE %s %s\n", name, types[type]);
}

/* Label values are UTF-8; what is not becomes U+FFFD, lest one bad name cost the whole page. */
static void put_value(struct buf *buf, const char *value)
{
	uint32_t character;
	size_t size;

	for (; *value != '\0'; value += size) {
		size = text_read_character(value, strnlen(value, 4), &character);
		if (size == 0) {
			buf_puts(buf, "\xef\xbf\xbd");
			size = 1;
		} else if (character == '\n') {
			buf_puts(buf, "\\n");
		} else {
			if (character == '"' || character == '\\')
				buf_putc(buf, '\\');
			buf_put(buf, value, size);
		}
	}
}

static void put_label(struct buf *buf, const char *name, const char *value, bool first)
{
	buf_printf(buf, "%s%s=\"", first ? "{" : ",", name);
	put_value(buf, value);
	buf_putc(buf, '"');
}

/* The name with its labels and, for a bucket, `bound` as the last of them. */
static void put_name(struct buf *buf, const char *name, const char *suffix,
		     const struct metric_label *labels, const char *bound)
{
	bool first = true;

	buf_printf(buf, "%s%s", name, suffix);
	for (; labels != NULL && labels->name != NULL; labels++) {
		put_label(buf, labels->name, labels->value, first);
		first = false;
	}
	if (bound != NULL)
		put_label(buf, "le", bound, first);
	if (!first || bound != NULL)
		buf_putc(buf, '}');
	buf_putc(buf, ' ');
}

static void put_seconds(struct buf *buf, int64_t ms)
{
	uint64_t size = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;

	buf_printf(buf, "%s%llu.%03u", ms < 0 ? "-" : "", (unsigned long long)(size / 1000),
		   (unsigned)(size % 1000));
}

void metrics_number(struct buf *buf, const char *name, const struct metric_label *labels,
		    int64_t value)
{
	put_name(buf, name, "", labels, NULL);
	buf_printf(buf, "%lld\n", (long long)value);
}

void metrics_seconds(struct buf *buf, const char *name, const struct metric_label *labels,
		     int64_t ms)
{
	put_name(buf, name, "", labels, NULL);
	put_seconds(buf, ms);
	buf_putc(buf, '\n');
}

void histogram_add(struct histogram *histogram, int64_t ms)
{
	histogram_add_us(histogram, ms * 1000);
}

void histogram_add_us(struct histogram *histogram, int64_t us)
{
	size_t bucket = 0;

	/* A clock that stepped back took no time. */
	if (us < 0)
		us = 0;
	while (bucket < HISTOGRAM_BOUNDS && us > bounds_us[bucket])
		bucket++;
	histogram->buckets[bucket]++;
	histogram->sum_us += (uint64_t)us;
}

/* Seconds, without zeros at the end. */
static void put_us(struct buf *buf, uint64_t us)
{
	char digits[32];
	int len = snprintf(digits, sizeof(digits), "%llu.%06u", (unsigned long long)(us / 1000000),
			   (unsigned)(us % 1000000));

	while (digits[len - 1] == '0' && digits[len - 2] != '.')
		len--;
	buf_put(buf, digits, (size_t)len);
}

void metrics_histogram(struct buf *buf, const char *name, const struct metric_label *labels,
		       const struct histogram *histogram)
{
	uint64_t count = 0;

	for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
		AUTO(buf_deinit) struct buf bound = BUF_INIT(32);

		if (i < HISTOGRAM_BOUNDS)
			put_us(&bound, (uint64_t)bounds_us[i]);
		else
			buf_puts(&bound, "+Inf");
		count += histogram->buckets[i];
		put_name(buf, name, "_bucket", labels, buf_string(&bound));
		buf_printf(buf, "%llu\n", (unsigned long long)count);
	}
	put_name(buf, name, "_sum", labels, NULL);
	put_us(buf, histogram->sum_us);
	buf_putc(buf, '\n');
	put_name(buf, name, "_count", labels, NULL);
	buf_printf(buf, "%llu\n", (unsigned long long)count);
}
