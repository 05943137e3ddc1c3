/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/hooks.h"

#include "agent/base/log.h"

void hooks_init(struct hooks *hooks,
		int (*start)(void *context, const struct strings *command, struct error *err),
		void *context)
{
	*hooks = (struct hooks){ .start = start, .context = context };
	TAILQ_INIT(&hooks->waiting);
}

static void start_next(struct hooks *hooks)
{
	struct error err = ERROR_INIT;
	struct hook *hook;

	while (!hooks->busy && (hook = TAILQ_FIRST(&hooks->waiting)) != NULL) {
		uint64_t generation = hook->wanted;

		TAILQ_REMOVE(&hooks->waiting, hook, entry);
		hook->wanted = 0;
		if (hooks->start(hooks->context, hook->command, &err) == 0) {
			hooks->busy = true;
			hooks->running = hook;
			hooks->generation = generation;
			return;
		}
		log_warn("hook not run", LOG_STR("command", hook->command->items[0]),
			 LOG_ERR(&err));
		hook->done(hook, generation, -1);
	}
}

void hooks_run(struct hooks *hooks, struct hook *hook, uint64_t generation)
{
	if (hook->wanted == 0)
		TAILQ_INSERT_TAIL(&hooks->waiting, hook, entry);
	hook->wanted = generation;
	start_next(hooks);
}

void hooks_ended(struct hooks *hooks, int status)
{
	struct hook *hook = hooks->running;
	uint64_t generation = hooks->generation;

	hooks->busy = false;
	hooks->running = NULL;
	if (hook != NULL) {
		if (status != 0)
			log_warn("hook failed", LOG_STR("command", hook->command->items[0]),
				 LOG_NUM("wait_status", status));
		hook->done(hook, generation, status);
	}
	start_next(hooks);
}

void hooks_forget(struct hooks *hooks, struct hook *hook)
{
	if (hook->wanted != 0)
		TAILQ_REMOVE(&hooks->waiting, hook, entry);
	hook->wanted = 0;
	if (hooks->running == hook)
		hooks->running = NULL;
}
