/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/watcher.h"

#include <string.h>

#include "agent/base/log.h"
#include "agent/base/schedule.h"
#include "agent/io/loop.h"

struct watcher {
	const struct clock *clock;
	struct kube *kube;
	struct cluster_versions *versions;
	struct cluster_question question;
	struct kube_call call;
	struct loop_timer *timer;
	int64_t due_ms; /* boot time; while a question is asked: never */
	unsigned failures;
};

static void rest(struct watcher *watcher, int64_t ms)
{
	cluster_question_deinit(&watcher->question);
	watcher->due_ms = clock_now(watcher->clock).boot_ms + ms;
	loop_timer_set(watcher->timer, watcher->due_ms);
}

/* Said once: the versions that were known stay, or, at the start, "unknown means old" does. */
static void failed(struct watcher *watcher, const struct error *err)
{
	if (watcher->failures++ == 0)
		log_warn("the cluster's versions cannot be read", LOG_ERR(err));
	rest(watcher, schedule_retry_ms(watcher->clock, err, watcher->failures));
}

static void found(struct watcher *watcher, const struct cluster_versions *versions)
{
	if (memcmp(versions, watcher->versions, sizeof(*versions)) != 0)
		log_info("cluster", LOG_NUM("server_minor", versions->server.minor),
			 LOG_NUM("oldest_kubelet_minor", versions->oldest_kubelet.minor));
	*watcher->versions = *versions;
	watcher->failures = 0;
	rest(watcher, CLUSTER_REFRESH_MS);
}

static void step(struct watcher *watcher, const struct reply *reply)
{
	struct cluster_versions versions;
	struct error err;

	switch (cluster_step(&watcher->question, reply, &versions, &err)) {
	case CLUSTER_SEND:
		if (kube_send(watcher->kube, &watcher->question.request, &watcher->call, &err) < 0)
			failed(watcher, &err);
		break;
	case CLUSTER_DONE:
		found(watcher, &versions);
		break;
	case CLUSTER_FAILED:
		failed(watcher, &err);
		break;
	}
}

static void on_reply(struct kube_call *call, const struct reply *reply, const struct error *err)
{
	struct watcher *watcher = CONTAINER_OF(call, struct watcher, call);

	if (reply != NULL)
		step(watcher, reply);
	else if (err->code != ERROR_CANCELED) /* else we are ending */
		failed(watcher, err);
}

/* It also fires when the clock was stepped, which is nothing to us. */
static void on_timer(void *context)
{
	struct watcher *watcher = context;

	if (clock_now(watcher->clock).boot_ms < watcher->due_ms)
		return;
	watcher->due_ms = DEADLINE_NEVER;
	watcher->question = CLUSTER_QUESTION_INIT;
	step(watcher, NULL);
}

struct watcher *watcher_new(struct loop *loop, const struct clock *clock, struct kube *kube,
			    struct cluster_versions *versions, struct error *err)
{
	struct watcher *watcher = calloc(1, sizeof(*watcher));

	if (watcher == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	watcher->clock = clock;
	watcher->kube = kube;
	watcher->versions = versions;
	watcher->question = CLUSTER_QUESTION_INIT;
	watcher->call.done = on_reply;
	watcher->timer = loop_timer_new(loop, on_timer, watcher, err);
	if (watcher->timer == NULL)
		return watcher_free(watcher);
	rest(watcher, 1);
	return watcher;
}

struct watcher *watcher_free(struct watcher *watcher)
{
	if (watcher == NULL)
		return NULL;
	watcher->timer = loop_timer_free(watcher->timer);
	cluster_question_deinit(&watcher->question);
	free(watcher);
	return NULL;
}
