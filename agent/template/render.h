#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One render: what is shared between the walk over the tree and the functions that it calls.
 */
#include "agent/base/buf.h"
#include "agent/template/template.h"
#include "agent/template/tree.h"
#include "agent/template/value.h"

struct variable {
	const struct name *name;
	struct value value;
};

struct render {
	struct region values;
	const struct tree *tree;
	const struct template_options *options;
	struct template_source *source;
	struct error *err;
	struct buf *out;	    /* of the template, or of executeTemplate */
	struct variable *variables; /* a stack; names are looked up from its top */
	size_t variable_count, variable_capacity;
	struct map *scratch;
	unsigned depth;
	unsigned long steps;
	size_t waiting; /* answers that were not there */
	bool refused;	/* the source said that an answer will never be there */
};

/* An error at a place. Returns -1. */
int render_fail(struct render *render, uint32_t at, const char *format, ...) PRINTF_LIKE(3, 4);
int render_no_memory(struct render *render);

/* The text of a function's error; its place and name are added by the caller. Returns -1. */
int render_error(struct render *render, const char *format, ...) PRINTF_LIKE(2, 3);

/* A string in the render's memory out of a buffer. */
int render_string(struct render *render, const struct buf *buf, struct value *ret) MUST_USE;
int render_copy(struct render *render, const void *bytes, size_t len, struct value *ret) MUST_USE;

/* Runs a defined template and leaves what it wrote in `out`. */
int render_template(struct render *render, const char *name, size_t len, const struct value *dot,
		    struct buf *out) MUST_USE;
