#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the launcher's files share: its state, and what they ask of each other.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/base/clock.h"
#include "agent/launcher.h"
#include "agent/launcher_files.h"
#include "agent/launcher_parts.h"
#include "agent/pty.h"

enum {
	GRACE_BROKER_MS = 4000, /* to give a token back after the child has ended */
	GRACE_DIRECT_MS = 2000, /* the same, while the child waits for it */
	STATUS_UNAVAILABLE = 69,
	LAUNCHER_STREAMS = 3,
};

struct launcher {
	const struct launch_plan *plan;
	broker_main_fn *broker_main;
	void *context;
	struct inherited inherited;
	int signals;

	pid_t broker; /* 0: none */
	int channel;  /* -1: closed */
	struct frame_reader reader;
	unsigned broker_failures; /* that came soon after its start, in a row */
	int64_t broker_since;
	bool broker_anew;  /* its first environment is what the child has already */
	int64_t broker_at; /* when it is started again */
	int broker_status;

	pid_t child;   /* to wait for; 0: none */
	pid_t program; /* to send signals to; the child itself but with job control */
	bool shares_group;
	unsigned terms;
	struct child_environment environment; /* the child's, or the next child's */
	bool restart;
	int64_t kill_at;
	int64_t give_up_at;
	pid_t hook; /* 0: none */

	struct launch_files *files;
	struct pty pty;
	struct mask *mask, *old_mask;
	struct stream streams[LAUNCHER_STREAMS];
	size_t stream_count;
	int64_t idle_at;

	bool done;
	int status; /* as waitpid gives it */
};

/* launcher.c: the first end that is declared stands. */
int64_t launcher_now_ms(void);
void launcher_finish(struct launcher *l, int wait_status);
void launcher_finish_with(struct launcher *l, int exit_status);
void launcher_fail(struct launcher *l, int exit_status, const char *text);
void launcher_fail_error(struct launcher *l, const struct error *err);

/* Whether the stream reads from a pipe that was made for it. */
bool launcher_owns(const struct launcher *l, const struct stream *stream);

/* launcher_broker.c: the process that has the secrets, and what it says. */
int launcher_broker_start(struct launcher *l, struct error *err) MUST_USE;
void launcher_broker_lost(struct launcher *l);
void launcher_broker_again(struct launcher *l);
void launcher_read_channel(struct launcher *l);
void launcher_tell_broker(struct launcher *l, enum frame_type type, int wait_status);
/* Closes the channel and waits; a signal that ends programs, or the end of the grace, kills. */
void launcher_end_broker(struct launcher *l, int64_t grace_ms);

/* launcher_supervise.c: the child and its streams. */
void launcher_take_environment(struct launcher *l, struct frame *frame);
void launcher_child_ended(struct launcher *l, int status);
void launcher_signal_child(const struct launcher *l, int number);
void launcher_kill_child(struct launcher *l); /* and its group, where it has one of its own */
void launcher_kill_group(struct launcher *l); /* and ours, where that is a job of a shell */
void launcher_close_streams(struct launcher *l);

/* launcher_signals.c: in, out, and the ends of processes. */
int launcher_take_signals(struct launcher *l, struct error *err) MUST_USE;
void launcher_read_signals(struct launcher *l);
int launcher_end_as(const struct launcher *l);
