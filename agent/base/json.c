/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A document keeps a copy of its source, one block for all decoded text, and a pool of nodes. A
 * decoded string is never longer than its spelling, so the block is as long as the source and text
 * never moves. Recursion is bounded by limits->depth. Errors name the byte and what was expected
 * there, never what was found.
 */
#include "agent/base/json.h"

#include <string.h>

#include "agent/base/pool.h"
#include "agent/base/text.h"
#include "agent/base/wipe.h"

enum { PAIRWISE_MOST = 8, SURROGATE_HIGH = 0xd800, SURROGATE_LOW = 0xdc00, SURROGATE_END = 0xe000 };

/* What a node is inside: errors need the place of a key. */
struct item {
	struct json_node node; /* first */
	size_t key_at;
};

struct json_doc {
	struct pool pool;
	const struct json_node *root;
};

struct reader {
	struct pool *pool;
	const char *source; /* NUL-terminated copy */
	const char *at, *end;
	char *text; /* where the next decoded string goes */
	const struct json_limits *limits;
	unsigned nodes;
	struct error *err;
};

static int fail(const struct reader *reader, const char *at, const char *expected)
{
	return error_set(reader->err, ERROR_PROTOCOL, "JSON at byte %zu: %s",
			 (size_t)(at - reader->source), expected);
}

static int count_node(struct reader *reader)
{
	if (++reader->nodes > reader->limits->nodes)
		return error_set(reader->err, ERROR_EXHAUSTED,
				 "JSON at byte %zu: more than %u values and keys",
				 (size_t)(reader->at - reader->source), reader->limits->nodes);
	return 0;
}

static void skip_space(struct reader *reader)
{
	while (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\t' ||
	       *reader->at == '\r')
		reader->at++;
}

static bool skip_byte(struct reader *reader, char byte)
{
	if (*reader->at != byte)
		return false;
	reader->at++;
	return true;
}

static bool skip_word(struct reader *reader, const char *word)
{
	if (!text_starts_with(reader->at, word))
		return false;
	reader->at += strlen(word);
	return true;
}

static bool skip_digits(struct reader *reader)
{
	const char *first = reader->at;

	while (*reader->at >= '0' && *reader->at <= '9')
		reader->at++;
	return reader->at > first;
}

static int read_number(struct reader *reader, struct json_node *node)
{
	const char *first = reader->at;

	(void)skip_byte(reader, '-');
	if (!skip_byte(reader, '0') && !skip_digits(reader))
		return fail(reader, reader->at, "expected a digit");
	if (skip_byte(reader, '.') && !skip_digits(reader))
		return fail(reader, reader->at, "expected a digit after the point");
	if (skip_byte(reader, 'e') || skip_byte(reader, 'E')) {
		if (!skip_byte(reader, '+'))
			(void)skip_byte(reader, '-');
		if (!skip_digits(reader))
			return fail(reader, reader->at, "expected a digit of the exponent");
	}
	node->type = JSON_IS_NUMBER;
	node->text = reader->text;
	node->text_len = (size_t)(reader->at - first);
	memcpy(reader->text, first, node->text_len);
	reader->text[node->text_len] = '\0';
	reader->text += node->text_len + 1;
	return 0;
}

static bool read_hex4(const char *at, uint32_t *ret)
{
	uint32_t number = 0;

	for (int i = 0; i < 4; i++) {
		char c = at[i];

		if (c >= '0' && c <= '9')
			number = number * 16 + (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			number = number * 16 + (uint32_t)(c - 'a') + 10;
		else if (c >= 'A' && c <= 'F')
			number = number * 16 + (uint32_t)(c - 'A') + 10;
		else
			return false;
	}
	*ret = number;
	return true;
}

/* Stands behind "\u". */
static int read_unicode_escape(struct reader *reader)
{
	uint32_t character, low;

	if (!read_hex4(reader->at, &character))
		return fail(reader, reader->at, "expected four hexadecimal digits");
	if (character >= SURROGATE_LOW && character < SURROGATE_END)
		return fail(reader, reader->at, "half a surrogate pair");
	if (character >= SURROGATE_HIGH && character < SURROGATE_LOW) {
		if (reader->at[4] != '\\' || reader->at[5] != 'u' ||
		    !read_hex4(reader->at + 6, &low) || low < SURROGATE_LOW || low >= SURROGATE_END)
			return fail(reader, reader->at, "half a surrogate pair");
		character = 0x10000 + ((character - SURROGATE_HIGH) << 10) + (low - SURROGATE_LOW);
		reader->at += 6;
	}
	reader->at += 4;
	reader->text += text_encode_character(reader->text, character);
	return 0;
}

static int read_escape(struct reader *reader)
{
	static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	const char *letter;

	reader->at++;
	if (*reader->at == 'u') {
		reader->at++;
		return read_unicode_escape(reader);
	}
	letter = *reader->at != '\0' ? strchr(letters, *reader->at) : NULL;
	if (letter == NULL)
		return fail(reader, reader->at, "no such escape");
	*reader->text++ = meanings[letter - letters];
	reader->at++;
	return 0;
}

/* How many bytes from here on stand for themselves: ASCII without quote, backslash and control
 * characters. Most strings are nothing else. */
static size_t plain_run(const char *at)
{
	size_t len = 0;

	while ((unsigned char)at[len] - 0x20u < 0x60u && at[len] != '"' && at[len] != '\\')
		len++;
	return len;
}

/* At a quote. Decodes to reader->text; the source is NUL-terminated, so a look at the next byte is
 * always safe. */
static int read_string(struct reader *reader, const char **ret, size_t *ret_len)
{
	char *first = reader->text;
	uint32_t character;
	size_t size;

	for (reader->at++;;) {
		size = plain_run(reader->at);
		memcpy(reader->text, reader->at, size);
		reader->text += size;
		reader->at += size;
		if (*reader->at == '"')
			break;
		if (*reader->at == '\\') {
			if (read_escape(reader) < 0)
				return -1;
			continue;
		}
		if (reader->at == reader->end)
			return fail(reader, reader->at, "the text ends within a string");
		if ((unsigned char)*reader->at < 0x20)
			return fail(reader, reader->at, "a control character must be escaped");
		size = text_read_character(reader->at, (size_t)(reader->end - reader->at),
					   &character);
		if (size == 0)
			return fail(reader, reader->at, "not UTF-8");
		memcpy(reader->text, reader->at, size);
		reader->text += size;
		reader->at += size;
	}
	reader->at++;
	*ret = first;
	*ret_len = (size_t)(reader->text - first);
	*reader->text++ = '\0';
	return 0;
}

static bool same_key(const struct json_node *one, const struct json_node *other)
{
	return one->key_len == other->key_len && memcmp(one->key, other->key, one->key_len) == 0;
}

static int fail_twice(const struct reader *reader, const struct json_node *second)
{
	const struct item *item = (const void *)second;

	return fail(reader, reader->source + item->key_at, "the same key twice in one map");
}

/* Equal keys stand beside each other, in the order of the source. */
static int compare_keys(const void *one, const void *other)
{
	const struct json_node *a = *(const struct json_node *const *)one;
	const struct json_node *b = *(const struct json_node *const *)other;
	size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
	int order = memcmp(a->key, b->key, len);

	if (order != 0)
		return order;
	if (a->key_len != b->key_len)
		return a->key_len < b->key_len ? -1 : 1;
	return a->raw < b->raw ? -1 : 1;
}

static int refuse_duplicates_sorted(const struct reader *reader, const struct json_node *map)
{
	AUTO(wipe_freep) const struct json_node **sorted = NULL;
	size_t count = 0;

	sorted = wipe_calloc(map->count, sizeof(const struct json_node *));
	if (sorted == NULL)
		return error_no_memory(reader->err);
	for (const struct json_node *node = map->first; node != NULL; node = node->next)
		sorted[count++] = node;
	qsort(sorted, count, sizeof(sorted[0]), compare_keys);
	for (size_t i = 1; i < count; i++)
		if (same_key(sorted[i - 1], sorted[i]))
			return fail_twice(reader, sorted[i]);
	return 0;
}

static int refuse_duplicates(const struct reader *reader, const struct json_node *map)
{
	if (map->count > PAIRWISE_MOST)
		return refuse_duplicates_sorted(reader, map);
	for (const struct json_node *one = map->first; one != NULL; one = one->next)
		for (const struct json_node *other = one->next; other != NULL; other = other->next)
			if (same_key(one, other))
				return fail_twice(reader, other);
	return 0;
}

static int read_value(struct reader *reader, struct json_node *node, unsigned depth);

static int read_member(struct reader *reader, struct item *item, unsigned depth)
{
	item->key_at = (size_t)(reader->at - reader->source);
	if (*reader->at != '"')
		return fail(reader, reader->at, "expected a key in double quotes");
	if (count_node(reader) < 0 || read_string(reader, &item->node.key, &item->node.key_len) < 0)
		return -1;
	skip_space(reader);
	if (!skip_byte(reader, ':'))
		return fail(reader, reader->at, "expected a colon after the key");
	skip_space(reader);
	return read_value(reader, &item->node, depth);
}

static int read_child(struct reader *reader, struct json_node *parent, struct json_node **ret,
		      unsigned depth)
{
	struct item *item;

	/* The limit before the memory. */
	if (reader->nodes >= reader->limits->nodes)
		return count_node(reader);
	item = pool_alloc(reader->pool, sizeof(*item));
	if (item == NULL)
		return error_no_memory(reader->err);
	parent->count++;
	*ret = &item->node;
	if (parent->type == JSON_IS_MAP)
		return read_member(reader, item, depth);
	return read_value(reader, &item->node, depth);
}

/* At the opening bracket. */
static int read_children(struct reader *reader, struct json_node *node, unsigned depth)
{
	const char close = node->type == JSON_IS_MAP ? '}' : ']';
	struct json_node **next = &node->first;

	if (depth >= reader->limits->depth)
		return error_set(reader->err, ERROR_EXHAUSTED,
				 "JSON at byte %zu: nested deeper than %u levels",
				 (size_t)(reader->at - reader->source), reader->limits->depth);
	reader->at++;
	skip_space(reader);
	if (skip_byte(reader, close))
		return 0;
	for (;;) {
		if (read_child(reader, node, next, depth + 1) < 0)
			return -1;
		next = &(*next)->next;
		skip_space(reader);
		if (skip_byte(reader, close))
			break;
		if (!skip_byte(reader, ','))
			return fail(reader, reader->at, "expected a comma or the closing bracket");
		skip_space(reader);
	}
	return node->type == JSON_IS_MAP && !reader->limits->repeated
		       ? refuse_duplicates(reader, node)
		       : 0;
}

static int read_word(struct reader *reader, struct json_node *node)
{
	node->truth = skip_word(reader, "true");
	if (node->truth || skip_word(reader, "false"))
		node->type = JSON_IS_BOOL;
	else if (skip_word(reader, "null"))
		node->type = JSON_IS_NULL;
	else
		return fail(reader, reader->at, "expected a value");
	return 0;
}

static int read_value(struct reader *reader, struct json_node *node, unsigned depth)
{
	int result;

	if (count_node(reader) < 0)
		return -1;
	node->raw = reader->at;
	if (*reader->at == '"') {
		node->type = JSON_IS_STRING;
		result = read_string(reader, &node->text, &node->text_len);
	} else if (*reader->at == '{' || *reader->at == '[') {
		node->type = *reader->at == '{' ? JSON_IS_MAP : JSON_IS_LIST;
		result = read_children(reader, node, depth);
	} else if (*reader->at == '-' || (*reader->at >= '0' && *reader->at <= '9')) {
		result = read_number(reader, node);
	} else {
		result = read_word(reader, node);
	}
	node->raw_len = (size_t)(reader->at - node->raw);
	return result;
}

static int read_document(struct json_doc *doc, const void *bytes, size_t len,
			 const struct json_limits *limits, struct error *err)
{
	struct reader reader = { .pool = &doc->pool, .limits = limits, .err = err };
	struct item *root;

	if (len > limits->bytes)
		return error_set(err, ERROR_EXHAUSTED, "JSON is larger than %zu bytes",
				 limits->bytes);
	reader.source = pool_copy(&doc->pool, bytes, len);
	/* A number at the very end takes a NUL more than its spelling. */
	reader.text = pool_alloc(&doc->pool, len + 1);
	root = pool_alloc(&doc->pool, sizeof(*root));
	if (reader.source == NULL || reader.text == NULL || root == NULL)
		return error_no_memory(err);
	reader.at = reader.source;
	reader.end = reader.source + len;
	skip_space(&reader);
	if (read_value(&reader, &root->node, 0) < 0)
		return -1;
	skip_space(&reader);
	if (reader.at != reader.end)
		return fail(&reader, reader.at, "expected the end");
	doc->root = &root->node;
	return 0;
}

struct json_doc *json_doc_read(const void *bytes, size_t len, const struct json_limits *limits,
			       struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *doc = wipe_calloc(1, sizeof(*doc));

	if (doc == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	if (read_document(doc, bytes, len, limits, err) < 0)
		return NULL;
	return STEAL(doc);
}

struct json_doc *json_doc_free(struct json_doc *doc)
{
	if (doc == NULL)
		return NULL;
	pool_deinit(&doc->pool);
	wipe_free(doc);
	return NULL;
}

const struct json_node *json_doc_root(const struct json_doc *doc)
{
	return doc->root;
}

const struct json_node *json_get(const struct json_node *map, const char *key)
{
	size_t len = strlen(key);

	if (map == NULL || map->type != JSON_IS_MAP)
		return NULL;
	for (const struct json_node *node = map->first; node != NULL; node = node->next)
		if (node->key_len == len && memcmp(node->key, key, len) == 0)
			return node;
	return NULL;
}

const char *json_string(const struct json_node *node)
{
	if (node == NULL || node->type != JSON_IS_STRING || strlen(node->text) != node->text_len)
		return NULL;
	return node->text;
}

bool json_bool(const struct json_node *node, bool fallback)
{
	return node != NULL && node->type == JSON_IS_BOOL ? node->truth : fallback;
}

/* The exponent behind `e`; what does not fit is as good as any number past every 64-bit value. */
static int64_t read_exponent(const char *at)
{
	const int64_t huge = INT64_MAX / 100;
	bool negative = *at == '-';
	int64_t exponent = 0;

	if (*at == '+' || *at == '-')
		at++;
	for (; *at != '\0'; at++)
		exponent = exponent < huge ? exponent * 10 + (*at - '0') : huge;
	return negative ? -exponent : exponent;
}

static bool multiply_ten(int64_t *value, int64_t times)
{
	for (; times > 0 && *value != 0; times--)
		if (__builtin_mul_overflow(*value, (int64_t)10, value))
			return false;
	return true;
}

int64_t json_integer(const struct json_node *node, int64_t fallback)
{
	int64_t value = 0, zeros = 0, exponent = 0;
	bool fraction = false;
	const char *at;
	int sign = 1;

	if (node == NULL || node->type != JSON_IS_NUMBER)
		return fallback;
	at = node->text;
	if (*at == '-') {
		sign = -1;
		at++;
	}
	/* 1.50e1: the digits without their trailing zeros make the value, zeros and point move the
	 * exponent. */
	for (; *at != '\0' && *at != 'e' && *at != 'E'; at++) {
		if (*at == '.') {
			fraction = true;
			continue;
		}
		exponent -= fraction ? 1 : 0;
		zeros++;
		if (*at == '0')
			continue;
		if (!multiply_ten(&value, zeros) ||
		    __builtin_add_overflow(value, (int64_t)sign * (*at - '0'), &value))
			return fallback;
		zeros = 0;
	}
	if (value == 0)
		return 0;
	exponent += zeros + (*at != '\0' ? read_exponent(at + 1) : 0);
	return exponent >= 0 && multiply_ten(&value, exponent) ? value : fallback;
}

static void write_children(struct buf *buf, const struct json_node *node)
{
	for (const struct json_node *child = node->first; child != NULL; child = child->next) {
		if (child->key != NULL) {
			text_write_json(buf, child->key, child->key_len);
			buf_putc(buf, ':');
		}
		json_write(buf, child);
		if (child->next != NULL)
			buf_putc(buf, ',');
	}
}

void json_write(struct buf *buf, const struct json_node *node)
{
	switch (node->type) {
	case JSON_IS_NULL:
		buf_puts(buf, "null");
		break;
	case JSON_IS_BOOL:
		buf_puts(buf, node->truth ? "true" : "false");
		break;
	case JSON_IS_NUMBER:
		buf_put(buf, node->text, node->text_len);
		break;
	case JSON_IS_STRING:
		text_write_json(buf, node->text, node->text_len);
		break;
	case JSON_IS_LIST:
	case JSON_IS_MAP:
		buf_putc(buf, node->type == JSON_IS_MAP ? '{' : '[');
		write_children(buf, node);
		buf_putc(buf, node->type == JSON_IS_MAP ? '}' : ']');
		break;
	}
}

int json_read_pointer_name(struct buf *out, const char *text, size_t len, struct error *err)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] != '~') {
			buf_putc(out, text[i]);
		} else if (i + 1 < len && (text[i + 1] == '0' || text[i + 1] == '1')) {
			buf_putc(out, text[++i] == '0' ? '~' : '/');
		} else {
			return error_set(err, ERROR_INVALID,
					 "a '~' in a pointer is written ~0, a '/' in a name ~1");
		}
	}
	return 0;
}
