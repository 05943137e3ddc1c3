#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data cases of tests/injector/cases: a file is a family, {"defaults": {...}, "cases": [...]},
 * read here by the C tests and over HTTPS by tests/e2e. tests/injector/cases/README.md says what a
 * case may hold.
 */
#include "agent/base/json_edit.h"
#include "injector/config.h"
#include "injector/versions.h"

struct test_case {
	const char *file, *name;
	struct injector_config *config;
	struct cluster_versions versions;
	const char *namespace;
	const struct json_node *pod;
	const struct json_node *expect;
};

typedef void case_fn(const struct test_case *one);

/* Calls `run` for every case of every file; returns how many there were. Aborts the test on a file
 * that cannot be read. */
size_t cases_run(case_fn *run);

/* Does `actual` hold all of `expected`? Maps: each member; lists of maps: each item in any one
 * item, found by its name; other lists and scalars: the same. The first difference's path goes to
 * `where`.
 */
bool case_matches(const struct json_node *expected, const struct json_node *actual,
		  struct buf *where);
