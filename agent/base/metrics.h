#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus' text format: a family's head, then its samples. Whoever has the numbers writes them;
 * nothing is registered, and nothing here can hold a secret.
 */
#include <stdint.h>

#include "agent/base/buf.h"

/* Counters' names end with _total. */
enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* Ends with a name that is NULL; NULL for no labels at all. */
struct metric_label {
	const char *name;
	const char *value; /* any text; escaped when written */
};

#define METRIC_LABELS(...) ((const struct metric_label[]){ __VA_ARGS__, { NULL, NULL } })

/* `# HELP` and `# TYPE`: once per name, before its samples. */
void metrics_family(struct buf *buf, const char *name, enum metric_type type, const char *help);

void metrics_number(struct buf *buf, const char *name, const struct metric_label *labels,
		    int64_t value);

/* Milliseconds as seconds with a fraction: names end with _seconds. */
void metrics_seconds(struct buf *buf, const char *name, const struct metric_label *labels,
		     int64_t ms);

#define HISTOGRAM_BOUNDS 16

/* How long something took; zeroed is empty. */
struct histogram {
	uint64_t buckets[HISTOGRAM_BOUNDS + 1]; /* the last holds what is longer than every bound */
	uint64_t sum_us;
};

void histogram_add(struct histogram *histogram, int64_t ms);
void histogram_add_us(struct histogram *histogram, int64_t us);

/* The samples _bucket, _sum and _count of a family of METRIC_HISTOGRAM. */
void metrics_histogram(struct buf *buf, const char *name, const struct metric_label *labels,
		       const struct histogram *histogram);
