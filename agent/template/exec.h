#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a tree: exec walks its nodes, eval says what pipelines are worth.
 */
#include "agent/template/render.h"

/* Runs the text itself; what it writes goes to render->out. */
int exec_run(struct render *render) MUST_USE;

/* The value of a pipeline; what it declares is on the stack of variables afterwards. */
int eval_pipe(struct render *render, const struct value *dot, const struct pipe *pipe,
	      struct value *ret) MUST_USE;

int eval_push(struct render *render, const struct name *name, const struct value *value) MUST_USE;
int eval_assign(struct render *render, uint32_t at, const struct name *name,
		const struct value *value) MUST_USE;

/* One level deeper (leave with render->depth--), and one step further; -1 past the limit. */
int render_enter(struct render *render, uint32_t at) MUST_USE;
int render_step(struct render *render, uint32_t at) MUST_USE;
