/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What decides is the identity of the file that the path leads to: device, inode, times, size.
 * inotify only says when to look again, sooner than the poll that stands behind it. Watched are the
 * directories where the path can be bent: the one of each symlink on the way, of the file itself,
 * and of the first component that is missing. kubelet's swap of `..data` is a change in one of
 * these.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/wipe.h"
#include "agent/io/loop_uv.h"

enum { DEBOUNCE_MS = 100, POLL_MS = 30000, PLACES_MAX = 16, LINKS_MAX = 40 };

struct identity {
	int missing; /* errno, 0: it is there and the rest holds */
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

/* One directory and the name in it that matters. */
struct place {
	uv_fs_event_t event; /* first: freed when closed */
	struct loop_watch *watch;
	dev_t device;
	ino_t inode;
	bool wanted;
	bool last; /* `name` is the file itself */
	char name[NAME_MAX + 1];
	char own_name[NAME_MAX + 1]; /* what libuv says when the directory itself goes */
};

struct loop_watch {
	uv_timer_t timer; /* first: freed when closed */
	loop_watch_fn *changed;
	void *context;
	struct identity identity;
	bool touched; /* inotify named the file: its times may be too coarse to show it */
	struct place *places[PLACES_MAX];
	size_t count;
	char path[];
};

static struct identity identify(const char *path)
{
	struct identity identity = { 0 };
	struct stat st;

	if (stat(path, &st) < 0) {
		identity.missing = errno;
		return identity;
	}
	identity.device = st.st_dev;
	identity.inode = st.st_ino;
	identity.size = st.st_size;
	identity.modified = st.st_mtim;
	identity.changed = st.st_ctim;
	return identity;
}

static bool same_time(struct timespec one, struct timespec other)
{
	return one.tv_sec == other.tv_sec && one.tv_nsec == other.tv_nsec;
}

static bool same_identity(const struct identity *one, const struct identity *other)
{
	return one->missing == other->missing && one->device == other->device &&
	       one->inode == other->inode && one->size == other->size &&
	       same_time(one->modified, other->modified) && same_time(one->changed, other->changed);
}

static void look(uv_timer_t *timer);

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
	struct place *place = CONTAINER_OF(event, struct place, event);
	struct loop_watch *watch = place->watch;

	(void)events;
	if (status == 0 && name != NULL && strcmp(name, place->name) != 0 &&
	    strcmp(name, place->own_name) != 0)
		return;
	if (place->last && name != NULL && strcmp(name, place->name) == 0)
		watch->touched = true;
	/* The first event of a burst starts the clock, so that a file that is written all the time
	 * is seen too. */
	if (uv_timer_get_due_in(&watch->timer) > DEBOUNCE_MS)
		(void)uv_timer_start(&watch->timer, look, DEBOUNCE_MS, POLL_MS);
}

static void want(struct loop_watch *watch, const char *directory, const char *name, bool last)
{
	const char *slash = strrchr(directory, '/');
	struct place *place;
	struct stat st;

	if (watch->count == PLACES_MAX || stat(directory, &st) < 0)
		return;
	for (size_t i = 0; i < watch->count; i++) {
		place = watch->places[i];
		if (place->device == st.st_dev && place->inode == st.st_ino &&
		    place->last == last && strcmp(place->name, name) == 0) {
			place->wanted = true;
			return;
		}
	}
	place = wipe_calloc(1, sizeof(*place));
	if (place == NULL)
		return;
	if (uv_fs_event_init(watch->timer.loop, &place->event) < 0) {
		wipe_free(place);
		return;
	}
	/* Out of inotify watches, or no right to read the directory: the poll alone. */
	if (uv_fs_event_start(&place->event, on_event, directory, 0) < 0) {
		loop_close_and_free((uv_handle_t *)&place->event);
		return;
	}
	place->watch = watch;
	place->device = st.st_dev;
	place->inode = st.st_ino;
	place->wanted = true;
	place->last = last;
	(void)snprintf(place->name, sizeof(place->name), "%s", name);
	(void)snprintf(place->own_name, sizeof(place->own_name), "%s",
		       slash != NULL ? slash + 1 : directory);
	watch->places[watch->count++] = place;
}

/* A path being walked: `done` is resolved, `rest` is still to go. */
struct walk {
	char done[PATH_MAX];
	char rest[PATH_MAX];
	unsigned links;
};

static bool take_component(struct walk *walk, char name[NAME_MAX + 1], bool *last)
{
	char *start = walk->rest + strspn(walk->rest, "/");
	size_t len = strcspn(start, "/");
	char *after = start + len;

	if (len == 0 || len > NAME_MAX)
		return false;
	memcpy(name, start, len);
	name[len] = '\0';
	*last = after[strspn(after, "/")] == '\0';
	memmove(walk->rest, after, strlen(after) + 1);
	return true;
}

static bool follow_link(struct walk *walk, const char *link)
{
	char target[PATH_MAX], joined[PATH_MAX];
	ssize_t len = readlink(link, target, sizeof(target) - 1);
	int written;

	if (len < 0 || ++walk->links > LINKS_MAX)
		return false;
	target[len] = '\0';
	written = snprintf(joined, sizeof(joined), "%s%s", target, walk->rest);
	if (written < 0 || (size_t)written >= sizeof(joined))
		return false;
	memcpy(walk->rest, joined, (size_t)written + 1);
	if (target[0] == '/')
		walk->done[0] = '\0';
	return true;
}

/* One component further; false at the end of the path, or where it cannot be walked on. */
static bool walk_on(struct loop_watch *watch, struct walk *walk)
{
	const char *directory = walk->done[0] != '\0' ? walk->done : "/";
	char name[NAME_MAX + 1], path[PATH_MAX];
	struct stat st;
	int written;
	bool last;

	if (!take_component(walk, name, &last))
		return false;
	if (strcmp(name, ".") == 0)
		return !last;
	if (strcmp(name, "..") == 0) {
		char *slash = strrchr(walk->done, '/');

		if (slash != NULL)
			*slash = '\0';
		return !last;
	}
	written = snprintf(path, sizeof(path), "%s/%s", walk->done, name);
	if (written < 0 || (size_t)written >= sizeof(path))
		return false;
	if (lstat(path, &st) < 0) {
		want(watch, directory, name, last);
		return false;
	}
	if (S_ISLNK(st.st_mode)) {
		want(watch, directory, name, last);
		return follow_link(walk, path);
	}
	if (last) {
		want(watch, directory, name, true);
		return false;
	}
	memcpy(walk->done, path, (size_t)written + 1);
	return true;
}

static void choose_places(struct loop_watch *watch)
{
	struct walk walk = { 0 };
	size_t kept = 0;

	for (size_t i = 0; i < watch->count; i++)
		watch->places[i]->wanted = false;
	(void)snprintf(walk.rest, sizeof(walk.rest), "%s", watch->path);
	while (walk_on(watch, &walk))
		continue;
	for (size_t i = 0; i < watch->count; i++) {
		if (watch->places[i]->wanted)
			watch->places[kept++] = watch->places[i];
		else
			loop_close_and_free((uv_handle_t *)&watch->places[i]->event);
	}
	watch->count = kept;
}

/* All watches at the same moment: an idle agent wakes up once for them. */
static void poll_later(struct loop_watch *watch)
{
	uint64_t now = uv_now(watch->timer.loop);

	(void)uv_timer_start(&watch->timer, look, POLL_MS - now % POLL_MS, POLL_MS);
}

static void look(uv_timer_t *timer)
{
	struct loop_watch *watch = CONTAINER_OF(timer, struct loop_watch, timer);
	struct identity found;
	bool different;

	poll_later(watch);
	choose_places(watch);
	found = identify(watch->path);
	different = watch->touched || !same_identity(&found, &watch->identity);
	watch->touched = false;
	watch->identity = found;
	if (different)
		watch->changed(watch->context);
}

struct loop_watch *loop_watch_new(struct loop *loop, const char *path, loop_watch_fn *changed,
				  void *context, struct error *err)
{
	char here[PATH_MAX] = "";
	struct loop_watch *watch;
	size_t size;

	if (path[0] != '/' && getcwd(here, sizeof(here)) == NULL) {
		(void)error_errno(err, errno, "cannot watch %s", path);
		return NULL;
	}
	size = strlen(here) + 1 + strlen(path) + 1;
	if (size > PATH_MAX) {
		(void)error_errno(err, ENAMETOOLONG, "cannot watch %s", path);
		return NULL;
	}
	watch = wipe_calloc(1, sizeof(*watch) + size);
	if (watch == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	(void)snprintf(watch->path, size, "%s%s%s", here, path[0] == '/' ? "" : "/", path);
	watch->changed = changed;
	watch->context = context;
	(void)uv_timer_init(loop_uv(loop), &watch->timer);
	poll_later(watch);
	choose_places(watch);
	watch->identity = identify(watch->path);
	return watch;
}

struct loop_watch *loop_watch_free(struct loop_watch *watch)
{
	if (watch == NULL)
		return NULL;
	for (size_t i = 0; i < watch->count; i++)
		loop_close_and_free((uv_handle_t *)&watch->places[i]->event);
	watch->count = 0;
	loop_close_and_free((uv_handle_t *)&watch->timer);
	return NULL;
}
