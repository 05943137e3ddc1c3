/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aho-Corasick over all forms of all values. The automaton's depth says how far back an unfinished
 * match may begin; bytes before that, and before a finished match that may still grow, are certain.
 * Overlapping matches are one. base64 is found inside longer base64 too: for each of the three
 * alignments, the characters that the value alone decides.
 */
#include "agent/mask.h"

#include <string.h>

#include "agent/base/text.h"
#include "agent/base/wipe.h"

enum { ROOT = 0, NODES_MAX = 1 << 24 };

struct node {
	uint32_t child;	  /* the first; 0: none */
	uint32_t sibling; /* the next child of the same parent */
	uint32_t fail;	  /* the longest suffix that is also a beginning */
	uint32_t depth;
	uint32_t match; /* length of the longest form that ends here; 0: none */
	uint8_t byte;
};

struct mask {
	struct node *nodes;
	uint32_t count, capacity;
	uint32_t first[256]; /* the root's children */
};

struct mask *mask_new(struct error *err)
{
	struct mask *mask = wipe_calloc(1, sizeof(*mask));

	if (mask != NULL) {
		mask->capacity = 256;
		mask->count = 1;
		mask->nodes = wipe_calloc(mask->capacity, sizeof(*mask->nodes));
	}
	if (mask == NULL || mask->nodes == NULL) {
		(void)error_no_memory(err);
		return mask_free(mask);
	}
	return mask;
}

struct mask *mask_free(struct mask *mask)
{
	if (mask == NULL)
		return NULL;
	wipe_free(mask->nodes);
	wipe_free(mask);
	return NULL;
}

static uint32_t child_of(const struct mask *mask, uint32_t node, uint8_t byte)
{
	uint32_t child;

	if (node == ROOT)
		return mask->first[byte];
	for (child = mask->nodes[node].child; child != 0; child = mask->nodes[child].sibling)
		if (mask->nodes[child].byte == byte)
			break;
	return child;
}

static uint32_t add_child(struct mask *mask, uint32_t parent, uint8_t byte)
{
	uint32_t fresh = mask->count;
	struct node *grown;

	if (mask->count == mask->capacity) {
		if (mask->capacity >= NODES_MAX)
			return 0;
		grown = wipe_realloc(mask->nodes, 2 * mask->capacity * sizeof(*grown));
		if (grown == NULL)
			return 0;
		mask->nodes = grown;
		mask->capacity *= 2;
	}
	mask->nodes[fresh] = (struct node){
		.byte = byte,
		.depth = mask->nodes[parent].depth + 1,
		.sibling = mask->nodes[parent].child,
	};
	mask->nodes[parent].child = fresh;
	if (parent == ROOT)
		mask->first[byte] = fresh;
	mask->count++;
	return fresh;
}

static int add_form(struct mask *mask, const void *bytes, size_t len, struct error *err)
{
	const uint8_t *byte = bytes;
	uint32_t node = ROOT, next;

	if (len < MASK_LEAST)
		return 0;
	for (size_t i = 0; i < len; i++, node = next) {
		next = child_of(mask, node, byte[i]);
		if (next == 0)
			next = add_child(mask, node, byte[i]);
		if (next == 0)
			return error_no_memory(err);
	}
	mask->nodes[node].match = (uint32_t)len;
	return 0;
}

static int add_buf(struct mask *mask, const struct buf *form, struct error *err)
{
	if (buf_check(form, "a value to mask", err) < 0)
		return -1;
	return add_form(mask, form->data, form->len, err);
}

/* The base64 characters that the value decides when `before` bytes stand in front of it, in both
 * alphabets. */
static int add_base64_inside(struct mask *mask, const char *bytes, size_t len, size_t before,
			     struct error *err)
{
	AUTO(buf_deinit) struct buf plain = BUF_INIT(len + before);
	AUTO(buf_deinit) struct buf form = BUF_INIT(2 * len + 16);
	static const size_t undecided[] = { 0, 2, 3 };
	size_t first = undecided[before], end;

	buf_put(&plain, "\0\0", before);
	buf_put(&plain, bytes, len);
	text_write_base64_raw(&form, plain.data, plain.len);
	if (buf_check(&form, "a value to mask", err) < 0)
		return -1;
	/* The last character holds bits of what follows unless the value ends on a group. */
	end = form.len - (plain.len % 3 == 0 ? 0 : 1);
	if (add_form(mask, form.data + first, end - first, err) < 0)
		return -1;
	for (size_t i = 0; i < form.len; i++)
		form.data[i] = form.data[i] == '+' ? '-' : form.data[i] == '/' ? '_' : form.data[i];
	if (add_form(mask, form.data + first, end - first, err) < 0)
		return -1;
	/* Encoded by itself, the last character belongs to it. */
	return before == 0 ? add_form(mask, form.data, form.len, err) : 0;
}

/* Encoded by itself: the last character and the padding belong to it, and tools break lines at 76
 * or 64. */
static int add_base64(struct mask *mask, const char *bytes, size_t len, struct error *err)
{
	AUTO(buf_deinit) struct buf form = BUF_INIT(2 * len + 16);
	static const size_t widths[] = { 76, 64 };

	for (size_t before = 0; before < 3; before++)
		if (add_base64_inside(mask, bytes, len, before, err) < 0)
			return -1;
	text_write_base64(&form, bytes, len);
	if (add_buf(mask, &form, err) < 0)
		return -1;
	while (form.len > 0 && form.data[form.len - 1] == '=')
		buf_truncate(&form, form.len - 1);
	if (add_buf(mask, &form, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		AUTO(buf_deinit) struct buf lines = BUF_INIT(2 * form.len);

		for (size_t at = 0; at < form.len; at++) {
			if (at > 0 && at % widths[i] == 0)
				buf_putc(&lines, '\n');
			buf_putc(&lines, form.data[at]);
		}
		if (add_buf(mask, &lines, err) < 0)
			return -1;
	}
	return 0;
}

static void write_json_inside(struct buf *form, const char *bytes, size_t len)
{
	AUTO(buf_deinit) struct buf quoted = BUF_INIT(form->max + 2);

	text_write_json(&quoted, bytes, len);
	if (quoted.failed)
		form->failed = true;
	else
		buf_put(form, quoted.data + 1, quoted.len - 2);
}

/* As a terminal shows lines, and as \/ is written by some writers of JSON. */
static void write_replaced(struct buf *form, const char *bytes, size_t len, char what,
			   const char *by)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] == what)
			buf_puts(form, by);
		else
			buf_putc(form, bytes[i]);
}

static int add_escaped(struct mask *mask, const char *bytes, size_t len, struct error *err)
{
	AUTO(buf_deinit) struct buf form = BUF_INIT(6 * len + 16);
	AUTO(buf_deinit) struct buf other = BUF_INIT(12 * len + 16);

	text_write_percent(&form, bytes, len, "");
	if (add_buf(mask, &form, err) < 0)
		return -1;
	for (size_t i = 0; i + 2 < form.len; i++)
		if (form.data[i] == '%')
			for (size_t j = i + 1; j < i + 3; j++)
				form.data[j] = (char)(form.data[j] | 0x20);
	if (add_buf(mask, &form, err) < 0)
		return -1;
	buf_reset(&form);
	text_write_percent(&form, bytes, len, " ");
	write_replaced(&other, form.data, form.len, ' ', "+");
	if (add_buf(mask, &other, err) < 0)
		return -1;
	buf_reset(&form);
	buf_reset(&other);

	if (text_is_utf8(bytes, len)) {
		write_json_inside(&form, bytes, len);
		if (add_buf(mask, &form, err) < 0)
			return -1;
		write_replaced(&other, form.data, form.len, '/', "\\/");
		if (add_buf(mask, &other, err) < 0)
			return -1;
		buf_reset(&other);
	}
	write_replaced(&other, bytes, len, '\n', "\r\n");
	return add_buf(mask, &other, err);
}

int mask_add(struct mask *mask, const void *bytes, size_t len, struct error *err)
{
	const char *text = bytes;

	/* The value's last line end is often not printed with it. */
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	if (len < MASK_LEAST)
		return 0;
	if (add_form(mask, text, len, err) < 0 || add_escaped(mask, text, len, err) < 0)
		return -1;
	return add_base64(mask, text, len, err);
}

static uint32_t step(const struct mask *mask, uint32_t node, uint8_t byte)
{
	uint32_t next = child_of(mask, node, byte);

	while (next == 0 && node != ROOT) {
		node = mask->nodes[node].fail;
		next = child_of(mask, node, byte);
	}
	return next;
}

/* Breadth first, so that the suffix of a node is done before the node. */
int mask_prepare(struct mask *mask, struct error *err)
{
	AUTO(wipe_freep) uint32_t *queue = wipe_malloc(mask->count * sizeof(*queue));
	uint32_t head = 0, tail = 0, child;
	struct node *nodes = mask->nodes;

	if (queue == NULL)
		return error_no_memory(err);
	queue[tail++] = ROOT;
	while (head < tail) {
		uint32_t parent = queue[head++];

		for (child = nodes[parent].child; child != 0; child = nodes[child].sibling) {
			queue[tail++] = child;
			nodes[child].fail =
				parent == ROOT ? ROOT
					       : step(mask, nodes[parent].fail, nodes[child].byte);
			if (nodes[child].match == 0)
				nodes[child].match = nodes[nodes[child].fail].match;
		}
	}
	return 0;
}

void mask_stream_init(struct mask_stream *stream, const struct mask *mask)
{
	*stream = (struct mask_stream){ .mask = mask, .held = BUF_INIT(SIZE_MAX / 2) };
}

void mask_stream_deinit(struct mask_stream *stream)
{
	buf_deinit(&stream->held);
}

/* Moves the held bytes before position `until` to `out`, or drops them. */
static void release(struct mask_stream *stream, uint64_t until, struct buf *out)
{
	size_t len = until > stream->base ? (size_t)(until - stream->base) : 0;

	if (len > stream->held.len)
		len = stream->held.len;
	if (len == 0)
		return;
	if (out != NULL)
		buf_put(out, stream->held.data, len);
	memmove(stream->held.data, stream->held.data + len, stream->held.len - len);
	buf_truncate(&stream->held, stream->held.len - len);
	stream->base += len;
}

static void release_match(struct mask_stream *stream, struct buf *out)
{
	release(stream, stream->start, out);
	release(stream, stream->end, NULL);
	buf_puts(out, MASK_TEXT);
	stream->start = stream->end = 0;
}

static void found(struct mask_stream *stream, uint64_t start, uint64_t end, struct buf *out)
{
	bool pending = stream->start != stream->end;

	if (pending && start >= stream->end) {
		release_match(stream, out);
		pending = false;
	}
	if (!pending || start < stream->start)
		stream->start = start;
	stream->end = end;
}

void mask_put(struct mask_stream *stream, const char *bytes, size_t len, struct buf *out)
{
	const struct node *nodes = stream->mask->nodes;
	uint64_t begun;

	for (size_t i = 0; i < len; i++) {
		buf_putc(&stream->held, bytes[i]);
		stream->at++;
		stream->node = step(stream->mask, stream->node, (uint8_t)bytes[i]);
		if (nodes[stream->node].match > 0)
			found(stream, stream->at - nodes[stream->node].match, stream->at, out);
		begun = stream->at - nodes[stream->node].depth;
		if (stream->start != stream->end && begun >= stream->end)
			release_match(stream, out);
	}
	begun = stream->at - nodes[stream->node].depth;
	if (stream->start != stream->end && stream->start < begun)
		begun = stream->start;
	release(stream, begun, out);
}

void mask_idle(struct mask_stream *stream, struct buf *out)
{
	uint64_t begun = stream->at - stream->mask->nodes[stream->node].depth;

	if (stream->start == stream->end && stream->at - begun < MASK_LEAST)
		release(stream, stream->at, out);
}

void mask_end(struct mask_stream *stream, struct buf *out)
{
	if (stream->start != stream->end)
		release_match(stream, out);
	release(stream, stream->at, out);
	stream->node = ROOT;
}
