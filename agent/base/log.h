#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one line per event on standard error, text (key=value) or JSON, never blocking the loop.
 * base, backends and certs never log; whoever decides what happens next does, once.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/error.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };
enum log_format { LOG_TEXT, LOG_JSON };

void log_setup(enum log_level level, enum log_format format);
enum log_level log_level(void);

/* Lines dropped because standard error was full; for metrics. */
uint64_t log_dropped(void);

/* One key=value of a line; made by the macros below. */
struct log_field {
	const char *key;
	const char *text; /* NULL: number */
	int64_t number;
};

#define LOG_STR(key_, text_)   ((struct log_field){ .key = (key_), .text = (text_) })
#define LOG_NUM(key_, number_) ((struct log_field){ .key = (key_), .number = (number_) })
#define LOG_ERR(err_)                                                                              \
	LOG_STR("error", error_code_name((err_)->code)), LOG_STR("cause", (err_)->text)

/* `event` is a short sentence that is the same each time; what differs goes into fields. Ended by
 * the macro. */
void log_write(enum log_level level, const char *event, const struct log_field *fields);

#define log_event(level_, event_, ...)                                                             \
	log_write((level_), (event_), (const struct log_field[]){ __VA_ARGS__ __VA_OPT__(, ){ 0 } })

#define log_error(event_, ...) log_event(LOG_ERROR, event_ __VA_OPT__(, ) __VA_ARGS__)
#define log_warn(event_, ...)  log_event(LOG_WARN, event_ __VA_OPT__(, ) __VA_ARGS__)
#define log_info(event_, ...)  log_event(LOG_INFO, event_ __VA_OPT__(, ) __VA_ARGS__)
#define log_debug(event_, ...) log_event(LOG_DEBUG, event_ __VA_OPT__(, ) __VA_ARGS__)
