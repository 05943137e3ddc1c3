/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorded answers of the real engine (tests/oracle, `make oracle`): every template makes the
 * same bytes here, or fails in both. Those that do not are listed in tests/oracle/differences.txt
 * with the reason; one that is listed and agrees fails too.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/buf.h"
#include "agent/template/template.h"

enum { FILE_MAX = 32 << 20 };

struct recorded {
	struct template_source source;
	const struct json_node *answers;
};

static void read_file(const char *path, struct buf *out)
{
	FILE *file = fopen(path, "re");
	char bytes[4096];
	size_t len;

	cr_assert_not_null(file, "%s", path);
	while ((len = fread(bytes, 1, sizeof(bytes), file)) > 0)
		buf_put(out, bytes, len);
	cr_assert_eq(fclose(file), 0);
	cr_assert(!out->failed);
}

static struct json_doc *read_json(const char *path)
{
	static const struct json_limits limits = { .depth = 64,
						   .nodes = 1000000,
						   .bytes = FILE_MAX };
	AUTO(buf_deinit) struct buf text = BUF_INIT(FILE_MAX);
	struct json_doc *doc;
	struct error err;

	read_file(path, &text);
	doc = json_doc_read(buf_string(&text), text.len, &limits, &err);
	cr_assert_not_null(doc, "%s: %s", path, err.text);
	return doc;
}

/* The one write that the recorded answers know. */
static bool is_known_write(const struct template_need *need)
{
	return need->pair_count == 2 && strcmp(need->pairs[0].name, "a") == 0 &&
	       strcmp(need->pairs[0].value, "1") == 0 && strcmp(need->pairs[1].name, "b") == 0 &&
	       strcmp(need->pairs[1].value, "two") == 0;
}

static int lookup(struct template_source *source, const struct template_need *need,
		  struct template_answer *ret, struct error *err)
{
	static const char *const verbs[] = {
		[TEMPLATE_READ] = "",	 [TEMPLATE_WRITE] = "PUT ", [TEMPLATE_LIST] = "LIST ",
		[TEMPLATE_PKI] = "PKI ", [TEMPLATE_FILE] = "FILE ",
	};
	struct recorded *recorded = CONTAINER_OF(source, struct recorded, source);
	AUTO(buf_deinit) struct buf key = BUF_INIT(1 << 20);
	const struct json_node *found;

	(void)err;
	buf_printf(&key, "%s%s", verbs[need->kind], need->path);
	found = json_get(recorded->answers, buf_string(&key));
	if (found == NULL || (need->kind == TEMPLATE_WRITE && !is_known_write(need)))
		return 0;
	*ret = (struct template_answer){ .reply = found,
					 .bytes = found->text,
					 .len = found->text_len };
	return 1;
}

static const char *environment(struct template_source *source, const char *name)
{
	(void)source;
	if (strcmp(name, "HOME") == 0)
		return "/home/x";
	return strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

/* NULL when it fails. */
static struct secret *render(const struct json_node *one, struct recorded *recorded)
{
	const struct json_node *text = json_get(one, "template");
	const struct template_options options = {
		.name = json_string(json_get(one, "name")),
		.left = json_string(json_get(one, "left")),
		.right = json_string(json_get(one, "right")),
		.missing_key_is_error = json_bool(json_get(one, "missing"), false),
	};
	struct error err;
	AUTO(template_freep)
	struct template *template = template_new(text->text, text->text_len, &options, &err);
	struct secret *output = NULL;

	if (template == NULL || template_render(template, &recorded->source, &output, &err) < 0)
		return NULL;
	return output;
}

static bool agrees(const struct json_node *one, struct recorded *recorded)
{
	const struct json_node *expected = json_get(one, "output");
	AUTO(secret_unrefp) struct secret *output = render(one, recorded);

	if (output == NULL || expected->type != JSON_IS_STRING)
		return output == NULL && expected->type != JSON_IS_STRING;
	return secret_len(output) == expected->text_len &&
	       memcmp(secret_bytes(output), expected->text, expected->text_len) == 0;
}

static bool is_listed(const struct buf *differences, const char *name)
{
	char line[64];

	(void)snprintf(line, sizeof(line), "\n%s: ", name);
	return strstr(buf_string(differences), line) != NULL;
}

Test(oracle, agrees_byte_for_byte)
{
	AUTO(buf_deinit) struct buf differences = BUF_INIT(1 << 20);
	AUTO(json_doc_freep) struct json_doc *answers = read_json("tests/oracle/data.json");
	AUTO(json_doc_freep)
	struct json_doc *cases = read_json("tests/oracle/answers/answers.json");
	struct recorded recorded = {
		.source = { .lookup = lookup,
			    .environment = environment,
			    .now_ms = 1767366245678 }, /* 2026-01-02T15:04:05.678Z */
		.answers = json_doc_root(answers),
	};
	size_t count = 0, agreeing = 0;

	read_file("tests/oracle/differences.txt", &differences);
	for (const struct json_node *one = json_doc_root(cases)->first; one != NULL;
	     one = one->next) {
		const char *name = json_string(json_get(one, "name"));
		bool same = agrees(one, &recorded);

		count++;
		agreeing += same ? 1 : 0;
		if (same == is_listed(&differences, name))
			cr_expect_fail("%s %s: %.*s", name,
				       same ? "is listed, and agrees" : "differs",
				       (int)json_get(one, "template")->raw_len,
				       json_get(one, "template")->raw);
	}
	cr_expect(count > 1000, "%zu cases", count);
	(void)fprintf(stderr, "oracle: %zu of %zu agree\n", agreeing, count);
}
