#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the source: what the functions that fetch have in common.
 */
#include "agent/template/render.h"

/* A path without the white space and slashes around it. */
int needs_path(struct render *render, const struct value *argument, const char **ret) MUST_USE;

/* The arguments "k=v", in the order of their names; of two with one name the last counts. */
int needs_pairs(struct render *render, const struct value *arguments, size_t count,
		struct template_need *need) MUST_USE;

/* 1 when the answer is there, 0 when not yet, which the render remembers. */
int needs_ask(struct render *render, const struct template_need *need,
	      struct template_answer *answer) MUST_USE;

/* A struct with room for its fields. */
int needs_object(struct render *render, const struct object_type *type, struct value *ret) MUST_USE;
