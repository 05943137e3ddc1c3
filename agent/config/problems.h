#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of findings while it grows.
 */
#include "agent/config/config.h"

/* A file with more faults than this is another kind of file. */
#define CONFIG_PROBLEMS_MAX 200

/* Takes over `text`; without memory for it the finding is dropped and a last one says so. */
void config_problems_add(struct config_problems *problems, const char *file, size_t line,
			 size_t column, char *text);

/* In the order of the file; findings of one place keep their order. */
void config_problems_sort(struct config_problems *problems);
