/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sink/child.h"

#include <string.h>
#include <unistd.h>

#include "agent/frame.h"

struct child_sink {
	struct loop_reader *loop_reader;
	int channel;
	struct frame_reader reader;
	const struct child_sink_events *events;
	void *context;
	bool *freed; /* set when a callback frees the sink under our feet */
};

static void take_frame(struct child_sink *sink, struct frame *frame)
{
	uint32_t status;

	if (!frame_take_number(frame, &status))
		return;
	if (frame->type == FRAME_EXIT && sink->events->child_ended != NULL)
		sink->events->child_ended(sink->context, (int)status);
	else if (frame->type == FRAME_HOOK_DONE && sink->events->hook_done != NULL)
		sink->events->hook_done(sink->context, (int)status);
}

static void readable(void *context)
{
	struct child_sink *sink = context;
	struct frame frame;
	struct error err;
	bool freed = false;
	int got, whole = 0;

	sink->freed = &freed;
	got = frame_receive(&sink->reader, sink->channel, &err);
	while (!freed && got >= 0 && (whole = frame_next(&sink->reader, &frame, &err)) > 0)
		take_frame(sink, &frame);
	if (freed)
		return;
	sink->freed = NULL;
	if (got >= 0 && whole == 0)
		return;
	sink->loop_reader = loop_reader_free(sink->loop_reader);
	if (sink->events->closed != NULL)
		sink->events->closed(sink->context);
}

struct child_sink *child_sink_new(struct loop *loop, int channel,
				  const struct child_sink_events *events, void *context,
				  struct error *err)
{
	struct child_sink *sink = calloc(1, sizeof(*sink));

	if (sink == NULL) {
		(void)close(channel);
		(void)error_no_memory(err);
		return NULL;
	}
	*sink = (struct child_sink){
		.channel = channel,
		.reader = FRAME_READER_INIT,
		.events = events,
		.context = context,
	};
	sink->loop_reader = loop_reader_new(loop, channel, readable, sink, err);
	return sink->loop_reader != NULL ? sink : child_sink_free(sink);
}

struct child_sink *child_sink_free(struct child_sink *sink)
{
	if (sink == NULL)
		return NULL;
	if (sink->freed != NULL)
		*sink->freed = true;
	if (sink->loop_reader != NULL)
		(void)loop_reader_free(sink->loop_reader);
	closep(&sink->channel);
	frame_reader_deinit(&sink->reader);
	free(sink);
	return NULL;
}

int child_send_env(int channel, const struct child_variable *variables, size_t count,
		   bool supervise, struct error *err)
{
	AUTO(buf_deinit) struct buf buf = FRAME_BUF;

	frame_begin(&buf, FRAME_ENV);
	frame_put_number(&buf, supervise ? FRAME_ENV_SUPERVISE : 0);
	for (size_t i = 0; i < count; i++) {
		const struct secret *value = variables[i].value;

		frame_put_number(&buf, variables[i].file ? FRAME_ITEM_FILE : FRAME_ITEM_VARIABLE);
		frame_put_bytes(&buf, variables[i].name, strlen(variables[i].name));
		frame_put_bytes(&buf, secret_bytes(value), secret_len(value));
	}
	if (buf.failed)
		return error_set(
			err, ERROR_BAD_DATA,
			"the secrets are larger than %zu bytes together: give the child fewer "
			"with --only or --env",
			FRAME_BODY_MAX);
	return frame_send(channel, &buf, err);
}

int child_send_fail(int channel, int exit_status, const char *text)
{
	AUTO(buf_deinit) struct buf buf = FRAME_BUF;
	struct error err;

	frame_begin(&buf, FRAME_FAIL);
	frame_put_number(&buf, (uint32_t)exit_status);
	frame_put_bytes(&buf, text, strlen(text));
	return frame_send(channel, &buf, &err);
}

int child_sink_env(struct child_sink *sink, const struct child_variable *variables, size_t count,
		   bool supervise, struct error *err)
{
	return child_send_env(sink->channel, variables, count, supervise, err);
}

int child_sink_fail(struct child_sink *sink, int exit_status, const char *text)
{
	return child_send_fail(sink->channel, exit_status, text);
}

int child_sink_exec(struct child_sink *sink, char *const argv[], size_t count, struct error *err)
{
	AUTO(buf_deinit) struct buf buf = FRAME_BUF;

	frame_begin(&buf, FRAME_EXEC);
	for (size_t i = 0; i < count; i++)
		frame_put_bytes(&buf, argv[i], strlen(argv[i]));
	return frame_send(sink->channel, &buf, err);
}
