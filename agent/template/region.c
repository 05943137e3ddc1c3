/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/template/region.h"

#include <stdint.h>
#include <string.h>

void *region_alloc(struct region *region, size_t size)
{
	void *memory = NULL;

	if (!region->failed && size <= region->left)
		memory = pool_alloc(&region->pool, size);
	if (memory == NULL)
		region->failed = true;
	else
		region->left -= size;
	return memory;
}

void *region_array(struct region *region, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		total = SIZE_MAX;
	return region_alloc(region, total);
}

char *region_copy(struct region *region, const void *bytes, size_t len)
{
	char *copy = len < SIZE_MAX ? region_alloc(region, len + 1) : NULL;

	if (copy != NULL && len > 0)
		memcpy(copy, bytes, len);
	return copy;
}
