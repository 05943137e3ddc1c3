/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link is made only where nothing stands, and removed only while it is still ours.
 */
#include "agent/launcher_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <unistd.h>

#include "agent/base/buf.h"
#include "agent/base/text.h"
#include "agent/launcher_parts.h"

#define DIRECTORY_PREFIX "agent-run-"

enum { PATH_MOST = 4096, TRIES = 8 };

struct launch_files {
	char *directory;
	int lock;     /* on the directory, while we live: see sweep */
	char **links; /* by number; the file of that number lies in the directory */
	size_t count, capacity;
};

static bool is_tmpfs(const char *path)
{
	struct statfs about;

	return statfs(path, &about) == 0 &&
	       (about.f_type == TMPFS_MAGIC || about.f_type == RAMFS_MAGIC);
}

static void remove_directory(const char *directory)
{
	DIR *listing = opendir(directory);
	const struct dirent *entry;

	while (listing != NULL && (entry = readdir(listing)) != NULL)
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(listing), entry->d_name, 0);
	if (listing != NULL)
		(void)closedir(listing);
	(void)rmdir(directory);
}

/* Removes what launchers left that were killed: a directory of ours that nobody holds a lock on. */
static void sweep(const char *place)
{
	DIR *listing = opendir(place);
	const struct dirent *entry;
	struct stat about;

	while (listing != NULL && (entry = readdir(listing)) != NULL) {
		AUTO(buf_deinit) struct buf path = BUF_INIT(PATH_MOST);
		AUTO(closep) int fd = -1;

		if (!text_starts_with(entry->d_name, DIRECTORY_PREFIX))
			continue;
		fd = openat(dirfd(listing), entry->d_name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &about) < 0 || about.st_uid != geteuid() ||
		    flock(fd, LOCK_EX | LOCK_NB) < 0)
			continue;
		buf_printf(&path, "%s/%s", place, entry->d_name);
		if (!path.failed)
			remove_directory(path.data);
	}
	if (listing != NULL)
		(void)closedir(listing);
}

/* A new directory with our lock on it. Between the two somebody may have swept it. */
static int make_locked(char *template)
{
	struct stat about;

	for (int i = 0; i < TRIES; i++) {
		int fd;

		memset(template + strlen(template) - strlen("XXXXXX"), 'X', strlen("XXXXXX"));
		if (mkdtemp(template) == NULL)
			return -1;
		fd = open(template, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_SH) == 0 && fstat(fd, &about) == 0 &&
		    about.st_nlink > 0)
			return fd;
		closep(&fd);
	}
	return -1;
}

static int make_directory(struct launch_files *files, struct error *err)
{
	const char *const places[] = { getenv("XDG_RUNTIME_DIR"), "/dev/shm", "/run" };
	AUTO(buf_deinit) struct buf path = BUF_INIT(PATH_MOST);

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (places[i] == NULL || places[i][0] != '/' || !is_tmpfs(places[i]))
			continue;
		sweep(places[i]);
		buf_reset(&path);
		buf_printf(&path, "%s/" DIRECTORY_PREFIX "XXXXXX", places[i]);
		files->lock = path.failed ? -1 : make_locked(path.data);
		if (files->lock < 0)
			continue;
		files->directory = strdup(path.data);
		return files->directory != NULL ? 0 : error_no_memory(err);
	}
	return error_set(
		err, ERROR_INVALID,
		"--file needs a tmpfs that we may write: set XDG_RUNTIME_DIR, or mount /dev/shm");
}

static int file_path(struct buf *path, const struct launch_files *files, size_t number,
		     const char *suffix)
{
	buf_reset(path);
	buf_printf(path, "%s/%zu%s", files->directory, number, suffix);
	return path->failed ? -1 : 0;
}

/* Beside the one that stands. */
static int write_file(const struct launch_files *files, size_t number,
		      const struct child_value *value, struct error *err)
{
	AUTO(buf_deinit) struct buf fresh = BUF_INIT(PATH_MOST);
	AUTO(closep) int fd = -1;
	ssize_t put;

	if (file_path(&fresh, files, number, ".new") < 0)
		return error_no_memory(err);
	(void)unlink(fresh.data);
	fd = open(fresh.data, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	/* Whatever the user's umask takes away. */
	if (fd < 0 || fchmod(fd, 0600) < 0)
		return error_errno(err, errno, "cannot write %s", fresh.data);
	for (size_t at = 0; at < value->len; at += (size_t)put) {
		put = write(fd, value->bytes + at, value->len - at);
		if (put < 0)
			return error_errno(err, errno, "cannot write %s", fresh.data);
	}
	return 0;
}

static int show_file(const struct launch_files *files, size_t number, struct error *err)
{
	AUTO(buf_deinit) struct buf path = BUF_INIT(PATH_MOST);
	AUTO(buf_deinit) struct buf fresh = BUF_INIT(PATH_MOST);

	if (file_path(&path, files, number, "") < 0 || file_path(&fresh, files, number, ".new") < 0)
		return error_no_memory(err);
	if (rename(fresh.data, path.data) < 0)
		return error_errno(err, errno, "cannot write %s", path.data);
	return 0;
}

/* A link that leads to a directory of a launcher that was killed. */
static bool is_leftover(const char *name)
{
	char target[PATH_MOST];
	ssize_t len = readlink(name, target, sizeof(target) - 1);
	struct stat about;

	if (len <= 0)
		return false;
	target[len] = '\0';
	return strstr(target, "/" DIRECTORY_PREFIX) != NULL && stat(name, &about) < 0 &&
	       errno == ENOENT;
}

static int make_link(struct launch_files *files, size_t number, const char *name, struct error *err)
{
	AUTO(buf_deinit) struct buf path = BUF_INIT(PATH_MOST);
	char *copy = strdup(name);

	if (copy == NULL || file_path(&path, files, number, "") < 0) {
		free(copy);
		return error_no_memory(err);
	}
	if (is_leftover(name))
		(void)unlink(name);
	if (symlink(path.data, name) < 0) {
		free(copy);
		if (errno == EEXIST)
			return error_set(err, ERROR_BAD_DATA,
					 "--file %s: something stands there already, and a secret "
					 "replaces no file: remove it or name another path",
					 name);
		return error_errno(err, errno, "--file %s", name);
	}
	files->links[number] = copy;
	files->count = number + 1;
	return 0;
}

static struct launch_files *files_new(size_t count, struct error *err)
{
	struct launch_files *files = calloc(1, sizeof(*files));

	if (files != NULL)
		files->links = calloc(count, sizeof(*files->links));
	if (files == NULL || files->links == NULL) {
		free(files);
		(void)error_no_memory(err);
		return NULL;
	}
	files->capacity = count;
	files->lock = -1;
	if (make_directory(files, err) < 0) {
		launch_files_remove(files);
		return NULL;
	}
	return files;
}

int launch_files_write(struct launch_files **files, const struct child_value *values, size_t count,
		       struct error *err)
{
	size_t number = 0, wanted = 0;

	for (size_t i = 0; i < count; i++)
		wanted += values[i].file;
	if (wanted == 0)
		return 0;
	if (*files == NULL)
		*files = files_new(wanted, err);
	if (*files == NULL)
		return -1;
	if (wanted > (*files)->capacity)
		return error_set(err, ERROR_PROTOCOL, "the broker sent more files than before");
	/* All are written before the first is shown: a full disk shows none. */
	for (size_t i = 0; i < count; i++)
		if (values[i].file && write_file(*files, number++, &values[i], err) < 0)
			return -1;
	number = 0;
	for (size_t i = 0; i < count; i++) {
		if (!values[i].file)
			continue;
		if (show_file(*files, number, err) < 0)
			return -1;
		if (number >= (*files)->count && make_link(*files, number, values[i].name, err) < 0)
			return -1;
		number++;
	}
	return 0;
}

static void remove_link(const struct launch_files *files, const char *name)
{
	char target[PATH_MOST];
	ssize_t len = readlink(name, target, sizeof(target));
	size_t ours = strlen(files->directory);

	if (len > (ssize_t)ours && strncmp(target, files->directory, ours) == 0)
		(void)unlink(name);
}

void launch_files_remove(struct launch_files *files)
{
	if (files == NULL)
		return;
	for (size_t i = 0; i < files->count; i++) {
		remove_link(files, files->links[i]);
		free(files->links[i]);
	}
	if (files->directory != NULL)
		remove_directory(files->directory);
	closep(&files->lock);
	free(files->directory);
	free(files->links);
	free(files);
}
