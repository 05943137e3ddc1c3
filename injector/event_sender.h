#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends the queue's Events to the API server, one at a time and never from within an answer.
 */
#include "injector/event_queue.h"
#include "injector/kube.h"

struct event_sender;
struct event_sender *event_sender_new(struct loop *loop, const struct clock *clock,
				      struct kube *kube, struct error *err) MUST_USE;

/* After the kube that it uses was freed. What waits is forgotten. Returns NULL. */
struct event_sender *event_sender_free(struct event_sender *sender);

/* Only takes note. NULL: nobody is told. */
void event_sender_add(struct event_sender *sender, const struct review_outcome *outcome);

/* NULL: none were sent and none dropped. */
void event_sender_write_metrics(const struct event_sender *sender, struct buf *out);
