// SPDX-License-Identifier: GPL-2.0
/* The trial that measures how long other processes wait. */
#include "hostile_mm.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif
/* Older headers lack this constant. */

struct waits {
	int64_t barrier, wakeup;
};

static void wait_barrier(struct waits *waits)
{
	pin(1);
	while (!stopped()) {
		int64_t start = now_ns();

		need(!syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0),
		     "membarrier");
		start = now_ns() - start;
		if (start > waits->barrier)
			waits->barrier = start;
		usleep(200);
	}
}

static void wait_wakeup(struct waits *waits)
{
	struct sched_param param = { .sched_priority = 10 };

	pin(0);
	need(!sched_setscheduler(0, SCHED_FIFO, &param), "SCHED_FIFO");
	while (!stopped()) {
		struct timespec ts;
		int64_t due = in_ms(2), late;

		ts.tv_sec = due / NSEC_PER_SEC;
		ts.tv_nsec = due % NSEC_PER_SEC;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
		late = now_ns() - due;
		if (late > waits->wakeup)
			waits->wakeup = late;
	}
}

static size_t spare_mib(void)
{
	char line[128];
	long kb = 0;
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %ld kB", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb / 1024;
}

/*
 * A waiter runs on each of two CPUs, and one of them shares its CPU with the
 * process that forks and exits.
 */
static void latency_of(size_t mib, struct waits *waits)
{
	pid_t waiters[2], parent;

	for (int i = 0; i < 2; i++) {
		waiters[i] = spawn();
		if (!waiters[i]) {
			if (i)
				wait_wakeup(waits);
			else
				wait_barrier(waits);
			_exit(0);
		}
	}
	parent = spawn();
	if (!parent) {
		char *p;

		pin(0);
		need(!syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0),
		     "membarrier");
		p = map_private(mib * MIB / PAGE);
		need(!madvise(p, mib * MIB, MADV_POPULATE_WRITE), "MADV_POPULATE_WRITE");
		fill_apart(p, mib * MIB, MIB, 1);
		if (threaded)
			idle_thread();
		for (int i = 0; i < 3; i++) {
			pid_t child = spawn();

			if (!child)
				_exit(!!wrong_apart(p, mib * MIB, MIB, 1));
			ends_well(child, "a child");
		}
		none_wrong(wrong_apart(p, mib * MIB, MIB, 1), "pages of the parent");
		_exit(0);
	}
	ends_well(parent, "the one that forks");
	atomic_store(&control->stop, true);
	for (int i = 0; i < 2; i++)
		ends_well(waiters[i], "one that waits");
	atomic_store(&control->stop, false);
}

/*
 * Forks a big process, and measures how long an IPI and a wakeup take
 * meanwhile. Handing all page tables of the process to Xen kept events off for
 * as long as it took. The backend now pauses after 24 to 30 tables. The times
 * are only printed.
 */
void latency(void)
{
	struct waits *waits = map(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	size_t big = spare_mib() * 3 / 4;
	const size_t sizes[] = { 4, big > 300 ? 300 : big };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(waits, 0, sizeof(*waits));
		latency_of(sizes[i], waits);
		note("latency%s, %zu MiB: membarrier up to %.2f ms, wakeup up to %.2f ms",
		     threaded ? " (threads)" : "", sizes[i], waits->barrier / 1e6,
		     waits->wakeup / 1e6);
	}
	remark("%zu and %zu MiB", sizes[0], sizes[1]);
}
