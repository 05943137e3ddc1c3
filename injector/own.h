#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What our own annotations mean together, once all of them and the literals are read.
 */
#include "injector/wish.h"

/* Every name that is used is declared, no two secrets make one file, and something is asked for. */
int own_finish(struct wish *wish);
