/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child's environment: the user's own strings where they lie, and the secrets' in one wiped
 * buffer.
 */
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/base/wipe.h"
#include "agent/launcher_parts.h"

/* What exec counts besides the strings, and a little that it adds itself: AT_EXECFN, the auxiliary
 * vector. */
enum { EXEC_SLACK = 8192, EXEC_LEAST = 128 << 10, EXEC_MOST = 6 << 20 };

static const char *const pristine_names[] = {
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "TZ", "PWD",
};

static bool same_name(const char *text, const char *name, size_t len)
{
	return strncmp(text, name, len) == 0 && text[len] == '=';
}

static bool stays_pristine(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(pristine_names); i++)
		if (same_name(text, pristine_names[i], strlen(pristine_names[i])))
			return true;
	return text_starts_with(text, "LC_");
}

/* First the sizes, then the copies: pointers into the buffer stay good because it never grows. */
static int read_items(struct child_environment *ret, struct frame *frame, struct error *err)
{
	struct frame ahead = *frame;
	const char *name, *value;
	size_t name_len, len, total = 0;
	uint32_t kind;

	for (; frame_take_number(&ahead, &kind) && frame_take_bytes(&ahead, &name, &name_len) &&
	       frame_take_bytes(&ahead, &value, &len);
	     ret->count++)
		total += name_len + len + 2;
	ret->strings = BUF_INIT(total);
	ret->values = wipe_calloc(ret->count, sizeof(*ret->values));
	if (ret->values == NULL || buf_reserve(&ret->strings, total) == NULL)
		return error_no_memory(err);

	for (size_t i = 0; i < ret->count; i++) {
		struct child_value *item = &ret->values[i];

		if (!frame_take_number(frame, &kind) ||
		    !frame_take_bytes(frame, &name, &name_len) ||
		    !frame_take_bytes(frame, &value, &len))
			return error_set(err, ERROR_PROTOCOL, "the broker sent half a variable");
		item->name = ret->strings.data + ret->strings.len;
		buf_put(&ret->strings, name, name_len);
		buf_putc(&ret->strings, kind == FRAME_ITEM_FILE ? '\0' : '=');
		item->bytes = ret->strings.data + ret->strings.len;
		buf_put(&ret->strings, value, len);
		buf_putc(&ret->strings, '\0');
		item->len = len;
		item->file = kind == FRAME_ITEM_FILE;
	}
	return 0;
}

static int merge(struct child_environment *ret, char **base, const struct launch_plan *plan,
		 struct error *err)
{
	size_t count = 0, kept = 0;

	while (base[count] != NULL)
		count++;
	ret->vector = calloc(count + ret->count + 1, sizeof(*ret->vector));
	if (ret->vector == NULL)
		return error_no_memory(err);
	for (size_t i = 0; i < count; i++)
		if (!plan->pristine || stays_pristine(base[i]))
			ret->vector[kept++] = base[i];

	for (size_t i = 0; i < ret->count; i++) {
		const struct child_value *item = &ret->values[i];
		size_t len = (size_t)(item->bytes - item->name) - 1, at = 0;

		if (item->file || plan->no_env)
			continue;
		while (at < kept && !same_name(ret->vector[at], item->name, len))
			at++;
		if (at < kept && plan->strict)
			return error_set(err, ERROR_BAD_DATA,
					 "%.*s is in the environment already, and --strict lets no "
					 "secret replace it: unset it, or leave --strict out",
					 (int)len, item->name);
		ret->vector[at] = ret->strings.data + (item->name - ret->strings.data);
		if (at == kept)
			kept++;
	}
	return 0;
}

static size_t exec_limit(void)
{
	struct rlimit stack;
	size_t limit = EXEC_MOST;

	if (getrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur / 4 < limit)
		limit = stack.rlim_cur / 4;
	return limit > EXEC_LEAST ? limit : EXEC_LEAST;
}

static int check_size(const struct child_environment *environment, char **argv, struct error *err)
{
	size_t total = EXEC_SLACK, limit = exec_limit();
	const struct child_value *largest = NULL;

	for (char **text = argv; *text != NULL; text++)
		total += strlen(*text) + 1 + sizeof(*text);
	for (char **text = environment->vector; *text != NULL; text++)
		total += strlen(*text) + 1 + sizeof(*text);
	if (total <= limit)
		return 0;
	for (size_t i = 0; i < environment->count; i++)
		if (!environment->values[i].file &&
		    (largest == NULL || environment->values[i].len > largest->len))
			largest = &environment->values[i];
	if (largest == NULL)
		return 0;
	return error_set(
		err, ERROR_BAD_DATA,
		"arguments and environment are %zu bytes with the secrets, more than the %zu that "
		"the kernel takes; the largest is %.*s with %zu: give it as a file, or raise "
		"the stack limit (ulimit -s)",
		total, limit, (int)(largest->bytes - largest->name - 1), largest->name,
		largest->len);
}

int child_environment_read(struct child_environment *ret, struct frame *frame, char **base,
			   const struct launch_plan *plan, struct error *err)
{
	AUTO(child_environment_deinit) struct child_environment made = { 0 };
	uint32_t flags;

	if (!frame_take_number(frame, &flags))
		return error_set(err, ERROR_PROTOCOL, "the broker sent an empty environment");
	made.supervise = (flags & FRAME_ENV_SUPERVISE) != 0;
	if (read_items(&made, frame, err) < 0 || merge(&made, base, plan, err) < 0 ||
	    check_size(&made, plan->argv, err) < 0)
		return -1;
	*ret = made;
	made = (struct child_environment){ 0 };
	return 0;
}

void child_environment_deinit(struct child_environment *environment)
{
	buf_deinit(&environment->strings);
	wipe_free(environment->values);
	free(environment->vector);
	*environment = (struct child_environment){ 0 };
}
