#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the annotations of vault-k8s and openbao-k8s mean together, once all are read.
 */
#include "injector/wish.h"

int foreign_finish(struct wish *wish);
