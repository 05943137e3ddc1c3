/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/command/secrets_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/base/wipe.h"
#include "agent/command/prompt.h"
#include "agent/io/file.h"
#include "backends/sops.h"

enum { KEY_FILE_MAX = 256 << 10, KEY_TEXT_MAX = 1024 };

char *secrets_file_nearest(void)
{
	AUTO(freep) char *folder = getcwd(NULL, 0);

	while (folder != NULL) {
		AUTO(freep) char *path = NULL;
		char *slash = strrchr(folder, '/');

		if (asprintf(&path, "%s/" SECRETS_FILE, folder[1] == '\0' ? "" : folder) < 0)
			return NULL;
		if (access(path, F_OK) == 0)
			return STEAL(path);
		if (slash == NULL || folder[1] == '\0')
			return NULL;
		slash[slash == folder] = '\0';
	}
	return NULL;
}

char *secrets_file_find(const char *explicit_path, struct error *err)
{
	char *path = explicit_path != NULL ? strdup(explicit_path) : secrets_file_nearest();

	if (path == NULL)
		(void)error_set(err, ERROR_INVALID,
				"no " SECRETS_FILE
				" here or in a folder above: `agent secrets init` makes one, -f "
				"names another");
	return path;
}

/* --- keys --- */

char *secrets_keys_place(void)
{
	const char *named = secure_getenv("SOPS_AGE_KEY_FILE"),
		   *folder = secure_getenv("XDG_CONFIG_HOME");
	const char *home = secure_getenv("HOME");
	char *path = NULL;

	if (named != NULL && named[0] != '\0')
		return strdup(named);
	if (folder != NULL && folder[0] == '/')
		return asprintf(&path, "%s/sops/age/keys.txt", folder) < 0 ? NULL : path;
	return asprintf(&path, "%s/.config/sops/age/keys.txt", home != NULL ? home : "/root") < 0
		       ? NULL
		       : path;
}

static int make_folders(const char *file, struct error *err)
{
	AUTO(freep) char *path = strdup(file);

	if (path == NULL)
		return error_no_memory(err);
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return error_errno(err, errno, "folder %s", path);
		*slash = '/';
	}
	return 0;
}

/* As age-keygen writes it. O_EXCL: a key that another process made meanwhile is never replaced. */
static int make_key(const char *file, struct error *err)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(KEY_TEXT_MAX);
	AUTO(closep) int fd = -1;
	struct age_identity key;
	int status = 0;

	if (make_folders(file, err) < 0)
		return -1;
	age_identity_make(&key);
	buf_puts(&text, "# created: ");
	text_write_time(&text, (int64_t)time(NULL) * 1000);
	buf_puts(&text, "\n# public key: ");
	age_recipient_write(&text, key.recipient);
	buf_putc(&text, '\n');
	age_identity_write(&text, &key);
	buf_putc(&text, '\n');
	wipe(&key, sizeof(key));
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(err, errno, "key file %s", file);
	if (text.failed || write(fd, text.data, text.len) != (ssize_t)text.len || fsync(fd) < 0) {
		status = error_errno(err, errno, "key file %s", file);
		(void)unlink(file);
	}
	return status;
}

static int no_keys(const char *file, struct error *err)
{
	return error_set(err, ERROR_INVALID, "no age key: %s is not there: " SOPS_KEY_REMEDY, file);
}

int secrets_keys_read(struct age_identities *keys, bool make, bool *made, struct error *err)
{
	const char *key = secure_getenv("SOPS_AGE_KEY");
	AUTO(buf_deinit) struct buf text = BUF_INIT(KEY_FILE_MAX);
	AUTO(freep) char *file = NULL;

	*made = false;
	if (key != NULL && key[0] != '\0')
		return age_identities_read(keys, key, strlen(key), "$SOPS_AGE_KEY", err);
	file = secrets_keys_place();
	if (file == NULL)
		return error_no_memory(err);
	if (make && access(file, F_OK) < 0 && errno == ENOENT) {
		if (make_key(file, err) < 0)
			return -1;
		*made = true;
	}
	if (file_read(file, KEY_FILE_MAX, true, &text, err) < 0) {
		if (err->code == ERROR_NOT_FOUND)
			return no_keys(file, err);
		err->code = ERROR_INVALID; /* a credential that cannot be read is configuration */
		return -1;
	}
	return age_identities_read(keys, buf_string(&text), text.len, file, err);
}

/* --- the file --- */

static int open_file(const char *file, struct error *err)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd >= 0)
		return fd;
	(void)error_errno(err, errno, "%s", file);
	if (err->code == ERROR_NOT_FOUND)
		(void)error_set(err, ERROR_INVALID,
				"%s is not there; `agent secrets init -f %s` makes it", file, file);
	return -1;
}

/* Who waits says so, once: the other may be an editor that somebody left open. */
static int wait_for_lock(int fd, const char *file, bool *said, struct error *err)
{
	int locked = flock(fd, LOCK_EX | LOCK_NB);

	if (locked < 0 && errno == EWOULDBLOCK) {
		if (!*said)
			(void)fprintf(stderr,
				      "agent: %s is being changed by another `agent secrets`; "
				      "waiting for its end\n",
				      file);
		*said = true;
		do
			locked = flock(fd, LOCK_EX);
		while (locked < 0 && errno == EINTR);
	}
	return locked == 0 ? 0 : error_errno(err, errno, "lock of %s", file);
}

/* A file is replaced by renaming another over it, so the lock counts only while it is the one with
 * the name. */
static int lock_file(const char *file, struct error *err)
{
	bool said = false;

	for (;;) {
		AUTO(closep) int fd = open_file(file, err);
		struct stat mine, named;

		if (fd < 0 || wait_for_lock(fd, file, &said, err) < 0)
			return -1;
		if (fstat(fd, &mine) < 0)
			return error_errno(err, errno, "%s", file);
		if (stat(file, &named) == 0 && named.st_ino == mine.st_ino &&
		    named.st_dev == mine.st_dev) {
			int kept = fd;

			fd = -1;
			return kept;
		}
	}
}

static int read_document(const char *file, struct sops_document *document, struct error *err)
{
	AUTO(age_identities_free) struct age_identities keys = { .count = 0 };
	AUTO(buf_deinit) struct buf text = BUF_INIT(SOPS_DOCUMENT_MAX);
	bool made;

	if (file_read(file, SOPS_DOCUMENT_MAX, false, &text, err) < 0 ||
	    secrets_keys_read(&keys, false, &made, err) < 0)
		return -1;
	return sops_document_open(document, sops_format_of(file), buf_string(&text), text.len, file,
				  &keys, err);
}

int secrets_file_read(const char *file, struct sops_document *document, struct error *err)
{
	AUTO(closep) int fd = open_file(file, err);

	return fd < 0 ? -1 : read_document(file, document, err);
}

int secrets_file_open(const char *file, struct sops_document *document, int *lock,
		      struct error *err)
{
	*lock = lock_file(file, err);
	return *lock < 0 ? -1 : read_document(file, document, err);
}

int secrets_file_save(struct sops_document *document, struct error *err)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (sops_document_seal(document, (int64_t)now.tv_sec * 1000, err) < 0)
		return -1;
	return file_replace(document->file, document->source.data, document->source.len, 0, err);
}

/* --- input --- */

static int read_all(int fd, struct buf *text, const char *what, struct error *err)
{
	for (;;) {
		char *room = buf_reserve(text, 4096);
		ssize_t got;

		if (room == NULL)
			return buf_check(text, what, err);
		got = read(fd, room, 4096);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, errno, "%s", what);
		buf_commit(text, (size_t)got);
		if (got == 0)
			return 0;
	}
}

int secrets_text_read(const char *file, struct buf *text, struct error *err)
{
	if (strcmp(file, "-") == 0)
		return read_all(STDIN_FILENO, text, "standard input", err);
	return file_read(file, SOPS_DOCUMENT_MAX, false, text, err);
}

static int prompt(const char *name, struct buf *value, struct error *err)
{
	AUTO(buf_deinit) struct buf question = BUF_INIT(PATH_MAX);

	buf_printf(&question, "Value of %s (not shown): ", name);
	if (buf_check(&question, "the name", err) < 0)
		return -1;
	return prompt_hidden(question.data, value, err);
}

int secrets_value_read(const char *name, bool raw, struct buf *value, struct error *err)
{
	if (isatty(STDIN_FILENO))
		return prompt(name, value, err);
	if (read_all(STDIN_FILENO, value, "the value", err) < 0)
		return -1;
	/* So ends a pipe whose first program failed. */
	if (!raw && value->len == 0)
		return error_set(err, ERROR_BAD_DATA,
				 "nothing came on standard input: '%.100s' stays as it is (an "
				 "empty line, or --raw, sets an empty value)",
				 name);
	if (!raw && value->data[value->len - 1] == '\n')
		buf_truncate(value, value->len - 1);
	buf_put(value, "", 0);
	return 0;
}
