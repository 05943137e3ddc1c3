/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file is a header (a line per recipient's stanza with the file key wrapped for it, then a MAC by
 * a key made of the file key) and a payload in chunks of 64 KiB, each sealed under a counter that
 * also marks the last.
 */
#include "backends/age.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/base/wipe.h"
#include "backends/age_bech32.h"

enum {
	FILE_KEY = 16,
	WRAPPED = FILE_KEY + crypto_aead_chacha20poly1305_IETF_ABYTES,
	MAC = crypto_auth_hmacsha256_BYTES,
	PAYLOAD_NONCE = 16,
	TAG = crypto_aead_chacha20poly1305_IETF_ABYTES,
	NONCE = crypto_aead_chacha20poly1305_IETF_NPUBBYTES,
	CHUNK = 64 << 10,
	LINE = 64,
	BARE_MAX = 4 << 20,
};

#define INTRO		 "age-encryption.org/v1\n"
#define ARMOR_BEGIN	 "-----BEGIN AGE ENCRYPTED FILE-----"
#define ARMOR_END	 "-----END AGE ENCRYPTED FILE-----"
#define SECRET_PREFIX	 "AGE-SECRET-KEY-"
#define RECIPIENT_PREFIX "age"
#define WRAP_LABEL	 "age-encryption.org/v1/X25519"

/* HKDF-SHA256 (RFC 5869) where the answer is one block, which is all that age asks for. libsodium
 * has it from 1.0.19 on; libcrypto's costs a millisecond of making its algorithms ready. */
static void hkdf(const uint8_t *secret, size_t secret_size, const uint8_t *salt, size_t salt_size,
		 const char *label, uint8_t ret[MAC])
{
	static const uint8_t no_salt[1];
	crypto_auth_hmacsha256_state state;
	uint8_t extracted[MAC];

	(void)crypto_auth_hmacsha256_init(&state, salt_size > 0 ? salt : no_salt, salt_size);
	(void)crypto_auth_hmacsha256_update(&state, secret, secret_size);
	(void)crypto_auth_hmacsha256_final(&state, extracted);
	(void)crypto_auth_hmacsha256_init(&state, extracted, sizeof(extracted));
	(void)crypto_auth_hmacsha256_update(&state, (const uint8_t *)label, strlen(label));
	(void)crypto_auth_hmacsha256_update(&state, (const uint8_t *)"\x01", 1);
	(void)crypto_auth_hmacsha256_final(&state, ret);
	wipe(extracted, sizeof(extracted));
	wipe(&state, sizeof(state));
}

/* --- keys --- */

void age_identities_free(struct age_identities *keys)
{
	wipe_free(keys->items);
	keys->items = NULL;
	keys->count = 0;
}

void age_identity_make(struct age_identity *ret)
{
	randombytes_buf(ret->secret, sizeof(ret->secret));
	(void)crypto_scalarmult_base(ret->recipient, ret->secret);
}

void age_identity_write(struct buf *buf, const struct age_identity *key)
{
	bech32_write(buf, SECRET_PREFIX, key->secret, true);
}

void age_recipient_write(struct buf *buf, const uint8_t recipient[AGE_KEY_LEN])
{
	bech32_write(buf, RECIPIENT_PREFIX, recipient, false);
}

int age_recipient_read(const char *text, uint8_t ret[AGE_KEY_LEN], struct error *err)
{
	if (bech32_read(text, strlen(text), RECIPIENT_PREFIX, ret))
		return 0;
	if (text_starts_with(text, "ssh-") || text_starts_with(text, "age1pq") ||
	    text_starts_with(text, "age1tag") ||
	    (text_starts_with(text, "age1") && strlen(text) != 62))
		return error_set(
			err, ERROR_INVALID,
			"recipient '%.20s…' is of a kind that is not supported yet; use an X25519 "
			"recipient (age1… of 62 characters)",
			text);
	return error_set(err, ERROR_INVALID, "'%.80s' is not an age recipient (age1…)", text);
}

static int add_identity(struct age_identities *keys, const char *line, size_t len,
			struct error *err)
{
	struct age_identity *grown;
	struct age_identity key;

	if (!bech32_read(line, len, SECRET_PREFIX, key.secret)) {
		if (len >= 11 && strncasecmp(line, "AGE-PLUGIN-", 11) == 0)
			return error_set(err, ERROR_INVALID, "plugin keys are not supported yet");
		if (len >= 17 && strncasecmp(line, "AGE-SECRET-KEY-PQ", 17) == 0)
			return error_set(err, ERROR_INVALID,
					 "post-quantum keys are not supported yet");
		if (len >= 5 && memcmp(line, "-----", 5) == 0)
			return error_set(err, ERROR_INVALID,
					 "ssh keys and encrypted key files are not supported yet");
		return error_set(err, ERROR_INVALID, "not an age key (AGE-SECRET-KEY-1…)");
	}
	(void)crypto_scalarmult_base(key.recipient, key.secret);
	grown = keys->count < AGE_KEYS_MAX
			? wipe_realloc(keys->items, (keys->count + 1) * sizeof(key))
			: NULL;
	if (grown == NULL) {
		wipe(&key, sizeof(key));
		return error_set(err, ERROR_EXHAUSTED, "more than %d keys", AGE_KEYS_MAX);
	}
	keys->items = grown;
	keys->items[keys->count++] = key;
	wipe(&key, sizeof(key));
	return 0;
}

int age_identities_read(struct age_identities *keys, const char *text, size_t len, const char *file,
			struct error *err)
{
	const char *end = text + len;
	size_t before = keys->count;

	for (unsigned number = 1; text < end; number++) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		const char *next = stop != NULL ? stop + 1 : end;
		size_t size = (size_t)((stop != NULL ? stop : end) - text);

		while (size > 0 && strchr(" \t\r", text[size - 1]) != NULL &&
		       text[size - 1] != '\0')
			size--;
		if (size > 0 && text[0] != '#' && add_identity(keys, text, size, err) < 0)
			return error_wrap(err, "%s:%u", file, number);
		text = next;
	}
	if (keys->count == before)
		return error_set(
			err, ERROR_INVALID,
			"%s holds no age key; `agent secrets init` or `age-keygen` makes one",
			file);
	return 0;
}

/* --- armor --- */

static void write_armor(struct buf *armored, const struct buf *bare)
{
	struct buf text = BUF_INIT(2 * BARE_MAX);

	text_write_base64(&text, bare->data, bare->len);
	buf_puts(armored, ARMOR_BEGIN "\n");
	for (size_t at = 0; at < text.len; at += LINE) {
		buf_put(armored, text.data + at, text.len - at < LINE ? text.len - at : LINE);
		buf_putc(armored, '\n');
	}
	buf_puts(armored, ARMOR_END "\n");
	armored->failed |= text.failed;
	buf_deinit(&text);
}

static int damaged(struct error *err, const char *what)
{
	return error_set(err, ERROR_BAD_DATA, "the age file is damaged: %s", what);
}

/* Lines of 64 characters, the last may be shorter, between the two marks; nothing but white space
 * around. */
static int read_armor(const char *text, size_t len, struct buf *bare, struct error *err)
{
	AUTO(buf_deinit) struct buf joined = BUF_INIT(2 * BARE_MAX);
	const char *end = text + len;
	bool short_line = false;

	text += strlen(ARMOR_BEGIN);
	if (text < end && *text == '\r')
		text++;
	if (text == end || *text++ != '\n')
		return damaged(err, "its first line does not end");
	for (;;) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t size = (size_t)((stop != NULL ? stop : end) - text);

		if (size > 0 && text[size - 1] == '\r')
			size--;
		if (size == strlen(ARMOR_END) && memcmp(text, ARMOR_END, size) == 0) {
			text = stop != NULL ? stop + 1 : end;
			break;
		}
		if (stop == NULL || size == 0 || size > LINE || short_line)
			return damaged(
				err, "its lines are not 64 characters long, or its end is missing");
		short_line = size < LINE;
		buf_put(&joined, text, size);
		text = stop + 1;
	}
	while (text < end && strchr(" \t\r\n", *text) != NULL && *text != '\0')
		text++;
	if (text != end || joined.len % 4 != 0)
		return damaged(err, "something follows its end");
	if (buf_check(&joined, "the age file", err) < 0)
		return -1;
	if (text_read_base64(bare, buf_string(&joined), joined.len, err) < 0)
		return damaged(err, "its armor is not base64");
	return buf_check(bare, "the age file", err);
}

/* --- header --- */

/* What is left to read, and where the header began. */
struct reader {
	const char *start, *at, *end;
};

struct line {
	const char *text;
	size_t len;
};

static bool next_line(struct reader *reader, struct line *line)
{
	const char *stop = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));

	if (stop == NULL)
		return false;
	*line = (struct line){ reader->at, (size_t)(stop - reader->at) };
	reader->at = stop + 1;
	return true;
}

/* Takes the word up to the next space off the front of the line. */
static struct line next_word(struct line *line)
{
	const char *space = memchr(line->text, ' ', line->len);
	size_t size = space != NULL ? (size_t)(space - line->text) : line->len;
	struct line word = { line->text, size };

	line->text += size + (space != NULL);
	line->len -= size + (space != NULL);
	return word;
}

/* Canonical unpadded base64 of exactly `size` bytes. */
static bool read_bytes(struct line word, uint8_t *ret, size_t size)
{
	AUTO(buf_deinit) struct buf bytes = BUF_INIT(size), again = BUF_INIT(2 * size + 4);
	struct error ignored;

	if (memchr(word.text, '=', word.len) != NULL ||
	    text_read_base64(&bytes, word.text, word.len, &ignored) < 0 || bytes.failed ||
	    bytes.len != size)
		return false;
	text_write_base64_raw(&again, bytes.data, bytes.len);
	if (again.len != word.len || memcmp(again.data, word.text, word.len) != 0)
		return false;
	memcpy(ret, bytes.data, size);
	return true;
}

/* The wrapped key of an X25519 stanza, and whether one of our keys opens it. */
struct stanza {
	uint8_t share[AGE_KEY_LEN];
	uint8_t body[WRAPPED];
};

static int wrap_key(const uint8_t scalar[AGE_KEY_LEN], const uint8_t point[AGE_KEY_LEN],
		    const uint8_t share[AGE_KEY_LEN], const uint8_t recipient[AGE_KEY_LEN],
		    uint8_t ret[32], struct error *err)
{
	uint8_t shared[AGE_KEY_LEN], salt[2 * AGE_KEY_LEN];

	if (crypto_scalarmult(shared, scalar, point) != 0)
		return damaged(err, "a share is the point at infinity");
	memcpy(salt, share, AGE_KEY_LEN);
	memcpy(salt + AGE_KEY_LEN, recipient, AGE_KEY_LEN);
	hkdf(shared, sizeof(shared), salt, sizeof(salt), WRAP_LABEL, ret);
	wipe(shared, sizeof(shared));
	return 0;
}

/* 1: opened, 0: made for somebody else. */
static int open_stanza(const struct stanza *stanza, const struct age_identities *keys,
		       uint8_t ret[FILE_KEY], struct error *err)
{
	static const uint8_t zero[NONCE];

	for (size_t i = 0; i < keys->count; i++) {
		const struct age_identity *key = &keys->items[i];
		uint8_t wrapping[32];
		int opened;

		if (wrap_key(key->secret, stanza->share, stanza->share, key->recipient, wrapping,
			     err) < 0)
			return -1;
		opened = crypto_aead_chacha20poly1305_ietf_decrypt(
			ret, NULL, NULL, stanza->body, WRAPPED, NULL, 0, zero, wrapping);
		wipe(wrapping, sizeof(wrapping));
		if (opened == 0)
			return 1;
	}
	return 0;
}

static bool is_word(struct line word, const char *text)
{
	return word.len == strlen(text) && memcmp(word.text, text, word.len) == 0;
}

/* Body lines are full until one that is shorter, which may be empty. */
static bool skip_body(struct reader *reader, struct line *first)
{
	struct line line;

	if (!next_line(reader, first))
		return false;
	for (line = *first; line.len == LINE;)
		if (!next_line(reader, &line))
			return false;
	return line.len < LINE;
}

static bool read_x25519(struct line words, struct line body, struct stanza *ret)
{
	struct line share = next_word(&words);

	return words.len == 0 && read_bytes(share, ret->share, sizeof(ret->share)) &&
	       read_bytes(body, ret->body, sizeof(ret->body));
}

static int check_mac(const struct reader *reader, size_t covered, struct line mac,
		     const uint8_t file_key[FILE_KEY], struct error *err)
{
	uint8_t key[32], found[MAC], right[MAC];
	crypto_auth_hmacsha256_state state;
	int same;

	if (!read_bytes(mac, found, sizeof(found)))
		return damaged(err, "its header has no MAC");
	hkdf(file_key, FILE_KEY, NULL, 0, "header", key);
	(void)crypto_auth_hmacsha256_init(&state, key, sizeof(key));
	(void)crypto_auth_hmacsha256_update(&state, (const uint8_t *)reader->start, covered);
	(void)crypto_auth_hmacsha256_final(&state, right);
	same = sodium_memcmp(found, right, sizeof(right));
	wipe(key, sizeof(key));
	wipe(&state, sizeof(state));
	return same == 0 ? 0 : damaged(err, "the MAC of its header is wrong");
}

/* Reads up to the payload and yields the file key. */
static int read_header(struct reader *reader, const struct age_identities *keys,
		       uint8_t file_key[FILE_KEY], struct error *err)
{
	struct line line, body, kind;
	struct stanza stanza;
	char others[32] = "";
	int opened = 0;

	if ((size_t)(reader->end - reader->at) < strlen(INTRO) ||
	    memcmp(reader->at, INTRO, strlen(INTRO)) != 0)
		return damaged(err, "it does not start with age-encryption.org/v1");
	reader->at += strlen(INTRO);
	for (unsigned count = 0;; count++) {
		if (!next_line(reader, &line) || count > AGE_KEYS_MAX)
			return damaged(err, "its header does not end");
		kind = next_word(&line);
		if (is_word(kind, "---"))
			break;
		if (!is_word(kind, "->"))
			return damaged(err, "its header has a line that is no recipient");
		kind = next_word(&line);
		if (!skip_body(reader, &body))
			return damaged(err, "a recipient's key does not end");
		if (!is_word(kind, "X25519")) {
			(void)snprintf(others, sizeof(others), "%.*s",
				       (int)(kind.len < 24 ? kind.len : 24), kind.text);
			continue;
		}
		if (!read_x25519(line, body, &stanza))
			return damaged(err, "an X25519 recipient is malformed");
		if (opened == 0)
			opened = open_stanza(&stanza, keys, file_key, err);
		if (opened < 0)
			return -1;
	}
	if (opened == 0 && others[0] != '\0')
		return error_set(err, ERROR_INVALID,
				 "recipients of kind '%s' are not supported yet", others);
	if (opened == 0)
		return error_set(err, ERROR_INVALID, "none of the %zu age keys at hand can open it",
				 keys->count);
	return check_mac(reader, (size_t)(kind.text + 3 - reader->start), line, file_key, err);
}

/* --- payload --- */

static void chunk_nonce(uint8_t nonce[NONCE], uint64_t counter, bool last)
{
	memset(nonce, 0, NONCE);
	for (size_t i = 0; i < 8; i++)
		nonce[NONCE - 2 - i] = (uint8_t)(counter >> (8 * i));
	nonce[NONCE - 1] = last;
}

static int open_payload(const uint8_t key[32], const uint8_t *at, size_t left, struct buf *plain,
			struct error *err)
{
	uint8_t nonce[NONCE];

	for (uint64_t counter = 0;; counter++) {
		bool last = left <= CHUNK + TAG;
		size_t size = last ? left : CHUNK + TAG;
		char *room;

		if (size < TAG || (size == TAG && counter > 0))
			return damaged(err, "its payload is cut short");
		room = buf_reserve(plain, size - TAG);
		if (room == NULL)
			return buf_check(plain, "the content of the age file", err);
		chunk_nonce(nonce, counter, last);
		if (crypto_aead_chacha20poly1305_ietf_decrypt((uint8_t *)room, NULL, NULL, at, size,
							      NULL, 0, nonce, key) != 0)
			return damaged(err, "its payload does not fit its key");
		buf_commit(plain, size - TAG);
		at += size;
		left -= size;
		if (last)
			return 0;
	}
}

static int seal_payload(const uint8_t key[32], const uint8_t *at, size_t left, struct buf *bare,
			struct error *err)
{
	uint8_t nonce[NONCE];

	for (uint64_t counter = 0;; counter++) {
		bool last = left <= CHUNK;
		size_t size = last ? left : CHUNK;
		char *room = buf_reserve(bare, size + TAG);

		if (room == NULL)
			return buf_check(bare, "the age file", err);
		chunk_nonce(nonce, counter, last);
		(void)crypto_aead_chacha20poly1305_ietf_encrypt((uint8_t *)room, NULL, at, size,
								NULL, 0, NULL, nonce, key);
		buf_commit(bare, size + TAG);
		at += size;
		left -= size;
		if (last)
			return 0;
	}
}

int age_decrypt(const char *file, size_t len, const struct age_identities *keys, struct buf *plain,
		struct error *err)
{
	AUTO(buf_deinit) struct buf bare = BUF_INIT(BARE_MAX);
	uint8_t file_key[FILE_KEY], payload_key[32];
	struct reader reader;
	int status;

	while (len > 0 && strchr(" \t\r\n", *file) != NULL && *file != '\0') {
		file++;
		len--;
	}
	if (len >= strlen(ARMOR_BEGIN) && memcmp(file, ARMOR_BEGIN, strlen(ARMOR_BEGIN)) == 0) {
		if (read_armor(file, len, &bare, err) < 0)
			return -1;
		file = buf_string(&bare);
		len = bare.len;
	}
	reader = (struct reader){ file, file, file + len };
	if (read_header(&reader, keys, file_key, err) < 0)
		return -1;
	if (reader.end - reader.at < PAYLOAD_NONCE) {
		wipe(file_key, sizeof(file_key));
		return damaged(err, "it has no payload");
	}
	hkdf(file_key, FILE_KEY, (const uint8_t *)reader.at, PAYLOAD_NONCE, "payload", payload_key);
	wipe(file_key, sizeof(file_key));
	reader.at += PAYLOAD_NONCE;
	status = open_payload(payload_key, (const uint8_t *)reader.at,
			      (size_t)(reader.end - reader.at), plain, err);
	wipe(payload_key, sizeof(payload_key));
	return status;
}

static int write_stanza(struct buf *bare, const uint8_t recipient[AGE_KEY_LEN],
			const uint8_t file_key[FILE_KEY], struct error *err)
{
	static const uint8_t zero[NONCE];
	struct age_identity once;
	uint8_t wrapping[32], body[WRAPPED];
	int status;

	age_identity_make(&once);
	status = wrap_key(once.secret, recipient, once.recipient, recipient, wrapping, err);
	if (status == 0) {
		(void)crypto_aead_chacha20poly1305_ietf_encrypt(body, NULL, file_key, FILE_KEY,
								NULL, 0, NULL, zero, wrapping);
		buf_puts(bare, "-> X25519 ");
		text_write_base64_raw(bare, once.recipient, sizeof(once.recipient));
		buf_putc(bare, '\n');
		text_write_base64_raw(bare, body, sizeof(body));
		buf_putc(bare, '\n');
	}
	wipe(&once, sizeof(once));
	wipe(wrapping, sizeof(wrapping));
	return status;
}

static int write_mac(struct buf *bare, const uint8_t file_key[FILE_KEY], struct error *err)
{
	uint8_t key[32], mac[MAC];

	buf_puts(bare, "---");
	if (buf_check(bare, "the age file", err) < 0)
		return -1;
	hkdf(file_key, FILE_KEY, NULL, 0, "header", key);
	(void)crypto_auth_hmacsha256(mac, (const uint8_t *)bare->data, bare->len, key);
	wipe(key, sizeof(key));
	buf_putc(bare, ' ');
	text_write_base64_raw(bare, mac, sizeof(mac));
	buf_putc(bare, '\n');
	return 0;
}

int age_encrypt(const uint8_t (*recipients)[AGE_KEY_LEN], size_t count, const void *plain,
		size_t len, struct buf *armored, struct error *err)
{
	AUTO(buf_deinit) struct buf bare = BUF_INIT(BARE_MAX);
	uint8_t file_key[FILE_KEY], nonce[PAYLOAD_NONCE], payload_key[32];
	int status = 0;

	randombytes_buf(file_key, sizeof(file_key));
	randombytes_buf(nonce, sizeof(nonce));
	buf_puts(&bare, INTRO);
	for (size_t i = 0; i < count && status == 0; i++)
		status = write_stanza(&bare, recipients[i], file_key, err);
	if (status == 0)
		status = write_mac(&bare, file_key, err);
	buf_put(&bare, nonce, sizeof(nonce));
	hkdf(file_key, FILE_KEY, nonce, sizeof(nonce), "payload", payload_key);
	wipe(file_key, sizeof(file_key));
	if (status == 0)
		status = seal_payload(payload_key, plain, len, &bare, err);
	wipe(payload_key, sizeof(payload_key));
	if (status < 0)
		return -1;
	write_armor(armored, &bare);
	return buf_check(armored, "the age file", err);
}
