/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml gives events with marks; what lies between two events can hold comments, which are found
 * there. A comment belongs to the collection whose indentation it has, before the value that
 * follows; one at the end of a value's line comes before that value; one after `key:` is the first
 * thing in what follows.
 */
#include "backends/sops_tree.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "agent/base/text.h"
#include "backends/sops_cipher.h"
#include "backends/sops_scalar.h"

enum { ANCHORS_MAX = 1000, DEFERRED_MAX = 1000 };

struct frame {
	struct sops_node *node;
	size_t column; /* of the collection, from 0 */
	char *key;     /* read, its value not yet */
	struct sops_span key_span;
	unsigned line, key_column;
};

struct reader {
	struct sops_tree *tree;
	const char *text;
	size_t len;
	yaml_parser_t parser;
	struct frame stack[SOPS_DEPTH_MAX + 1];
	size_t depth;
	size_t at_character, at_byte; /* libyaml counts characters: how far we counted along */
	size_t covered; /* every byte before is in an event or was searched for comments */
	struct sops_node *last_scalar;
	struct sops_span deferred[DEFERRED_MAX]; /* comments between a key and its value */
	size_t deferred_count;
	struct {
		char *name;
		struct sops_node *node;
		bool open;
	} anchors[ANCHORS_MAX];
	size_t anchor_count;
	unsigned documents;
};

static int bad(struct error *err, yaml_mark_t mark, const char *what)
{
	return error_set(err, ERROR_BAD_DATA, "line %zu: %s", mark.line + 1, what);
}

static size_t byte_of(struct reader *r, size_t character)
{
	while (r->at_character > character) {
		do
			r->at_byte--;
		while (((uint8_t)r->text[r->at_byte] & 0xc0) == 0x80);
		r->at_character--;
	}
	while (r->at_character < character && r->at_byte < r->len) {
		do
			r->at_byte++;
		while (r->at_byte < r->len && ((uint8_t)r->text[r->at_byte] & 0xc0) == 0x80);
		r->at_character++;
	}
	return r->at_byte;
}

static struct sops_span span_of(struct reader *r, const yaml_event_t *event)
{
	size_t start = byte_of(r, event->start_mark.index);

	return (struct sops_span){ start, byte_of(r, event->end_mark.index) };
}

static struct frame *top(struct reader *r)
{
	return r->depth > 0 ? &r->stack[r->depth - 1] : NULL;
}

/* --- comments --- */

static unsigned line_at(const struct reader *r, size_t at)
{
	unsigned line = 1;

	for (size_t i = 0; i < at; i++)
		line += r->text[i] == '\n';
	return line;
}

static size_t column_at(const struct reader *r, size_t at)
{
	size_t column = 0;

	while (at > column && r->text[at - column - 1] != '\n')
		column++;
	return column;
}

static struct sops_node *add_comment(struct reader *r, struct sops_node *parent,
				     struct sops_span span, struct error *err)
{
	struct sops_node *node =
		sops_node_add(r->tree, parent, SOPS_COMMENT, NULL, r->text + span.start + 1,
			      span.end - span.start - 1, err);

	if (node == NULL)
		return NULL;
	node->span = span;
	node->column = (unsigned)column_at(r, span.start) + 1;
	return node;
}

/* The node just added is last; moves it before `successor`. */
static void move_before(struct sops_node *parent, struct sops_node *successor)
{
	struct sops_node *node = parent->last, **link = &parent->first, *previous = NULL;

	while (*link != successor)
		link = &(*link)->next;
	for (previous = successor; previous->next != node;)
		previous = previous->next;
	previous->next = NULL;
	parent->last = previous;
	node->next = successor;
	*link = node;
}

static bool same_line(const struct reader *r, size_t from, size_t to)
{
	return from <= to && memchr(r->text + from, '\n', to - from) == NULL;
}

static struct sops_node *owner(struct reader *r, size_t column, bool at_end)
{
	size_t i = r->depth - 1;

	while (at_end && i > 0) {
		const struct frame *frame = &r->stack[i];
		bool flush = r->stack[i - 1].column == frame->column;

		if (frame->node->flow || column > frame->column ||
		    (column == frame->column && !flush))
			break;
		i--;
	}
	return r->stack[i].node;
}

static int comment_found(struct reader *r, struct sops_span span, bool at_end, struct error *err)
{
	struct sops_node *last = r->last_scalar;

	if (r->depth == 0 && r->tree->root != NULL)
		return add_comment(r, r->tree->root, span, err) != NULL ? 0 : -1;
	if (r->depth == 0 || top(r)->key != NULL) {
		if (r->deferred_count == DEFERRED_MAX)
			return error_set(err, ERROR_BAD_DATA, "line %u: too many comments",
					 line_at(r, span.start));
		r->deferred[r->deferred_count++] = span;
		return 0;
	}
	if (last != NULL && last->parent != NULL && same_line(r, last->span.end, span.start) &&
	    last->span.end > 0 && r->text[last->span.end - 1] != '\n') {
		if (add_comment(r, last->parent, span, err) == NULL)
			return -1;
		if (last->parent->last->parent == last->parent && last != last->parent->last)
			move_before(last->parent, last);
		return 0;
	}
	return add_comment(r, owner(r, column_at(r, span.start), at_end), span, err) != NULL ? 0
											     : -1;
}

/* Looks for comments between what was covered and `start`. */
static int search_gap(struct reader *r, size_t start, bool at_end, struct error *err)
{
	for (size_t at = r->covered; at < start; at++) {
		const char *stop;
		struct sops_span span;

		if (r->text[at] != '#' || (at > 0 && strchr(" \t\r\n", r->text[at - 1]) == NULL))
			continue;
		stop = memchr(r->text + at, '\n', start - at);
		span = (struct sops_span){ at, stop != NULL ? (size_t)(stop - r->text) : start };
		if (span.end > at && r->text[span.end - 1] == '\r')
			span.end--;
		if (comment_found(r, span, at_end, err) < 0)
			return -1;
		at = span.end;
	}
	if (start > r->covered)
		r->covered = start;
	return 0;
}

/* Comments between a key and its value: inside of a collection, before a scalar. */
static int place_deferred(struct reader *r, struct sops_node *value, struct error *err)
{
	for (size_t i = 0; i < r->deferred_count; i++) {
		bool inside = !sops_is_scalar(value) && !value->alias;

		if (add_comment(r, inside ? value : value->parent, r->deferred[i], err) == NULL)
			return -1;
		if (!inside)
			move_before(value->parent, value);
	}
	r->deferred_count = 0;
	return 0;
}

/* --- values --- */

static struct sops_node *add_value(struct reader *r, const yaml_event_t *event, enum sops_kind kind,
				   const char *text, size_t len, struct error *err)
{
	struct frame *frame = top(r);
	struct sops_node *node;

	if (frame == NULL && kind != SOPS_MAP) {
		(void)bad(err, event->start_mark, "a document must be a map of names to values");
		return NULL;
	}
	node = sops_node_add(r->tree, frame != NULL ? frame->node : NULL, kind,
			     frame != NULL ? frame->key : NULL, text, len, err);
	if (node == NULL)
		return NULL;
	node->span = span_of(r, event);
	node->line = (unsigned)event->start_mark.line + 1;
	node->column = (unsigned)event->start_mark.column + 1;
	if (frame == NULL) {
		r->tree->root = node;
	} else if (frame->key != NULL) {
		node->key_span = frame->key_span;
		node->line = frame->line;
		node->column = frame->key_column;
		free(frame->key);
		frame->key = NULL;
	}
	if (place_deferred(r, node, err) < 0)
		return NULL;
	return node;
}

static int remember(struct reader *r, const yaml_char_t *name, struct sops_node *node, bool open,
		    struct error *err)
{
	if (name == NULL)
		return 0;
	if (r->anchor_count == ANCHORS_MAX)
		return error_set(err, ERROR_BAD_DATA, "more than %d anchors", ANCHORS_MAX);
	r->anchors[r->anchor_count].name = strdup((const char *)name);
	if (r->anchors[r->anchor_count].name == NULL)
		return error_no_memory(err);
	r->anchors[r->anchor_count].node = node;
	r->anchors[r->anchor_count++].open = open;
	return 0;
}

static int copy_children(struct reader *r, const struct sops_node *from, struct sops_node *to,
			 unsigned depth, struct error *err)
{
	if (depth > SOPS_DEPTH_MAX)
		return error_set(err, ERROR_BAD_DATA, "nested deeper than %d", SOPS_DEPTH_MAX);
	for (const struct sops_node *child = from->first; child != NULL; child = child->next) {
		struct sops_node *copy;

		if (child->kind == SOPS_COMMENT)
			continue;
		copy = sops_node_add(r->tree, to, child->kind, child->key, child->text, child->len,
				     err);
		if (copy == NULL || copy_children(r, child, copy, depth + 1, err) < 0)
			return -1;
		copy->alias = true;
		copy->line = child->line;
	}
	return 0;
}

static int on_alias(struct reader *r, const yaml_event_t *event, struct error *err)
{
	const char *name = (const char *)event->data.alias.anchor;

	if (top(r) != NULL && top(r)->node->kind == SOPS_MAP && top(r)->key == NULL)
		return bad(err, event->start_mark, "an alias cannot be a key");
	for (size_t i = r->anchor_count; i-- > 0;) {
		const struct sops_node *from = r->anchors[i].node;
		struct sops_node *copy;

		if (strcmp(r->anchors[i].name, name) != 0)
			continue;
		if (r->anchors[i].open)
			return bad(err, event->start_mark, "an alias names what it stands in");
		copy = add_value(r, event, from->kind, from->text, from->len, err);
		if (copy == NULL)
			return -1;
		copy->alias = true;
		return copy_children(r, from, copy, (unsigned)r->depth, err);
	}
	return bad(err, event->start_mark, "an alias names no anchor");
}

static int on_key(struct reader *r, const yaml_event_t *event, struct error *err)
{
	AUTO(buf_deinit) struct buf canonical = BUF_INIT(SOPS_DOCUMENT_MAX);
	struct frame *frame = top(r);
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;

	if (strlen(text) != len)
		return bad(err, event->start_mark, "a key holds NUL");
	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	    sops_resolve(text, len, &canonical) != SOPS_STRING)
		return bad(err, event->start_mark, "a key is not a string: put it in quotes");
	if (sops_get(frame->node, text) != NULL)
		return error_set(err, ERROR_BAD_DATA, "line %zu: the key '%.100s' is there twice",
				 event->start_mark.line + 1, text);
	frame->key = strdup(text);
	if (frame->key == NULL)
		return error_no_memory(err);
	frame->key_span = span_of(r, event);
	frame->line = (unsigned)event->start_mark.line + 1;
	frame->key_column = (unsigned)event->start_mark.column + 1;
	return 0;
}

/* sops writes the encrypted comments of a list as items of it. */
static bool is_sealed_comment(const struct sops_node *node)
{
	struct sops_sealed sealed;

	return node->kind == SOPS_STRING && sops_sealed_read(node->text, node->len, &sealed) &&
	       sealed.type_len == strlen("comment") &&
	       memcmp(sealed.type, "comment", sealed.type_len) == 0;
}

#define YAML_TAG "tag:yaml.org,2002:"

/* Tags that a value may have; `text` is a string whatever it looks like. */
static const struct tag {
	const char *name;
	bool text;
} tags[] = {
	{ "!", false },
	{ YAML_STR_TAG, true },
	{ YAML_TAG "merge", true }, /* how sops writes the plain text << */
	{ YAML_INT_TAG, false },
	{ YAML_FLOAT_TAG, false },
	{ YAML_BOOL_TAG, false },
	{ YAML_NULL_TAG, false },
	{ YAML_TIMESTAMP_TAG, false },
};

static const struct tag *tag_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
		if (strcmp(tags[i].name, name) == 0)
			return &tags[i];
	return NULL;
}

static int on_scalar(struct reader *r, const yaml_event_t *event, struct error *err)
{
	AUTO(buf_deinit) struct buf canonical = BUF_INIT(SOPS_DOCUMENT_MAX);
	const char *tag = (const char *)event->data.scalar.tag;
	const char *text = (const char *)event->data.scalar.value;
	bool standard = tag != NULL && text_starts_with(tag, YAML_TAG);
	enum sops_kind kind = SOPS_STRING;
	struct sops_node *node;

	r->last_scalar = NULL;
	if (top(r) != NULL && top(r)->node->kind == SOPS_MAP && top(r)->key == NULL)
		return on_key(r, event, err);
	if (tag != NULL && tag_of(tag) == NULL)
		return error_set(err, ERROR_BAD_DATA,
				 "line %zu: the tag '%s%.60s' is not supported: write the value "
				 "without it, a binary one as a base64 string",
				 event->start_mark.line + 1, standard ? "!!" : "",
				 tag + (standard ? strlen(YAML_TAG) : 0));
	if (tag == NULL || strcmp(tag, "!") == 0
		    ? event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE
		    : !tag_of(tag)->text)
		kind = sops_resolve(text, event->data.scalar.length, &canonical);
	else
		buf_put(&canonical, text, event->data.scalar.length);
	if (buf_check(&canonical, "a value", err) < 0)
		return -1;
	if (kind == SOPS_INT && !sops_integer_fits(buf_string(&canonical)))
		return bad(err, event->start_mark,
			   "the integer is larger than sops can hold: put it in quotes");
	if (memchr(text, '\0', event->data.scalar.length) != NULL && top(r) == NULL)
		return bad(err, event->start_mark, "a document must be a map of names to values");
	node = add_value(r, event, kind, buf_string(&canonical), canonical.len, err);
	if (node == NULL)
		return -1;
	if (node->key == NULL && is_sealed_comment(node)) {
		node->kind = SOPS_COMMENT;
		node->item = true;
	}
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	r->last_scalar = node;
	return remember(r, event->data.scalar.anchor, node, false, err);
}

/* Where a collection's own text begins: behind an anchor or a tag, which begin its event. A list
 * that is indented no more than its key has the dash itself in the event. */
static void place_start(struct reader *r, const yaml_event_t *event, struct sops_node *node,
			size_t *column)
{
	size_t at = byte_of(r, event->end_mark.index);
	size_t behind_dash = node->kind == SOPS_LIST && (at == r->len || r->text[at] != '-');

	*column = event->start_mark.column;
	node->span.start = at - (node->flow ? 1 : behind_dash);
	if (node->flow)
		return;
	*column = event->end_mark.column - behind_dash;
	if (node->key == NULL)
		node->column = (unsigned)*column + 1;
}

static int on_start(struct reader *r, const yaml_event_t *event, bool map, struct error *err)
{
	bool flow = map ? event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE
			: event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
	struct sops_node *node;
	size_t column;

	r->last_scalar = NULL;
	if (r->depth >= SOPS_DEPTH_MAX)
		return error_set(err, ERROR_BAD_DATA, "line %zu: nested deeper than %d",
				 event->start_mark.line + 1, SOPS_DEPTH_MAX);
	if (top(r) != NULL && top(r)->node->kind == SOPS_MAP && top(r)->key == NULL)
		return bad(err, event->start_mark, "a key is not a string");
	node = add_value(r, event, map ? SOPS_MAP : SOPS_LIST, "", 0, err);
	if (node == NULL)
		return -1;
	node->flow = flow;
	place_start(r, event, node, &column);
	r->stack[r->depth++] = (struct frame){ .node = node, .column = column };
	return remember(r,
			map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor,
			node, true, err);
}

static int on_end(struct reader *r, const yaml_event_t *event)
{
	struct sops_node *node = r->stack[--r->depth].node;
	struct sops_span span = span_of(r, event);

	if (node->flow)
		node->span.end = span.end;
	else if (node->last != NULL)
		for (const struct sops_node *child = node->first; child != NULL;
		     child = child->next)
			if (!sops_is_between(child) && child->span.end > node->span.end)
				node->span.end = child->span.end;
	for (size_t i = 0; i < r->anchor_count; i++)
		if (r->anchors[i].node == node)
			r->anchors[i].open = false;
	return 0;
}

static int on_event(struct reader *r, const yaml_event_t *event, struct error *err)
{
	bool end = event->type == YAML_MAPPING_END_EVENT || event->type == YAML_SEQUENCE_END_EVENT;
	struct sops_span span = span_of(r, event);

	if (search_gap(r, span.start, end, err) < 0)
		return -1;
	if (span.end > r->covered && event->type != YAML_DOCUMENT_END_EVENT &&
	    event->type != YAML_STREAM_END_EVENT)
		r->covered = span.end;
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (r->documents++ > 0)
			return bad(err, event->start_mark,
				   "several documents in one file are not supported: give each a "
				   "file of its own");
		return 0;
	case YAML_ALIAS_EVENT:
		return on_alias(r, event, err);
	case YAML_SCALAR_EVENT:
		return on_scalar(r, event, err);
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		return on_start(r, event, event->type == YAML_MAPPING_START_EVENT, err);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		return on_end(r, event);
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
	default:
		return 0;
	}
}

/* What never ends is noticed at the end of the text; people look where it began. */
static int not_yaml(const yaml_parser_t *parser, struct error *err)
{
	const char *problem = parser->problem != NULL ? parser->problem : "unknown";
	size_t line = parser->problem_mark.line, began = parser->context_mark.line;

	if (parser->buffer.pointer < parser->buffer.last && *parser->buffer.pointer == '\t')
		problem = "a tab where YAML allows none: indent with spaces";
	if (parser->context == NULL || began == line)
		return error_set(err, ERROR_BAD_DATA, "line %zu: not YAML: %s", line + 1, problem);
	return error_set(err, ERROR_BAD_DATA, "line %zu: not YAML: %s %s that began in line %zu",
			 line + 1, problem, parser->context, began + 1);
}

static int read_events(struct reader *r, struct error *err)
{
	for (;;) {
		yaml_event_t event;
		bool last;
		int status;

		if (yaml_parser_parse(&r->parser, &event) == 0)
			return not_yaml(&r->parser, err);
		last = event.type == YAML_STREAM_END_EVENT;
		status = on_event(r, &event, err);
		yaml_event_delete(&event);
		if (status < 0 || last)
			return status;
	}
}

static void reader_free(struct reader **pointer)
{
	struct reader *r = *pointer;

	if (r == NULL)
		return;
	yaml_parser_delete(&r->parser);
	for (size_t i = 0; i < r->anchor_count; i++)
		free(r->anchors[i].name);
	for (size_t i = 0; i <= SOPS_DEPTH_MAX; i++)
		free(r->stack[i].key);
	free(r);
}

int sops_yaml_read(struct sops_tree *tree, const char *text, size_t len, struct error *err)
{
	AUTO(reader_free) struct reader *r = calloc(1, sizeof(*r));

	if (r == NULL || yaml_parser_initialize(&r->parser) == 0)
		return error_no_memory(err);
	r->tree = tree;
	r->text = text;
	r->len = len;
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, len);
	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	if (read_events(r, err) < 0)
		return -1;
	if (tree->root != NULL)
		return 0;
	tree->root = sops_node_add(tree, NULL, SOPS_MAP, NULL, "", 0, err);
	if (tree->root != NULL)
		tree->root->span = (struct sops_span){ len, len };
	return tree->root != NULL ? 0 : -1;
}
