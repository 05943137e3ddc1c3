/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each secret is added whole or not at all: if one of its entries cannot be written, all of them
 * keep the files that stand, so that a reader never sees two versions of one secret. Only a
 * variable for kubelets stands for itself: it is left out, and nothing else waits for it. A secret
 * that this process never fetched keeps its files likewise: a restart while a backend is down takes
 * nothing away. One that was handed out and has no version any more was removed on purpose.
 */
#include "agent/sink/file_set.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/secret.h"
#include "agent/sink/format.h"
#include "agent/variables.h"

/* The longest name that a file system takes with room for ours, and the largest file that one
 * secret makes. */
enum { FIELD_NAME_MAX = 253 };
#define FILE_BYTES_MAX ((size_t)4 << 20)

static void closedirp(DIR **dir)
{
	if (*dir != NULL)
		(void)closedir(*dir);
}

int open_beneath(int directory, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};

	return (int)syscall(SYS_openat2, directory, path, &how, sizeof(how));
}

const void *set_file_bytes(const struct set_file *file)
{
	return file->secret != NULL ? (const void *)secret_bytes(file->secret)
				    : buf_string(&file->content);
}

size_t set_file_len(const struct set_file *file)
{
	return file->secret != NULL ? secret_len(file->secret) : file->content.len;
}

static void file_deinit(struct set_file *file)
{
	free(file->path);
	(void)secret_unref(file->secret);
	buf_deinit(&file->content);
}

static void truncate_files(struct file_set *set, size_t count)
{
	while (set->count > count)
		file_deinit(&set->files[--set->count]);
}

void file_set_deinit(struct file_set *set)
{
	truncate_files(set, 0);
	free(set->files);
	for (size_t i = 0; i < set->dir_count; i++)
		free(set->dirs[i].path);
	free(set->dirs);
	*set = (struct file_set){ 0 };
}

/* A place for one more file of this entry, with the mode and owner that it will have; `name` in it
 * or NULL. */
static struct set_file *add_file(struct file_set *set, const struct config_files *config,
				 size_t entry, const char *name, struct error *err)
{
	const struct config_entry *from = &config->entries[entry];
	size_t capacity = set->capacity > 0 ? 2 * set->capacity : 16;
	struct set_file *file;
	char *path = NULL;

	if (set->count == set->capacity) {
		file = reallocarray(set->files, capacity, sizeof(*file));
		if (file == NULL) {
			(void)error_no_memory(err);
			return NULL;
		}
		set->files = file;
		set->capacity = capacity;
	}
	if (asprintf(&path, "%s%s%s", from->path, name != NULL ? "/" : "",
		     name != NULL ? name : "") < 0) {
		(void)error_no_memory(err);
		return NULL;
	}
	file = &set->files[set->count++];
	*file = (struct set_file){
		.path = path,
		.mode = from->mode & 07777,
		.uid = from->owner >= 0 ? (uid_t)from->owner : set->uid,
		.gid = from->group >= 0 ? (gid_t)from->group : set->gid,
		.entry = entry,
		.content = BUF_INIT(FILE_BYTES_MAX),
	};
	return file;
}

static int check_size(const char *name, const struct secret *value, struct error *err)
{
	if (secret_len(value) <= FIELD_VALUE_MAX)
		return 0;
	return error_set(err, ERROR_BAD_DATA,
			 "field '%.100s' has %zu bytes, files take up to %zu KiB a value", name,
			 secret_len(value), FIELD_VALUE_MAX >> 10);
}

/* A field's name becomes a file's name: one component, nothing that is special to a shell or to us.
 */
static int check_field_name(const char *name, struct error *err)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strlen(name);

	if (len > 0 && len <= FIELD_NAME_MAX && strspn(name, allowed) == len &&
	    strncmp(name, "..", 2) != 0 && strcmp(name, ".") != 0)
		return 0;
	return error_set(err, ERROR_BAD_DATA,
			 "field '%.100s' cannot be a file's name (A-Z a-z 0-9 . _ -, at most %d, "
			 "no leading '..'); "
			 "give it an entry of its own with 'field'",
			 name, FIELD_NAME_MAX);
}

static int check_path(const char *path, struct error *err)
{
	for (const char *at = path;; at++) {
		size_t len = strcspn(at, "/");

		if (len == 0 || len > 255 || (at == path && strncmp(at, "..", 2) == 0) ||
		    (len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.'))
			return error_set(
				err, ERROR_INVALID,
				"'%.100s' is no path below the directory; write NAME or DIR/NAME",
				path);
		at += len;
		if (*at == '\0')
			return 0;
	}
}

static int add_every_field(struct file_set *set, const struct config_files *config, size_t entry,
			   const struct secret_version *version, struct error *err)
{
	for (size_t i = 0; i < version->count; i++) {
		const struct field *field = &version->fields[i];
		struct set_file *file;

		if (check_field_name(field->name, err) < 0 ||
		    check_size(field->name, field->value, err) < 0)
			return -1;
		file = add_file(set, config, entry, field->name, err);
		if (file == NULL)
			return -1;
		file->secret = secret_ref(field->value);
	}
	return 0;
}

/* One value: of the field that the entry names, of something inside of one, or of the only one. */
static int add_value(struct set_file *file, const struct config_entry *from,
		     const struct secret_version *version, struct error *err)
{
	if (from->field == NULL && version->count != 1)
		return error_set(err, ERROR_BAD_DATA,
				 "the secret has %zu fields; say which with 'field'",
				 version->count);
	file->secret = version_select(version, from->field, err);
	if (file->secret == NULL)
		return -1;
	if (from->variable == NULL)
		return check_size(from->field, file->secret, err);
	if (format_write_kubelet_env(&file->content, from->variable, file->secret, err) < 0)
		return -1;
	file->secret = secret_unref(file->secret);
	return 0;
}

static int add_entry(struct file_set *set, const struct config_files *config, size_t entry,
		     const struct secret_version *version, struct error *err)
{
	const struct config_entry *from = &config->entries[entry];
	struct set_file *file;
	bool nests;

	if (check_path(from->path, err) < 0)
		return -1;
	if (from->format == FORMAT_FIELD && from->field == NULL)
		return add_every_field(set, config, entry, version, err);
	file = add_file(set, config, entry, NULL, err);
	if (file == NULL)
		return -1;
	if (from->field != NULL || from->variable != NULL)
		return add_value(file, from, version, err);
	/* A verbatim answer nests the whole secret in one field. */
	nests = from->format == FORMAT_GO_MAP || from->format == FORMAT_GO_JSON;
	for (size_t i = 0; i < version->count && !nests; i++)
		if (check_size(version->fields[i].name, version->fields[i].value, err) < 0)
			return -1;
	return format_write(&file->content, version, from->format, err);
}

/* Adds the standing file at `path`, if there is one and it is ours. */
static int carry_file(struct file_set *set, const struct config_files *config, size_t entry,
		      const char *name, int standing, struct error *err)
{
	AUTO(closep) int fd = -1;
	struct set_file *file = add_file(set, config, entry, name, err);
	struct stat status;
	ssize_t got;
	char *room;

	if (file == NULL)
		return -1;
	fd = open_beneath(standing, file->path, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
	    status.st_size > (off_t)FILE_BYTES_MAX) {
		truncate_files(set, set->count - 1);
		return 0;
	}
	while (file->content.len < (size_t)status.st_size) {
		size_t left = (size_t)status.st_size - file->content.len;

		room = buf_reserve(&file->content, left);
		if (room == NULL)
			return error_no_memory(err);
		got = TEMP_FAILURE_RETRY(read(fd, room, left));
		if (got <= 0)
			return error_errno(err, got < 0 ? errno : EIO, "cannot read %s",
					   file->path);
		buf_commit(&file->content, (size_t)got);
	}
	return 0;
}

static bool is_other_entry(const struct config_files *config, size_t entry, const char *name)
{
	size_t len = strlen(config->entries[entry].path);

	for (size_t i = 0; i < config->entry_count; i++) {
		const char *path = config->entries[i].path;

		if (i != entry && strncmp(path, config->entries[entry].path, len) == 0 &&
		    path[len] == '/' && strcmp(path + len + 1, name) == 0)
			return true;
	}
	return false;
}

static int carry_entry(struct file_set *set, const struct config_files *config, size_t entry,
		       int standing, struct error *err)
{
	const struct config_entry *from = &config->entries[entry];
	AUTO(closedirp) DIR *dir = NULL;
	struct error ignored;
	struct dirent *item;
	int fd;

	if (check_path(from->path, &ignored) < 0)
		return 0;
	if (from->format != FORMAT_FIELD || from->field != NULL)
		return carry_file(set, config, entry, NULL, standing, err);
	fd = open_beneath(standing, from->path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return 0;
	dir = fdopendir(fd);
	if (dir == NULL) {
		(void)close(fd);
		return error_no_memory(err);
	}
	while ((item = readdir(dir)) != NULL)
		if (check_field_name(item->d_name, &ignored) == 0 &&
		    !is_other_entry(config, entry, item->d_name) &&
		    carry_file(set, config, entry, item->d_name, standing, err) < 0)
			return -1;
	return 0;
}

/* The entries of one secret, in the configuration's order. */
struct entry_chain {
	size_t next; /* the secret's next entry; entry_count: none */
	bool first;
};

struct named_entry {
	const char *secret;
	size_t entry;
};

static int compare_entries(const void *one, const void *other)
{
	const struct named_entry *left = one, *right = other;
	int order = strcmp(left->secret, right->secret);

	return order != 0 ? order : (left->entry > right->entry) - (left->entry < right->entry);
}

/* One for each entry of the configuration; the caller frees them. */
static struct entry_chain *chain_entries(const struct config_files *config, struct error *err)
{
	size_t count = config->entry_count;
	AUTO(freep) struct named_entry *sorted = calloc(count + 1, sizeof(*sorted));
	struct entry_chain *chain = calloc(count + 1, sizeof(*chain));

	if (sorted == NULL || chain == NULL) {
		free(chain);
		(void)error_no_memory(err);
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		sorted[i] = (struct named_entry){ config->entries[i].secret, i };
	qsort(sorted, count, sizeof(*sorted), compare_entries);
	for (size_t i = 0; i < count; i++)
		chain[i] = (struct entry_chain){ .next = count, .first = true };
	for (size_t i = 1; i < count; i++) {
		if (strcmp(sorted[i - 1].secret, sorted[i].secret) != 0)
			continue;
		chain[sorted[i - 1].entry].next = sorted[i].entry;
		chain[sorted[i].entry].first = false;
	}
	return chain;
}

/* Not fetched by this process yet, for reasons that say nothing about whether we may have it. */
static bool never_fetched(const struct store_entry *stored)
{
	return stored->version == NULL && stored->published == 0 && stored->state != STATE_DENIED &&
	       stored->state != STATE_MISSING;
}

/* Adds the entry; what is wrong with it becomes the next problem. False when the whole secret must
 * give way. */
static bool try_entry(struct file_set *set, const struct config_files *config, size_t entry,
		      const struct secret_version *version, struct files_problem *problems,
		      size_t *problem_count)
{
	const struct config_entry *from = &config->entries[entry];
	struct files_problem *problem = &problems[*problem_count];
	size_t before = set->count;

	*problem = (struct files_problem){ from->secret, from->path, from->variable, ERROR_INIT };
	if (add_entry(set, config, entry, version, &problem->error) == 0)
		return true;
	(*problem_count)++;
	if (from->variable == NULL) {
		(void)error_wrap(&problem->error, "file %.150s of secret %.100s", from->path,
				 from->secret);
		return false;
	}
	(void)error_wrap(&problem->error, "variable %.130s of secret %.100s", from->variable,
			 from->secret);
	truncate_files(set, before);
	return true;
}

/* Adds every entry of the secret that entry `first` names, or what stands of them. */
static int add_secret(struct file_set *set, const struct config_files *config,
		      const struct entry_chain *chain, size_t first, const struct store *store,
		      int standing, struct files_problem *problems, size_t *problem_count,
		      struct error *err)
{
	const struct store_entry *stored = store_find(store, config->entries[first].secret);
	size_t end = config->entry_count;
	size_t before = set->count;
	bool carry = stored != NULL && never_fetched(stored);

	if (stored == NULL || (stored->version == NULL && !carry))
		return 0;
	for (size_t i = first; i != end && !carry; i = chain[i].next)
		carry = !try_entry(set, config, i, stored->version, problems, problem_count);
	if (!carry)
		return 0;
	truncate_files(set, before);
	for (size_t i = first; i != end && standing >= 0; i = chain[i].next)
		if (carry_entry(set, config, i, standing, err) < 0)
			return -1;
	return 0;
}

/* As strcmp, with / before every other byte: what is in a directory then follows it at once. */
static int compare_paths(const char *one, const char *other)
{
	while (*one == *other && *one != '\0') {
		one++;
		other++;
	}
	int left = *one == '/' ? 1 : (unsigned char)*one,
	    right = *other == '/' ? 1 : (unsigned char)*other;

	return left - right;
}

static int compare_files(const void *one, const void *other)
{
	const struct set_file *left = one, *right = other;
	int order = compare_paths(left->path, right->path);

	return order != 0 ? order : (left->entry > right->entry) - (left->entry < right->entry);
}

static bool collide(const char *path, const char *next)
{
	size_t len = strlen(path);

	return strncmp(path, next, len) == 0 && (next[len] == '\0' || next[len] == '/');
}

static void drop_secret(struct file_set *set, const struct config_files *config, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < set->count; i++) {
		if (strcmp(config->entries[set->files[i].entry].secret, name) == 0)
			file_deinit(&set->files[i]);
		else
			set->files[kept++] = set->files[i];
	}
	set->count = kept;
}

/* Two files of one name, or a file where another needs a directory: the later entry's secret gives
 * way. */
static void settle_collisions(struct file_set *set, const struct config_files *config,
			      struct files_problem *problems, size_t *problem_count)
{
	for (size_t i = 0; i + 1 < set->count;) {
		const struct set_file *file = &set->files[i], *next = &set->files[i + 1];
		const struct config_entry *from;
		struct files_problem *problem = &problems[*problem_count];

		if (!collide(file->path, next->path)) {
			i++;
			continue;
		}
		from = &config->entries[file->entry > next->entry ? file->entry : next->entry];
		*problem = (struct files_problem){ .secret = from->secret, .path = from->path };
		(void)error_set(&problem->error, ERROR_BAD_DATA,
				"'%.100s' and '%.100s' cannot both be files; give one another path",
				file->path, next->path);
		(*problem_count)++;
		drop_secret(set, config, from->secret);
		i = 0;
	}
}

static void admit(struct set_dir *dir, uid_t ours, mode_t mode, uid_t uid, gid_t gid)
{
	bool others = (mode & 0004) != 0 || ((mode & 0400) != 0 && uid != ours);

	dir->mode |= 0700;
	if ((mode & 0040) != 0 && !dir->has_gid) {
		dir->has_gid = true;
		dir->gid = gid;
		dir->mode |= 0050;
	} else if ((mode & 0040) != 0 && dir->gid != gid) {
		others = true;
	}
	if (others)
		dir->mode |= 0005;
}

static int add_dir(struct file_set *set, const char *path, size_t len, size_t parent,
		   struct error *err)
{
	size_t capacity = set->dir_capacity > 0 ? 2 * set->dir_capacity : 8;
	struct set_dir *dirs;
	char *copy;

	if (set->dir_count == set->dir_capacity) {
		dirs = reallocarray(set->dirs, capacity, sizeof(*dirs));
		if (dirs == NULL)
			return error_no_memory(err);
		set->dirs = dirs;
		set->dir_capacity = capacity;
	}
	copy = strndup(path, len);
	if (copy == NULL)
		return error_no_memory(err);
	set->dirs[set->dir_count++] =
		(struct set_dir){ .path = copy, .mode = 0700, .gid = set->gid, .parent = parent };
	return 0;
}

/* The directory of that path among `dir` and those that it is in; 0: none of them. */
static size_t find_dir(const struct file_set *set, size_t dir, const char *path, size_t len)
{
	while (dir != 0 &&
	       (strncmp(set->dirs[dir].path, path, len) != 0 || set->dirs[dir].path[len] != '\0'))
		dir = set->dirs[dir].parent;
	return dir;
}

/* The files are in order, so that a directory that is known is one that the file before was in. */
static int make_dirs(struct file_set *set, struct error *err)
{
	size_t before = 0;

	if (add_dir(set, "", 0, 0, err) < 0)
		return -1;
	for (size_t i = 0; i < set->count; i++) {
		const struct set_file *file = &set->files[i];
		size_t parent = 0;

		admit(&set->dirs[0], set->uid, file->mode, file->uid, file->gid);
		for (const char *at = strchr(file->path, '/'); at != NULL;
		     at = strchr(at + 1, '/')) {
			size_t len = (size_t)(at - file->path);
			size_t dir = find_dir(set, before, file->path, len);

			if (dir == 0) {
				if (add_dir(set, file->path, len, parent, err) < 0)
					return -1;
				dir = set->dir_count - 1;
			}
			admit(&set->dirs[dir], set->uid, file->mode, file->uid, file->gid);
			parent = dir;
		}
		before = parent;
	}
	return 0;
}

void file_set_directory(const struct file_set *set, const struct config_files *config,
			struct set_dir *dir)
{
	*dir = (struct set_dir){ .mode = 0700, .gid = set->gid };
	for (size_t i = 0; i < config->entry_count; i++) {
		const struct config_entry *from = &config->entries[i];

		admit(dir, set->uid, from->mode, from->owner >= 0 ? (uid_t)from->owner : set->uid,
		      from->group >= 0 ? (gid_t)from->group : set->gid);
	}
}

int file_set_build(struct file_set *set, const struct config_files *config,
		   const struct store *store, int standing, struct files_problem *problems,
		   size_t *problem_count, struct error *err)
{
	AUTO(freep) struct entry_chain *chain = chain_entries(config, err);

	*problem_count = 0;
	if (chain == NULL)
		return -1;
	for (size_t i = 0; i < config->entry_count; i++)
		if (chain[i].first && add_secret(set, config, chain, i, store, standing, problems,
						 problem_count, err) < 0)
			return -1;
	if (set->count > 0)
		qsort(set->files, set->count, sizeof(*set->files), compare_files);
	settle_collisions(set, config, problems, problem_count);
	return make_dirs(set, err);
}
