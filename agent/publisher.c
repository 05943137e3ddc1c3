/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/publisher.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/schedule.h"
#include "agent/base/text.h"
#include "agent/hooks.h"
#include "agent/io/file.h"

enum { PID_FILE_MAX = 32 };

struct publisher {
	const struct config_files *config;
	const struct store *store;
	const struct clock *clock;
	struct hooks *hooks;
	struct hook hook;
	uint64_t telling; /* the generation that the application was last told of, or is being */
	struct files_sink *sink;
	const char **told; /* paths of the problems that the log has, the configuration's strings */
	size_t told_count;
	bool waiting;  /* there is news that is not in the directory yet */
	bool stands;   /* at the last publication every required secret had a version */
	bool complete; /* every required secret was written as configured, once */
	unsigned failures;
	int64_t publish_at; /* boot time */
	int64_t collect_at;
	struct error error;
};

static void hook_done(struct hook *hook, uint64_t generation, int status);

struct publisher *publisher_new(const struct config_files *config, const struct store *store,
				const struct clock *clock, struct hooks *hooks, struct error *err)
{
	struct publisher *publisher = calloc(1, sizeof(*publisher));

	if (publisher == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	publisher->config = config;
	publisher->store = store;
	publisher->clock = clock;
	publisher->hooks = hooks;
	publisher->hook = (struct hook){ .command = &config->on_change.exec, .done = hook_done };
	publisher->publish_at = DEADLINE_NEVER;
	publisher->collect_at = DEADLINE_NEVER;
	publisher->sink = files_sink_new(config, clock, err);
	return publisher->sink != NULL ? publisher : publisher_free(publisher);
}

struct publisher *publisher_free(struct publisher *publisher)
{
	if (publisher == NULL)
		return NULL;
	if (publisher->hooks != NULL)
		hooks_forget(publisher->hooks, &publisher->hook);
	publisher->sink = files_sink_free(publisher->sink);
	free(publisher->told);
	free(publisher);
	return NULL;
}

void publisher_wake(struct publisher *publisher)
{
	publisher->waiting = true;
	publisher->failures = 0;
	publisher->publish_at = clock_now(publisher->clock).boot_ms;
}

bool publisher_look(struct publisher *publisher)
{
	if (publisher->waiting || files_sink_stands(publisher->sink))
		return false;
	log_warn("published files are gone, publishing them again",
		 LOG_STR("directory", publisher->config->directory));
	publisher_wake(publisher);
	return true;
}

/* ---- telling the application ---- */

static int read_pid(const char *path, pid_t *ret, struct error *err)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(PID_FILE_MAX);
	uint64_t pid;

	if (file_read(path, PID_FILE_MAX, false, &text, err) < 0)
		return -1;
	while (text.len > 0 && strchr(" \n\r\t", text.data[text.len - 1]) != NULL)
		buf_truncate(&text, text.len - 1);
	if (text_read_unsigned(buf_string(&text), INT32_MAX, &pid, err) < 0 || pid < 2)
		return error_set(err, ERROR_INVALID, "pid file %s does not hold a process id",
				 path);
	*ret = (pid_t)pid;
	return 0;
}

/* The cause as the kernel says it is no help in a pod. */
static int explain_signal(int number, int signal, pid_t pid, struct error *err)
{
	const char *remedy =
		number == EPERM ? "; it is another user's: run the agent as that user, give it "
				  "CAP_KILL, or "
				  "start the application by `agent run --watch signal:NAME`"
		: number == ESRCH
			? "; no such process is in sight: mend the pid file, or share the process "
			  "namespace (shareProcessNamespace in a pod)"
			: "";
	size_t used;

	(void)error_errno(err, number, "signal %s to process %d", sigabbrev_np(signal), (int)pid);
	used = strlen(err->text);
	(void)snprintf(err->text + used, sizeof(err->text) - used, "%s", remedy);
	return -1;
}

static bool send_signal(const struct publisher *publisher)
{
	const struct config_on_change *hook = &publisher->config->on_change;
	struct error err = ERROR_INIT;
	pid_t pid = 0;

	if (read_pid(hook->pid_file, &pid, &err) == 0 && kill(pid, hook->signal) < 0)
		(void)explain_signal(errno, hook->signal, pid, &err);
	if (err.code == ERROR_NONE)
		return true;
	log_warn("application not told of the change",
		 LOG_STR("directory", publisher->config->directory), LOG_ERR(&err));
	return false;
}

/* Told only when it worked: what failed is done once more by the next process, or after a reload
 * that mends the command. */
static void hook_done(struct hook *hook, uint64_t generation, int status)
{
	struct publisher *publisher = CONTAINER_OF(hook, struct publisher, hook);

	if (status == 0)
		(void)files_sink_mark_told(publisher->sink, generation);
}

/* After a change, and where a process before this one may have ended between the change and the
 * telling. */
static void tell(struct publisher *publisher, bool changed)
{
	const struct config_on_change *hook = &publisher->config->on_change;
	uint64_t generation = files_sink_generation(publisher->sink);

	if ((hook->signal == 0 && hook->exec.count == 0) || generation == 0)
		return;
	if (!changed && (generation == publisher->telling || files_sink_told(publisher->sink)))
		return;
	publisher->telling = generation;
	if (hook->exec.count > 0 && publisher->hooks != NULL)
		hooks_run(publisher->hooks, &publisher->hook, generation);
	else if (hook->exec.count > 0 || send_signal(publisher))
		(void)files_sink_mark_told(publisher->sink, generation);
}

/* ---- publishing ---- */

static bool was_told(const struct publisher *publisher, const char *path)
{
	for (size_t i = 0; i < publisher->told_count; i++)
		if (publisher->told[i] == path)
			return true;
	return false;
}

/* Each once: the same problem at each publication is no news. */
static void tell_problems(struct publisher *publisher)
{
	size_t count = files_sink_problem_count(publisher->sink);
	const char **told = calloc(count + 1, sizeof(*told));
	const struct files_problem *problem;

	for (size_t i = 0; (problem = files_sink_problem(publisher->sink, i)) != NULL; i++) {
		if (told != NULL)
			told[i] = problem->path;
		if (!was_told(publisher, problem->path))
			log_error(problem->variable != NULL ? "variable not written"
							    : "file not written, what stands stays",
				  LOG_STR("secret", problem->secret),
				  LOG_STR("path", problem->path), LOG_ERR(&problem->error));
	}
	free(publisher->told);
	publisher->told = told;
	publisher->told_count = told != NULL ? count : 0;
}

static void publish(struct publisher *publisher, struct stamp now)
{
	struct error err = ERROR_INIT;
	int changed = files_sink_publish(publisher->sink, publisher->store, &err);

	publisher->publish_at = DEADLINE_NEVER;
	if (changed < 0) {
		const struct error passing = { .code = ERROR_UNAVAILABLE };

		publisher->failures++;
		/* A directory that cannot be written today may be tomorrow: whatever the cause,
		 * back off and try. One that vanished is no secret that is not there. */
		if (err.code == ERROR_NOT_FOUND)
			err.code = ERROR_UNAVAILABLE;
		publisher->error = err;
		publisher->publish_at = now.boot_ms + schedule_retry_ms(publisher->clock, &passing,
									publisher->failures);
		log_event(publisher->failures == 1 ? LOG_ERROR : LOG_DEBUG, "files not published",
			  LOG_STR("directory", publisher->config->directory), LOG_ERR(&err));
		return;
	}
	publisher->waiting = false;
	publisher->stands = store_ready(publisher->store);
	publisher->failures = 0;
	publisher->error = ERROR_INIT;
	publisher->collect_at = now.boot_ms;
	publisher->complete = publisher->complete || publisher_problem(publisher) == NULL;
	tell_problems(publisher);
	if (changed > 0)
		log_info("files published", LOG_STR("directory", publisher->config->directory),
			 LOG_NUM("generation", (int64_t)files_sink_generation(publisher->sink)));
	tell(publisher, changed > 0);
}

int64_t publisher_tick(struct publisher *publisher, struct stamp now)
{
	if (publisher->publish_at <= now.boot_ms)
		publish(publisher, now);
	if (publisher->collect_at <= now.boot_ms)
		publisher->collect_at = files_sink_collect(publisher->sink);
	return deadline_earlier(publisher->publish_at, publisher->collect_at);
}

/* The first problem of a required secret; `absent`: of those that leave nothing standing. */
static const struct files_problem *find_problem(const struct publisher *publisher, bool absent)
{
	const struct files_problem *problem;

	for (size_t i = 0; (problem = files_sink_problem(publisher->sink, i)) != NULL; i++) {
		const struct store_entry *entry = store_find(publisher->store, problem->secret);

		if ((entry == NULL || !entry->spec->optional) &&
		    (!absent || problem->variable != NULL))
			return problem;
	}
	return NULL;
}

bool publisher_done(const struct publisher *publisher)
{
	return !publisher->waiting && find_problem(publisher, publisher->complete) == NULL;
}

bool publisher_stands(const struct publisher *publisher)
{
	return publisher->stands && find_problem(publisher, publisher->complete) == NULL;
}

const struct files_problem *publisher_problem(const struct publisher *publisher)
{
	return find_problem(publisher, false);
}

const struct files_problem *publisher_problems(const struct publisher *publisher, size_t *count)
{
	*count = files_sink_problem_count(publisher->sink);
	return files_sink_problem(publisher->sink, 0);
}

const char *publisher_directory(const struct publisher *publisher)
{
	return publisher->config->directory;
}

uint64_t publisher_generation(const struct publisher *publisher)
{
	return files_sink_generation(publisher->sink);
}

const struct error *publisher_error(const struct publisher *publisher)
{
	const struct files_problem *problem = files_sink_problem(publisher->sink, 0);

	if (publisher->error.code == ERROR_NONE && problem != NULL)
		return &problem->error;
	return &publisher->error;
}
