/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One reader per type in a table; everything else walks rows. Memory is any malloc's: rows may be
 * filled by whoever parses lists and maps.
 */
#include "agent/base/option.h"

#include <string.h>

#include "agent/base/text.h"
#include "agent/base/wipe.h"

enum { SHOWN_MAX = 40, BOUND_MAX = 32 };

typedef int read_fn(const struct option *option, void *value, const char *text, struct error *err);

static void *value_of(const struct option *option, void *object)
{
	return (char *)object + option->offset;
}

static int set_string(char **value, char *text, struct error *err)
{
	if (text == NULL)
		return error_no_memory(err);
	wipe_free(*value);
	*value = text;
	return 0;
}

static int read_string(const struct option *option, void *value, const char *text,
		       struct error *err)
{
	(void)option;
	return set_string(value, wipe_strdup(text), err);
}

static int read_path(const struct option *option, void *value, const char *text, struct error *err)
{
	AUTO(buf_deinit) struct buf path = BUF_INIT(4095);
	const char *home;

	(void)option;
	if (*text == '\0')
		return error_set(err, ERROR_INVALID, "an empty path");
	if (text_starts_with(text, "~/")) {
		home = secure_getenv("HOME");
		if (home == NULL || *home != '/')
			return error_set(
				err, ERROR_INVALID,
				"'%.*s' needs $HOME, which is not set: write the whole path",
				SHOWN_MAX, text);
		buf_puts(&path, home);
		text++;
	}
	buf_puts(&path, text);
	if (buf_check(&path, "the path", err) < 0)
		return -1;
	return set_string(value, buf_steal(&path), err);
}

static int read_bool(const struct option *option, void *value, const char *text, struct error *err)
{
	bool truth = strcmp(text, "true") == 0;

	(void)option;
	if (!truth && strcmp(text, "false") != 0)
		return error_set(err, ERROR_INVALID, "'%.*s' is neither true nor false", SHOWN_MAX,
				 text);
	*(bool *)value = truth;
	return 0;
}

static void write_bound(struct buf *buf, const struct option *option, int64_t bound)
{
	if (option->type == OPTION_DURATION)
		text_write_duration(buf, bound);
	else
		buf_printf(buf, "%lld", (long long)bound);
}

static int check_bounds(const struct option *option, bool too_small, bool too_large,
			const char *text, struct error *err)
{
	AUTO(buf_deinit) struct buf bound = BUF_INIT(BOUND_MAX);

	if ((option->least == 0 && option->most == 0) || (!too_small && !too_large))
		return 0;
	write_bound(&bound, option, too_small ? option->least : option->most);
	return error_set(err, ERROR_INVALID, "'%.*s' is too %s: at %s %s", SHOWN_MAX, text,
			 too_small ? "small" : "large", too_small ? "least" : "most",
			 buf_string(&bound));
}

/* `.least = 1` alone sets no upper bound. */
static bool is_bounded(const struct option *option)
{
	return option->most >= option->least && option->most >= 0;
}

static int check_signed(const struct option *option, int64_t number, const char *text,
			struct error *err)
{
	bool too_large = is_bounded(option) && number > option->most;

	return check_bounds(option, number < option->least, too_large, text, err);
}

static int check_unsigned(const struct option *option, uint64_t number, const char *text,
			  struct error *err)
{
	bool too_small = option->least > 0 && number < (uint64_t)option->least;
	bool too_large = is_bounded(option) && number > (uint64_t)option->most;

	return check_bounds(option, too_small, too_large, text, err);
}

static int read_duration(const struct option *option, void *value, const char *text,
			 struct error *err)
{
	int64_t ms;

	if (text_read_duration(text, &ms, err) < 0 || check_signed(option, ms, text, err) < 0)
		return -1;
	*(int64_t *)value = ms;
	return 0;
}

static int read_size(const struct option *option, void *value, const char *text, struct error *err)
{
	uint64_t size;

	if (text_read_size(text, &size, err) < 0 || check_unsigned(option, size, text, err) < 0)
		return -1;
	*(uint64_t *)value = size;
	return 0;
}

static int read_mode(const struct option *option, void *value, const char *text, struct error *err)
{
	unsigned mode;

	if (text_read_mode(text, &mode, err) < 0 || check_unsigned(option, mode, text, err) < 0)
		return -1;
	*(unsigned *)value = mode;
	return 0;
}

static int read_unsigned(const struct option *option, void *value, const char *text,
			 struct error *err)
{
	uint64_t number;

	if (text_read_unsigned(text, UINT64_MAX, &number, err) < 0 ||
	    check_unsigned(option, number, text, err) < 0)
		return -1;
	*(uint64_t *)value = number;
	return 0;
}

static int read_id(const struct option *option, void *value, const char *text, struct error *err)
{
	uint64_t number;

	/* The largest 32-bit number means "leave as it is" to chown. */
	if (text_read_unsigned(text, UINT32_MAX - 1, &number, err) < 0 ||
	    check_unsigned(option, number, text, err) < 0)
		return -1;
	*(int64_t *)value = (int64_t)number;
	return 0;
}

static int refuse_choice(const struct option *option, const char *text, struct error *err)
{
	AUTO(buf_deinit) struct buf list = BUF_INIT(ERROR_TEXT_MAX);
	const char *nearest = text_nearest(text, option->choices);

	for (size_t i = 0; option->choices[i] != NULL; i++)
		buf_printf(&list, "%s%s", i > 0 ? ", " : "", option->choices[i]);
	return error_set(err, ERROR_INVALID, "'%.*s' is not one of %s%s%s%s", SHOWN_MAX, text,
			 buf_string(&list), nearest != NULL ? "; did you mean '" : "",
			 nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
}

static int read_choice(const struct option *option, void *value, const char *text,
		       struct error *err)
{
	for (int i = 0; option->choices[i] != NULL; i++)
		if (strcmp(option->choices[i], text) == 0) {
			*(int *)value = i;
			return 0;
		}
	return refuse_choice(option, text, err);
}

/* NULL: no scalar. */
static read_fn *const readers[] = {
	[OPTION_STRING] = read_string,
	[OPTION_PATH] = read_path,
	[OPTION_STRINGS] = NULL,
	[OPTION_BOOL] = read_bool,
	[OPTION_DURATION] = read_duration,
	[OPTION_SIZE] = read_size,
	[OPTION_MODE] = read_mode,
	[OPTION_UNSIGNED] = read_unsigned,
	[OPTION_ID] = read_id,
	[OPTION_CHOICE] = read_choice,
	[OPTION_JSON] = NULL,
	[OPTION_TABLE] = NULL,
};

int option_read(const struct option *option, void *object, const char *text, struct error *err)
{
	read_fn *read = readers[option->type];

	if (read == NULL)
		return error_set(err, ERROR_INVALID, "'%.*s' stands where a %s is expected",
				 SHOWN_MAX, text, option->type == OPTION_STRINGS ? "list" : "map");
	return read(option, value_of(option, object), text, err);
}

static int default_of(const struct option *row, void *object, struct error *err)
{
	void *value = value_of(row, object);

	if (row->type == OPTION_TABLE)
		return option_defaults(row->members, value, err);
	if (row->type == OPTION_ID)
		*(int64_t *)value = -1;
	if (row->fallback == NULL)
		return 0;
	if (row->type == OPTION_STRINGS)
		return strings_add(value, row->fallback, err);
	if (row->type == OPTION_JSON)
		return set_string(value, wipe_strdup(row->fallback), err);
	return option_read(row, object, row->fallback, err);
}

int option_defaults(const struct option *table, void *object, struct error *err)
{
	for (const struct option *row = table; row->name != NULL; row++)
		if (default_of(row, object, err) < 0)
			return error_wrap(err, "default of %s", row->name);
	return 0;
}

const struct option *option_find(const struct option *table, const char *name)
{
	for (const struct option *row = table; row->name != NULL; row++)
		if (strcmp(row->name, name) == 0)
			return row;
	return NULL;
}

const char *option_nearest(const struct option *table, const char *name)
{
	const char *best = NULL;

	for (const struct option *row = table; row->name != NULL; row++) {
		const char *pair[] = { best != NULL ? best : row->name, row->name, NULL };

		best = text_nearest(name, pair);
	}
	return best;
}

static void free_row(const struct option *row, void *value)
{
	switch (row->type) {
	case OPTION_STRING:
	case OPTION_PATH:
	case OPTION_JSON:
		wipe_freep(value);
		break;
	case OPTION_STRINGS:
		strings_free(value);
		break;
	case OPTION_TABLE:
		option_free(row->members, value);
		break;
	case OPTION_BOOL:
	case OPTION_DURATION:
	case OPTION_SIZE:
	case OPTION_MODE:
	case OPTION_UNSIGNED:
	case OPTION_ID:
	case OPTION_CHOICE:
		break;
	}
}

void option_free(const struct option *table, void *object)
{
	for (const struct option *row = table; row->name != NULL; row++)
		free_row(row, value_of(row, object));
}

static bool equal_text(const char *one, const char *other)
{
	return one == other || (one != NULL && other != NULL && strcmp(one, other) == 0);
}

static bool equal_strings(const struct strings *one, const struct strings *other)
{
	if (one->count != other->count)
		return false;
	for (size_t i = 0; i < one->count; i++)
		if (strcmp(one->items[i], other->items[i]) != 0)
			return false;
	return true;
}

static bool equal_row(const struct option *row, const void *one, const void *other)
{
	switch (row->type) {
	case OPTION_STRING:
	case OPTION_PATH:
	case OPTION_JSON:
		return equal_text(*(char *const *)one, *(char *const *)other);
	case OPTION_STRINGS:
		return equal_strings(one, other);
	case OPTION_TABLE:
		return option_equal(row->members, one, other);
	case OPTION_BOOL:
		return *(const bool *)one == *(const bool *)other;
	case OPTION_DURATION:
	case OPTION_SIZE:
	case OPTION_UNSIGNED:
	case OPTION_ID:
		return memcmp(one, other, sizeof(int64_t)) == 0;
	case OPTION_MODE:
	case OPTION_CHOICE:
		return memcmp(one, other, sizeof(int)) == 0;
	}
	return false;
}

bool option_equal(const struct option *table, const void *one, const void *other)
{
	for (const struct option *row = table; row->name != NULL; row++)
		if (!equal_row(row, (const char *)one + row->offset,
			       (const char *)other + row->offset))
			return false;
	return true;
}

static void write_text(struct buf *out, const char *text)
{
	/* Quoted, so that no value looks like two lines. */
	if (text != NULL)
		text_write_json(out, text, strlen(text));
	buf_putc(out, '\n');
}

static void write_row(struct buf *out, const struct option *row, const void *value)
{
	const struct strings *list = value;

	buf_printf(out, "%s=", row->name);
	switch (row->type) {
	case OPTION_STRING:
	case OPTION_PATH:
	case OPTION_JSON:
		write_text(out, *(char *const *)value);
		break;
	case OPTION_STRINGS:
		buf_printf(out, "%zu\n", list->count);
		for (size_t i = 0; i < list->count; i++)
			write_text(out, list->items[i]);
		break;
	case OPTION_TABLE:
		buf_putc(out, '\n');
		option_write(out, row->members, value);
		break;
	case OPTION_BOOL:
		buf_printf(out, "%d\n", *(const bool *)value);
		break;
	case OPTION_DURATION:
	case OPTION_SIZE:
	case OPTION_UNSIGNED:
	case OPTION_ID:
		buf_printf(out, "%lld\n", *(const long long *)value);
		break;
	case OPTION_MODE:
	case OPTION_CHOICE:
		buf_printf(out, "%d\n", *(const int *)value);
		break;
	}
}

void option_write(struct buf *out, const struct option *table, const void *object)
{
	for (const struct option *row = table; row->name != NULL; row++)
		write_row(out, row, (const char *)object + row->offset);
}

int strings_add(struct strings *strings, const char *text, struct error *err)
{
	AUTO(wipe_freep) char *copy = wipe_strdup(text);
	char **items;

	if (copy == NULL)
		return error_no_memory(err);
	/* Full at each power of two. */
	if ((strings->count & (strings->count - 1)) == 0) {
		size_t room = strings->count > 0 ? 2 * strings->count : 1;

		items = reallocarray(strings->items, room, sizeof(*items));
		if (items == NULL)
			return error_no_memory(err);
		strings->items = items;
	}
	strings->items[strings->count++] = STEAL(copy);
	return 0;
}

void strings_free(struct strings *strings)
{
	for (size_t i = 0; i < strings->count; i++)
		wipe_free(strings->items[i]);
	free(strings->items);
	*strings = (struct strings){ 0 };
}
