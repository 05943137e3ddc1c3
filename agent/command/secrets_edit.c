/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain text lies in memory only: in a folder of ours (0700) on a tmpfs, gone when the editor
 * is done. The encrypted file stays locked meanwhile, so that a set from elsewhere is not
 * overwritten.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/wipe.h"
#include "agent/command/secrets_file.h"
#include "agent/io/file.h"

struct scratch {
	char *folder;
	char *file;
};

static int remove_entry(const char *path, const struct stat *about, int type, struct FTW *where)
{
	(void)about;
	(void)type;
	(void)where;
	(void)remove(path);
	return 0;
}

/* What the editor left beside the file goes as well, folders of its own included. */
static void scratch_free(struct scratch *scratch)
{
	if (scratch->folder != NULL)
		(void)nftw(scratch->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(scratch->folder);
	free(scratch->file);
}

static bool in_memory(const char *folder)
{
	struct statfs about;

	return folder != NULL && statfs(folder, &about) == 0 &&
	       (about.f_type == TMPFS_MAGIC || about.f_type == RAMFS_MAGIC) &&
	       access(folder, W_OK) == 0;
}

static int scratch_make(struct scratch *scratch, const char *file, struct error *err)
{
	const char *places[] = { secure_getenv("XDG_RUNTIME_DIR"), "/dev/shm", "/run", "/tmp" };
	const char *base = strrchr(file, '/'), *place = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(places) && place == NULL; i++)
		if (in_memory(places[i]))
			place = places[i];
	if (place == NULL)
		return error_set(err, ERROR_INVALID,
				 "no writable tmpfs for the plain text (XDG_RUNTIME_DIR, /dev/shm, "
				 "/run): use "
				 "`agent secrets set`");
	if (asprintf(&scratch->folder, "%s/agent-XXXXXX", place) < 0) {
		scratch->folder = NULL;
		return error_no_memory(err);
	}
	if (mkdtemp(scratch->folder) == NULL) {
		(void)error_errno(err, errno, "folder %s", scratch->folder);
		free(scratch->folder);
		scratch->folder = NULL;
		return -1;
	}
	if (asprintf(&scratch->file, "%s/%s", scratch->folder, base != NULL ? base + 1 : file) <
	    0) {
		scratch->file = NULL;
		return error_no_memory(err);
	}
	return 0;
}

static int scratch_write(const struct scratch *scratch, const struct buf *text, struct error *err)
{
	AUTO(closep)
	int fd = open(scratch->file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_errno(err, errno, "%s", scratch->file);
	for (size_t at = 0; at < text->len;) {
		ssize_t put = write(fd, text->data + at, text->len - at);

		if (put < 0 && errno != EINTR)
			return error_errno(err, errno, "%s", scratch->file);
		at += put > 0 ? (size_t)put : 0;
	}
	return 0;
}

static const char *chosen_editor(void)
{
	const char *visual = secure_getenv("VISUAL"), *editor = secure_getenv("EDITOR");

	if (editor != NULL && editor[0] != '\0')
		return editor;
	return visual != NULL && visual[0] != '\0' ? visual : "vi";
}

/* $EDITOR may hold arguments, so a shell reads it; the file's name is never read by the shell. */
static void become_editor(const char *editor, const char *file)
{
	AUTO(freep) char *script = NULL;

	if (asprintf(&script, "exec %s \"$1\"", editor) >= 0)
		(void)execl("/bin/sh", "sh", "-c", script, "sh", file, (char *)NULL);
	_exit(127);
}

/* Signals of the terminal are the editor's; we stay to remove the plain text. */
static int run_editor(const char *file, struct error *err)
{
	static const int held[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before[ARRAY_SIZE(held)];
	const char *editor = chosen_editor();
	int status = 0;
	pid_t child, ended;

	for (size_t i = 0; i < ARRAY_SIZE(held); i++)
		(void)sigaction(held[i], &ignore, &before[i]);
	child = fork();
	if (child == 0) {
		for (size_t i = 0; i < ARRAY_SIZE(held); i++)
			(void)sigaction(held[i], &before[i], NULL);
		become_editor(editor, file);
	}
	do
		ended = child > 0 ? waitpid(child, &status, 0) : -1;
	while (ended < 0 && child > 0 && errno == EINTR);
	for (size_t i = 0; i < ARRAY_SIZE(held); i++)
		(void)sigaction(held[i], &before[i], NULL);
	if (ended < 0)
		return error_errno(err, errno, "editor '%s'", editor);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(err, ERROR_INVALID,
				 "the editor '%s' failed, so nothing was changed; set EDITOR to "
				 "choose another",
				 editor);
	return 0;
}

/* A mistake is not the end of the work: who sits at a terminal may correct it. */
static bool try_again(const struct error *err)
{
	int byte;

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return false;
	(void)fprintf(stderr, "agent: %s\nEnter edits again, Control-D gives up. ", err->text);
	while ((byte = getchar()) != EOF)
		if (byte == '\n')
			return true;
	return false;
}

static bool is_blank(const struct buf *text)
{
	for (size_t i = 0; i < text->len; i++)
		if (!isspace((unsigned char)text->data[i]))
			return false;
	return true;
}

static int take_edit(const struct sops_document *before, const char *file, const struct buf *text,
		     struct error *err)
{
	AUTO(sops_document_free) struct sops_document after = { .file = NULL };

	if (sops_document_encrypt(&after, sops_format_of(file), buf_string(text), text->len, file,
				  NULL, 0, before, err) < 0)
		return -1;
	return secrets_file_save(&after, err);
}

int secrets_edit(const char *file, struct error *err)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	AUTO(buf_deinit)
	struct buf plain = BUF_INIT(SOPS_DOCUMENT_MAX), edited = BUF_INIT(SOPS_DOCUMENT_MAX);
	AUTO(scratch_free) struct scratch scratch = { .folder = NULL };
	AUTO(closep) int lock = -1;

	if (secrets_file_open(file, &document, &lock, err) < 0 ||
	    sops_document_write(&document, sops_format_of(file), &plain, err) < 0 ||
	    scratch_make(&scratch, file, err) < 0 || scratch_write(&scratch, &plain, err) < 0)
		return -1;
	for (;;) {
		buf_reset(&edited);
		if (run_editor(scratch.file, err) < 0 ||
		    file_read(scratch.file, SOPS_DOCUMENT_MAX, false, &edited, err) < 0)
			return -1;
		if (edited.len == plain.len &&
		    memcmp(buf_string(&edited), buf_string(&plain), plain.len) == 0)
			return 0;
		if (is_blank(&edited) && !is_blank(&plain))
			return error_set(err, ERROR_BAD_DATA,
					 "the editor left nothing, so nothing was changed; `agent "
					 "secrets rm` removes values");
		if (take_edit(&document, file, &edited, err) == 0)
			return 0;
		if (!try_again(err))
			return -1;
	}
}
