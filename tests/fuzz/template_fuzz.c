/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lexer, parser and run, with answers that are there and answers that are not. The first byte
 * chooses delimiters and what a missing key is.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/template/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { INPUT_MAX = 4096 };

static const char answer_text[] =
	"{\"data\": {\"user\": \"ann\", \"port\": 1.50, \"list\": [1, \"two\", null, {\"a\": 1}], "
	"\"map\": {\"a/b\": 1, \"b\": {\"c\": \"d\"}}, \"nil\": null, \"keys\": [\"b\", \"a\"]}}";

struct fuzzed {
	struct template_source source;
	struct json_doc *answer;
};

static int lookup(struct template_source *source, const struct template_need *need,
		  struct template_answer *ret, struct error *err)
{
	struct fuzzed *fuzzed = CONTAINER_OF(source, struct fuzzed, source);

	(void)err;
	if (strcmp(need->path, "later") == 0)
		return 0;
	*ret = (struct template_answer){ .reply = json_doc_root(fuzzed->answer),
					 .bytes = answer_text,
					 .len = sizeof(answer_text) - 1 };
	return 1;
}

static const char *environment(struct template_source *source, const char *name)
{
	(void)source;
	return name[0] == 'H' ? "/home/x" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct template_options options = { .name = "t" };
	struct fuzzed fuzzed = { .source = { .lookup = lookup, .environment = environment } };
	AUTO(json_doc_freep) struct json_doc *answer = NULL;
	AUTO(template_freep) struct template *template = NULL;
	AUTO(secret_unrefp) struct secret *output = NULL;
	struct error err = ERROR_INIT;

	if (len == 0 || len > INPUT_MAX)
		return 0;
	answer = json_doc_read(answer_text, strlen(answer_text), &JSON_REPLY_LIMITS, &err);
	if (answer == NULL)
		abort();
	fuzzed.answer = answer;
	if (bytes[0] & 1)
		options.left = options.right = "|";
	options.missing_key_is_error = (bytes[0] & 2) != 0;
	template = template_new((const char *)bytes + 1, len - 1, &options, &err);
	if (template == NULL) {
		if (err.code == ERROR_NONE)
			abort();
		return 0;
	}
	if (template_render(template, &fuzzed.source, &output, &err) < 0 && err.code == ERROR_NONE)
		abort();
	return 0;
}
