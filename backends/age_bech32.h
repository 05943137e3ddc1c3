#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bech32 (BIP 173) of 32-byte keys: how age spells its keys.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/buf.h"

/* Appends `prefix`1… in lower case, or in upper case when `upper`. */
void bech32_write(struct buf *buf, const char *prefix, const uint8_t key[32], bool upper);

/* False unless the text is `prefix`1…, in one case, with a right checksum, of exactly 32 bytes. */
bool bech32_read(const char *text, size_t len, const char *prefix, uint8_t ret[32]);
