#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions that templates may call: one table per family.
 */
#include <stdbool.h>
#include <stddef.h>

#include "agent/template/render.h"

typedef int template_call(struct render *render, const struct value *arguments, size_t count,
			  struct value *ret);

struct template_function {
	const char *name;
	/* A letter per argument, the last one for any number when a * follows it:
	 * s string, i int, f float64, b bool, m map[string]interface {}, t []string,
	 * l []interface {}, a interface {} (nothing becomes nil), v as it is */
	const char *takes;
	template_call *call;
};

/* NULL when there is none of that name. */
const struct template_function *function_find(const char *name, size_t len);

/* Why a function that others have is not here; NULL when nobody has it. */
const char *function_refusal(const char *name, size_t len);

/* Does a pattern of the denied functions (* is anything) mean this one? Go's own are never meant.
 */
bool function_matches(const struct template_function *function, const char *pattern);

/* A method of the value, NULL when it has none of that name. The value is its first argument. */
const struct template_function *function_method(const struct value *value, const char *name,
						size_t len);

/* These two evaluate their arguments one by one: exec does it. */
extern const struct template_function function_and, function_or;

/* The families; each table ends with a row without a name. */
extern const struct template_function functions_builtin[], functions_collection[],
	functions_compare[], functions_encode[], functions_json[], functions_math[],
	functions_parse[], functions_pki[], functions_regex[], functions_secret[],
	functions_string[], functions_time[];

/* Of what pkiCert returns. */
extern const struct template_function methods_pem[];
bool functions_is_pem(const struct value *value);
