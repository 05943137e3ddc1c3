/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlines are timerfds on CLOCK_BOOTTIME, since libuv's own timers stand still while the machine
 * sleeps. One more timerfd, on CLOCK_REALTIME and armed for the end of time, is canceled by the
 * kernel when somebody steps the clock: that wakes every timer of the loop. (CLOCK_BOOTTIME takes
 * the same flag and does nothing with it.) Each user's struct starts with its libuv handle and is
 * freed in that handle's close callback.
 */
#include "agent/io/loop.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "agent/base/wipe.h"
#include "agent/io/loop_uv.h"

/* Turns that loop_free gives to close callbacks; those may close further handles. */
enum { CLOSE_TURNS = 16 };

/* As far as the kernel counts in a timerfd: the year 2262. */
#define END_OF_TIME_S ((time_t)(INT64_MAX / 1000000000))

struct step_watch {
	uv_poll_t poll; /* first: freed when closed */
	struct loop *loop;
	int fd;
};

struct loop {
	uv_loop_t uv;
	struct step_watch *step;
	LIST_HEAD(, loop_timer) timers;
};

struct loop_timer {
	uv_poll_t poll; /* first: freed when closed */
	LIST_ENTRY(loop_timer) entry;
	struct loop *loop;
	loop_timer_fn *fired;
	void *context;
	int fd;
	bool stepped; /* the clock was stepped and `fired` has not been told yet */
};

uv_loop_t *loop_uv(struct loop *loop)
{
	return &loop->uv;
}

int loop_error(struct error *err, int status, const char *what)
{
	return error_errno(err, -status, "cannot %s", what);
}

static void free_closed(uv_handle_t *handle)
{
	wipe_free(handle);
}

void loop_close_and_free(uv_handle_t *handle)
{
	uv_close(handle, free_closed);
}

static void arm_step(int fd)
{
	struct itimerspec never = { .it_value = { .tv_sec = END_OF_TIME_S } };

	(void)timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

/* Any of the callbacks may free any of the timers: start again from the head after each. */
static void tell_all_timers(struct loop *loop)
{
	struct loop_timer *timer;

	LIST_FOREACH(timer, &loop->timers, entry)
	{
		timer->stepped = true;
	}
	for (;;) {
		LIST_FOREACH(timer, &loop->timers, entry)
		{
			if (timer->stepped)
				break;
		}
		if (timer == NULL)
			return;
		timer->stepped = false;
		timer->fired(timer->context);
	}
}

static void on_step(uv_poll_t *poll, int status, int events)
{
	struct step_watch *step = CONTAINER_OF(poll, struct step_watch, poll);
	uint64_t count;

	(void)status;
	(void)events;
	if (read(step->fd, &count, sizeof(count)) < 0 && errno != ECANCELED)
		return;
	arm_step(step->fd);
	tell_all_timers(step->loop);
}

static void on_step_closed(uv_handle_t *handle)
{
	struct step_watch *step = CONTAINER_OF(handle, struct step_watch, poll);

	(void)close(step->fd);
	wipe_free(step);
}

static int start_step_watch(struct loop *loop, struct error *err)
{
	struct step_watch *step = wipe_calloc(1, sizeof(*step));
	int status;

	if (step == NULL)
		return error_no_memory(err);
	step->loop = loop;
	step->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (step->fd < 0) {
		wipe_free(step);
		return error_errno(err, errno, "cannot watch the clock");
	}
	status = uv_poll_init(&loop->uv, &step->poll, step->fd);
	if (status < 0) {
		(void)close(step->fd);
		wipe_free(step);
		return loop_error(err, status, "watch the clock");
	}
	loop->step = step;
	arm_step(step->fd);
	(void)uv_poll_start(&step->poll, UV_READABLE, on_step);
	uv_unref((uv_handle_t *)&step->poll);
	return 0;
}

struct loop *loop_new(struct error *err)
{
	struct loop *loop;
	int status;

	(void)uv_replace_allocator(wipe_malloc, wipe_realloc, wipe_calloc, wipe_free);
	loop = wipe_calloc(1, sizeof(*loop));
	if (loop == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	LIST_INIT(&loop->timers);
	status = uv_loop_init(&loop->uv);
	if (status < 0) {
		(void)loop_error(err, status, "start the event loop");
		wipe_free(loop);
		return NULL;
	}
	if (start_step_watch(loop, err) < 0)
		return loop_free(loop);
	return loop;
}

void loop_run(struct loop *loop)
{
	(void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

struct loop *loop_free(struct loop *loop)
{
	int status;

	if (loop == NULL)
		return NULL;
	if (loop->step != NULL)
		uv_close((uv_handle_t *)&loop->step->poll, on_step_closed);
	status = uv_loop_close(&loop->uv);
	for (int i = 0; i < CLOSE_TURNS && status == UV_EBUSY; i++) {
		(void)uv_run(&loop->uv, UV_RUN_NOWAIT);
		status = uv_loop_close(&loop->uv);
	}
	assert(status == 0);
	wipe_free(loop);
	return NULL;
}

static void on_deadline(uv_poll_t *poll, int status, int events)
{
	struct loop_timer *timer = CONTAINER_OF(poll, struct loop_timer, poll);
	uint64_t count;

	(void)status;
	(void)events;
	/* Set anew since it became readable: nothing to read, and the new deadline is not over. */
	if (read(timer->fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
		return;
	timer->fired(timer->context);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct loop_timer *timer = CONTAINER_OF(handle, struct loop_timer, poll);

	(void)close(timer->fd);
	wipe_free(timer);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_timer_fn *fired, void *context,
				  struct error *err)
{
	struct loop_timer *timer = wipe_calloc(1, sizeof(*timer));
	int status;

	if (timer == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	timer->loop = loop;
	timer->fired = fired;
	timer->context = context;
	timer->fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (timer->fd < 0) {
		(void)error_errno(err, errno, "cannot make a timer");
		wipe_free(timer);
		return NULL;
	}
	status = uv_poll_init(&loop->uv, &timer->poll, timer->fd);
	if (status < 0) {
		(void)loop_error(err, status, "watch a timer");
		(void)close(timer->fd);
		wipe_free(timer);
		return NULL;
	}
	(void)uv_poll_start(&timer->poll, UV_READABLE, on_deadline);
	LIST_INSERT_HEAD(&loop->timers, timer, entry);
	return timer;
}

void loop_timer_set(struct loop_timer *timer, int64_t boot_ms)
{
	struct itimerspec deadline = { 0 };

	if (boot_ms != DEADLINE_NEVER) {
		/* Zero would disarm; what is over is over at once. */
		int64_t ms = boot_ms > 0 ? boot_ms : 1;

		deadline.it_value.tv_sec = ms / 1000;
		deadline.it_value.tv_nsec = ms % 1000 * 1000000;
	}
	(void)timerfd_settime(timer->fd, TFD_TIMER_ABSTIME, &deadline, NULL);
}

struct loop_timer *loop_timer_free(struct loop_timer *timer)
{
	if (timer == NULL)
		return NULL;
	LIST_REMOVE(timer, entry);
	uv_close((uv_handle_t *)&timer->poll, on_timer_closed);
	return NULL;
}

struct loop_signal {
	uv_signal_t signal; /* first: freed when closed */
	loop_signal_fn *arrived;
	void *context;
};

static void on_signal(uv_signal_t *handle, int number)
{
	struct loop_signal *signal = CONTAINER_OF(handle, struct loop_signal, signal);

	signal->arrived(signal->context, number);
}

struct loop_signal *loop_signal_new(struct loop *loop, int number, loop_signal_fn *arrived,
				    void *context, struct error *err)
{
	struct loop_signal *signal = wipe_calloc(1, sizeof(*signal));
	int status;

	if (signal == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	signal->arrived = arrived;
	signal->context = context;
	status = uv_signal_init(&loop->uv, &signal->signal);
	if (status < 0) {
		wipe_free(signal);
		(void)loop_error(err, status, "watch signals");
		return NULL;
	}
	status = uv_signal_start(&signal->signal, on_signal, number);
	if (status < 0) {
		(void)error_errno(err, -status, "cannot watch signal %d", number);
		return loop_signal_free(signal);
	}
	return signal;
}

struct loop_signal *loop_signal_free(struct loop_signal *signal)
{
	if (signal != NULL)
		loop_close_and_free((uv_handle_t *)&signal->signal);
	return NULL;
}

struct loop_reader {
	uv_poll_t poll; /* first: freed when closed */
	loop_reader_fn *readable;
	void *context;
};

/* An error shows itself to whoever reads; so errors and hang-ups are reported like bytes. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct loop_reader *reader = CONTAINER_OF(poll, struct loop_reader, poll);

	(void)status;
	(void)events;
	reader->readable(reader->context);
}

struct loop_reader *loop_reader_new(struct loop *loop, int fd, loop_reader_fn *readable,
				    void *context, struct error *err)
{
	struct loop_reader *reader = wipe_calloc(1, sizeof(*reader));
	int status;

	if (reader == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	reader->readable = readable;
	reader->context = context;
	status = uv_poll_init(&loop->uv, &reader->poll, fd);
	if (status < 0) {
		wipe_free(reader);
		(void)loop_error(err, status, "watch a descriptor");
		return NULL;
	}
	(void)uv_poll_start(&reader->poll, UV_READABLE | UV_DISCONNECT, on_readable);
	return reader;
}

struct loop_reader *loop_reader_free(struct loop_reader *reader)
{
	if (reader != NULL)
		loop_close_and_free((uv_handle_t *)&reader->poll);
	return NULL;
}
