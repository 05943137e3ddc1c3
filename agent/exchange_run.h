#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the three parts of exchange share: exchange.c (runs and their order), exchange_send.c (one
 * request, from address to address) and exchange_need.c (facts that are learned once). For them
 * alone.
 */
#include <sys/queue.h>

#include "agent/addresses.h"
#include "agent/exchange.h"

TAILQ_HEAD(run_list, run_state);

enum action { ACT_STEP, ACT_FILE, ACT_SEND, ACT_FINISH };

/* A fact that is being learned, once for all who wait for it. */
struct need {
	TAILQ_ENTRY(need) entry;
	struct run_state *learner;
	struct run_list waiters;
	char key[sizeof(((struct exchange *)NULL)->need)];
};

struct run_state {
	TAILQ_ENTRY(run_state) entry;
	struct run_list *list;
	struct wire *wire;
	struct run *run;   /* NULL: learns for `need` */
	struct need *need; /* whose learner this is */
	struct need *waits_for;
	struct exchange *x;
	struct secret_version *session;
	enum action action; /* in ready and delayed */
	int64_t due;	    /* in delayed */
	unsigned needs;

	/* The request under way. */
	struct http_transfer transfer;
	struct address *address; /* while it is out */
	size_t index;		 /* of the address that is asked */
	struct address *guest;	 /* instead of that address */
	size_t asked;		 /* addresses that were asked */
	unsigned stale_retries;
	bool redirected;

	bool orphan;
	bool failed;
	struct error error;
};

struct wire {
	const struct backend_ops *ops;
	struct backend *backend;
	struct http_client *client;
	const struct clock *clock;
	struct loop_timer *timer;
	struct addresses addresses;
	struct run_list ready, delayed, flying;
	TAILQ_HEAD(, need) needs;
	uint64_t requests;
	unsigned entered; /* how deep we are in callbacks that still need the wire */
	bool closing;
	bool gone; /* freed as soon as nobody is in it */
};

/* exchange.c */
/* Owns the exchange from now on, but frees it only at its end. NULL: no memory, and the exchange is
 * the caller's. */
struct run_state *run_new(struct wire *wire, struct exchange *x, struct secret_version *session);
void run_move(struct run_state *state, struct run_list *list);
/* In the next turn of the loop, or at run->due. */
void run_soon(struct run_state *state, enum action action);
void run_later(struct run_state *state, enum action action, int64_t delay_ms);
/* Gives the exchange its reply; NULL for what has none. */
void run_advance(struct run_state *state, const struct reply *reply);
void run_fail(struct run_state *state, const struct error *err);
void run_fail_canceled(struct run_state *state);
/* Around whatever may end a run, whose owner may free the wire. */
void wire_enter(struct wire *wire);
void wire_leave(struct wire *wire);

/* exchange_send.c: a new request of the exchange, and the same one again. */
void run_request(struct run_state *state);
void run_send(struct run_state *state);
void run_read_file(struct run_state *state);
void run_on_transfer(struct http_transfer *transfer, const struct reply *reply,
		     const struct error *err);

/* exchange_need.c: the exchange waits for x->need; and a fact's learner has ended, with an error
 * or NULL. */
void run_learn(struct run_state *state);
void need_finish(struct need *need, const struct error *err);
