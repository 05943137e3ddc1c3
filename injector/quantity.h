#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubernetes' quantities: "5m", "64Mi", "1.5", "2e3".
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/error.h"

/* In thousandths, rounded up, as Kubernetes does. ERROR_INVALID says how to write one. */
int quantity_read(const char *text, int64_t *ret_milli, struct error *err) MUST_USE;

/* The same amount, however spelled; NULL and what cannot be read are equal to nothing. */
bool quantity_equal(const char *one, const char *other);
