#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates in the language of Vault Agent: Go's text/template with the functions of
 * consul-template. Pure: what a template needs is asked from a source, what it makes is bytes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/error.h"
#include "agent/base/json.h"
#include "agent/base/secret.h"

#define TEMPLATE_TEXT_MAX   ((size_t)4 << 20)  /* of the template itself */
#define TEMPLATE_OUTPUT_MAX SECRET_MAX	       /* of one render */
#define TEMPLATE_MEMORY_MAX ((size_t)64 << 20) /* values of one render, and the tree */
#define TEMPLATE_STEPS_MAX  10000000	       /* nodes that are evaluated in one render */

struct template;

struct template_options {
	const char *name;	  /* of the file, for errors */
	const char *left, *right; /* delimiters; NULL or "": {{ and }} */
	const char *const
		*denied; /* functions, * in a name is anything; ends with NULL. NULL: none */
	bool missing_key_is_error;
};

/* Copies what it needs. NULL with ERROR_BAD_DATA that names file, line and column (a syntax error,
 * a function that is unknown or not supported), or ERROR_EXHAUSTED. */
struct template *template_new(const char *text, size_t len, const struct template_options *options,
			      struct error *err) MUST_USE;
struct template *template_free(struct template *template); /* returns NULL */

/* ---- what a template needs ---- */

enum template_kind {
	TEMPLATE_READ,	/* secret "path" */
	TEMPLATE_WRITE, /* secret "path" "k=v"…: an API call that writes */
	TEMPLATE_LIST,	/* secrets "path" */
	TEMPLATE_PKI,	/* pkiCert "path" "k=v"… */
	TEMPLATE_FILE,	/* file "path" */
};

struct template_pair {
	const char *name, *value;
	size_t value_len;
};

struct template_need {
	enum template_kind kind;
	const char *path;		   /* without the white space and slashes around it */
	const struct template_pair *pairs; /* in the order of their names */
	size_t pair_count;
};

/* What a source knows. Stays valid until the render ends. */
struct template_answer {
	const struct json_node *reply; /* the API's whole answer; NULL for a file */
	const char *bytes;	       /* of a file */
	size_t len;
};

struct template_source {
	/* 1 with *ret filled, 0 when it is not there yet, -1 when it never will be. */
	int (*lookup)(struct template_source *source, const struct template_need *need,
		      struct template_answer *ret, struct error *err);
	/* A variable of the environment; NULL when it is not set. */
	const char *(*environment)(struct template_source *source, const char *name);
	int64_t now_ms; /* real time, for timestamp */
};

/* Renders: *ret is the output, or NULL when something was asked for that is not there yet (what
 * the source was asked for is what is needed so far). -1 with ERROR_BAD_DATA that names file,
 * line, column and function, never a value; an error of the source; or ERROR_EXHAUSTED. */
int template_render(struct template *template, struct template_source *source, struct secret **ret,
		    struct error *err) MUST_USE;

static inline void template_freep(struct template **template)
{
	*template = template_free(*template);
}
