/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into a program: its real-time clock is off by what the mapped file $SKEW_FILE says, in
 * seconds, and is stepped by writing there. Boot time and monotonic time stay as they are.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *seconds;

__attribute__((constructor)) static void map(void)
{
	const char *path = getenv("SKEW_FILE");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *mapped =
		fd >= 0 ? mmap(NULL, sizeof(*seconds), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (mapped != MAP_FAILED)
		seconds = mapped;
	if (fd >= 0)
		(void)close(fd);
}

int clock_gettime(clockid_t id, struct timespec *ret)
{
	int done = (int)syscall(SYS_clock_gettime, id, ret);

	if (done == 0 && id == CLOCK_REALTIME && seconds != NULL)
		ret->tv_sec += *seconds;
	return done;
}

time_t time(time_t *ret)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (ret != NULL)
		*ret = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	*ret = (struct timeval){ now.tv_sec, now.tv_nsec / 1000 };
	return 0;
}
