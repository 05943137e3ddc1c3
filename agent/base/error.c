/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One row per code: its word, and the exit status of a command that ends with it (sysexits.h). */
static const struct {
	const char *name;
	int exit_status;
} codes[ERROR_CODES] = {
	[ERROR_NONE] = { "none", 0 },
	[ERROR_UNAVAILABLE] = { "unavailable", 69 },
	[ERROR_UNAUTHENTICATED] = { "unauthenticated", 77 },
	[ERROR_DENIED] = { "denied", 77 },
	[ERROR_FORBIDDEN] = { "forbidden", 78 },
	[ERROR_NOT_FOUND] = { "not_found", 65 },
	[ERROR_INVALID] = { "invalid", 78 },
	[ERROR_BAD_DATA] = { "bad_data", 65 },
	[ERROR_PROTOCOL] = { "protocol", 69 },
	[ERROR_EXHAUSTED] = { "exhausted", 69 },
	[ERROR_CANCELED] = { "canceled", 69 },
	[ERROR_USAGE] = { "usage", 64 },
};

int error_set(struct error *err, enum error_code code, const char *format, ...)
{
	va_list args;

	err->code = code;
	err->retry_after_ms = 0;
	va_start(args, format);
	(void)vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return -1;
}

static enum error_code code_of_errno(int number)
{
	switch (number) {
	case ENOENT:
	case ENOTDIR:
		return ERROR_NOT_FOUND;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERROR_FORBIDDEN;
	case ENOMEM:
	case ENOSPC:
	case EDQUOT:
	case EMFILE:
	case ENFILE:
	case EFBIG:
		return ERROR_EXHAUSTED;
	case EINVAL:
	case ENAMETOOLONG:
	case EISDIR:
	case ELOOP:
		return ERROR_INVALID;
	default:
		return ERROR_UNAVAILABLE;
	}
}

int error_errno(struct error *err, int number, const char *format, ...)
{
	va_list args;
	size_t used;

	err->code = code_of_errno(number);
	err->retry_after_ms = 0;
	va_start(args, format);
	(void)vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	used = strlen(err->text);
	(void)snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(number));
	return -1;
}

int error_wrap(struct error *err, const char *format, ...)
{
	char context[ERROR_TEXT_MAX];
	va_list args;
	size_t used, room;

	va_start(args, format);
	(void)vsnprintf(context, sizeof(context), format, args);
	va_end(args);

	/* The cause is worth more than the context: what does not fit is cut from its tail only. */
	used = strlen(context);
	if (used + 2 >= sizeof(err->text))
		return -1;
	room = sizeof(err->text) - used - 2;
	memmove(err->text + used + 2, err->text, room);
	memcpy(err->text, context, used);
	memcpy(err->text + used, ": ", 2);
	err->text[sizeof(err->text) - 1] = '\0';
	return -1;
}

int error_no_memory(struct error *err)
{
	return error_set(err, ERROR_EXHAUSTED, "out of memory");
}

bool error_is_final(enum error_code code)
{
	return code == ERROR_DENIED || code == ERROR_NOT_FOUND || code == ERROR_INVALID ||
	       code == ERROR_FORBIDDEN || code == ERROR_BAD_DATA;
}

const char *error_code_name(enum error_code code)
{
	return code < ERROR_CODES ? codes[code].name : "unknown";
}

int error_exit_status(enum error_code code)
{
	return code < ERROR_CODES ? codes[code].exit_status : 70;
}
