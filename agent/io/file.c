/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading takes what the open descriptor is, never what the name said before. Writing makes a new
 * file beside the old one, right in mode and owner before it has the name, and renames it over.
 */
#include "agent/io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_LEAST = 4096, NEW_MODE = 0600, TEMPORARY_TRIES = 8 };

static int check_kind(const char *path, const struct stat *st, struct error *err)
{
	if (S_ISREG(st->st_mode))
		return 0;
	return error_set(err, ERROR_INVALID, "%s is %s: name a regular file", path,
			 S_ISDIR(st->st_mode) ? "a directory" : "a device, pipe or socket");
}

/* Whoever can write a credential can choose who we are. */
static int check_writers(const char *path, const struct stat *st, struct error *err)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return error_set(
			err, ERROR_INVALID,
			"%s belongs to uid %u, who could change it: it must belong to uid %u "
			"or root",
			path, st->st_uid, geteuid());
	if ((st->st_mode & S_IWOTH) != 0)
		return error_set(err, ERROR_INVALID,
				 "%s can be written by everybody: take the right away (chmod o-w)",
				 path);
	if ((st->st_mode & S_IWGRP) != 0 && st->st_gid != 0)
		return error_set(err, ERROR_INVALID,
				 "%s can be written by group %u: take the right away (chmod g-w)",
				 path, st->st_gid);
	return 0;
}

static int too_large(const char *path, size_t max, struct error *err)
{
	return error_set(err, ERROR_EXHAUSTED, "%s is larger than %zu bytes", path, max);
}

/* The size that stat gave is a hint: files in /proc have none, others grow while they are read. */
static int read_all(int fd, const char *path, size_t max, size_t hint, struct buf *out,
		    struct error *err)
{
	size_t total = 0;

	buf_puts(out, ""); /* an empty file is a string too */
	for (;;) {
		size_t want = hint > total ? hint - total : CHUNK_LEAST;
		char *room, beyond;
		ssize_t got;

		if (want > max - total)
			want = max - total;
		room = want > 0 ? buf_reserve(out, want) : &beyond;
		if (room == NULL)
			return buf_check(out, path, err);
		got = read(fd, room, want > 0 ? want : 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, errno, "cannot read %s", path);
		if (got == 0)
			return 0;
		if (want == 0)
			return too_large(path, max, err);
		buf_commit(out, (size_t)got);
		total += (size_t)got;
	}
}

int file_read(const char *path, size_t max, bool secret, struct buf *out, struct error *err)
{
	AUTO(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t before = out->len;
	struct stat st;

	if (fd < 0 && errno == ENXIO)
		return error_set(err, ERROR_INVALID, "%s is a socket or pipe: name a regular file",
				 path);
	if (fd < 0)
		return error_errno(err, errno, "cannot open %s", path);
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "cannot examine %s", path);
	if (check_kind(path, &st, err) < 0)
		return -1;
	if (secret && check_writers(path, &st, err) < 0)
		return -1;
	if ((uint64_t)st.st_size > max)
		return too_large(path, max, err);
	if (read_all(fd, path, max, (size_t)st.st_size, out, err) < 0) {
		buf_truncate(out, before);
		return -1;
	}
	return 0;
}

int file_read_stream(const char *path, size_t max, struct buf *out, struct error *err)
{
	AUTO(closep) int opened = -1;
	size_t before = out->len;
	int fd = STDIN_FILENO;

	/* By its number: what it is may have no name that could be opened again, as a socket. */
	if (strcmp(path, "-") != 0 && strcmp(path, "/dev/stdin") != 0)
		fd = opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return error_errno(err, errno, "cannot open %s", path);
	if (read_all(fd, path, max, 0, out, err) < 0) {
		buf_truncate(out, before);
		return -1;
	}
	return 0;
}

/* A file on its way to its name; unlinked again unless it got there. */
struct temporary {
	int dir;
	int fd;
	bool named;
	char name[NAME_MAX + 1];
};

static void temporary_deinit(struct temporary *temporary)
{
	if (temporary->named)
		(void)unlinkat(temporary->dir, temporary->name, 0);
	closep(&temporary->fd);
	closep(&temporary->dir);
}

static int temporary_create(struct temporary *temporary, const char *path, const char *name,
			    struct error *err)
{
	for (int i = 0; i < TEMPORARY_TRIES && temporary->fd < 0; i++) {
		uint64_t random = 0;

		randombytes_buf(&random, sizeof(random));
		(void)snprintf(temporary->name, sizeof(temporary->name), ".%.200s.%016llx", name,
			       (unsigned long long)random);
		temporary->fd =
			openat(temporary->dir, temporary->name,
			       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, NEW_MODE);
		if (temporary->fd < 0 && errno != EEXIST)
			break;
	}
	if (temporary->fd < 0)
		return error_errno(err, errno, "cannot make a file beside %s", path);
	temporary->named = true;
	return 0;
}

static int write_all(int fd, const char *bytes, size_t len, const char *path, struct error *err)
{
	while (len > 0) {
		ssize_t put = write(fd, bytes, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return error_errno(err, errno, "cannot write %s", path);
		bytes += put;
		len -= (size_t)put;
	}
	return 0;
}

/* Mode and owner before the content: nobody reads it in between who may not read it after. */
static int take_rights(int fd, int dir, const char *name, unsigned mode, const char *path,
		       struct error *err)
{
	struct stat old, new;

	if (mode == 0 && fstatat(dir, name, &old, AT_SYMLINK_NOFOLLOW) == 0) {
		if (check_kind(path, &old, err) < 0)
			return -1;
		if (fstat(fd, &new) < 0)
			return error_errno(err, errno, "cannot examine the new %s", path);
		if ((old.st_uid != new.st_uid || old.st_gid != new.st_gid) &&
		    fchown(fd, old.st_uid, old.st_gid) < 0)
			return error_errno(err, errno, "cannot give the new %s to uid %u, gid %u",
					   path, old.st_uid, old.st_gid);
		mode = old.st_mode & 07777;
	}
	if (fchmod(fd, mode != 0 ? mode : NEW_MODE) < 0)
		return error_errno(err, errno, "cannot set the mode of %s", path);
	return 0;
}

/* The file itself where the name is a link to it: the link is the user's and stays. */
static char *target_of(const char *path)
{
	char *resolved = realpath(path, NULL);

	return resolved != NULL ? resolved : strdup(path);
}

int file_replace(const char *path, const void *bytes, size_t len, unsigned mode, struct error *err)
{
	AUTO(temporary_deinit) struct temporary temporary = { .dir = -1, .fd = -1 };
	AUTO(freep) char *target = target_of(path);
	const char *name;
	char *slash;

	if (target == NULL)
		return error_no_memory(err);
	slash = strrchr(target, '/');
	name = slash != NULL ? slash + 1 : target;
	if (*name == '\0')
		return error_set(err, ERROR_INVALID, "%s is a directory: name a file", path);
	if (slash != NULL)
		*slash = '\0';
	temporary.dir = open(slash == NULL     ? "."
			     : slash == target ? "/"
					       : target,
			     O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (temporary.dir < 0)
		return error_errno(err, errno, "cannot open the directory of %s", path);

	if (temporary_create(&temporary, path, name, err) < 0)
		return -1;
	if (take_rights(temporary.fd, temporary.dir, name, mode, path, err) < 0)
		return -1;
	if (write_all(temporary.fd, bytes, len, path, err) < 0)
		return -1;
	if (fsync(temporary.fd) < 0)
		return error_errno(err, errno, "cannot write %s", path);
	if (renameat(temporary.dir, temporary.name, temporary.dir, name) < 0)
		return error_errno(err, errno, "cannot replace %s", path);
	temporary.named = false;

	/* The name stands; that it survives a power cut is as much as can be asked of the file
	 * system. */
	closep(&temporary.fd);
	temporary.fd = openat(temporary.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (temporary.fd >= 0)
		(void)fsync(temporary.fd);
	return 0;
}

static void add_remedy(struct error *err, const char *remedy)
{
	size_t used = strlen(err->text);

	(void)snprintf(err->text + used, sizeof(err->text) - used, ": %s", remedy);
}

int file_perform(const struct request *request, const struct clock *clock, struct buf *out,
		 struct reply *reply, struct error *err)
{
	struct stamp sent = clock_now(clock);

	if (buf_check(&request->path, "the file's name", err) < 0)
		return -1;
	buf_reset(out);
	if (file_read(buf_string(&request->path), request->reply_max, request->file_secret, out,
		      err) < 0) {
		if (err->code == ERROR_NOT_FOUND && request->file_remedy != NULL)
			add_remedy(err, request->file_remedy);
		/* A credential that cannot be read is a matter of the configuration, not of the
		 * secret asked for. */
		if (request->file_secret && err->code == ERROR_NOT_FOUND)
			err->code = ERROR_INVALID;
		return -1;
	}
	*reply = (struct reply){ .kind = REQUEST_FILE,
				 .status = 200,
				 .body = buf_string(out),
				 .len = out->len,
				 .retry_after_ms = -1,
				 .sent = sent,
				 .received = clock_now(clock) };
	return 0;
}
