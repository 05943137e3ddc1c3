/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host.h"

#include "agent/io/seccomp.h"

int host_open(struct host *host, struct error *err)
{
	*host = (struct host){ 0 };
	host->environment = environment_take(NULL, err);
	if (host->environment == NULL)
		return -1;
	(void)seccomp_refuse_io_uring();
	host->loop = loop_new(err);
	return host->loop != NULL ? 0 : -1;
}

int host_start(struct host *host, const struct config *config, unsigned flags,
	       const struct broker_listener *listener, struct error *err)
{
	const struct broker_setup setup = {
		.loop = host->loop,
		.clock = clock_system(),
		.config = config,
		.listener = listener,
		.lookup = environment_lookup,
		.environment = host->environment,
		.hardening = host->sandbox.facts,
		.hardening_count = SANDBOX_FACTS,
		.once = (flags & HOST_ONCE) != 0,
		.fixed = (flags & HOST_FIXED) != 0,
		.ends = (flags & (HOST_ONCE | HOST_VERDICT_ENDS)) != 0,
		.sinks = (flags & HOST_SINKS) != 0,
	};

	host->broker = broker_new(&setup, err);
	if (host->broker == NULL)
		return -1;
	if (sandbox_enter(&host->sandbox, config, host->broker, (flags & HOST_ALLOW_DEGRADED) != 0,
			  err) < 0)
		return -1;
	broker_start(host->broker);
	return 0;
}

void host_close(struct host *host)
{
	host->broker = broker_free(host->broker);
	sandbox_deinit(&host->sandbox);
	if (host->loop != NULL) {
		/* Ends by itself: answers in flight have HTTP_SERVER_CLOSE_MS. */
		loop_run(host->loop);
		host->loop = loop_free(host->loop);
	}
	host->environment = environment_free(host->environment);
}
