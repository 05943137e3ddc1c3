#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one event loop, its deadline and its signals. libuv does not show outside agent/io.
 */
#include <stdint.h>

#include "agent/base/clock.h"
#include "agent/base/error.h"

struct loop;

/* Installs the wiping allocator in libuv before its first call. */
struct loop *loop_new(struct error *err) MUST_USE;

/* Runs until loop_stop; returns earlier when the loop has no user left: no timer (armed or not),
 * signal, reader, watch or transfer. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Every user of the loop must have been closed before. Returns NULL; aborts in debug builds when
 * something is left. */
struct loop *loop_free(struct loop *loop);

/* One deadline in boot time (counts through suspend). `fired` is called once per deadline set, from
 * the loop, never from within loop_timer_set; DEADLINE_NEVER disarms. Setting costs no system call.
 */
struct loop_timer;
typedef void loop_timer_fn(void *context);
struct loop_timer *loop_timer_new(struct loop *loop, loop_timer_fn *fired, void *context,
				  struct error *err) MUST_USE;
void loop_timer_set(struct loop_timer *timer, int64_t boot_ms);
/* `fired` is called too, with the deadline kept, when somebody stepped the real-time clock: for
 * whoever works deadlines out of it. */
void loop_timer_heed_steps(struct loop_timer *timer);
struct loop_timer *loop_timer_free(struct loop_timer *timer);

struct loop_signal;
typedef void loop_signal_fn(void *context, int number);
struct loop_signal *loop_signal_new(struct loop *loop, int number, loop_signal_fn *arrived,
				    void *context, struct error *err) MUST_USE;
struct loop_signal *loop_signal_free(struct loop_signal *signal);

/* Calls `readable` whenever the descriptor can be read or is closed by its peer. The descriptor
 * stays the caller's. */
struct loop_reader;
typedef void loop_reader_fn(void *context);
struct loop_reader *loop_reader_new(struct loop *loop, int fd, loop_reader_fn *readable,
				    void *context, struct error *err) MUST_USE;
struct loop_reader *loop_reader_free(struct loop_reader *reader);

/* Calls `changed` (debounced, within 200 ms; a poll every 30 s stands behind inotify) when the
 * named file appears, changes content or is replaced, also by a symlink swap somewhere on its path.
 * The file need not exist. */
struct loop_watch;
typedef void loop_watch_fn(void *context);
struct loop_watch *loop_watch_new(struct loop *loop, const char *path, loop_watch_fn *changed,
				  void *context, struct error *err) MUST_USE;
struct loop_watch *loop_watch_free(struct loop_watch *watch);
