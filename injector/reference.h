#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/injector-reference.md out of the tables that read the operator's file and the annotations.
 */
#include "agent/base/buf.h"

void injector_write_reference(struct buf *out);
