// SPDX-License-Identifier: GPL-2.0
/*
 * Swap under stress, with every page checked.
 *
 * Several processes with two threads each use more memory than their cgroup may
 * have. This exercises swap entries, the Accessed and Dirty bits by which the
 * kernel selects pages, and pages that are shared after fork() and swapped. In
 * the end swapoff() brings every page back.
 *
 * The limit is memory.high and not memory.max. At memory.max the kernel kills a
 * process if a task finds nothing to reclaim 16 times in a row. It does not
 * wait for other tasks that are reclaiming at that moment, and under a
 * hypervisor their CPUs may be preempted.
 */
#include "memory.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/swap.h>
#include <sys/wait.h>

#define MAX_PROCESSES	8
#define CHUNKS		16
/*
 * Pages of all processes together. With a child for each process, twice as many
 * are in use.
 */
#define TOTAL_PAGES	(72UL << 20 >> 12)
#define ROUNDS		3
#define ROUND_SECONDS	3
/* Pages that must be swapped out and in for the test to count. */
#define MIN_PAGES	2000
/* Additional seconds for that, because the machine may have other work. */
#define MORE_SECONDS	90

struct half {
	pthread_t thread;
	char *base;		/* CHUNKS / 2 of them */
	uint64_t seeds[CHUNKS / 2];
	size_t wrong;
	unsigned int random;
};

static int64_t end;
static size_t chunk_pages;
/* Shared by all processes. */
static volatile bool *enough;

static char *chunk(const struct half *half, int i)
{
	return half->base + i * chunk_pages * PAGE;
}

/* Write to a chunk, and check later that it still has the written data. */
static void *use(void *arg)
{
	struct half *half = arg;

	while (now_ns() < end) {
		int i = rand_r(&half->random) % (CHUNKS / 2);

		half->wrong += wrong_pages(chunk(half, i), chunk_pages, half->seeds[i]);
		if (rand_r(&half->random) % 2)
			fill_pages(chunk(half, i), chunk_pages, ++half->seeds[i]);
	}
	return NULL;
}

/*
 * A child must see the pages as they were at the fork, while its parent writes.
 */
static pid_t snapshot(const struct half *halves)
{
	size_t wrong = 0;
	pid_t pid = fork();

	if (pid < 0)
		bail("fork: %s", strerror(errno));
	if (pid)
		return pid;
	for (int h = 0; h < 2; h++)
		for (int i = 0; i < CHUNKS / 2; i++)
			wrong += wrong_pages(chunk(&halves[h], i), chunk_pages,
					     halves[h].seeds[i]);
	_exit(!!wrong);
}

/* The exit status: 1 if the process lost pages, 2 if a snapshot did. */
static int process(int number, int working_fd, int wait_fd)
{
	struct half halves[2] = {};
	int status, lost = 0;
	char byte;

	for (int h = 0; h < 2; h++) {
		halves[h].base = map_anon(CHUNKS / 2 * chunk_pages);
		halves[h].random = number * 2 + h + 1;
		for (int i = 0; i < CHUNKS / 2; i++) {
			halves[h].seeds[i] = (number * CHUNKS + h * CHUNKS / 2 + i) * 1000ULL;
			fill_pages(chunk(&halves[h], i), chunk_pages, halves[h].seeds[i]);
		}
	}
	for (int round = 0; round < ROUNDS || !*enough; round++) {
		pid_t child = snapshot(halves);

		end = now_ns() + ROUND_SECONDS * NSEC_PER_SEC;
		for (int h = 0; h < 2; h++)
			if (pthread_create(&halves[h].thread, NULL, use, &halves[h]))
				bail("no thread");
		for (int h = 0; h < 2; h++)
			pthread_join(halves[h].thread, NULL);
		if (waitpid(child, &status, 0) != child || status)
			lost |= 2;
	}
	close(working_fd);
	/* Wait until the swap device is removed. */
	if (read(wait_fd, &byte, 1) < 0)
		bail("pipe: %s", strerror(errno));
	for (int h = 0; h < 2; h++)
		for (int i = 0; i < CHUNKS / 2; i++)
			halves[h].wrong += wrong_pages(chunk(&halves[h], i), chunk_pages,
						       halves[h].seeds[i]);
	return lost | !!(halves[0].wrong + halves[1].wrong);
}

/* Returns a counter of /proc/vmstat, or -1 if the kernel does not have it. */
static long vmstat(const char *name)
{
	char line[128];
	long value = -1;
	FILE *f = fopen("/proc/vmstat", "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ' ')
			value = atol(line + strlen(name));
	if (f)
		fclose(f);
	return value;
}

/*
 * Pages that were swapped since the system started. If the kernel has zswap, that
 * keeps the pages compressed in memory, and counts them by names of its own.
 */
static long swapped(const char *device, const char *zswap)
{
	long pages = vmstat(device), kept = vmstat(zswap);

	if (pages < 0)
		bail("/proc/vmstat has no %s", device);
	return kept < 0 ? pages : pages + kept;
}

static long pages_out(void)
{
	return swapped("pswpout", "zswpout");
}

static long pages_in(void)
{
	return swapped("pswpin", "zswpin");
}

int main(int argc, char **argv)
{
	long out, in, out0 = pages_out(), in0 = pages_in();
	int nr = 2 * sysconf(_SC_NPROCESSORS_ONLN), working[2], gate[2], status, lost = 0;
	pid_t pids[MAX_PROCESSES];
	char byte;

	if (argc != 3)
		bail("usage: swap DEVICE MEMORY_HIGH");
	check_begin("swap", 240);
	nr = nr < 4 ? 4 : nr < MAX_PROCESSES ? nr : MAX_PROCESSES;
	chunk_pages = TOTAL_PAGES / nr / CHUNKS;
	enough = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (enough == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	if (pipe(working) || pipe(gate))
		bail("pipe: %s", strerror(errno));
	for (int i = 0; i < nr; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			bail("fork: %s", strerror(errno));
		if (!pids[i]) {
			close(gate[1]);
			exit(process(i, working[1], gate[0]));
		}
	}
	sleep(ROUNDS * ROUND_SECONDS);
	for (int more = 0;; more++) {
		out = pages_out() - out0;
		in = pages_in() - in0;
		if ((out >= MIN_PAGES && in >= MIN_PAGES) || more == MORE_SECONDS)
			break;
		sleep(1);
	}
	*enough = true;
	/*
	 * Lift the limit and call swapoff() only after the processes have
	 * stopped, because swapoff() must then bring in all pages. A process
	 * has stopped or died when it no longer holds the pipe open for
	 * writing.
	 */
	close(working[1]);
	if (read(working[0], &byte, 1))
		bail("pipe: %s", strerror(errno));
	if (!write_file(argv[2], "max"))
		bail("%s: %s", argv[2], strerror(errno));
	if (swapoff(argv[1]))
		not_ok("swap-off", "%s", strerror(errno));
	else
		ok("swap-off", NULL);
	close(gate[1]);
	for (int i = 0; i < nr; i++) {
		if (waitpid(pids[i], &status, 0) != pids[i] || !WIFEXITED(status))
			not_ok("swap-process", "number %d died", i);
		else
			lost |= WEXITSTATUS(status);
	}
	if (lost)
		not_ok("swap-memory", "%s%s", lost & 1 ? "pages are wrong" : "",
		       lost & 2 ? ", pages of a child are wrong" : "");
	else
		ok("swap-memory", "%d processes", nr);
	if (out >= MIN_PAGES && in >= MIN_PAGES)
		ok("swap-traffic", "%ld pages out, %ld in", out, in);
	else
		not_ok("swap-traffic", "%ld pages out, %ld in: too few", out, in);
	return check_end();
}
