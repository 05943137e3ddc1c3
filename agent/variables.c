/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explicit variables come in the user's order; without any, every field of every secret, under the
 * name that its own name makes. What the user named is taken at their word; what came with a whole
 * secret must be harmless.
 */
#include "agent/variables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/text.h"
#include "agent/sink/format.h"

enum { NAME_MAX_BYTES = 4096, POINTER_MAX = 4096 };

/* Names that change which code a program runs, whom it trusts or where it sends things. A trailing
 * * stands for any rest, a leading one for any beginning. */
static const char *const dangerous_names[] = {
	"LD_*",
	"DYLD_*",
	"PATH",
	"HOME",
	"SHELL",
	"ENV",
	"BASH_ENV",
	"BASH_FUNC_*",
	"BASHOPTS",
	"SHELLOPTS",
	"IFS",
	"PS4",
	"PROMPT_COMMAND",
	"CDPATH",
	"ZDOTDIR",
	"NODE_OPTIONS",
	"NODE_PATH",
	"NODE_EXTRA_CA_CERTS",
	"NODE_TLS_REJECT_UNAUTHORIZED",
	"PYTHON*",
	"PERL5*",
	"PERLLIB",
	"RUBYOPT",
	"RUBYLIB",
	"GEM_*",
	"BUNDLE_*",
	"PHPRC",
	"PHP_INI_SCAN_DIR",
	"LUA_*",
	"JAVA_TOOL_OPTIONS",
	"_JAVA_OPTIONS",
	"JDK_JAVA_OPTIONS",
	"CLASSPATH",
	"JAVA_HOME",
	"DOTNET_*",
	"CORECLR_*",
	"COMPlus_*",
	"GOFLAGS",
	"GODEBUG",
	"GLIBC_TUNABLES",
	"GCONV_PATH",
	"LOCPATH",
	"NLSPATH",
	"MALLOC_*",
	"GIT_*",
	"SSH_ASKPASS",
	"EDITOR",
	"VISUAL",
	"PAGER",
	"LESSOPEN",
	"LESSCLOSE",
	"TMPDIR",
	"RES_OPTIONS",
	"HOSTALIASES",
	"OPENSSL_CONF",
	"OPENSSL_MODULES",
	"OPENSSL_ENGINES",
	"SSL_CERT_*",
	"SSLKEYLOGFILE",
	"CURL_CA_BUNDLE",
	"REQUESTS_CA_BUNDLE",
	"*_PROXY",
	"XDG_*",
};

static bool matches(const char *pattern, const char *name)
{
	size_t len = strlen(pattern);

	if (pattern[0] == '*')
		return text_ends_with(name, pattern + 1);
	if (pattern[len - 1] == '*')
		return strncmp(name, pattern, len - 1) == 0;
	return strcmp(name, pattern) == 0;
}

static bool is_dangerous(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(dangerous_names); i++)
		if (matches(dangerous_names[i], name))
			return true;
	return false;
}

static bool is_listed(const struct strings *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], text) == 0)
			return true;
	return false;
}

/* --only names variables as they are or as the fields that they come from: api_key is API_KEY. */
static bool chooses(const char *item, const char *variable)
{
	AUTO(buf_deinit) struct buf name = BUF_INIT(NAME_MAX_BYTES);

	if (strcmp(item, variable) == 0)
		return true;
	text_write_variable(&name, item);
	return strcmp(buf_string(&name), variable) == 0;
}

static bool is_chosen(const struct strings *only, const char *secret, const char *variable)
{
	bool chosen = only->count == 0 || is_listed(only, secret);

	for (size_t i = 0; i < only->count && !chosen; i++)
		chosen = chooses(only->items[i], variable);
	return chosen;
}

/* Every field of every secret: nothing explicit leaves anything out. */
static bool gives_all(const struct config *config, const struct run_request *request)
{
	return !request->none &&
	       (request->all || (config->variable_count == 0 && request->file_count == 0));
}

bool variables_need(const struct config *config, const struct run_request *request,
		    const char *secret)
{
	const struct strings *only = &request->only;

	for (size_t i = 0; i < request->file_count; i++)
		if (strcmp(request->files[i].secret, secret) == 0)
			return true;
	for (size_t i = 0; i < config->variable_count; i++)
		if (strcmp(config->variables[i].secret, secret) == 0 &&
		    is_chosen(only, secret, config->variables[i].variable))
			return true;
	if (!gives_all(config, request) && !request->none)
		return false;
	/* A name of --only that is no secret's may be a variable of any. */
	for (size_t i = 0; i < only->count; i++)
		if (config_secret_find(config, only->items[i]) == NULL)
			return true;
	return only->count == 0 || is_listed(only, secret);
}

/* ---- values ---- */

static void list_fields(const struct secret_version *version, const char *reference,
			struct error *err)
{
	AUTO(buf_deinit) struct buf names = BUF_INIT(ERROR_TEXT_MAX);
	size_t shown = 0;

	for (; shown < version->count && names.len < ERROR_TEXT_MAX / 2; shown++)
		buf_printf(&names, "%s%s", shown > 0 ? ", " : "", version->fields[shown].name);
	(void)error_set(err, ERROR_NOT_FOUND, "there is no field '%.100s'; there %s %s%s",
			reference, version->count == 1 ? "is" : "are",
			version->count > 0 ? buf_string(&names) : "none",
			shown < version->count ? ", …" : "");
}

static const struct json_node *json_step(const struct json_node *node, const char *name, size_t len)
{
	const struct json_node *child = node != NULL ? node->first : NULL;
	size_t number = 0;

	if (node == NULL || (node->type != JSON_IS_MAP && node->type != JSON_IS_LIST))
		return NULL;
	for (; child != NULL; child = child->next, number++) {
		char digits[24];

		(void)snprintf(digits, sizeof(digits), "%zu", number);
		if (node->type == JSON_IS_MAP
			    ? child->key_len == len && memcmp(child->key, name, len) == 0
			    : strlen(digits) == len && memcmp(digits, name, len) == 0)
			return child;
	}
	return NULL;
}

/* The rest of a pointer, into the JSON text of a field. */
static struct secret *select_inside(const struct field *field, const char *rest, struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	const struct json_node *node;

	doc = json_doc_read(secret_bytes(field->value), secret_len(field->value),
			    &JSON_REPLY_LIMITS, err);
	node = doc != NULL ? json_doc_root(doc) : NULL;
	while (node != NULL && *rest == '/') {
		AUTO(buf_deinit) struct buf name = BUF_INIT(POINTER_MAX);
		size_t len = strcspn(++rest, "/");

		if (json_read_pointer_name(&name, rest, len, err) < 0)
			return NULL;
		node = json_step(node, buf_string(&name), name.len);
		rest += len;
	}
	if (node == NULL) {
		(void)error_set(err, ERROR_NOT_FOUND, "nothing is there in field '%s'",
				field->name);
		return NULL;
	}
	if (node->type == JSON_IS_STRING)
		return secret_new(node->text, node->text_len, err);
	return secret_new(node->raw, node->raw_len, err);
}

struct secret *version_select(const struct secret_version *version, const char *reference,
			      struct error *err)
{
	AUTO(buf_deinit) struct buf head = BUF_INIT(POINTER_MAX);
	const struct field *field;
	struct error absent;
	size_t len;

	if (reference == NULL) {
		if (version->count == 1)
			return secret_ref(version->fields[0].value);
		(void)error_set(err, ERROR_BAD_DATA, "it has %zu fields: name one with #FIELD",
				version->count);
		return NULL;
	}
	field = format_find_field(version, reference, &absent);
	if (field != NULL)
		return secret_ref(field->value);
	if (absent.code != ERROR_NOT_FOUND) {
		*err = absent;
		return NULL;
	}
	/* The longest beginning of a pointer that is a field with JSON. */
	for (len = strlen(reference); reference[0] == '/' && len > 1; len--) {
		if (reference[len] != '/')
			continue;
		buf_reset(&head);
		buf_put(&head, reference, len);
		field = head.failed ? NULL : format_find_field(version, head.data, &absent);
		if (field != NULL && field->type == FIELD_JSON)
			return select_inside(field, reference + len, err);
	}
	list_fields(version, reference, err);
	return NULL;
}

/* ---- variables ---- */

static int add(struct variables *list, const char *name, struct secret *value, bool file,
	       struct error *err)
{
	AUTO(secret_unrefp) struct secret *held = value;
	struct child_variable *grown;
	char *copy;

	if ((list->count & (list->count - 1)) == 0) {
		grown = realloc(list->items,
				(list->count > 0 ? 2 * list->count : 1) * sizeof(*grown));
		if (grown == NULL)
			return error_no_memory(err);
		list->items = grown;
	}
	copy = strdup(name);
	if (copy == NULL)
		return error_no_memory(err);
	list->items[list->count++] =
		(struct child_variable){ .name = copy, .value = STEAL(held), .file = file };
	return 0;
}

static int check_value(const char *name, const struct secret *value, struct error *err)
{
	size_t size = strlen(name) + 1 + secret_len(value) + 1;

	if (memchr(secret_bytes(value), '\0', secret_len(value)) != NULL)
		return error_set(
			err, ERROR_BAD_DATA,
			"the value of %s holds a NUL byte, which no variable can carry: give it "
			"as a file (--file PATH=REF)",
			name);
	if (size > VARIABLE_MAX)
		return error_set(
			err, ERROR_BAD_DATA,
			"%s is %zu bytes with its value, and the kernel takes at most %zu for a "
			"variable: give it as a file (--file PATH=REF)",
			name, size, VARIABLE_MAX);
	return 0;
}

static int add_variable(struct variables *list, const char *name, struct secret *value,
			struct error *err)
{
	if (check_value(name, value, err) < 0) {
		(void)secret_unref(value);
		return -1;
	}
	return add(list, name, value, false, err);
}

static const struct secret_version *version_of(const struct store *store, const char *secret,
					       struct error *err)
{
	const struct store_entry *entry = store_find(store, secret);

	if (entry != NULL && entry->version != NULL)
		return entry->version;
	if (entry == NULL)
		(void)error_set(err, ERROR_NOT_FOUND, "there is no secret '%s'", secret);
	else if (entry->error.code != ERROR_NONE)
		*err = entry->error;
	else
		(void)error_set(err, ERROR_UNAVAILABLE, "secret '%s' has not come", secret);
	return NULL;
}

static struct secret *select_from(const struct store *store, const char *secret, const char *field,
				  struct error *err)
{
	const struct secret_version *version = version_of(store, secret, err);

	return version != NULL ? version_select(version, field, err) : NULL;
}

static bool may_be_missing(const struct store *store, const char *secret)
{
	const struct store_entry *entry = store_find(store, secret);

	return entry != NULL && entry->version == NULL && entry->spec->optional;
}

/* Under their own names: the names of fields, as `format: env` has them. */
static int add_fields(struct variables *list, const struct secret_version *version,
		      const char *secret, const struct strings *only, struct error *err)
{
	for (size_t i = 0; i < version->count; i++) {
		AUTO(buf_deinit) struct buf name = BUF_INIT(NAME_MAX_BYTES);
		const struct field *field = &version->fields[i];

		text_write_variable(&name, field->name);
		if (buf_check(&name, "the name of a variable", err) < 0)
			return error_wrap(err, "secret '%s'", secret);
		if (!is_chosen(only, secret, buf_string(&name)))
			continue;
		if (is_dangerous(buf_string(&name)))
			return error_set(err, ERROR_BAD_DATA,
					 "field '%s' of secret '%s' would set %s, which changes "
					 "how programs "
					 "run: name the variable in env: or --env if that is "
					 "meant, or leave "
					 "it out with --only",
					 field->name, secret, buf_string(&name));
		if (add_variable(list, buf_string(&name), secret_ref(field->value), err) < 0)
			return error_wrap(err, "field '%s' of secret '%s'", field->name, secret);
	}
	return 0;
}

static int add_explicit(struct variables *list, const struct store *store,
			const struct config *config, const struct run_request *request,
			struct error *err)
{
	for (size_t i = 0; i < config->variable_count; i++) {
		const struct config_variable *variable = &config->variables[i];
		struct secret *value;

		if (!is_chosen(&request->only, variable->secret, variable->variable))
			continue;
		if (may_be_missing(store, variable->secret))
			continue;
		value = select_from(store, variable->secret, variable->field, err);
		if (value == NULL || add_variable(list, variable->variable, value, err) < 0)
			return error_wrap(err, "%s (%s%s%s)", variable->variable, variable->secret,
					  variable->field != NULL ? "#" : "",
					  variable->field != NULL ? variable->field : "");
	}
	return 0;
}

static int add_all(struct variables *list, const struct store *store, const struct config *config,
		   const struct run_request *request, struct error *err)
{
	for (size_t i = 0; i < store->count; i++) {
		const struct store_entry *entry = &store->entries[i];
		const char *secret = entry->spec->name;

		if (may_be_missing(store, secret) || !variables_need(config, request, secret))
			continue;
		if (version_of(store, secret, err) == NULL)
			return error_wrap(err, "secret '%s'", secret);
		if (add_fields(list, entry->version, secret, &request->only, err) < 0)
			return -1;
	}
	return 0;
}

static int add_files(struct variables *list, const struct store *store,
		     const struct run_request *request, struct error *err)
{
	for (size_t i = 0; i < request->file_count; i++) {
		const struct run_file *file = &request->files[i];
		struct secret *value = select_from(store, file->secret, file->field, err);

		if (value == NULL || add(list, file->path, value, true, err) < 0)
			return error_wrap(err, "--file %s", file->path);
	}
	return 0;
}

static int compare_names(const void *one, const void *other)
{
	const struct child_variable *const *a = one, *const *b = other;

	return strcmp((*a)->name, (*b)->name);
}

static int check_collisions(const struct variables *list, struct error *err)
{
	AUTO(freep) const struct child_variable **sorted = calloc(list->count + 1, sizeof(*sorted));

	if (sorted == NULL)
		return error_no_memory(err);
	for (size_t i = 0; i < list->count; i++)
		sorted[i] = &list->items[i];
	qsort(sorted, list->count, sizeof(*sorted), compare_names);
	for (size_t i = 1; i < list->count; i++)
		if (strcmp(sorted[i]->name, sorted[i - 1]->name) == 0)
			return error_set(err, ERROR_BAD_DATA,
					 "two fields would both be %s: name variables with env: or "
					 "--env, or "
					 "choose with --only",
					 sorted[i]->name);
	return 0;
}

/* The env file's plain values; a secret of the same name stands above them. */
static int add_literals(struct variables *list, const struct run_request *request,
			struct error *err)
{
	size_t secrets = list->count;

	for (size_t i = 0; i < request->literal_count; i++) {
		const struct run_literal *literal = &request->literals[i];
		struct secret *value;
		bool taken = false;

		for (size_t j = 0; j < secrets; j++)
			taken |= !list->items[j].file &&
				 strcmp(list->items[j].name, literal->name) == 0;
		if (taken)
			continue;
		value = secret_new(literal->value, strlen(literal->value), err);
		if (value == NULL || add_variable(list, literal->name, value, err) < 0)
			return -1;
	}
	return 0;
}

/* For a command that reads files and wants to hear of changes: a fingerprint stands for a secret.
 */
static int add_fingerprints(struct variables *list, const struct store *store,
			    const struct config *config, const struct run_request *request,
			    struct error *err)
{
	for (size_t i = 0; i < store->count; i++) {
		const char *name = store->entries[i].spec->name;
		const struct secret_version *version;
		char fingerprint[VERSION_ID_MAX];
		struct secret *value;

		if (may_be_missing(store, name) || !variables_need(config, request, name))
			continue;
		version = version_of(store, name, err);
		if (version == NULL)
			return error_wrap(err, "secret '%s'", name);
		secret_version_fingerprint(version, fingerprint);
		value = secret_new(fingerprint, strlen(fingerprint), err);
		if (value == NULL || add(list, name, value, false, err) < 0)
			return -1;
	}
	return 0;
}

static int check_only(const struct variables *list, const struct config *config,
		      const struct strings *only, struct error *err)
{
	for (size_t i = 0; i < only->count; i++) {
		bool found = config_secret_find(config, only->items[i]) != NULL;

		for (size_t j = 0; j < list->count && !found; j++)
			found = chooses(only->items[i], list->items[j].name);
		if (!found)
			return error_set(err, ERROR_NOT_FOUND,
					 "--only %s: no secret and no variable has that name",
					 only->items[i]);
	}
	return 0;
}

int variables_compute(const struct store *store, const struct config *config,
		      const struct run_request *request, struct variables *ret, struct error *err)
{
	AUTO(variables_free) struct variables list = { 0 };

	if (request->none ? add_fingerprints(&list, store, config, request, err) < 0
			  : add_explicit(&list, store, config, request, err) < 0)
		return -1;
	if (gives_all(config, request) && add_all(&list, store, config, request, err) < 0)
		return -1;
	if (check_only(&list, config, &request->only, err) < 0 ||
	    check_collisions(&list, err) < 0 || add_literals(&list, request, err) < 0 ||
	    add_files(&list, store, request, err) < 0)
		return -1;
	*ret = list;
	list = (struct variables){ 0 };
	return 0;
}

void variables_free(struct variables *variables)
{
	for (size_t i = 0; i < variables->count; i++) {
		free(variables->items[i].name);
		(void)secret_unref(variables->items[i].value);
	}
	free(variables->items);
	*variables = (struct variables){ 0 };
}

bool variables_equal(const struct variables *one, const struct variables *other)
{
	for (size_t i = 0; i < one->count && i < other->count; i++) {
		const struct child_variable *a = &one->items[i], *b = &other->items[i];

		if (a->file != b->file || strcmp(a->name, b->name) != 0 ||
		    !secret_equal(a->value, b->value))
			return false;
	}
	return one->count == other->count;
}
