#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launcher's own parts: the child's environment, its standard streams, its process.
 */
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/frame.h"
#include "agent/launcher.h"
#include "agent/mask.h"

/* What the child is given: the user's environment with the secrets, as execve wants it, and files.
 */
struct child_environment {
	struct buf strings; /* NAME=value\0…, then the files' bytes: the frame's body, rearranged */
	char **vector;
	struct child_value {
		const char *name;
		const char *bytes;
		size_t len;
		bool file;
	} * values; /* as they came */
	size_t count;
	bool supervise;
};

/* Reads a FRAME_ENV and merges it into `base`. BAD_DATA: --strict is broken or the whole is over
 * the kernel's limit. */
int child_environment_read(struct child_environment *ret, struct frame *frame, char **base,
			   const struct launch_plan *plan, struct error *err) MUST_USE;
void child_environment_deinit(struct child_environment *environment);

/* What was before us and what the child must find again. */
struct inherited {
	sigset_t mask;
	struct sigaction child_ended;
	char **environment;
};

/* In a process that is about to run somebody else's program or the broker. */
void inherited_restore(const struct inherited *inherited);

/* Becomes the program. Returns only on failure, with the exit status, after saying why. */
int child_become(char **argv, char **environment, const struct inherited *inherited);

/* Where a new process's standard streams lead; -1: ours. */
struct child_stdio {
	int in, out, err;
	bool terminal; /* `in`, `out` or `err` is a pty: make it the controlling terminal of a new
			  session */
	bool job_control; /* with `terminal`: what is typed there may stop the program */
	bool own_group;
};

struct child_started {
	pid_t pid;	 /* to wait for; stops and ends as the program does */
	pid_t program;	 /* to send signals to; the same but with job control */
	int exit_status; /* of a start that failed: 126 or 127 */
};

/* Starts a program. -1 after saying why. */
int child_start(char **argv, char **environment, const struct inherited *inherited,
		const struct child_stdio *stdio, struct child_started *ret);

/* One direction of bytes, masked or not, that never blocks us. */
struct stream {
	int from, to;
	const struct mask *mask; /* NULL: bytes pass as they are */
	struct mask_stream masked;
	struct buf out; /* what `to` has not taken yet */
	bool ended;	/* `from` gives nothing more */
};

enum { STREAM_CHUNK = 4096 };

void stream_init(struct stream *stream, int from, int to, const struct mask *mask);
/* What to poll: `from` while there is room, `to` while there is something to write. */
bool stream_wants_read(const struct stream *stream);
bool stream_wants_write(const struct stream *stream);
/* Returns true when bytes moved. */
bool stream_read(struct stream *stream);
bool stream_write(struct stream *stream);
/* Shows what a half-begun match holds back, as far as that tells nothing. */
void stream_idle(struct stream *stream);
/* Masks with other values from here on. */
void stream_remask(struct stream *stream, const struct mask *mask);
/* Writes what is left, waiting for `to` at most a second. */
void stream_finish(struct stream *stream);
void stream_deinit(struct stream *stream);
