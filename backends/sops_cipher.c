/* SPDX-License-Identifier: Apache-2.0 */
/* The initialisation vector has 32 bytes, which libsodium's AES-GCM cannot do: hence libcrypto. */
#include "backends/sops_cipher.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/base/wipe.h"

enum { IV = 32, IV_MAX = 128, TAG = 16, PLAIN_MAX = 4 << 20 };

/* Reads "NAME" and what follows up to `stop`. */
static bool part(const char **at, const char *end, const char *name, char stop, const char **ret,
		 size_t *ret_len)
{
	size_t len = strlen(name);
	const char *found;

	if ((size_t)(end - *at) < len || memcmp(*at, name, len) != 0)
		return false;
	*at += len;
	found = memchr(*at, stop, (size_t)(end - *at));
	if (found == NULL || found == *at)
		return false;
	*ret = *at;
	*ret_len = (size_t)(found - *at);
	*at = found + 1;
	return true;
}

bool sops_sealed_read(const char *text, size_t len, struct sops_sealed *ret)
{
	const char *end = text + len;

	return part(&text, end, "ENC[AES256_GCM,data:", ',', &ret->data, &ret->data_len) &&
	       part(&text, end, "iv:", ',', &ret->iv, &ret->iv_len) &&
	       part(&text, end, "tag:", ',', &ret->tag, &ret->tag_len) &&
	       part(&text, end, "type:", ']', &ret->type, &ret->type_len) && text == end;
}

static int open_gcm(EVP_CIPHER_CTX *context, const uint8_t *key, const struct buf *iv,
		    struct buf *tag, const struct buf *data, const char *place, uint8_t *out)
{
	int size = 0, rest = 0;

	if (EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, NULL, NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, (int)iv->len, NULL) != 1 ||
	    EVP_DecryptInit_ex(context, NULL, NULL, key, (const uint8_t *)iv->data) != 1 ||
	    EVP_DecryptUpdate(context, NULL, &size, (const uint8_t *)place, (int)strlen(place)) !=
		    1 ||
	    EVP_DecryptUpdate(context, out, &size, (const uint8_t *)data->data, (int)data->len) !=
		    1 ||
	    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG, tag->data) != 1)
		return -1;
	return EVP_DecryptFinal_ex(context, out + size, &rest) == 1 ? 0 : -1;
}

int sops_unseal(const uint8_t key[SOPS_KEY_LEN], const struct sops_sealed *sealed,
		const char *place, struct buf *plain, struct error *err)
{
	AUTO(buf_deinit)
	struct buf data = BUF_INIT(PLAIN_MAX), iv = BUF_INIT(IV_MAX), tag = BUF_INIT(TAG);
	EVP_CIPHER_CTX *context;
	char *room;
	int status;

	if (text_read_base64(&data, sealed->data, sealed->data_len, err) < 0 ||
	    text_read_base64(&iv, sealed->iv, sealed->iv_len, err) < 0 ||
	    text_read_base64(&tag, sealed->tag, sealed->tag_len, err) < 0 || data.failed ||
	    iv.failed || tag.failed || iv.len == 0 || tag.len != TAG)
		return error_set(err, ERROR_BAD_DATA, "malformed ENC[…]");
	room = buf_reserve(plain, data.len);
	context = room != NULL ? EVP_CIPHER_CTX_new() : NULL;
	if (context == NULL)
		return error_no_memory(err);
	status = open_gcm(context, key, &iv, &tag, &data, place, (uint8_t *)room);
	EVP_CIPHER_CTX_free(context);
	if (status < 0) {
		wipe(room, data.len);
		return error_set(err, ERROR_BAD_DATA,
				 "it was changed, or moved from where it was encrypted");
	}
	buf_commit(plain, data.len);
	return 0;
}

static int seal_gcm(EVP_CIPHER_CTX *context, const uint8_t *key, const uint8_t iv[IV],
		    const void *plain, size_t len, const char *place, uint8_t *out,
		    uint8_t tag[TAG])
{
	int size = 0, rest = 0;

	if (EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, NULL, NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, IV, NULL) != 1 ||
	    EVP_EncryptInit_ex(context, NULL, NULL, key, iv) != 1 ||
	    EVP_EncryptUpdate(context, NULL, &size, (const uint8_t *)place, (int)strlen(place)) !=
		    1 ||
	    EVP_EncryptUpdate(context, out, &size, plain, (int)len) != 1 ||
	    EVP_EncryptFinal_ex(context, out + size, &rest) != 1)
		return -1;
	return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, tag) == 1 ? 0 : -1;
}

int sops_seal(const uint8_t key[SOPS_KEY_LEN], const void *plain, size_t len, const char *type,
	      const char *place, struct buf *out, struct error *err)
{
	AUTO(buf_deinit) struct buf data = BUF_INIT(PLAIN_MAX);
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	char *room = buf_reserve(&data, len);
	uint8_t iv[IV], tag[TAG];
	int status = -1;

	randombytes_buf(iv, sizeof(iv));
	if (context != NULL && room != NULL)
		status = seal_gcm(context, key, iv, plain, len, place, (uint8_t *)room, tag);
	EVP_CIPHER_CTX_free(context);
	if (status < 0)
		return error_set(err, ERROR_EXHAUSTED, "a value of %zu bytes cannot be encrypted",
				 len);
	buf_commit(&data, len);
	buf_puts(out, "ENC[AES256_GCM,data:");
	text_write_base64(out, data.data, data.len);
	buf_puts(out, ",iv:");
	text_write_base64(out, iv, sizeof(iv));
	buf_puts(out, ",tag:");
	text_write_base64(out, tag, sizeof(tag));
	buf_printf(out, ",type:%s]", type);
	return buf_check(out, "an encrypted value", err);
}
