#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pod that comes out, and the completion of one that came out before.
 */
#include "injector/plan.h"

/* The new pod, or NULL when it was refused: a JSON patch of an annotation may not fit. What is not
 * changed is shared with the old one. */
const struct json_node *build_pod(const struct plan *plan);

/* Containers that another webhook added after us get the files that the others have. NULL when
 * nothing is missing. */
const struct json_node *build_completion(const struct plan *plan);
