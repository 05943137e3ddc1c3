/* SPDX-License-Identifier: Apache-2.0 */
/* A key file and an age file by anybody: the first byte says which. */
#include <stdint.h>

#include "backends/age.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char key[] =
		"AGE-SECRET-KEY-1JMU2253A962UTRAQ3E0YLRP6MGEAW2K72TR9M5499L9XJNUAFRQSQ4MY3S";
	AUTO(age_identities_free) struct age_identities keys = { .count = 0 };
	AUTO(buf_deinit) struct buf plain = BUF_INIT(1 << 20);
	struct error err = ERROR_INIT;

	if (size > 0 && data[0] == 'k')
		return age_identities_read(&keys, (const char *)data + 1, size - 1, "keys", &err) <
				       0
			       ? 0
			       : 0;
	if (age_identities_read(&keys, key, sizeof(key) - 1, "keys", &err) < 0)
		__builtin_trap();
	(void)(age_decrypt((const char *)data, size, &keys, &plain, &err) < 0);
	return 0;
}
