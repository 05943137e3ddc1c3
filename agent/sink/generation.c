/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory starts as 0700, each file as 0600; owner and then mode are set on the open file,
 * whatever the umask, and the directories open up last. Nothing refers to a generation before all
 * of that is done.
 */
#include "agent/sink/generation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/wipe.h"

enum { COMPARE_BYTES = 4096, DEPTH_MAX = 64 };

static void closedirp(DIR **dir)
{
	if (*dir != NULL)
		(void)closedir(*dir);
}

static int set_owner(int fd, uid_t uid, gid_t gid, const char *path, struct error *err)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return error_errno(err, errno, "cannot look at %s", path);
	if (status.st_uid == uid && status.st_gid == gid)
		return 0;
	if (fchown(fd, uid, gid) < 0)
		return error_errno(err, errno,
				   "cannot give %s to owner %u and group %u (the agent must be "
				   "root or a member of "
				   "the group)",
				   path, uid, gid);
	return 0;
}

static int write_all(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;
	ssize_t put;

	for (; len > 0; len -= (size_t)put, at += put) {
		put = TEMP_FAILURE_RETRY(write(fd, at, len));
		if (put < 0)
			return -1;
	}
	return 0;
}

static int write_file(int generation, const struct set_file *file, struct error *err)
{
	AUTO(closep)
	int fd = open_beneath(generation, file->path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	if (fd < 0)
		return error_errno(err, errno, "cannot create %s", file->path);
	if (write_all(fd, set_file_bytes(file), set_file_len(file)) < 0)
		return error_errno(err, errno, "cannot write %s", file->path);
	if (set_owner(fd, file->uid, file->gid, file->path, err) < 0)
		return -1;
	if (fchmod(fd, file->mode) < 0)
		return error_errno(err, errno, "cannot set the mode of %s", file->path);
	return 0;
}

static int open_dir(int generation, const struct set_dir *dir)
{
	return open_beneath(generation, dir->path[0] != '\0' ? dir->path : ".",
			    O_RDONLY | O_DIRECTORY, 0);
}

static int finish_dir(int generation, const struct set_dir *dir, uid_t uid, struct error *err)
{
	AUTO(closep) int fd = open_dir(generation, dir);
	const char *path = dir->path[0] != '\0' ? dir->path : "the generation";

	if (fd < 0)
		return error_errno(err, errno, "cannot open %s", path);
	if (set_owner(fd, uid, dir->gid, path, err) < 0)
		return -1;
	if (fchmod(fd, dir->mode) < 0)
		return error_errno(err, errno, "cannot set the mode of %s", path);
	return 0;
}

int generation_write(int directory, const char *name, const struct file_set *set, struct error *err)
{
	AUTO(closep) int fd = -1;

	if (mkdirat(directory, name, 0700) < 0)
		return error_errno(err, errno, "cannot create %s", name);
	fd = open_beneath(directory, name, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0 || fchmod(fd, 0700) < 0)
		return error_errno(err, errno, "cannot open %s", name);
	for (size_t i = 1; i < set->dir_count; i++)
		if (mkdirat(fd, set->dirs[i].path, 0700) < 0)
			return error_errno(err, errno, "cannot create %s", set->dirs[i].path);
	for (size_t i = 0; i < set->count; i++)
		if (write_file(fd, &set->files[i], err) < 0)
			return -1;
	for (size_t i = set->dir_count; i-- > 0;)
		if (finish_dir(fd, &set->dirs[i], set->uid, err) < 0)
			return -1;
	return 0;
}

static bool same_bytes(int fd, const void *bytes, size_t len)
{
	char chunk[COMPARE_BYTES];
	const char *at = bytes;
	bool same = true;
	ssize_t got;

	while (same && len > 0) {
		got = TEMP_FAILURE_RETRY(
			read(fd, chunk, len < sizeof(chunk) ? len : sizeof(chunk)));
		same = got > 0 && memcmp(chunk, at, (size_t)got) == 0;
		if (same) {
			at += got;
			len -= (size_t)got;
		}
	}
	wipe(chunk, sizeof(chunk));
	return same;
}

static bool file_matches(int generation, const struct set_file *file)
{
	AUTO(closep) int fd = open_beneath(generation, file->path, O_RDONLY | O_NONBLOCK, 0);
	struct stat status;

	return fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
	       (status.st_mode & 07777) == file->mode && status.st_uid == file->uid &&
	       status.st_gid == file->gid && status.st_nlink == 1 &&
	       (size_t)status.st_size == set_file_len(file) &&
	       same_bytes(fd, set_file_bytes(file), set_file_len(file));
}

/* Matches the directory itself and counts what is in it. */
static bool dir_matches(int generation, const struct set_dir *dir, uid_t uid, size_t *names)
{
	AUTO(closedirp) DIR *listing = NULL;
	struct dirent *item;
	struct stat status;
	int fd = open_dir(generation, dir);

	if (fd < 0)
		return false;
	listing = fdopendir(fd);
	if (listing == NULL) {
		(void)close(fd);
		return false;
	}
	if (fstat(fd, &status) < 0 || (status.st_mode & 07777) != dir->mode ||
	    status.st_uid != uid || status.st_gid != dir->gid)
		return false;
	while ((item = readdir(listing)) != NULL)
		if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0)
			(*names)++;
	return true;
}

bool generation_matches(int generation, const struct file_set *set)
{
	size_t names = 0;

	for (size_t i = 0; i < set->dir_count; i++)
		if (!dir_matches(generation, &set->dirs[i], set->uid, &names))
			return false;
	if (names != set->count + set->dir_count - 1)
		return false;
	for (size_t i = 0; i < set->count; i++)
		if (!file_matches(generation, &set->files[i]))
			return false;
	return true;
}

/* Empties the directory as far as it can; what stays is seen when the directory itself does not go.
 */
static void empty(int directory, unsigned depth)
{
	AUTO(closedirp) DIR *listing = NULL;
	struct dirent *item;
	int fd = dup(directory), inner;

	if (fd < 0)
		return;
	listing = fdopendir(fd);
	if (listing == NULL) {
		(void)close(fd);
		return;
	}
	while ((item = readdir(listing)) != NULL) {
		if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
			continue;
		if (unlinkat(directory, item->d_name, 0) == 0 || depth == 0)
			continue;
		inner = open_beneath(directory, item->d_name, O_RDONLY | O_DIRECTORY, 0);
		if (inner < 0)
			continue;
		empty(inner, depth - 1);
		(void)close(inner);
		(void)unlinkat(directory, item->d_name, AT_REMOVEDIR);
	}
}

bool generation_remove(int directory, const char *name)
{
	AUTO(closep) int fd = open_beneath(directory, name, O_RDONLY | O_DIRECTORY, 0);

	if (fd >= 0)
		empty(fd, DEPTH_MAX);
	return unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}
