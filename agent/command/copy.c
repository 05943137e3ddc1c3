/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `agent copy` puts this very program where other containers can start it, from an image that has
 * no cp: an init container copies it into a volume, and the application's command becomes
 * `DIR/agent run …`.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/command/command.h"

#define PROGRAM	     "agent"
#define PROGRAM_NEW  ".agent.new"
#define PROGRAM_MODE 0755

static error_t parse(int key, char *text, struct argp_state *state)
{
	const char **directory = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (*directory != NULL)
			argp_error(state, "one directory, not also '%s'", text);
		*directory = text;
		return 0;
	case ARGP_KEY_END:
		if (*directory == NULL)
			argp_error(state, "which directory?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Whoever holds the directory's lock is alone with PROGRAM_NEW; the kernel lets go of it with us.
 */
static int open_directory(const char *path, struct error *err)
{
	AUTO(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statvfs system;
	int kept;

	if (fd < 0)
		return error_errno(err, errno, "cannot copy into '%s'", path);
	if (fstatvfs(fd, &system) == 0 && (system.f_flag & ST_NOEXEC) != 0)
		return error_set(
			err, ERROR_INVALID,
			"cannot copy into '%s': it is mounted noexec, so nothing in it can "
			"be started; choose a volume without that option",
			path);
	if (flock(fd, LOCK_EX) < 0)
		return error_errno(err, errno, "cannot lock '%s'", path);
	kept = fd;
	fd = -1;
	return kept;
}

static int copy_bytes(int from, int to, off_t size)
{
	ssize_t sent;

	while (size > 0) {
		sent = sendfile(to, from, NULL, (size_t)size);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return -1;
		size -= sent;
	}
	return 0;
}

static int write_new(int directory, int from, off_t size)
{
	AUTO(closep) int to = -1;

	/* One that is left over is of a copy that was killed. */
	if (unlinkat(directory, PROGRAM_NEW, 0) < 0 && errno != ENOENT)
		return -1;
	to = openat(directory, PROGRAM_NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0700);
	if (to < 0 || copy_bytes(from, to, size) < 0)
		return -1;
	/* Whatever the umask is. */
	return fchmod(to, PROGRAM_MODE);
}

static int copy_program(const char *path, struct error *err)
{
	AUTO(closep) int directory = open_directory(path, err);
	AUTO(closep) int from = -1;
	struct stat program;

	if (directory < 0)
		return -1;
	from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (from < 0 || fstat(from, &program) < 0)
		return error_errno(
			err, errno,
			"cannot read this program by /proc/self/exe (is /proc mounted?)");
	if (write_new(directory, from, program.st_size) == 0 &&
	    renameat(directory, PROGRAM_NEW, directory, PROGRAM) == 0)
		return 0;
	if (errno == ENOSPC || errno == EDQUOT)
		(void)error_errno(err, errno,
				  "cannot copy into '%s', which needs room for %lld KiB", path,
				  (long long)program.st_size / 1024 + 1);
	else
		(void)error_errno(err, errno, "cannot write '%s/" PROGRAM "'", path);
	(void)unlinkat(directory, PROGRAM_NEW, 0);
	return -1;
}

static const struct argp_option options[] = { { 0 } };

extern const struct command command_copy;

static int run(int argc, char **argv)
{
	const char *directory = NULL;
	struct error err = ERROR_INIT;
	int status = command_parse(&command_copy, parse, argc, argv, &directory);

	if (status != 0)
		return status;
	return copy_program(directory, &err) < 0 ? command_fail(&err) : 0;
}

const struct command command_copy = {
	.name = "copy",
	.arguments = "DIR",
	.summary = "Copy this program to DIR/agent, for images that lack it.",
	.details =
		"For an init container: the copy appears whole or not at all, may be started by "
		"everybody, and replaces an older one even while that runs.",
	.options = options,
	.run = run,
};
