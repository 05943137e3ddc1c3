/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/age_bech32.h"

#include <ctype.h>
#include <string.h>

#include "agent/base/wipe.h"

enum { CHECKSUM = 6, KEY_BYTES = 32, KEY_SYMBOLS = (KEY_BYTES * 8 + 4) / 5 };

static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

static uint32_t polymod_step(uint32_t sum, unsigned value)
{
	static const uint32_t generator[5] = { 0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd,
					       0x2a1462b3 };
	uint32_t top = sum >> 25;

	sum = (sum & 0x1ffffff) << 5 ^ value;
	for (unsigned i = 0; i < 5; i++)
		if (top >> i & 1)
			sum ^= generator[i];
	return sum;
}

static uint32_t polymod(const char *prefix, const uint8_t *symbols, size_t count)
{
	uint32_t sum = 1;

	for (const char *c = prefix; *c != '\0'; c++)
		sum = polymod_step(sum, (unsigned)tolower(*c) >> 5);
	sum = polymod_step(sum, 0);
	for (const char *c = prefix; *c != '\0'; c++)
		sum = polymod_step(sum, (unsigned)tolower(*c) & 31);
	for (size_t i = 0; i < count; i++)
		sum = polymod_step(sum, symbols[i]);
	return sum;
}

void bech32_write(struct buf *buf, const char *prefix, const uint8_t key[32], bool upper)
{
	uint8_t symbols[KEY_SYMBOLS + CHECKSUM] = { 0 };
	uint32_t sum;

	for (size_t i = 0; i < KEY_SYMBOLS; i++)
		for (size_t bit = 5 * i; bit < 5 * i + 5; bit++)
			symbols[i] =
				(uint8_t)(symbols[i] << 1 |
					  (bit < 8 * KEY_BYTES ? key[bit / 8] >> (7 - bit % 8) & 1
							       : 0));
	sum = polymod(prefix, symbols, sizeof(symbols)) ^ 1;
	for (size_t i = 0; i < CHECKSUM; i++)
		symbols[KEY_SYMBOLS + i] = sum >> (5 * (5 - i)) & 31;

	for (const char *c = prefix; *c != '\0'; c++)
		buf_putc(buf, (char)(upper ? toupper(*c) : tolower(*c)));
	buf_putc(buf, '1');
	for (size_t i = 0; i < sizeof(symbols); i++)
		buf_putc(buf, (char)(upper ? toupper(alphabet[symbols[i]]) : alphabet[symbols[i]]));
	wipe(symbols, sizeof(symbols));
}

static bool read_symbols(const char *text, uint8_t *symbols, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *found = text[i] != '\0' ? strchr(alphabet, tolower(text[i])) : NULL;

		if (found == NULL)
			return false;
		symbols[i] = (uint8_t)(found - alphabet);
	}
	return true;
}

static bool one_case(const char *text, size_t len)
{
	bool lower = false, upper = false;

	for (size_t i = 0; i < len; i++) {
		lower |= text[i] >= 'a' && text[i] <= 'z';
		upper |= text[i] >= 'A' && text[i] <= 'Z';
	}
	return !(lower && upper);
}

bool bech32_read(const char *text, size_t len, const char *prefix, uint8_t ret[32])
{
	size_t head = strlen(prefix);
	uint8_t symbols[KEY_SYMBOLS + CHECKSUM];
	uint8_t key[KEY_BYTES + 1] = { 0 };
	bool right;

	if (len != head + 1 + sizeof(symbols) || strncasecmp(text, prefix, head) != 0 ||
	    text[head] != '1' || !one_case(text, len) ||
	    !read_symbols(text + head + 1, symbols, sizeof(symbols)))
		return false;
	for (size_t bit = 0; bit < 5 * KEY_SYMBOLS; bit++)
		key[bit / 8] = (uint8_t)(key[bit / 8] | (symbols[bit / 5] >> (4 - bit % 5) & 1)
								<< (7 - bit % 8));
	right = polymod(prefix, symbols, sizeof(symbols)) == 1 && key[KEY_BYTES] == 0;
	if (right)
		memcpy(ret, key, KEY_BYTES);
	wipe(symbols, sizeof(symbols));
	wipe(key, sizeof(key));
	return right;
}
