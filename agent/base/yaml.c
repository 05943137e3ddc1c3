/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml scans and parses; its events become nodes here, one function per kind of node. Recursion
 * is bounded by limits->depth. libyaml's allocator cannot be replaced, so what it holds at the end
 * is wiped by hand; shorter beginnings of long scalars, left when its strings grow, are not.
 */
#include "agent/base/yaml.h"

#include <stdint.h>
#include <string.h>
#include <yaml.h>

#include "agent/base/pool.h"
#include "agent/base/text.h"
#include "agent/base/wipe.h"

enum { PAIRWISE_MOST = 8, SHOWN_MAX = 60 };

struct yaml_doc {
	struct pool pool;
	const struct yaml_node *root;
	struct yaml_node *repeated;
};

struct reader {
	struct pool *pool;
	struct yaml_node **repeated;
	const char *source;
	size_t len;
	const struct yaml_limits *limits;
	unsigned nodes;
	yaml_parser_t parser;
	yaml_event_t event; /* the one that is being read */
	struct yaml_mark *where;
	struct error *err;
};

static struct yaml_mark mark_of(const yaml_mark_t *mark)
{
	return (struct yaml_mark){ .line = mark->line + 1, .column = mark->column + 1 };
}

static struct yaml_mark here(const struct reader *reader)
{
	return mark_of(&reader->event.start_mark);
}

/* Finishes an error that is set: its place goes to the caller, or into the text. */
static int fail_at(const struct reader *reader, struct yaml_mark mark)
{
	if (reader->where == NULL)
		return error_wrap(reader->err, "line %zu, column %zu", mark.line, mark.column);
	*reader->where = mark;
	return -1;
}

static int fail(const struct reader *reader, struct yaml_mark mark, const char *problem)
{
	(void)error_set(reader->err, ERROR_INVALID, "%s", problem);
	return fail_at(reader, mark);
}

/* Bad bytes are found far ahead of the parser's own mark. */
static struct yaml_mark mark_at(const struct reader *reader, size_t offset)
{
	struct yaml_mark mark = { .line = 1, .column = 1 };

	for (size_t i = 0; i < offset && i < reader->len; i++) {
		if (reader->source[i] == '\n')
			mark = (struct yaml_mark){ .line = mark.line + 1, .column = 1 };
		else if (((unsigned char)reader->source[i] & 0xc0) != 0x80)
			mark.column++;
	}
	return mark;
}

/* libyaml's problems are fixed sentences, without content. */
static int fail_parser(const struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	const char *problem = parser->problem != NULL ? parser->problem : "not YAML";

	if (parser->error == YAML_MEMORY_ERROR)
		return error_no_memory(reader->err);
	if (parser->error == YAML_READER_ERROR)
		return fail(reader, mark_at(reader, parser->problem_offset),
			    "a byte that is not UTF-8 or a character that YAML does not allow");
	if (parser->buffer.pointer < parser->buffer.last && *parser->buffer.pointer == '\t')
		return fail(reader, mark_of(&parser->problem_mark),
			    "a tab where YAML allows none: indent with spaces");
	(void)error_set(reader->err, ERROR_INVALID, "%s%s%s", problem,
			parser->context != NULL ? " " : "",
			parser->context != NULL ? parser->context : "");
	return fail_at(reader, mark_of(&parser->problem_mark));
}

static void drop_event(struct reader *reader)
{
	if (reader->event.type == YAML_SCALAR_EVENT)
		wipe(reader->event.data.scalar.value, reader->event.data.scalar.length);
	yaml_event_delete(&reader->event);
}

static int next_event(struct reader *reader)
{
	drop_event(reader);
	if (yaml_parser_parse(&reader->parser, &reader->event) != 1)
		return fail_parser(reader);
	return 0;
}

static int count_node(const struct reader *reader)
{
	if (reader->nodes < reader->limits->nodes)
		return 0;
	(void)error_set(reader->err, ERROR_EXHAUSTED, "more than %u values and keys",
			reader->limits->nodes);
	return fail_at(reader, here(reader));
}

static bool is_word(const char *text, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

static const char *skip_digits(const char *text, const char *digits)
{
	return text + strspn(text, digits);
}

static bool is_int(const char *text)
{
	static const char digits[] = "0123456789";

	if (text_starts_with(text, "0o"))
		return text[2] != '\0' && *skip_digits(text + 2, "01234567") == '\0';
	if (text_starts_with(text, "0x"))
		return text[2] != '\0' && *skip_digits(text + 2, "0123456789abcdefABCDEF") == '\0';
	if (*text == '-' || *text == '+')
		text++;
	return *text != '\0' && *skip_digits(text, digits) == '\0';
}

static bool is_float(const char *text)
{
	static const char digits[] = "0123456789";
	static const char *const infinities[] = { ".inf", ".Inf", ".INF", NULL };
	static const char *const nans[] = { ".nan", ".NaN", ".NAN", NULL };
	const char *whole, *end;

	if (is_word(text, nans))
		return true;
	if (*text == '-' || *text == '+')
		text++;
	if (is_word(text, infinities))
		return true;
	whole = skip_digits(text, digits);
	end = *whole == '.' ? skip_digits(whole + 1, digits) : whole;
	/* ".", "" and ".e3" have no digit. */
	if (whole == text && end - whole < 2)
		return false;
	if (*end == 'e' || *end == 'E') {
		text = end[1] == '-' || end[1] == '+' ? end + 2 : end + 1;
		end = skip_digits(text, digits);
		if (end == text)
			return false;
	}
	return *end == '\0';
}

static enum yaml_core core_of(const char *text)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const bools[] = {
		"true", "True", "TRUE", "false", "False", "FALSE", NULL
	};

	if (is_word(text, nulls))
		return YAML_CORE_NULL;
	if (is_word(text, bools))
		return YAML_CORE_BOOL;
	if (is_int(text))
		return YAML_CORE_INT;
	return is_float(text) ? YAML_CORE_FLOAT : YAML_CORE_STRING;
}

/* A tag of the core schema must fit what is written; any other one is the caller's to judge. */
static int resolve_tagged(const struct reader *reader, struct yaml_node *node)
{
	static const struct {
		const char *tag;
		enum yaml_core core;
	} tags[] = {
		{ YAML_NULL_TAG, YAML_CORE_NULL },
		{ YAML_BOOL_TAG, YAML_CORE_BOOL },
		{ YAML_INT_TAG, YAML_CORE_INT },
		{ YAML_FLOAT_TAG, YAML_CORE_FLOAT },
	};
	enum yaml_core written = core_of(node->text);

	node->core = YAML_CORE_STRING;
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
		if (strcmp(node->tag, tags[i].tag) != 0)
			continue;
		node->core = tags[i].core;
		if (written != node->core &&
		    !(written == YAML_CORE_INT && node->core == YAML_CORE_FLOAT))
			return fail(reader, node->mark, "the value is not what its tag says");
	}
	return 0;
}

static int read_scalar(struct reader *reader, struct yaml_node *node)
{
	yaml_scalar_style_t style = reader->event.data.scalar.style;

	node->type = YAML_IS_SCALAR;
	node->quoted = style != YAML_PLAIN_SCALAR_STYLE;
	node->text_len = reader->event.data.scalar.length;
	node->text = pool_copy(reader->pool, reader->event.data.scalar.value, node->text_len);
	if (node->text == NULL)
		return error_no_memory(reader->err);
	if (node->tag != NULL)
		return resolve_tagged(reader, node);
	node->core = node->quoted ? YAML_CORE_STRING : core_of(node->text);
	return 0;
}

static int fail_twice(const struct reader *reader, const struct yaml_node *second)
{
	(void)error_set(reader->err, ERROR_INVALID, "the key '%.*s' is there twice", SHOWN_MAX,
			second->key);
	return fail_at(reader, second->key_mark);
}

/* Equal keys stand beside each other, in the order of the source. */
static int compare_keys(const void *one, const void *other)
{
	const struct yaml_node *a = *(const struct yaml_node *const *)one;
	const struct yaml_node *b = *(const struct yaml_node *const *)other;
	int order = strcmp(a->key, b->key);

	if (order != 0)
		return order;
	if (a->key_mark.line != b->key_mark.line)
		return a->key_mark.line < b->key_mark.line ? -1 : 1;
	return a->key_mark.column < b->key_mark.column ? -1 : 1;
}

/* Of what stands in both the first counts: one problem is told, not one for each member. */
static void join_maps(struct yaml_node *map, struct yaml_node *added)
{
	for (struct yaml_node *node = added->first, *next; node != NULL; node = next) {
		struct yaml_node **link = &map->first;

		next = node->next;
		while (*link != NULL && strcmp((*link)->key, node->key) != 0)
			link = &(*link)->next;
		if (*link == NULL) {
			node->next = NULL;
			*link = node;
			map->count++;
		} else if ((*link)->type == YAML_IS_MAP && node->type == YAML_IS_MAP) {
			join_maps(*link, node);
		}
	}
}

static void collect_duplicates(const struct reader *reader, struct yaml_node *map)
{
	for (struct yaml_node *one = map->first; one != NULL; one = one->next) {
		struct yaml_node **link = &one->next, *other;

		while ((other = *link) != NULL) {
			if (strcmp(one->key, other->key) != 0) {
				link = &other->next;
				continue;
			}
			*link = other->next;
			map->count--;
			other->next_repeated = *reader->repeated;
			*reader->repeated = other;
			if (one->type == YAML_IS_MAP && other->type == YAML_IS_MAP)
				join_maps(one, other);
		}
	}
}

static int refuse_duplicates_sorted(const struct reader *reader, const struct yaml_node *map)
{
	AUTO(wipe_freep) const struct yaml_node **sorted = NULL;
	size_t count = 0;

	sorted = wipe_calloc(map->count, sizeof(const struct yaml_node *));
	if (sorted == NULL)
		return error_no_memory(reader->err);
	for (const struct yaml_node *node = map->first; node != NULL; node = node->next)
		sorted[count++] = node;
	qsort(sorted, count, sizeof(sorted[0]), compare_keys);
	for (size_t i = 1; i < count; i++)
		if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
			return fail_twice(reader, sorted[i]);
	return 0;
}

static int refuse_duplicates(const struct reader *reader, const struct yaml_node *map)
{
	if (map->count > PAIRWISE_MOST)
		return refuse_duplicates_sorted(reader, map);
	for (const struct yaml_node *one = map->first; one != NULL; one = one->next)
		for (const struct yaml_node *other = one->next; other != NULL; other = other->next)
			if (strcmp(one->key, other->key) == 0)
				return fail_twice(reader, other);
	return 0;
}

static int read_key(struct reader *reader, struct yaml_node *node)
{
	const yaml_event_t *event = &reader->event;

	node->key_mark = here(reader);
	if (count_node(reader) < 0)
		return -1;
	reader->nodes++;
	if (event->type != YAML_SCALAR_EVENT)
		return fail(reader, node->key_mark, "a key must be a plain or quoted word");
	if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL)
		return fail(reader, node->key_mark, "a key takes no anchor and no tag");
	if (memchr(event->data.scalar.value, '\0', event->data.scalar.length) != NULL)
		return fail(reader, node->key_mark, "a key cannot hold NUL");
	node->key = pool_copy(reader->pool, event->data.scalar.value, event->data.scalar.length);
	if (node->key == NULL)
		return error_no_memory(reader->err);
	return next_event(reader);
}

static int read_value(struct reader *reader, struct yaml_node *node, unsigned depth);

/* At the opening event; stands at the closing one after. */
static int read_children(struct reader *reader, struct yaml_node *node, unsigned depth)
{
	yaml_event_type_t close =
		node->type == YAML_IS_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
	struct yaml_node **next = &node->first, *child;

	if (depth >= reader->limits->depth) {
		(void)error_set(reader->err, ERROR_EXHAUSTED, "nested deeper than %u levels",
				reader->limits->depth);
		return fail_at(reader, node->mark);
	}
	for (;;) {
		if (next_event(reader) < 0)
			return -1;
		if (reader->event.type == close)
			break;
		if (count_node(reader) < 0)
			return -1;
		child = pool_alloc(reader->pool, sizeof(*child));
		if (child == NULL)
			return error_no_memory(reader->err);
		if (node->type == YAML_IS_MAP && read_key(reader, child) < 0)
			return -1;
		if (read_value(reader, child, depth + 1) < 0)
			return -1;
		*next = child;
		next = &child->next;
		node->count++;
	}
	if (node->type != YAML_IS_MAP)
		return 0;
	if (!reader->limits->collect_repeated)
		return refuse_duplicates(reader, node);
	collect_duplicates(reader, node);
	return 0;
}

/* What the three kinds of events share. */
static int read_properties(struct reader *reader, struct yaml_node *node, const yaml_char_t *anchor,
			   const yaml_char_t *tag)
{
	if (anchor != NULL)
		return fail(reader, node->mark,
			    "anchors (&name) are not supported: write the value again");
	if (tag == NULL)
		return 0;
	node->tag = pool_copy(reader->pool, tag, strlen((const char *)tag));
	return node->tag == NULL ? error_no_memory(reader->err) : 0;
}

static int read_value(struct reader *reader, struct yaml_node *node, unsigned depth)
{
	const yaml_event_t *event = &reader->event;

	node->mark = here(reader);
	if (node->key == NULL)
		node->key_mark = node->mark;
	if (count_node(reader) < 0)
		return -1;
	reader->nodes++;
	if (event->type == YAML_SCALAR_EVENT) {
		if (read_properties(reader, node, event->data.scalar.anchor,
				    event->data.scalar.tag) < 0)
			return -1;
		return read_scalar(reader, node);
	}
	if (event->type == YAML_SEQUENCE_START_EVENT) {
		node->type = YAML_IS_LIST;
		if (read_properties(reader, node, event->data.sequence_start.anchor,
				    event->data.sequence_start.tag) < 0)
			return -1;
		return read_children(reader, node, depth);
	}
	if (event->type == YAML_MAPPING_START_EVENT) {
		node->type = YAML_IS_MAP;
		if (read_properties(reader, node, event->data.mapping_start.anchor,
				    event->data.mapping_start.tag) < 0)
			return -1;
		return read_children(reader, node, depth);
	}
	return fail(reader, node->mark, "aliases (*name) are not supported: write the value again");
}

static int read_stream(struct reader *reader, struct yaml_node *root)
{
	/* STREAM-START, and the end or a document. */
	if (next_event(reader) < 0 || next_event(reader) < 0)
		return -1;
	if (reader->event.type == YAML_STREAM_END_EVENT) {
		*root = (struct yaml_node){ .mark = { 1, 1 }, .key_mark = { 1, 1 }, .text = "" };
		return 0;
	}
	/* DOCUMENT-START, the root, DOCUMENT-END, STREAM-END. */
	if (next_event(reader) < 0 || read_value(reader, root, 0) < 0)
		return -1;
	if (next_event(reader) < 0 || next_event(reader) < 0)
		return -1;
	if (reader->event.type != YAML_STREAM_END_EVENT)
		return fail(reader, here(reader), "more than one document: only one is read");
	return 0;
}

static void reader_deinit(struct reader *reader)
{
	yaml_parser_t *parser = &reader->parser;

	drop_event(reader);
	for (yaml_token_t *token = parser->tokens.head; token != parser->tokens.tail; token++)
		if (token->type == YAML_SCALAR_TOKEN)
			wipe(token->data.scalar.value, token->data.scalar.length);
	if (parser->buffer.start != NULL)
		wipe(parser->buffer.start, (size_t)(parser->buffer.end - parser->buffer.start));
	if (parser->raw_buffer.start != NULL)
		wipe(parser->raw_buffer.start,
		     (size_t)(parser->raw_buffer.end - parser->raw_buffer.start));
	yaml_parser_delete(parser);
}

static int read_document(struct yaml_doc *doc, const void *bytes, size_t len,
			 const struct yaml_limits *limits, struct yaml_mark *where,
			 struct error *err)
{
	AUTO(reader_deinit)
	struct reader reader = {
		.pool = &doc->pool,
		.repeated = &doc->repeated,
		.source = bytes,
		.len = len,
		.limits = limits,
		.where = where,
		.err = err,
	};
	struct yaml_node *root;

	if (where != NULL)
		*where = (struct yaml_mark){ .line = 1, .column = 1 };
	if (len > limits->bytes)
		return error_set(err, ERROR_EXHAUSTED, "larger than %zu bytes", limits->bytes);
	root = pool_alloc(&doc->pool, sizeof(*root));
	if (root == NULL || yaml_parser_initialize(&reader.parser) != 1)
		return error_no_memory(err);
	/* Told, not guessed: nobody writes a configuration in UTF-16. */
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, bytes, len);
	if (read_stream(&reader, root) < 0)
		return -1;
	doc->root = root;
	return 0;
}

struct yaml_doc *yaml_doc_read(const void *bytes, size_t len, const struct yaml_limits *limits,
			       struct yaml_mark *where, struct error *err)
{
	AUTO(yaml_doc_freep) struct yaml_doc *doc = wipe_calloc(1, sizeof(*doc));

	if (doc == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	if (read_document(doc, bytes, len, limits, where, err) < 0)
		return NULL;
	return STEAL(doc);
}

struct yaml_doc *yaml_doc_free(struct yaml_doc *doc)
{
	if (doc == NULL)
		return NULL;
	pool_deinit(&doc->pool);
	wipe_free(doc);
	return NULL;
}

const struct yaml_node *yaml_doc_root(const struct yaml_doc *doc)
{
	return doc->root;
}

const struct yaml_node *yaml_doc_repeated(const struct yaml_doc *doc)
{
	return doc->repeated;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	if (map == NULL || map->type != YAML_IS_MAP)
		return NULL;
	for (const struct yaml_node *node = map->first; node != NULL; node = node->next)
		if (strcmp(node->key, key) == 0)
			return node;
	return NULL;
}
