#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PEM blocks of certificates and keys, one after the other out of a text.
 */
#include <stddef.h>

#include "agent/base/buf.h"
#include "agent/base/error.h"

enum pem_kind {
	PEM_CERTIFICATE,    /* of no authority */
	PEM_CA_CERTIFICATE, /* its basic constraints say so */
	PEM_PRIVATE_KEY,
};

/* Reads the block at or after *at, moves *at behind it, and fills `text` (its old content goes)
 * with the block as PEM is written: lines of 64, a newline at the end. Returns 1, 0 when there is
 * no block any more, -1 with ERROR_BAD_DATA for one that is no certificate and no key. */
int pem_next(const char **at, const char *end, enum pem_kind *kind, struct buf *text,
	     struct error *err) MUST_USE;
