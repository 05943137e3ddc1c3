/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each promise in a process of its own, since nothing of this can be undone.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/harden.h"

/* A directory with a file and, beside it, another. */
static char inside[64], outside[64];
static uint16_t port, other_port;
static bool network;

static void make_places(void)
{
	char path[128];

	(void)snprintf(inside, sizeof(inside), "/tmp/harden-in-XXXXXX");
	(void)snprintf(outside, sizeof(outside), "/tmp/harden-out-XXXXXX");
	cr_assert_not_null(mkdtemp(inside));
	cr_assert_not_null(mkdtemp(outside));
	(void)snprintf(path, sizeof(path), "%s/file", inside);
	(void)close(open(path, O_CREAT | O_WRONLY, 0600));
	(void)snprintf(path, sizeof(path), "%s/file", outside);
	(void)close(open(path, O_CREAT | O_WRONLY, 0600));
}

static void remove_places(void)
{
	char command[256];
	pid_t pid = fork();

	if (pid == 0) {
		(void)snprintf(command, sizeof(command), "rm -rf %s %s", inside, outside);
		(void)execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(1);
	}
	(void)waitpid(pid, NULL, 0);
}

static int listener(uint16_t *number)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&address, len), 0);
	cr_assert_eq(listen(fd, 4), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*number = ntohs(address.sin_port);
	return fd;
}

static void harden(struct harden_report *report)
{
	struct harden_rules rules = { .network = network };
	struct error err = ERROR_INIT;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/file", inside);
	if (harden_allow_path(&rules, path, true, &err) < 0 ||
	    harden_allow_port(&rules, port, &err) < 0 ||
	    harden_broker(&rules, false, report, &err) < 0) {
		(void)dprintf(2, "%s\n", err.text);
		_exit(99);
	}
	harden_rules_free(&rules);
}

/* Wait status of `body` in a hardened process. */
static int hardened(int (*body)(void))
{
	struct harden_report report;
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		harden(&report);
		_exit(body());
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static int opens(const char *directory, const char *name, int flags)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, flags, 0600);
	if (fd < 0)
		return errno;
	(void)close(fd);
	return 0;
}

static int files_body(void)
{
	char from[128], to[128];

	if (opens(inside, "file", O_RDONLY) != 0 || opens(inside, "new", O_WRONLY | O_CREAT) != 0)
		return 1;
	if (opens(outside, "file", O_RDONLY) != EACCES ||
	    opens(outside, "new", O_WRONLY | O_CREAT) != EACCES)
		return 2;
	if (opens("/etc", "passwd", O_RDONLY) != EACCES ||
	    opens("/proc/self", "environ", O_RDONLY) != EACCES)
		return 3;
	(void)snprintf(from, sizeof(from), "%s/new", inside);
	(void)snprintf(to, sizeof(to), "%s/renamed", inside);
	if (rename(from, to) != 0 || unlink(to) != 0)
		return 4;
	(void)snprintf(to, sizeof(to), "%s/made", inside);
	/* The umask is 0077: private, and still a directory that can be entered. */
	if (mkdir(to, 0755) != 0 || opens(to, "x", O_WRONLY | O_CREAT) != 0)
		return 5;
	return 0;
}

static int network_body(void)
{
	if (opens("/etc", "hosts", O_RDONLY) != 0 || opens("/dev", "urandom", O_RDONLY) != 0)
		return 1;
	if (opens("/dev", "zero", O_RDONLY) != EACCES || opens("/dev", "urandom", O_RDWR) != EACCES)
		return 2;
	return opens(outside, "file", O_RDONLY) == EACCES ? 0 : 3;
}

static int connects(uint16_t number)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(number),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
}

static int ports_body(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connects(port) != 0)
		return 1;
	if (connects(other_port) != EACCES)
		return 2;
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0)
		return 3;
	return 0;
}

static int execve_body(void)
{
	return (int)execl("/bin/true", "true", NULL);
}

static int fork_body(void)
{
	return (int)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0L);
}

static int ptrace_body(void)
{
	return (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static int vm_body(void)
{
	return (int)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}

static int bpf_body(void)
{
	return (int)syscall(SYS_bpf, 0, NULL, 0);
}

static int uring_body(void)
{
	return (int)syscall(SYS_io_uring_setup, 1, NULL);
}

static int unshare_body(void)
{
	return unshare(CLONE_NEWUSER);
}

static int keyctl_body(void)
{
	return (int)syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}

static void *thread(void *argument)
{
	return argument;
}

static int quiet_body(void)
{
	pthread_t id;
	void *answer = NULL;
	static char word;

	if (pthread_create(&id, NULL, thread, &word) != 0 || pthread_join(id, &answer) != 0 ||
	    answer != &word)
		return 1;
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	    MAP_FAILED)
		return 2;
	if (prctl(PR_SET_DUMPABLE, 1) == 0 || prctl(PR_GET_DUMPABLE) != 0)
		return 3;
	if (socket(AF_PACKET, SOCK_RAW, 0) >= 0 || errno != EPERM)
		return 4;
	return 0;
}

static int process_body(void)
{
	struct rlimit core;

	if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0)
		return 1;
	if (umask(0) != 0077)
		return 2;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 3;
}

TestSuite(harden, .init = make_places, .fini = remove_places);

Test(harden, opens_what_was_allowed_and_nothing_else)
{
	cr_expect_eq(hardened(files_body), 0);
}

Test(harden, reads_what_looking_names_up_needs_and_no_more)
{
	network = true;
	cr_expect_eq(hardened(network_body), 0);
}

Test(harden, connects_to_the_ports_that_were_named_alone)
{
	(void)listener(&port);
	(void)listener(&other_port);
	cr_expect_eq(hardened(ports_body), 0);
}

Test(harden, ends_a_process_that_reaches_for_others_or_for_the_kernel)
{
	static const struct {
		const char *name;
		int (*body)(void);
	} rows[] = {
		{ "execve", execve_body },   { "fork", fork_body },	{ "ptrace", ptrace_body },
		{ "process_vm", vm_body },   { "bpf", bpf_body },	{ "io_uring", uring_body },
		{ "unshare", unshare_body }, { "keyctl", keyctl_body },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int status = hardened(rows[i].body);

		cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s: %x", rows[i].name,
			  (unsigned)status);
	}
}

Test(harden, leaves_threads_and_takes_code_dumps_and_raw_sockets)
{
	cr_expect_eq(hardened(quiet_body), 0);
}

Test(harden, gives_up_cores_privileges_and_other_peoples_permissions)
{
	cr_expect_eq(hardened(process_body), 0);
}

Test(harden, reports_what_it_has)
{
	AUTO(buf_deinit) struct buf json = BUF_INIT(1024);
	int ends[2], status;
	struct harden_report report = { 0 };
	pid_t pid;

	cr_assert_eq(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		harden(&report);
		_exit(write(ends[1], &report, sizeof(report)) == (ssize_t)sizeof(report) ? 0 : 1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	cr_assert_eq(read(ends[0], &report, sizeof(report)), (ssize_t)sizeof(report));
	cr_expect(report.not_dumpable && report.no_core && report.no_new_privs && report.seccomp);
	cr_expect_geq(report.landlock_abi, 1);
	harden_write_json(&json, &report);
	cr_expect_not_null(strstr(buf_string(&json), "\"seccomp\":true"));
}

Test(harden, rules_cover_directories_where_files_stand_and_lead)
{
	struct harden_rules rules = { 0 };
	struct error err = ERROR_INIT;
	char link[128], target[128], absent[128];

	(void)snprintf(link, sizeof(link), "%s/link", inside);
	(void)snprintf(target, sizeof(target), "%s/file", outside);
	(void)snprintf(absent, sizeof(absent), "%s/not/there/yet", inside);
	cr_assert_eq(symlink(target, link), 0);
	cr_expect_not(harden_allows(&rules, link, false));
	cr_assert_eq(harden_allow_path(&rules, link, false, &err), 0);
	cr_expect(harden_allows(&rules, inside, false));
	cr_expect(harden_allows(&rules, target, false));
	cr_expect(harden_allows(&rules, absent, false));
	cr_expect_not(harden_allows(&rules, target, true));
	cr_expect_not(harden_allows(&rules, "/etc/passwd", false));
	cr_assert_eq(harden_allow_path(&rules, absent, true, &err), 0);
	cr_expect(harden_allows(&rules, absent, true));
	cr_expect_eq(rules.path_count, 2);
	/* A directory that is a link, named as one. */
	cr_assert_eq(unlink(link) + symlink("/usr", link), 0);
	(void)snprintf(absent, sizeof(absent), "%s/link/", inside);
	cr_assert_eq(harden_allow_path(&rules, absent, false, &err), 0);
	cr_expect(harden_allows(&rules, "/usr/bin", false));
	harden_rules_free(&rules);
}

Test(harden, early_shuts_out_readers_of_the_same_uid)
{
	char path[64];
	int status, fd;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgid(65534) != 0 || setuid(65534) != 0 || harden_early() != 0)
			_exit(9);
		(void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)getpid());
		fd = open(path, O_RDONLY);
		_exit(fd < 0 && errno == EACCES ? 0 : 1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 9)
		cr_skip_test("needs root to become somebody else");
	cr_expect_eq(status, 0);
}
