#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a generation holds, as a value: every file with its bytes, mode and owner, and the
 * directories they need. Built from the configuration and the store; knows nothing of symlinks and
 * numbers.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agent/base/buf.h"
#include "agent/config/config.h"
#include "agent/sink/files.h"
#include "agent/store.h"

struct set_file {
	char *path;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	size_t entry;	       /* which of the configuration's it comes from */
	struct secret *secret; /* a reference; NULL: the bytes are in `content` */
	struct buf content;
};

/* A directory has r and x for each class that may read something in it. */
struct set_dir {
	char *path; /* "" is the generation itself */
	mode_t mode;
	gid_t gid;
	bool has_gid;  /* somebody reads by group */
	size_t parent; /* among the set's; its own for "" */
};

struct file_set {
	uid_t uid; /* who owns what nobody says the owner of */
	gid_t gid;
	struct set_file *files; /* ordered so that what is in a directory stands together */
	size_t count, capacity;
	struct set_dir *dirs; /* parents before children */
	size_t dir_count, dir_capacity;
};

/* Fills `set` (dead but for uid and gid). `standing` is the directory of the published generation,
 * from which the files of a secret that has a problem, or that this process did not yet fetch, are
 * carried over; -1: none. `problems` has room for two per entry. */
int file_set_build(struct file_set *set, const struct config_files *config,
		   const struct store *store, int standing, struct files_problem *problems,
		   size_t *problem_count, struct error *err) MUST_USE;
void file_set_deinit(struct file_set *set);

/* The bytes of a file. */
const void *set_file_bytes(const struct set_file *file);
size_t set_file_len(const struct set_file *file);

/* The mode and group that the directory of all entries needs. */
void file_set_directory(const struct file_set *set, const struct config_files *config,
			struct set_dir *dir);

/* openat below `directory` that follows no symlink and leaves it by no "..". -1 and errno. */
int open_beneath(int directory, const char *path, int flags, mode_t mode);
