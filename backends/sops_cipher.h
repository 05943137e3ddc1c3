#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sealed value: ENC[AES256_GCM,data:…,iv:…,tag:…,type:…], bound to the place where it stands.
 */
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/error.h"

#define SOPS_KEY_LEN 32

struct sops_sealed {
	const char *data, *iv, *tag, *type;
	size_t data_len, iv_len, tag_len, type_len;
};

/* True when the text is a sealed value as a whole; points into it. */
bool sops_sealed_read(const char *text, size_t len, struct sops_sealed *ret);

/* Appends the plaintext. ERROR_BAD_DATA when value, key or place do not fit. */
int sops_unseal(const uint8_t key[SOPS_KEY_LEN], const struct sops_sealed *sealed,
		const char *place, struct buf *plain, struct error *err) MUST_USE;

/* Appends the sealed value; `type` is str, int, float, bool, time or comment. */
int sops_seal(const uint8_t key[SOPS_KEY_LEN], const void *plain, size_t len, const char *type,
	      const char *place, struct buf *out, struct error *err) MUST_USE;
