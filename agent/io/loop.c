/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlines are kept in CLOCK_BOOTTIME, since libuv's own timers stand still while the machine
 * sleeps. Setting one only notes it: before the loop waits it tells those that are due and sets one
 * timerfd to the earliest of the others, if that has changed. One more timerfd, on CLOCK_REALTIME
 * and armed for the end of time, is canceled by the kernel when somebody steps the clock.
 * (CLOCK_BOOTTIME takes the same flag and does nothing with it.) Each user's struct that starts
 * with a libuv handle is freed in that handle's close callback.
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

/* One timer's news makes another due, so they are told in rounds; after so many what the loop
 * watches has its turn. */
enum { ROUNDS_A_TURN = 4 };

/* As far as the kernel counts in a timerfd: the year 2262. */
#define END_OF_TIME_S ((time_t)(INT64_MAX / 1000000000))

struct clock_watch {
	uv_poll_t poll; /* first: freed when closed */
	struct loop *loop;
	int fd;
};

struct loop {
	uv_loop_t uv;
	uv_prepare_t before_wait;
	uv_idle_t no_wait; /* while it is active the loop does not wait */
	struct clock_watch *deadline, *step;
	int64_t armed_at; /* what `deadline` is set to */
	LIST_HEAD(, loop_timer) timers;
};

struct loop_timer {
	LIST_ENTRY(loop_timer) entry;
	struct loop *loop;
	loop_timer_fn *fired;
	void *context;
	int64_t deadline;
	bool heeds_steps;
	bool stepped; /* the clock was stepped and `fired` has not been told yet */
	bool told;    /* in this round */
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

/* ---- the kernel's two timers ---- */

static void arm_step(int fd)
{
	struct itimerspec never = { .it_value = { .tv_sec = END_OF_TIME_S } };

	(void)timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

static void on_step(uv_poll_t *poll, int status, int events)
{
	struct clock_watch *step = CONTAINER_OF(poll, struct clock_watch, poll);
	struct loop_timer *timer;
	uint64_t count;

	(void)status;
	(void)events;
	if (read(step->fd, &count, sizeof(count)) < 0 && errno != ECANCELED)
		return;
	arm_step(step->fd);
	LIST_FOREACH(timer, &step->loop->timers, entry)
	{
		timer->stepped = timer->heeds_steps;
	}
}

static void arm_deadline(struct loop *loop, int64_t boot_ms)
{
	struct itimerspec deadline = { 0 };

	if (boot_ms == loop->armed_at)
		return;
	if (boot_ms != DEADLINE_NEVER) {
		deadline.it_value.tv_sec = boot_ms / 1000;
		deadline.it_value.tv_nsec = boot_ms % 1000 * 1000000;
	}
	(void)timerfd_settime(loop->deadline->fd, TFD_TIMER_ABSTIME, &deadline, NULL);
	loop->armed_at = boot_ms;
}

/* Ends the wait; who is due is found before the next. */
static void on_deadline(uv_poll_t *poll, int status, int events)
{
	struct clock_watch *deadline = CONTAINER_OF(poll, struct clock_watch, poll);
	uint64_t count;

	(void)status;
	(void)events;
	if (read(deadline->fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
		deadline->loop->armed_at = DEADLINE_NEVER;
}

static struct clock_watch *watch_clock(struct loop *loop, clockid_t clock, uv_poll_cb called,
				       struct error *err)
{
	struct clock_watch *watch = wipe_calloc(1, sizeof(*watch));
	int status;

	if (watch == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	watch->loop = loop;
	watch->fd = timerfd_create(clock, TFD_NONBLOCK | TFD_CLOEXEC);
	status = watch->fd < 0 ? -errno : uv_poll_init(&loop->uv, &watch->poll, watch->fd);
	if (status < 0) {
		closep(&watch->fd);
		wipe_free(watch);
		(void)loop_error(err, status, "watch the clock");
		return NULL;
	}
	(void)uv_poll_start(&watch->poll, UV_READABLE, called);
	uv_unref((uv_handle_t *)&watch->poll);
	return watch;
}

static void on_watch_closed(uv_handle_t *handle)
{
	struct clock_watch *watch = CONTAINER_OF(handle, struct clock_watch, poll);

	(void)close(watch->fd);
	wipe_free(watch);
}

static void unwatch_clock(struct clock_watch *watch)
{
	if (watch != NULL)
		uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

/* ---- who is due ---- */

static bool is_due(const struct loop_timer *timer, int64_t now)
{
	return timer->stepped || timer->deadline <= now;
}

/* Not yet told in this round, due, and the earliest of those. */
static struct loop_timer *next_to_tell(struct loop *loop, int64_t now)
{
	struct loop_timer *timer, *earliest = NULL;

	LIST_FOREACH(timer, &loop->timers, entry)
	{
		if (!timer->told && is_due(timer, now) &&
		    (earliest == NULL || timer->deadline < earliest->deadline))
			earliest = timer;
	}
	return earliest;
}

/* Any of the callbacks may free any of the timers: look anew after each. False: nobody was due. */
static bool tell_round(struct loop *loop)
{
	int64_t now = clock_now(clock_system()).boot_ms;
	struct loop_timer *timer;
	bool any = false;

	LIST_FOREACH(timer, &loop->timers, entry)
	{
		timer->told = false;
	}
	while ((timer = next_to_tell(loop, now)) != NULL) {
		if (timer->deadline <= now)
			timer->deadline = DEADLINE_NEVER;
		timer->stepped = false;
		timer->told = true;
		timer->fired(timer->context);
		any = true;
	}
	return any;
}

static void go_on(uv_idle_t *idle)
{
	(void)idle;
}

static void before_wait(uv_prepare_t *prepare)
{
	struct loop *loop = CONTAINER_OF(prepare, struct loop, before_wait);
	int64_t next = DEADLINE_NEVER;
	struct loop_timer *timer;

	for (unsigned round = 0; round < ROUNDS_A_TURN && tell_round(loop); round++)
		;
	LIST_FOREACH(timer, &loop->timers, entry)
	{
		next = deadline_earlier(next, timer->deadline);
	}
	(void)uv_idle_stop(&loop->no_wait);
	if (next > clock_now(clock_system()).boot_ms)
		arm_deadline(loop, next);
	else
		(void)uv_idle_start(&loop->no_wait, go_on);
}

/* ---- life ---- */

static int start_clocks(struct loop *loop, struct error *err)
{
	loop->deadline = watch_clock(loop, CLOCK_BOOTTIME, on_deadline, err);
	if (loop->deadline == NULL)
		return -1;
	loop->step = watch_clock(loop, CLOCK_REALTIME, on_step, err);
	if (loop->step == NULL)
		return -1;
	arm_step(loop->step->fd);
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
	loop->armed_at = DEADLINE_NEVER;
	status = uv_loop_init(&loop->uv);
	if (status < 0) {
		(void)loop_error(err, status, "start the event loop");
		wipe_free(loop);
		return NULL;
	}
	(void)uv_idle_init(&loop->uv, &loop->no_wait);
	(void)uv_prepare_init(&loop->uv, &loop->before_wait);
	(void)uv_prepare_start(&loop->before_wait, before_wait);
	uv_unref((uv_handle_t *)&loop->before_wait);
	return start_clocks(loop, err) == 0 ? loop : loop_free(loop);
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
	assert(LIST_EMPTY(&loop->timers));
	unwatch_clock(loop->deadline);
	unwatch_clock(loop->step);
	uv_close((uv_handle_t *)&loop->no_wait, NULL);
	uv_close((uv_handle_t *)&loop->before_wait, NULL);
	status = uv_loop_close(&loop->uv);
	for (int i = 0; i < CLOSE_TURNS && status == UV_EBUSY; i++) {
		(void)uv_run(&loop->uv, UV_RUN_NOWAIT);
		status = uv_loop_close(&loop->uv);
	}
	assert(status == 0);
	wipe_free(loop);
	return NULL;
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_timer_fn *fired, void *context,
				  struct error *err)
{
	struct loop_timer *timer = wipe_calloc(1, sizeof(*timer));

	if (timer == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	timer->loop = loop;
	timer->fired = fired;
	timer->context = context;
	timer->deadline = DEADLINE_NEVER;
	/* Whoever may be told keeps the loop running. */
	uv_ref((uv_handle_t *)&loop->before_wait);
	LIST_INSERT_HEAD(&loop->timers, timer, entry);
	return timer;
}

void loop_timer_set(struct loop_timer *timer, int64_t boot_ms)
{
	timer->deadline = boot_ms;
}

void loop_timer_heed_steps(struct loop_timer *timer)
{
	timer->heeds_steps = true;
}

struct loop_timer *loop_timer_free(struct loop_timer *timer)
{
	if (timer == NULL)
		return NULL;
	LIST_REMOVE(timer, entry);
	if (LIST_EMPTY(&timer->loop->timers))
		uv_unref((uv_handle_t *)&timer->loop->before_wait);
	wipe_free(timer);
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
