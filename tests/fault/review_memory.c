/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One allocation of a review fails, each in turn: there is then no answer, or the same one as ever.
 * Nothing is made of half a text. Linked with malloc and its like wrapped.
 *
 *   review_memory FILE...     prints a line per file, exits 1 at the first wrong answer
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "injector/review.h"

enum { BODY_MAX = 1 << 20, ANSWER_MAX = 16 << 20 };

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

/* How many succeed before one fails; negative: all. */
static long until_failure = -1;
static bool failed;

static bool fails(void)
{
	if (until_failure < 0)
		return false;
	failed = until_failure-- == 0;
	return failed;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

struct trial {
	const struct injector_config *config;
	const struct cluster_versions *versions;
	const char *body;
	size_t len;
};

/* A warning may be lost, and nothing else. */
static bool same_but_warnings(const struct buf *one, const struct buf *other)
{
	const char *warnings = strstr(buf_string(one), ",\"warnings\":[");
	size_t len = warnings != NULL ? (size_t)(warnings - one->data) : one->len;

	return other->len >= len && len > 0 && memcmp(one->data, other->data, len) == 0;
}

/* 0: all allocations were tried. */
static int try_all(const struct trial *trial, const char *name)
{
	AUTO(buf_deinit) struct buf good = BUF_INIT(ANSWER_MAX);
	struct review_outcome outcome;
	struct error err;
	long count = 0;

	if (review_answer(trial->config, trial->versions, trial->body, trial->len, &good, &outcome,
			  &err) < 0)
		return printf("%s: %s\n", name, err.text) < 0 ? 1 : 1;
	do {
		AUTO(buf_deinit) struct buf answer = BUF_INIT(ANSWER_MAX);
		int result;

		failed = false;
		until_failure = count++;
		result = review_answer(trial->config, trial->versions, trial->body, trial->len,
				       &answer, &outcome, &err);
		until_failure = -1;
		if (result == 0 && !same_but_warnings(&good, &answer)) {
			(void)printf("%s: another answer without allocation %ld: %s\n", name,
				     count - 1, buf_string(&answer));
			return 1;
		}
	} while (failed || until_failure >= 0);
	(void)printf("%s: %ld allocations, %s\n", name, count - 1,
		     mutate_verdict_name(outcome.verdict));
	return 0;
}

int main(int argc, char **argv)
{
	static const char operator_file[] =
		"profiles: { default: { address: 'https://v', image: a, auth: { role: r }, "
		"pull_secrets: [ x, y ] } }";
	const struct cluster_versions versions[] = { { { 1, 36 }, { 1, 36 } }, { { 0 }, { 0 } } };
	static char body[BODY_MAX];
	struct config_problems problems = { 0 };
	AUTO(injector_config_freep)
	struct injector_config *config =
		injector_config_parse(operator_file, strlen(operator_file), "operator", &problems);

	for (int i = 1; config != NULL && i < argc; i++) {
		FILE *file = fopen(argv[i], "r");
		size_t len = file != NULL ? fread(body, 1, sizeof(body), file) : 0;

		if (file == NULL || fclose(file) != 0)
			return 1;
		for (size_t j = 0; j < ARRAY_SIZE(versions); j++) {
			const struct trial trial = { config, &versions[j], body, len };

			if (try_all(&trial, argv[i]) != 0)
				return 1;
		}
	}
	return config != NULL ? 0 : 1;
}
