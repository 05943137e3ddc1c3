/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A template is its tree and the options that it runs with, in one region.
 */
#include "agent/template/template.h"

#include <string.h>

#include "agent/base/wipe.h"
#include "agent/template/exec.h"
#include "agent/template/render.h"

struct template
{
	struct region region;
	struct template_options options;
	struct tree tree;
};

static int copy_text(struct region *region, const char *text, const char **ret)
{
	*ret = text != NULL ? region_copy(region, text, strlen(text)) : NULL;
	return text != NULL && *ret == NULL ? -1 : 0;
}

static int copy_denied(struct template *template, const char *const *denied)
{
	const char **copy;
	size_t count = 0;

	while (denied != NULL && denied[count] != NULL)
		count++;
	copy = region_array(&template->region, count + 1, sizeof(*copy));
	if (copy == NULL)
		return -1;
	template->options.denied = copy;
	for (size_t i = 0; i < count; i++)
		if (copy_text(&template->region, denied[i], &copy[i]) < 0)
			return -1;
	return 0;
}

/* Fills everything but the definitions. */
static int fill(struct template *template, const char *text, size_t len,
		const struct template_options *options)
{
	struct region *region = &template->region;
	struct template_options *own = &template->options;

	if (copy_text(region, options->name, &own->name) < 0 ||
	    copy_text(region, options->left, &own->left) < 0 ||
	    copy_text(region, options->right, &own->right) < 0 ||
	    copy_denied(template, options->denied) < 0)
		return -1;
	own->missing_key_is_error = options->missing_key_is_error;
	template->tree = (struct tree){
		.region = region,
		.name = own->name,
		.text = region_copy(region, text, len),
		.len = len,
	};
	return template->tree.text != NULL ? 0 : -1;
}

struct template *template_new(const char *text, size_t len, const struct template_options *options,
			      struct error *err)
{
	AUTO(template_freep) struct template *template = NULL;

	if (len > TEMPLATE_TEXT_MAX) {
		(void)error_set(err, ERROR_EXHAUSTED, "%s: the template is larger than %zu MiB",
				options->name, TEMPLATE_TEXT_MAX >> 20);
		return NULL;
	}
	template = wipe_calloc(1, sizeof(*template));
	if (template == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	template->region = REGION_INIT(TEMPLATE_MEMORY_MAX);
	if (fill(template, text, len, options) < 0) {
		(void)error_no_memory(err);
		return NULL;
	}
	if (tree_parse(&template->tree, template->options.left, template->options.right, err) < 0)
		return NULL;
	return STEAL(template);
}

struct template *template_free(struct template *template)
{
	if (template != NULL)
		region_deinit(&template->region);
	wipe_free(template);
	return NULL;
}

/* What fails for want of an answer may not fail when it is there; what a source refuses stays
 * refused. */
static bool may_wait(const struct render *render)
{
	return render->waiting > 0 && !render->refused;
}

int template_render(struct template *template, struct template_source *source, struct secret **ret,
		    struct error *err)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct error inner = ERROR_INIT;
	struct render render = {
		.values = REGION_INIT(TEMPLATE_MEMORY_MAX),
		.tree = &template->tree,
		.options = &template->options,
		.source = source,
		.err = &inner,
		.out = &out,
	};
	struct secret *output = NULL;
	int done = exec_run(&render);

	region_deinit(&render.values);
	if (done < 0 && !may_wait(&render)) {
		*err = inner;
		return -1;
	}
	if (render.waiting == 0) {
		output = secret_move(out.data, out.len, err);
		if (output == NULL)
			return error_wrap(err, "%s", template->options.name);
	}
	*ret = output;
	return 0;
}
