#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Go's package unicode says about a character.
 */
#include <stdbool.h>
#include <stdint.h>

#define UNICODE_REPLACEMENT 0xfffdu /* what Go puts in place of bytes that are no UTF-8 */

bool unicode_is_letter(uint32_t character);
bool unicode_is_digit(uint32_t character);
bool unicode_is_printable(uint32_t character);
bool unicode_is_space(uint32_t character);

uint32_t unicode_to_upper(uint32_t character);
uint32_t unicode_to_lower(uint32_t character);
uint32_t unicode_to_title(uint32_t character);
