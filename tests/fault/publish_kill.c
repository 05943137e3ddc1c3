/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kills publishers and watches readers.
 *
 *   publish_kill write DIR NUMBER     publishes the set that carries NUMBER; getppid() marks start
 * and end for strace publish_kill recover DIR NUMBER   what stands is whole or nothing; then NUMBER
 * can be published and is seen publish_kill storm DIR KILLS SEED KILLS publishers killed at random
 * moments under a reader that never stops
 *
 * Every file of a set says the set's number, and the number decides every byte: what is torn, mixed
 * or missing shows.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/secret.h"
#include "agent/sink/files.h"

enum {
	FIELDS = 10,
	FILLER_MAX = 3000,
	VALUE_MAX = FILLER_MAX + 40,
	AHEAD_MAX = 12,	 /* publishes during one round of the reader; 16 generations are kept */
	KILL_WITHIN = 2, /* publishes */
	FIRST_GUESS_NS = 2000000,
};

/* Whatever the processes of a storm tell each other. */
struct shared {
	_Atomic uint64_t number;  /* last that somebody began to publish */
	_Atomic uint64_t reading; /* what `number` was when the reader began its round */
	_Atomic uint64_t reads, torn, mixed, missing;
	_Atomic uint64_t took_ns; /* the quickest publish so far */
	_Atomic bool stop;
};

struct publisher {
	struct config_entry entries[3];
	struct config_files config;
	struct secret_spec spec;
	struct store store;
	struct files_sink *sink;
};

static const char *const paths[] = { "set/f0", "set/f1", "set/f2",	"set/f3",
				     "set/f4", "set/f5", "set/f6",	"set/f7",
				     "set/f8", "set/f9", "deep/er/one", "one" };

static size_t make_value(char *value, uint64_t number)
{
	int head = snprintf(value, VALUE_MAX, "%llu:", (unsigned long long)number);
	size_t filler = (size_t)(number * 2654435761u % FILLER_MAX);

	memset(value + head, (int)('a' + number % 26), filler);
	return (size_t)head + filler;
}

static int publish_number(struct publisher *publisher, uint64_t number, struct error *err)
{
	struct store_entry *stored = &publisher->store.entries[0];
	char value[VALUE_MAX], name[8];
	size_t len = make_value(value, number);

	stored->version = secret_version_unref(stored->version);
	stored->version = secret_version_new(err);
	if (stored->version == NULL)
		return -1;
	for (unsigned i = 0; i < FIELDS; i++) {
		(void)snprintf(name, sizeof(name), "f%u", i);
		if (secret_version_add_bytes(stored->version, name, FIELD_STRING, value, len, err) <
		    0)
			return -1;
	}
	stored->state = STATE_FRESH;
	stored->published++;
	return files_sink_publish(publisher->sink, &publisher->store, err);
}

static int publisher_open(struct publisher *publisher, char *directory, struct error *err)
{
	static char secret[] = "s", set[] = "set", deep[] = "deep/er/one", one[] = "one",
		    field[] = "f0";

	arena_allow_secretmem(false);
	*publisher = (struct publisher){
		.entries = { { set, secret, NULL, FORMAT_FIELD, 0440, -1, -1 },
			     { deep, secret, field, FORMAT_FIELD, 0400, -1, -1 },
			     { one, secret, field, FORMAT_FIELD, 0444, -1, -1 } },
		.spec = { .name = secret },
	};
	publisher->config = (struct config_files){ .directory = directory,
						   .mode = 0400,
						   .owner = -1,
						   .group = -1,
						   .entries = publisher->entries,
						   .entry_count = ARRAY_SIZE(publisher->entries) };
	if (store_init(&publisher->store, &publisher->spec, 1, err) < 0)
		return -1;
	publisher->sink = files_sink_new(&publisher->config, clock_system(), err);
	return publisher->sink != NULL ? 0 : -1;
}

static void publisher_close(struct publisher *publisher)
{
	publisher->sink = files_sink_free(publisher->sink);
	store_deinit(&publisher->store);
}

enum seen { SEEN_WHOLE, SEEN_NOTHING, SEEN_TORN, SEEN_MIXED, SEEN_MISSING };

static const char *const seen_names[] = { "whole", "nothing", "torn", "mixed", "missing" };

static enum seen read_one(int generation, const char *path, uint64_t *number)
{
	char bytes[VALUE_MAX + 1], expected[VALUE_MAX];
	AUTO(closep) int fd = openat(generation, path, O_RDONLY | O_CLOEXEC);
	ssize_t len;
	uint64_t found;

	if (fd < 0)
		return SEEN_MISSING;
	len = read(fd, bytes, sizeof(bytes) - 1);
	if (len <= 0)
		return SEEN_TORN;
	bytes[len] = '\0';
	found = strtoull(bytes, NULL, 10);
	if (make_value(expected, found) != (size_t)len || memcmp(bytes, expected, (size_t)len) != 0)
		return SEEN_TORN;
	if (*number != 0 && *number != found)
		return SEEN_MIXED;
	*number = found;
	return SEEN_WHOLE;
}

/* The reader's contract: `..data` is opened once, everything else relative to it. */
static enum seen read_set(const char *directory, uint64_t *number)
{
	char data[4096];
	AUTO(closep) int generation = -1;

	*number = 0;
	(void)snprintf(data, sizeof(data), "%s/..data", directory);
	generation = open(data, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (generation < 0)
		return errno == ENOENT ? SEEN_NOTHING : SEEN_MISSING;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		enum seen seen = read_one(generation, paths[i], number);

		if (seen != SEEN_WHOLE)
			return seen;
	}
	return SEEN_WHOLE;
}

/* The names that applications use are there and lead to the same set. */
static bool names_lead_to(const char *directory, uint64_t number)
{
	AUTO(closep) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (fd < 0 || read_one(fd, paths[i], &number) != SEEN_WHOLE)
			return false;
	return true;
}

/* A killed publisher left something half done. */
static bool has_leftovers(const char *directory)
{
	DIR *listing = opendir(directory);
	unsigned long long standing = 0, number;
	char target[64] = "";
	struct dirent *item;
	bool found = false;

	if (listing == NULL)
		return false;
	if (readlinkat(dirfd(listing), "..data", target, sizeof(target) - 1) > 0)
		standing = strtoull(target + strlen("..gen-"), NULL, 10);
	while ((item = readdir(listing)) != NULL) {
		number = strncmp(item->d_name, "..gen-", 6) == 0
				 ? strtoull(item->d_name + 6, NULL, 10)
				 : 0;
		if (strcmp(item->d_name, "..data_tmp") == 0 || number > standing)
			found = true;
	}
	(void)closedir(listing);
	return found;
}

static int command_write(char *directory, uint64_t number)
{
	struct publisher publisher;
	struct error err = ERROR_INIT;
	int done;

	if (publisher_open(&publisher, directory, &err) < 0)
		return 2;
	(void)getppid();
	done = publish_number(&publisher, number, &err);
	(void)getppid();
	if (done < 0)
		(void)fprintf(stderr, "%s\n", err.text);
	publisher_close(&publisher);
	return done < 0 ? 1 : 0;
}

static int command_recover(char *directory, uint64_t number)
{
	uint64_t found;
	enum seen seen = read_set(directory, &found);
	int done;

	(void)printf("%s %llu\n", seen_names[seen], (unsigned long long)found);
	if (seen != SEEN_WHOLE && seen != SEEN_NOTHING)
		return 1;
	(void)umask(0077);
	done = command_write(directory, number);
	if (done != 0)
		return done;
	seen = read_set(directory, &found);
	if (seen != SEEN_WHOLE || found != number || !names_lead_to(directory, number)) {
		(void)printf("after: %s %llu\n", seen_names[seen], (unsigned long long)found);
		return 1;
	}
	if (has_leftovers(directory)) {
		(void)printf("leftovers\n");
		return 1;
	}
	return 0;
}

/* The kept generations outlast a round of the reader, as 60 s do at any sane rate. */
static uint64_t next_number(struct shared *shared)
{
	const struct timespec moment = { .tv_nsec = 20000 };

	while (atomic_load(&shared->number) - atomic_load(&shared->reading) > AHEAD_MAX)
		(void)nanosleep(&moment, NULL);
	return atomic_fetch_add(&shared->number, 1) + 1;
}

static void read_for_ever(const char *directory, struct shared *shared)
{
	uint64_t number;

	while (!atomic_load(&shared->stop)) {
		atomic_store(&shared->reading, atomic_load(&shared->number));
		switch (read_set(directory, &number)) {
		case SEEN_WHOLE:
			atomic_fetch_add(&shared->reads, 1);
			break;
		case SEEN_TORN:
			atomic_fetch_add(&shared->torn, 1);
			break;
		case SEEN_MIXED:
			atomic_fetch_add(&shared->mixed, 1);
			break;
		case SEEN_NOTHING:
		case SEEN_MISSING:
			atomic_fetch_add(&shared->missing, 1);
			break;
		}
	}
	_exit(0);
}

static double seconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The kernel's timer does the killing: it is exact on a machine that is busy, and nobody has to
 * wake up for it. */
static void kill_me_in(uint64_t wait_ns)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	struct itimerspec moment = { .it_value = { .tv_sec = (time_t)(wait_ns / 1000000000),
						   .tv_nsec = (long)(wait_ns % 1000000000) + 1 } };
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 ||
	    timer_settime(timer, 0, &moment, NULL) < 0)
		_exit(2);
}

static void publish_for_ever(char *directory, struct shared *shared, uint64_t wait_ns)
{
	struct publisher publisher;
	struct error err = ERROR_INIT;

	if (publisher_open(&publisher, directory, &err) < 0)
		_exit(2);
	kill_me_in(wait_ns);
	for (;;) {
		uint64_t number = next_number(shared);
		double start = seconds();
		uint64_t took;

		if (publish_number(&publisher, number, &err) < 0)
			_exit(1);
		took = (uint64_t)((seconds() - start) * 1e9);
		if (took < atomic_load(&shared->took_ns))
			atomic_store(&shared->took_ns, took);
	}
}

/* Somewhere within its first publishes. False: it ended of itself. */
static bool kill_one(char *directory, struct shared *shared, uint64_t wait_ns)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0)
		publish_for_ever(directory, shared, wait_ns);
	return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGKILL;
}

static bool publish_once(char *directory, uint64_t number)
{
	struct publisher publisher;
	struct error err = ERROR_INIT;
	bool good = publisher_open(&publisher, directory, &err) == 0 &&
		    publish_number(&publisher, number, &err) == 1;

	if (!good)
		(void)fprintf(stderr, "stuck: %s\n", err.text);
	publisher_close(&publisher);
	return good;
}

/* A process of its own, since secrets do not survive a fork, publishes over whatever the killed one
 * left. */
static bool publishes(char *directory, struct shared *shared)
{
	uint64_t number = next_number(shared), found;
	pid_t child = fork();
	int status = 0;

	if (child == 0)
		_exit(publish_once(directory, number) ? 0 : 1);
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0 && read_set(directory, &found) == SEEN_WHOLE &&
	       found == number && names_lead_to(directory, number) && !has_leftovers(directory);
}

static int report(const struct shared *shared, uint64_t kills, uint64_t caught, uint64_t stuck,
		  double took)
{
	const uint64_t torn = shared->torn, mixed = shared->mixed, missing = shared->missing;

	(void)printf(
		"{\"kills\": %llu, \"caught\": %llu, \"published\": %llu, \"reads\": %llu, "
		"\"torn\": %llu, "
		"\"mixed\": %llu, \"missing\": %llu, \"stuck\": %llu, \"seconds\": %.1f}\n",
		(unsigned long long)kills, (unsigned long long)caught,
		(unsigned long long)shared->number, (unsigned long long)shared->reads,
		(unsigned long long)torn, (unsigned long long)mixed, (unsigned long long)missing,
		(unsigned long long)stuck, took);
	return torn + mixed + missing + stuck == 0 ? 0 : 1;
}

static int command_storm(char *directory, uint64_t kills, unsigned seed)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t stuck = 0, caught = 0;
	double start = seconds();
	pid_t reader;

	if (shared == MAP_FAILED || !publishes(directory, shared))
		return 2;
	atomic_store(&shared->took_ns, FIRST_GUESS_NS);
	reader = fork();
	if (reader == 0)
		read_for_ever(directory, shared);
	for (uint64_t i = 0; i < kills; i++) {
		seed = seed * 1103515245 + 12345;
		stuck += !kill_one(directory, shared,
				   KILL_WITHIN * atomic_load(&shared->took_ns) * (seed / 65536) /
					   65536);
		caught += has_leftovers(directory);
		stuck += !publishes(directory, shared);
	}
	atomic_store(&shared->stop, true);
	(void)waitpid(reader, NULL, 0);
	return report(shared, kills, caught, stuck, seconds() - start);
}

int main(int argc, char **argv)
{
	uint64_t number = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;

	if (argc == 4 && strcmp(argv[1], "write") == 0)
		return command_write(argv[2], number);
	if (argc == 4 && strcmp(argv[1], "recover") == 0)
		return command_recover(argv[2], number);
	if (argc == 5 && strcmp(argv[1], "storm") == 0)
		return command_storm(argv[2], number, (unsigned)strtoul(argv[4], NULL, 10));
	(void)fprintf(stderr,
		      "usage: publish_kill write|recover DIR NUMBER | storm DIR KILLS SEED\n");
	return 64;
}
