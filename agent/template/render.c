/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/template/render.h"

#include <stdarg.h>
#include <stdio.h>

#include "agent/template/exec.h"

int render_fail(struct render *render, uint32_t at, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return tree_fail(render->tree, at, render->err, "%s", text);
}

int render_error(struct render *render, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return error_set(render->err, ERROR_BAD_DATA, "%s", text);
}

int render_no_memory(struct render *render)
{
	return error_set(render->err, ERROR_EXHAUSTED,
			 "the values need more than %zu MiB, the most that a template may use",
			 TEMPLATE_MEMORY_MAX >> 20);
}

int render_copy(struct render *render, const void *bytes, size_t len, struct value *ret)
{
	char *copy = region_copy(&render->values, bytes, len);

	if (copy == NULL)
		return render_no_memory(render);
	*ret = value_text(copy, len);
	return 0;
}

int render_string(struct render *render, const struct buf *buf, struct value *ret)
{
	if (buf->failed)
		return error_set(render->err, ERROR_EXHAUSTED, "the result is too large");
	return render_copy(render, buf->data, buf->len, ret);
}

int render_enter(struct render *render, uint32_t at)
{
	if (render->depth >= TEMPLATE_NESTING_MAX)
		return render_fail(render, at,
				   "more than %d levels deep; does a template call itself?",
				   TEMPLATE_NESTING_MAX);
	render->depth++;
	return 0;
}

int render_step(struct render *render, uint32_t at)
{
	if (render->steps >= TEMPLATE_STEPS_MAX)
		return render_fail(render, at,
				   "more than %d steps, the most that a template may take",
				   TEMPLATE_STEPS_MAX);
	render->steps++;
	return 0;
}
