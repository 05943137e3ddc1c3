#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A value typed on the terminal without being shown.
 */
#include "agent/base/buf.h"
#include "agent/base/error.h"

/* Asks on standard error and reads a line of standard input, which is a terminal; appends it
 * without its end. The terminal shows what is typed again afterwards, also when a signal ends or
 * stops us meanwhile. ERROR_INVALID when nothing was typed but its end (Ctrl-D). */
int prompt_hidden(const char *question, struct buf *value, struct error *err) MUST_USE;
