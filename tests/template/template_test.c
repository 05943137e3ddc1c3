/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "agent/template/template.h"
#include "agent/template/tree.h"

/* ---- a source out of JSON ---- */

struct shelf {
	struct template_source source;
	const struct json_node *answers;
	unsigned asked;
};

static int lookup(struct template_source *source, const struct template_need *need,
		  struct template_answer *ret, struct error *err)
{
	struct shelf *shelf = CONTAINER_OF(source, struct shelf, source);
	const struct json_node *found = json_get(shelf->answers, need->path);

	shelf->asked++;
	if (need->kind == TEMPLATE_READ && strcmp(need->path, "denied") == 0)
		return error_set(err, ERROR_DENIED, "no");
	if (found == NULL)
		return 0;
	*ret = (struct template_answer){ .reply = found,
					 .bytes = found->text,
					 .len = found->text_len };
	return 1;
}

static const char *environment(struct template_source *source, const char *name)
{
	(void)source;
	return strcmp(name, "HOME") == 0 ? "/home/x" : NULL;
}

static const char answers_text[] =
	"{\"kv\": {\"lease_duration\": 60, \"data\": {\"user\": \"ann\", \"port\": 1.50, "
	"\"list\": [1, null, \"x\"], \"key\": \"canary\"}}, \"dir\": {\"data\": {\"keys\": "
	"[\"b\", \"a\"]}}, \"file\": \"text\\n\"}";

/* The output, NULL when something is missing; an error fills *err. */
static struct secret *render(const char *text, size_t len, struct template_options options,
			     struct error *err)
{
	AUTO(json_doc_freep)
	struct json_doc *answers =
		json_doc_read(answers_text, strlen(answers_text), &JSON_REPLY_LIMITS, err);
	AUTO(template_freep) struct template *template = NULL;
	struct shelf shelf = { .source = { .lookup = lookup, .environment = environment } };
	struct secret *output = NULL;

	*err = ERROR_INIT;
	options.name = "t";
	template = template_new(text, len, &options, err);
	if (template == NULL)
		return NULL;
	shelf.answers = json_doc_root(answers);
	if (template_render(template, &shelf.source, &output, err) < 0)
		return NULL;
	return output;
}

static void check(const char *text, const char *expected)
{
	struct error err;
	AUTO(secret_unrefp)
	struct secret *output = render(text, strlen(text), (struct template_options){ 0 }, &err);

	cr_assert_not_null(output, "%s: %s", text, err.text);
	cr_expect(secret_len(output) == strlen(expected) &&
			  memcmp(secret_bytes(output), expected, strlen(expected)) == 0,
		  "%s: '%.*s'", text, (int)secret_len(output), (const char *)secret_bytes(output));
}

static void check_error(const char *text, const char *expected)
{
	struct error err;
	AUTO(secret_unrefp)
	struct secret *output = render(text, strlen(text), (struct template_options){ 0 }, &err);

	cr_assert_null(output, "%s", text);
	cr_expect_str_eq(err.text, expected, "%s", text);
	cr_expect_eq(err.code, ERROR_BAD_DATA);
}

/* ---- what it makes ---- */

Test(template, renders)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{ "", "" },
		{ "a {{- /* c */ -}} b", "ab" },
		{ "{{ with secret \"/kv/ \" }}{{ .Data.user }}:{{ .Data.port }}:{{ .LeaseDuration "
		  "}}{{ end }}",
		  "ann:1.50:60" },
		{ "{{ with secret \"kv\" }}{{ range $i, $e := .Data.list }}{{ $i }}={{ $e }} {{ "
		  "end "
		  "}}{{ end }}",
		  "0=1 1=<no value> 2=x " },
		{ "{{ range secrets \"dir\" }}{{ . }},{{ end }}", "a,b," },
		{ "{{ file \"file\" }}{{ env \"HOME\" }}{{ envOrDefault \"NONE\" \"d\" }}",
		  "text\n/home/xd" },
		{ "{{ if false }}a{{ else if true }}b{{ else }}c{{ end }}", "b" },
		{ "{{ with print nil }}{{ . }}{{ else with 1 }}{{ . }}{{ end }}", "<nil>" },
		{ "{{ range 5 }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ if eq . 3 }}{{ break }}{{ "
		  "end "
		  "}}{{ . }}{{ end }}",
		  "02" },
		{ "{{ define \"t\" }}<{{ . }}>{{ end }}{{ template \"t\" 1 }}{{ block \"b\" 2 }}{{ "
		  ". "
		  "}}{{ end }}{{ executeTemplate \"t\" 3 }}",
		  "<1>2<3>" },
		{ "{{ printf \"%05.1f|%-4d|%+q|%x|%v|%t\" 3.14 7 \"\xc3\xa9\" \"hi\" 1e21 true }}",
		  "003.1|7   |\"\\u00e9\"|6869|1e+21|true" },
		{ "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ end }}{{ $x }}", "2" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(cases[i].text, cases[i].expected);
}

Test(template, errors_name_place_and_function)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{ "a\n  {{ nope }}", "t:2:6: there is no function 'nope'" },
		{ "{{ service \"x\" }}",
		  "t:1:4: the function 'service' is not supported: it needs Consul" },
		{ "{{ $x }}", "t:1:4: the variable $x is not declared here" },
		{ "{{ if true }}",
		  "t:1:14: the text ends in a block that is open; is an {{end}} "
		  "missing?" },
		{ "{{ scratch }}", "t:1:4: a pointer cannot be printed" },
		{ "{{ len 3 }}", "t:1:4: len: int has no length" },
		{ "{{ with secret \"kv\" }}{{ .Data.user.name }}{{ end }}",
		  "t:1:26: string has no field name" },
		{ "{{ with secret \"kv\" }}{{ secret .Data.port }}{{ end }}",
		  "t:1:33: a string is needed here, not json.Number" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_error(cases[i].text, cases[i].expected);
}

Test(template, what_is_not_there_yet_is_no_error)
{
	const char *text = "{{ len (secret \"later\").Data.list }}{{ secret \"other\" }}";
	struct error err;

	cr_assert_null(render(text, strlen(text), (struct template_options){ 0 }, &err));
	cr_expect_eq(err.code, ERROR_NONE, "%s", err.text);
}

Test(template, a_refused_secret_is_an_error_of_its_code)
{
	const char *text = "{{ secret \"denied\" }}";
	struct error err;

	cr_assert_null(render(text, strlen(text), (struct template_options){ 0 }, &err));
	cr_expect_eq(err.code, ERROR_DENIED);
}

Test(template, options)
{
	static const char *const denied[] = { "e*v", NULL };
	const char *calls = "{{ env \"HOME\" }}", *missing = "{{ (secret \"kv\").Data.none }}";
	const char *other = "<<print 1>>{{";
	struct error err;

	cr_expect_null(
		render(calls, strlen(calls), (struct template_options){ .denied = denied }, &err));
	cr_expect_str_eq(err.text, "t:1:4: the function env is denied here");
	cr_expect_null(render(missing, strlen(missing),
			      (struct template_options){ .missing_key_is_error = true }, &err));
	cr_expect_str_eq(err.text, "t:1:17: the map has no key 'none'");

	AUTO(secret_unrefp)
	struct secret *output =
		render(other, strlen(other),
		       (struct template_options){ .left = "<<", .right = ">>" }, &err);
	cr_assert_not_null(output);
	cr_expect_eq(secret_len(output), strlen("1{{"));
}

/* ---- limits ---- */

static bool renders(const struct buf *text)
{
	struct error err;
	AUTO(secret_unrefp)
	struct secret *output =
		render(buf_string(text), text->len, (struct template_options){ 0 }, &err);

	cr_expect(output != NULL || err.code != ERROR_NONE);
	return output != NULL;
}

Test(template, output_is_limited)
{
	for (int by = -1; by <= 1; by++) {
		AUTO(buf_deinit) struct buf text = BUF_INIT(256);

		/* Four pieces of 1 MiB, the last one longer or shorter. */
		buf_printf(
			&text,
			"{{ $p := printf \"%%%ds\" \"\" }}{{ $p }}{{ $p }}{{ $p }}{{ $p }}{{ slice "
			"$p 0 %d }}",
			1000000, (int)(TEMPLATE_OUTPUT_MAX - 4000000) + by);
		cr_expect_eq(renders(&text), by <= 0, "%d", by);
	}
}

Test(template, text_is_limited)
{
	for (int by = -1; by <= 1; by++) {
		AUTO(buf_deinit) struct buf text = BUF_INIT(TEMPLATE_TEXT_MAX + 16);

		while (text.len < TEMPLATE_TEXT_MAX - 16)
			buf_puts(&text, "{{/*          */");
		buf_reset(&text);
		buf_puts(&text, "{{/*");
		while (text.len < TEMPLATE_TEXT_MAX - 4 + (size_t)(by + 1) - 1)
			buf_putc(&text, 'x');
		buf_puts(&text, "*/}}");
		cr_expect_eq(text.len, TEMPLATE_TEXT_MAX + (size_t)(by + 1) - 1);
		cr_expect_eq(renders(&text), by <= 0, "%d", by);
	}
}

Test(template, nesting_is_limited)
{
	for (int by = -1; by <= 1; by++) {
		AUTO(buf_deinit) struct buf text = BUF_INIT(1 << 20);

		for (int i = 0; i < TEMPLATE_NESTING_MAX + by; i++)
			buf_puts(&text, "{{if 1}}");
		for (int i = 0; i < TEMPLATE_NESTING_MAX + by; i++)
			buf_puts(&text, "{{end}}");
		cr_expect_eq(renders(&text), by <= 0, "%d", by);
	}
	check_error("{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}",
		    "t:1:20: more than 1000 levels deep; does a template call itself?");
}

Test(template, steps_are_limited)
{
	/* Three for the range itself, four for each turn: the body's node, its command, the text.
	 */
	check_error("{{ range 10000001 }}{{ $x := . }}{{ end }}",
		    "t:1:24: more than 10000000 steps, the most that a template may take");
}
