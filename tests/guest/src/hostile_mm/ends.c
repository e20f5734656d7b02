// SPDX-License-Identifier: GPL-2.0
/* Trials of address spaces that end. */
#include "hostile_mm.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define GROUP		"/sys/fs/cgroup/hostile"

static void *mrelease_thread(void *arg)
{
	volatile char *p = arg;

	for (;;)
		for (size_t i = 0; i < 1024; i++)
			p[i * PAGE]++;
	return NULL;
}

/*
 * Calls process_mrelease() while the process exits. The reaper clears entries
 * of page tables that the exit takes back from Xen at the same time. An update
 * that does not fit the present state of its table would fault or be lost.
 */
void mrelease(void)
{
	const size_t pages = 1024;
	int64_t end = in_ms(700);
	unsigned long rounds = 0, done = 0;

	do {
		int up[2], pidfd;
		pthread_t thread;
		char byte = 0;
		pid_t pid;

		need(!pipe(up), "pipe");
		pid = spawn();
		if (!pid) {
			char *p = map_private(pages);
			char *shared = map_shared(64, memory_file(64));

			fill_pages(p, pages, 1);
			fill_pages(shared, 64, 1);
			if (threaded)
				pthread_create(&thread, NULL, mrelease_thread, p);
			if (write(up[1], &byte, 1) != 1)
				_exit(1);
			/*
			 * In every second round the process exits by itself at
			 * this moment.
			 */
			if (rounds % 2)
				_exit(0);
			for (;;)
				fill_pages(p, pages, 2);
		}
		pidfd = syscall(SYS_pidfd_open, pid, 0);
		need(pidfd >= 0, "pidfd_open");
		need(read(up[0], &byte, 1) == 1, "pipe");
		if (rounds % 2 == 0 || rounds % 4 == 1)
			kill(pid, SIGKILL);
		for (int i = 0; i < 3; i++) {
			if (!syscall(SYS_process_mrelease, pidfd, 0))
				done++;
			else if (errno != ESRCH && errno != EAGAIN && errno != EINVAL)
				fail("process_mrelease: %s", strerror(errno));
		}
		wait_for(pid);
		close(pidfd);
		close(up[0]);
		close(up[1]);
		rounds++;
	} while (now_ns() < end || rounds < 8 || !done);
	remark("%lu released in %lu rounds", done, rounds);
}

static void look_at_one(atomic_int *whose)
{
	static const char *const files[] = { "smaps", "pagemap", "mem", "maps" };
	char path[64], buf[PAGE];

	for (unsigned int i = 0; !stopped(); i++) {
		off_t at = 0;
		int fd;

		/*
		 * For pagemap and mem: read where the program's own data is
		 * mapped.
		 */
		if (i % 4 == 1)
			at = (uintptr_t)files / PAGE * 8;
		else if (i % 4 == 2)
			at = (uintptr_t)files;
		snprintf(path, sizeof(path), "/proc/%d/%s", atomic_load(whose), files[i % 4]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		for (int k = 0; k < 20; k++)
			if (pread(fd, buf, sizeof(buf), at) > 0)
				atomic_fetch_add(&control->events[0], 1);
		close(fd);
	}
}

/*
 * Reads /proc files of a process that exits. The last user of the address space
 * may then be a reader, which frees the page tables. The backend must not
 * assume that the task which frees page tables has been using them.
 */
void last_user(void)
{
	atomic_int *whose = map(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	int64_t end = in_ms(600);
	unsigned long rounds = 0;
	pid_t lookers[2];

	for (size_t i = 0; i < ARRAY_SIZE(lookers); i++) {
		lookers[i] = spawn();
		if (!lookers[i]) {
			look_at_one(whose);
			_exit(0);
		}
	}
	do {
		pid_t pid = spawn();

		if (!pid) {
			char *p = map_private(600), *s = map_shared(64, memory_file(64));

			atomic_store(whose, getpid());
			if (threaded)
				idle_thread();
			fill_pages(p, 600, rounds);
			fill_pages(s, 64, rounds);
			page_out(p, 200);
			protect(p + 100 * PAGE, 50, PROT_NONE);
			if (rounds % 2)
				kill(getpid(), SIGKILL);
			_exit(0);
		}
		wait_for(pid);
		rounds++;
	} while (now_ns() < end || rounds < 6 || !atomic_load(&control->events[0]));
	atomic_store(&control->stop, true);
	for (size_t i = 0; i < ARRAY_SIZE(lookers); i++)
		ends_well(lookers[i], "one that looked");
	remark("%lu ends, %lu looks", rounds, atomic_load(&control->events[0]));
}

static int count_some(void *arg)
{
	struct counter *c = arg;

	for (int i = 0; i < 4; i++)
		count(c);
	return 0;
}

/*
 * Clones a process with CLONE_VM repeatedly. The address space has one user,
 * then two, then one, while the kernel changes its page tables. A shortcut for
 * an address space with one user must not be used after a second one has
 * started.
 */
void shared_mm(void)
{
	const size_t pages = 64;
	char *p = map_private(pages), *stack = map_private(16), *s;
	int64_t end = in_ms(600);
	struct counter mine, theirs;
	unsigned long clones = 0;

	counter_init(&mine, p, pages, 1);
	counter_init(&theirs, p, pages, 2);
	s = map_shared(pages, memory_file(pages));
	do {
		pid_t pid = clone(count_some, stack + 16 * PAGE,
				  CLONE_VM | SIGCHLD | (clones % 3 == 2 ? CLONE_VFORK : 0),
				  &theirs);

		need(pid > 0, "clone");
		count(&mine);
		page_out(p, pages);
		fill_pages(s, pages, clones);
		need(!madvise(s, pages * PAGE, MADV_DONTNEED), "DONTNEED");
		count(&mine);
		none_wrong(wrong_pages(s, pages, clones), "shared pages");
		ends_well(pid, "one that shares the address space");
		flip(p, pages);
		count(&mine);
		clones++;
	} while (now_ns() < end || clones < 6);
	remark("%lu clones", clones);
}

static void oom_child(int kind)
{
	const size_t pages = 4096;
	char *p = map_private(pages);
	pthread_t threads[2];

	must_write(GROUP "/cgroup.procs", "0");
	become_nobody();
	if (threaded)
		for (int i = 0; i < 2; i++)
			pthread_create(&threads[i], NULL, mrelease_thread, p + i * MIB * 6);
	if (kind == 1) {
		/* Children share pages with the parent until they write. */
		fill_pages(p, 1024, 1);
		for (int i = 0; i < 6; i++)
			if (fork() == 0)
				break;
		fill_pages(p, 1024, 2);
	} else if (kind == 2) {
		/*
		 * Reach the limit in fork(): page tables count as memory too.
		 */
		fill_pages(p, 1200, 1);
		for (size_t i = 0; i < 64; i++)
			*map_aligned(PAGE, 2 * MIB, PROT_READ | PROT_WRITE) = 1;
		for (;;)
			if (fork() < 0)
				break;
		pause();
	} else if (kind == 3) {
		char *shared = map_shared(pages, memory_file(pages));

		fill_pages(shared, pages, 1);
	}
	for (uint64_t seed = 3;; seed++)
		fill_pages(p, pages, seed);
}

/*
 * A memory cgroup kills processes at its limit: in page faults, in writes to
 * shared pages, and in fork(). The exit then finds incomplete page tables, such
 * as those of a half-copied child, and must take all of them back from the
 * hypervisor.
 */
void memcg_oom(void)
{
	must_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	need(!mkdir(GROUP, 0755) || errno == EEXIST, "mkdir " GROUP);
	must_write(GROUP "/memory.max", "8388608");
	/*
	 * With swap the group would swap forever, and nothing would be killed.
	 */
	must_write(GROUP "/memory.swap.max", "0");
	must_write(GROUP "/memory.oom.group", "1");
	must_write("/proc/sys/vm/oom_dump_tasks", "0");
	for (int round = 0; round < 8; round++) {
		pid_t child = spawn();
		char text[256];
		int64_t end;
		int status;

		if (!child)
			oom_child(round % 4);
		status = wait_for(child);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			fail("kind %d ended with status %#x", round % 4, status);
		/* Kill the processes that it forked, too. */
		end = in_ms(20000);
		do {
			usleep(5000);
			must_write(GROUP "/cgroup.kill", "1");
			need(read_file(GROUP "/cgroup.events", text, sizeof(text)), "events");
		} while (!strstr(text, "populated 0") && now_ns() < end);
		if (!strstr(text, "populated 0"))
			fail("kind %d: the group is not empty", round % 4);
	}
	must_write("/proc/sys/vm/oom_dump_tasks", "1");
	for (int i = 0; rmdir(GROUP); i++) {
		if (i == 200)
			fail("rmdir " GROUP ": %s", strerror(errno));
		usleep(10000);
	}
}
