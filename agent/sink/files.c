/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One publish: look at what stands, build what should stand, and when they differ write a new
 * generation, swing
 * ..data over by one rename, see to the names that applications use. Nothing is remembered that the
 * directory can tell: a killed process leaves nothing that the next publish does not see and
 * repair, and a directory that vanished is made anew. The one thing kept in memory is when replaced
 * generations may go.
 *
 * Ours in the directory are ..data, ..data_tmp, ..gen-NNNNNN, symlinks into ..data/, and ..told,
 * which names the last generation that the application was told of: a process that is killed
 * between the rename and the telling leaves it to the next. All else is left alone.
 */
#include "agent/sink/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "agent/sink/file_set.h"
#include "agent/sink/generation.h"

#define DATA		 "..data"
#define DATA_TMP	 "..data_tmp"
#define TOLD		 "..told"
#define GENERATION	 "..gen-"
#define RETENTION_MS	 ((int64_t)60 * 1000)
#define RETIRED_MAX	 16
#define NUMBER_DIGITS	 15 /* of a generation that we take for ours */
#define PROBLEMS_A_ENTRY 3  /* its secret, a collision, its name in the directory */

struct retired {
	uint64_t number;
	int64_t due_boot_ms;
};

struct files_sink {
	const struct config_files *config;
	const struct clock *clock;
	struct files_problem *problems;
	size_t problem_count;
	uint64_t generation;
	dev_t device; /* of the directory that `retired` speaks of */
	ino_t inode;
	struct retired retired[RETIRED_MAX]; /* oldest first */
	size_t retired_count;
};

/* The directory as a publish finds it. */
struct standing {
	int directory;
	int generation;	 /* open; -1: nothing stands */
	uint64_t number; /* 0: nothing stands */
	uint64_t highest;
};

struct name {
	char text[sizeof(GENERATION) + 24];
};

static void closedirp(DIR **dir)
{
	if (*dir != NULL)
		(void)closedir(*dir);
}

static struct name generation_name(uint64_t number)
{
	struct name name;

	(void)snprintf(name.text, sizeof(name.text), GENERATION "%06" PRIu64, number);
	return name;
}

/* 0: not the name of a generation. */
static uint64_t generation_number(const char *name)
{
	const char *digits = name + strlen(GENERATION);
	size_t len;

	if (strncmp(name, GENERATION, strlen(GENERATION)) != 0)
		return 0;
	len = strspn(digits, "0123456789");
	if (len == 0 || len > NUMBER_DIGITS || digits[len] != '\0')
		return 0;
	return strtoull(digits, NULL, 10);
}

static void standing_close(struct standing *standing)
{
	closep(&standing->generation);
	closep(&standing->directory);
}

static int64_t boot_now(const struct files_sink *sink)
{
	return clock_now(sink->clock).boot_ms;
}

static void forget(struct files_sink *sink, size_t i)
{
	sink->retired_count--;
	memmove(&sink->retired[i], &sink->retired[i + 1],
		(sink->retired_count - i) * sizeof(sink->retired[0]));
}

/* Deletes retired generations that are due by `until`; one that cannot be deleted is tried again
 * later. */
static void collect(struct files_sink *sink, int directory, int64_t until)
{
	for (size_t i = 0; i < sink->retired_count;) {
		struct retired *retired = &sink->retired[i];

		if (retired->due_boot_ms > until) {
			i++;
		} else if (!generation_remove(directory, generation_name(retired->number).text)) {
			retired->due_boot_ms = boot_now(sink) + RETENTION_MS;
			i++;
		} else {
			forget(sink, i);
		}
	}
}

/* A generation that nothing refers to any more goes in 60 s; past the limit the oldest goes now. */
static void retire(struct files_sink *sink, int directory, uint64_t number)
{
	size_t at = 0;

	while (at < sink->retired_count && sink->retired[at].number < number)
		at++;
	if (at < sink->retired_count && sink->retired[at].number == number)
		return;
	if (sink->retired_count == RETIRED_MAX) {
		uint64_t oldest = at == 0 ? number : sink->retired[0].number;

		(void)generation_remove(directory, generation_name(oldest).text);
		if (at == 0)
			return;
		forget(sink, 0);
		at--;
	}
	memmove(&sink->retired[at + 1], &sink->retired[at],
		(sink->retired_count - at) * sizeof(sink->retired[0]));
	sink->retired[at] = (struct retired){ number, boot_now(sink) + RETENTION_MS };
	sink->retired_count++;
}

/* Missing parents are made too, 0755 whatever the umask. */
static int make_parents(const char *path, struct error *err)
{
	AUTO(freep) char *copy = strdup(path);

	if (copy == NULL)
		return error_no_memory(err);
	for (char *at = strchr(copy + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
		*at = '\0';
		if (mkdir(copy, 0755) == 0) {
			if (chmod(copy, 0755) < 0)
				return error_errno(err, errno, "cannot set the mode of %s", copy);
		} else if (errno != EEXIST) {
			return error_errno(err, errno, "cannot create %s", copy);
		}
		*at = '/';
	}
	return 0;
}

/* Opens the directory that was just made; the group that a parent's set-group-ID bit gave it stays.
 */
static int finish_directory(const struct files_sink *sink, struct file_set *set, struct error *err)
{
	AUTO(closep)
	int fd = open(sink->config->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct set_dir dir;
	struct stat status;
	int done;

	if (fd < 0 || fstat(fd, &status) < 0)
		return error_errno(err, errno, "cannot open it");
	if ((status.st_mode & S_ISGID) != 0)
		set->gid = status.st_gid;
	file_set_directory(set, sink->config, &dir);
	if (status.st_gid != dir.gid && fchown(fd, set->uid, dir.gid) < 0)
		return error_errno(err, errno, "cannot give it to group %u", dir.gid);
	if (fchmod(fd, dir.mode | (status.st_mode & S_ISGID)) < 0)
		return error_errno(err, errno, "cannot set its mode");
	done = fd;
	fd = -1;
	return done;
}

static int open_directory(const struct files_sink *sink, struct file_set *set, struct error *err)
{
	const char *path = sink->config->directory;
	struct stat status;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		if (fstat(fd, &status) == 0 && (status.st_mode & S_ISGID) != 0)
			set->gid = status.st_gid;
		return fd;
	}
	if (errno == ENOTDIR)
		return error_set(err, ERROR_INVALID,
				 "it is a file, or is in one; name a directory");
	if (errno != ENOENT)
		return error_errno(err, errno, "cannot open it");
	if (make_parents(path, err) < 0)
		return -1;
	if (mkdir(path, 0700) < 0)
		return error_errno(err, errno, "cannot create it");
	return finish_directory(sink, set, err);
}

/* The generation that the link names; 0: none. */
static uint64_t read_link(int directory, const char *name)
{
	char target[256];
	ssize_t len = readlinkat(directory, name, target, sizeof(target) - 1);

	target[len > 0 ? len : 0] = '\0';
	return generation_number(target);
}

/* What ..data says. A ..data that is not ours is another program's volume: nothing in it is
 * touched. */
static int read_data_link(struct standing *standing, struct error *err)
{
	char target[256];
	ssize_t len = readlinkat(standing->directory, DATA, target, sizeof(target) - 1);

	if (len < 0 && errno == ENOENT)
		return 0;
	if (len < 0 && errno != EINVAL)
		return error_errno(err, errno, "cannot read " DATA);
	target[len > 0 ? len : 0] = '\0';
	standing->number = generation_number(target);
	if (standing->number == 0)
		return error_set(
			err, ERROR_INVALID,
			"its " DATA
			" was made by another program; give the agent a directory of its own");
	standing->generation = open_beneath(standing->directory, target, O_RDONLY | O_DIRECTORY, 0);
	return 0;
}

/* Sees to the generations that nothing refers to: one that is newer than what stands was never
 * visible. */
static int sweep(struct files_sink *sink, struct standing *standing, struct error *err)
{
	AUTO(closedirp) DIR *listing = NULL;
	int fd = openat(standing->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *item;
	listing = fd >= 0 ? fdopendir(fd) : NULL;
	if (listing == NULL) {
		closep(&fd);
		return error_errno(err, errno, "cannot list it");
	}
	/* A number that the mark names is not used again. */
	standing->highest = read_link(standing->directory, TOLD);
	if (standing->number > standing->highest)
		standing->highest = standing->number;
	while ((item = readdir(listing)) != NULL) {
		uint64_t number = generation_number(item->d_name);

		if (number > standing->number &&
		    generation_remove(standing->directory, item->d_name))
			continue;
		if (number > standing->highest)
			standing->highest = number;
		if (number > 0 && number != standing->number)
			retire(sink, standing->directory, number);
	}
	return 0;
}

static int inspect(struct files_sink *sink, struct standing *standing, struct error *err)
{
	struct stat status;

	if (fstat(standing->directory, &status) < 0)
		return error_errno(err, errno, "cannot look at it");
	if (status.st_dev != sink->device || status.st_ino != sink->inode) {
		sink->device = status.st_dev;
		sink->inode = status.st_ino;
		sink->retired_count = 0;
	}
	if (read_data_link(standing, err) < 0)
		return -1;
	return sweep(sink, standing, err);
}

/* In memory there is nothing to lose by a power cut; on a disk the contents must be there before
 * the name is. */
static int sync_contents(int directory, struct error *err)
{
	struct statfs fs;

	if (fstatfs(directory, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC))
		return 0;
	if (syncfs(directory) < 0)
		return error_errno(err, errno, "cannot write to the disk");
	return 0;
}

/* A stale ..data_tmp of a killed process would be in the way for ever. */
static int swing(int directory, const char *generation, struct error *err)
{
	if (unlinkat(directory, DATA_TMP, 0) < 0 && errno != ENOENT)
		return error_errno(err, errno, "cannot remove " DATA_TMP);
	if (symlinkat(generation, directory, DATA_TMP) < 0)
		return error_errno(err, errno, "cannot create " DATA_TMP);
	if (renameat(directory, DATA_TMP, directory, DATA) < 0)
		return error_errno(err, errno, "cannot rename " DATA_TMP " to " DATA);
	return 0;
}

static int write_once(int directory, const char *name, const struct file_set *set,
		      struct error *err)
{
	if (generation_write(directory, name, set, err) == 0 &&
	    sync_contents(directory, err) == 0 && swing(directory, name, err) == 0)
		return 0;
	(void)unlinkat(directory, DATA_TMP, 0);
	(void)generation_remove(directory, name);
	return -1;
}

static int write_generation(struct files_sink *sink, const struct standing *standing,
			    const struct file_set *set, struct error *err)
{
	struct name name = generation_name(standing->highest + 1);

	if (write_once(standing->directory, name.text, set, err) < 0) {
		if (err->code != ERROR_EXHAUSTED || sink->retired_count == 0)
			return -1;
		collect(sink, standing->directory, INT64_MAX);
		if (write_once(standing->directory, name.text, set, err) < 0)
			return -1;
	}
	sink->generation = standing->highest + 1;
	if (standing->number > 0)
		retire(sink, standing->directory, standing->number);
	return 0;
}

static bool is_own_link(int directory, const char *name)
{
	char target[512];
	ssize_t len = readlinkat(directory, name, target, sizeof(target) - 1);
	size_t prefix = strlen(DATA "/");

	if (len < 0)
		return false;
	target[len] = '\0';
	return strncmp(target, DATA "/", prefix) == 0 && strcmp(target + prefix, name) == 0;
}

/* 1: made, 0: it was there or is in the user's hands. */
static int make_link(struct files_sink *sink, int directory, const char *name, size_t entry,
		     struct error *err)
{
	const struct config_entry *from = &sink->config->entries[entry];
	struct files_problem *problem;
	char target[512];

	if (is_own_link(directory, name))
		return 0;
	(void)snprintf(target, sizeof(target), DATA "/%s", name);
	if (symlinkat(target, directory, name) == 0)
		return 1;
	if (errno != EEXIST)
		return error_errno(err, errno, "cannot create the link %s", name);
	problem = &sink->problems[sink->problem_count++];
	*problem = (struct files_problem){ .secret = from->secret, .path = from->path };
	(void)error_set(&problem->error, ERROR_INVALID,
			"%.150s/%.100s is in the way: not made by the agent, so it stays; move it, "
			"or read %s",
			sink->config->directory, name, target);
	return 0;
}

static int make_links(struct files_sink *sink, int directory, const struct file_set *set,
		      struct error *err)
{
	char name[256], last[256] = "";
	int made, changed = 0;

	for (size_t i = 0; i < set->count; i++) {
		(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(set->files[i].path, "/"),
			       set->files[i].path);
		if (strcmp(name, last) == 0)
			continue;
		memcpy(last, name, sizeof(last));
		made = make_link(sink, directory, name, set->files[i].entry, err);
		if (made < 0)
			return -1;
		changed |= made;
	}
	return changed;
}

/* Links of ours to what is no longer in the generation. 1: some went. */
static int drop_links(const struct files_sink *sink, int directory, struct error *err)
{
	AUTO(closedirp) DIR *listing = NULL;
	AUTO(closep) int generation = -1;
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), changed = 0;
	struct dirent *item;
	struct stat status;

	listing = fd >= 0 ? fdopendir(fd) : NULL;
	if (listing == NULL) {
		closep(&fd);
		return error_errno(err, errno, "cannot list it");
	}
	generation = open_beneath(directory, generation_name(sink->generation).text,
				  O_PATH | O_DIRECTORY, 0);
	if (generation < 0)
		return error_errno(err, errno, "cannot open the generation");
	while ((item = readdir(listing)) != NULL) {
		if (!is_own_link(directory, item->d_name) ||
		    fstatat(generation, item->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 ||
		    errno != ENOENT)
			continue;
		if (unlinkat(directory, item->d_name, 0) < 0)
			return error_errno(err, errno, "cannot remove the link %s", item->d_name);
		changed = 1;
	}
	return changed;
}

static int see_to_links(struct files_sink *sink, int directory, const struct file_set *set,
			struct error *err)
{
	int made = make_links(sink, directory, set, err), dropped;

	if (made < 0)
		return -1;
	dropped = drop_links(sink, directory, err);
	return dropped < 0 ? -1 : made | dropped;
}

static int publish(struct files_sink *sink, const struct store *store, struct error *err)
{
	AUTO(standing_close) struct standing standing = { .directory = -1, .generation = -1 };
	AUTO(file_set_deinit) struct file_set set = { .uid = geteuid(), .gid = getegid() };

	standing.directory = open_directory(sink, &set, err);
	if (standing.directory < 0 || inspect(sink, &standing, err) < 0)
		return -1;
	if (file_set_build(&set, sink->config, store, standing.generation, sink->problems,
			   &sink->problem_count, err) < 0)
		return -1;
	if (standing.generation < 0 && set.count == 0)
		return 0;
	if (standing.generation >= 0 && generation_matches(standing.generation, &set)) {
		sink->generation = standing.number;
		return see_to_links(sink, standing.directory, &set, err);
	}
	if (write_generation(sink, &standing, &set, err) < 0)
		return -1;
	return see_to_links(sink, standing.directory, &set, err) < 0 ? -1 : 1;
}

/* The directory in front of the cause, what is still true and what to do behind it. */
static int explain(const struct files_sink *sink, struct error *err)
{
	const char *remedy = "";
	size_t used;

	if (err->code == ERROR_EXHAUSTED)
		remedy = "; give the volume more room";
	else if (err->code == ERROR_FORBIDDEN)
		remedy = "; mount it writable and let the agent write there";
	(void)error_wrap(err, "files in %.150s", sink->config->directory);
	used = strlen(err->text);
	(void)snprintf(err->text + used, sizeof(err->text) - used, "; what is published stays%s",
		       remedy);
	return -1;
}

int files_sink_publish(struct files_sink *sink, const struct store *store, struct error *err)
{
	int done = publish(sink, store, err);

	return done < 0 ? explain(sink, err) : done;
}

int64_t files_sink_collect(struct files_sink *sink)
{
	AUTO(closep)
	int directory = open(sink->config->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int64_t next = DEADLINE_NEVER;
	struct stat status;

	if (sink->retired_count == 0)
		return DEADLINE_NEVER;
	if (directory < 0 || fstat(directory, &status) < 0 || status.st_dev != sink->device ||
	    status.st_ino != sink->inode)
		sink->retired_count = 0;
	collect(sink, directory, boot_now(sink));
	for (size_t i = 0; i < sink->retired_count; i++)
		next = deadline_earlier(next, sink->retired[i].due_boot_ms);
	return next;
}

static int open_own(const struct files_sink *sink)
{
	return open(sink->config->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

bool files_sink_stands(const struct files_sink *sink)
{
	AUTO(closep) int directory = open_own(sink);

	return sink->generation == 0 ||
	       (directory >= 0 && read_link(directory, DATA) == sink->generation &&
		faccessat(directory, DATA, F_OK, 0) == 0);
}

bool files_sink_told(const struct files_sink *sink)
{
	AUTO(closep) int directory = open_own(sink);

	return directory >= 0 && sink->generation > 0 &&
	       read_link(directory, TOLD) == sink->generation;
}

/* Not atomic: without a mark it is told once more, which is allowed. */
bool files_sink_mark_told(struct files_sink *sink, uint64_t generation)
{
	AUTO(closep) int directory = open_own(sink);

	if (directory < 0 || generation != sink->generation)
		return false;
	(void)unlinkat(directory, TOLD, 0);
	return symlinkat(generation_name(generation).text, directory, TOLD) == 0;
}

uint64_t files_sink_generation(const struct files_sink *sink)
{
	return sink->generation;
}

const struct files_problem *files_sink_problem(const struct files_sink *sink, size_t i)
{
	return i < sink->problem_count ? &sink->problems[i] : NULL;
}

size_t files_sink_problem_count(const struct files_sink *sink)
{
	return sink->problem_count;
}

struct files_sink *files_sink_new(const struct config_files *config, const struct clock *clock,
				  struct error *err)
{
	struct files_sink *sink = calloc(1, sizeof(*sink));

	if (sink == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	sink->config = config;
	sink->clock = clock;
	sink->problems =
		calloc(PROBLEMS_A_ENTRY * config->entry_count + 1, sizeof(*sink->problems));
	if (sink->problems == NULL) {
		(void)error_no_memory(err);
		return files_sink_free(sink);
	}
	return sink;
}

struct files_sink *files_sink_free(struct files_sink *sink)
{
	if (sink == NULL)
		return NULL;
	free(sink->problems);
	free(sink);
	return NULL;
}
