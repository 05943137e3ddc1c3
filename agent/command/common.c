/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/command/common.h"

enum { KEY_SOCKET = 0x300, KEY_TIMEOUT };

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct common *common = state->input;

	switch (key) {
	case 'c':
		common->config = text;
		return 0;
	case KEY_SOCKET:
		common->socket = text;
		return 0;
	case KEY_TIMEOUT:
		common->timeout_ms = command_duration(state, "--timeout", text);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option config_option[] = {
	{ "config", 'c', "FILE", 0,
	  "The configuration (default: $AGENT_CONFIG, the text in $AGENT_CONFIG_YAML, "
	  "./agent.yaml, /etc/agent/agent.yaml)",
	  0 },
	{ 0 },
};

static const struct argp_option socket_option[] = {
	{ "socket", KEY_SOCKET, "PATH", 0,
	  "Ask the agent that listens there (default: $AGENT_SOCKET, then the configuration's)",
	  0 },
	{ 0 },
};

static const struct argp_option timeout_option[] = {
	{ "timeout", KEY_TIMEOUT, "DURATION", 0,
	  "Give up on the secrets after this time (`run` and `get`: 30s)", 0 },
	{ 0 },
};

/* A row each. */
static const struct {
	unsigned flag;
	struct argp argp;
} rows[] = {
	{ COMMON_CONFIG, { .options = config_option, .parser = parse } },
	{ COMMON_SOCKET, { .options = socket_option, .parser = parse } },
	{ COMMON_TIMEOUT, { .options = timeout_option, .parser = parse } },
};

size_t common_children(const struct command *command, struct argp_child children[COMMON_CHILDREN])
{
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if ((command->common & rows[i].flag) != 0)
			children[count++] = (struct argp_child){ .argp = &rows[i].argp };
	children[count] = (struct argp_child){ 0 };
	return count;
}

const struct argp_option *command_option(const struct command *command, size_t i)
{
	const struct argp_option *own = command->options;

	for (size_t j = 0; j < ARRAY_SIZE(rows); j++) {
		if ((command->common & rows[j].flag) == 0)
			continue;
		if (i == 0)
			return rows[j].argp.options;
		i--;
	}
	for (; own != NULL && i > 0 && own->name != NULL; i--)
		own++;
	return own != NULL && own->name != NULL ? own : NULL;
}
