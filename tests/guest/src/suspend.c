// SPDX-License-Identifier: GPL-2.0
/*
 * Suspend to RAM. All CPUs lose their state, and only the memory keeps power.
 * The alarm of the RTC wakes the machine. Afterwards the threads must continue,
 * the memory must be unchanged, every CPU and its timer must work, and no clock
 * may have stepped back.
 */
#include "memory.h"

#include <pthread.h>
#include <stdatomic.h>

#define ROUNDS		2
#define MAX_CPUS	64
#define PAGES		512
#define ALARM		"/sys/class/rtc/rtc0/wakealarm"

/*
 * The delay of the alarm. If the alarm fires before all CPUs are offline, it
 * does not wake the machine.
 */
static const char *wake_after;

static int cpus[MAX_CPUS];
static atomic_long turns[MAX_CPUS];
static atomic_bool stop;

/* Use the page tables, the TLB and the timer of one CPU all the time. */
static void *load(void *arg)
{
	long me = (long)arg;

	while (!atomic_load(&stop)) {
		uint64_t *page = map_anon(8);
		struct timespec nap = { .tv_nsec = 2 * NSEC_PER_MSEC };
		uint64_t seed = turns[me] + 1;

		if (!pin(cpus[me]))
			bail("CPU %d is not available", cpus[me]);
		for (size_t i = 0; i < 8 * PAGE / 8; i++)
			page[i] = pattern(seed, i);
		nanosleep(&nap, NULL);
		for (size_t i = 0; i < 8 * PAGE / 8; i++)
			if (page[i] != pattern(seed, i))
				bail("CPU %d: memory changed by itself", cpus[me]);
		munmap(page, 8 * PAGE);
		atomic_fetch_add(&turns[me], 1);
	}
	return NULL;
}

/*
 * Count threads that make no progress in ten seconds. Each thread uses the
 * timer of its CPU.
 */
static int standing_still(int nr)
{
	long before[MAX_CPUS];
	int64_t limit = now_ns() + 10 * NSEC_PER_SEC;
	int still = 0;

	for (int i = 0; i < nr; i++)
		before[i] = turns[i];
	for (int i = 0; i < nr; i++) {
		while (turns[i] < before[i] + 3 && now_ns() < limit)
			usleep(5000);
		still += turns[i] < before[i] + 3;
	}
	return still;
}

static long successes(void)
{
	char text[32];

	return read_file("/sys/power/suspend_stats/success", text, sizeof(text)) ?
	       atol(text) : -1;
}

static int64_t clock_ns(clockid_t which)
{
	struct timespec ts;

	clock_gettime(which, &ts);
	return ts_ns(&ts);
}

static bool one_round(int round, int nr)
{
	int64_t mono = now_ns(), boot = clock_ns(CLOCK_BOOTTIME);
	int64_t real = clock_ns(CLOCK_REALTIME), slept;
	long before = successes();

	if (!write_file(ALARM, "0") || !write_file(ALARM, wake_after))
		bail("no alarm can be set: %s", strerror(errno));
	if (!write_file("/sys/power/state", "mem")) {
		not_ok("suspend", "round %d: refused: %s", round, strerror(errno));
		return false;
	}
	if (successes() != before + 1) {
		not_ok("suspend", "round %d: the kernel did not count it", round);
		return false;
	}
	boot = clock_ns(CLOCK_BOOTTIME) - boot;
	mono = now_ns() - mono;
	real = clock_ns(CLOCK_REALTIME) - real;
	slept = boot - mono;
	if (mono < 0 || slept < NSEC_PER_SEC || llabs(real - boot) > 2 * NSEC_PER_SEC) {
		not_ok("suspend-clocks",
		       "round %d: monotonic %+lld ms, boottime %+lld ms, realtime %+lld ms",
		       round, mono / NSEC_PER_MSEC, boot / NSEC_PER_MSEC, real / NSEC_PER_MSEC);
		return false;
	}
	if (standing_still(nr)) {
		not_ok("suspend-load", "round %d: %d of %d CPUs make no progress", round,
		       standing_still(nr), nr);
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_CPUS];
	char modes[64] = "";
	uint64_t *memory;
	long online;
	int nr, round = 0;

	if (argc != 2)
		bail("usage: suspend +SECONDS");
	wake_after = argv[1];
	check_begin("suspend", 240);
	nr = usable_cpus(cpus, MAX_CPUS);
	if (!read_file("/sys/power/mem_sleep", modes, sizeof(modes)) ||
	    !strstr(modes, "deep"))
		bail("this machine has no suspend to RAM (mem_sleep: %s)", modes);
	if (!write_file("/sys/power/mem_sleep", "deep"))
		bail("suspend to RAM cannot be chosen: %s", strerror(errno));

	memory = map_anon(PAGES);
	for (size_t i = 0; i < PAGES * PAGE / 8; i++)
		memory[i] = pattern(nr, i);
	for (long i = 0; i < nr; i++)
		if (pthread_create(&threads[i], NULL, load, (void *)i))
			bail("no thread for CPU %d", cpus[i]);

	while (round < ROUNDS && one_round(round + 1, nr))
		round++;
	if (round == ROUNDS) {
		ok("suspend", "%d times", ROUNDS);
		ok("suspend-clocks", NULL);
		ok("suspend-load", "%d CPUs went on", nr);
	}

	online = sysconf(_SC_NPROCESSORS_ONLN);
	if (online == nr)
		ok("suspend-cpus", "%d", nr);
	else
		not_ok("suspend-cpus", "%ld of %d came back", online, nr);

	atomic_store(&stop, true);
	for (int i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < PAGES * PAGE / 8; i++)
		if (memory[i] != pattern(nr, i)) {
			not_ok("suspend-memory", "word %zu has changed", i);
			return check_end();
		}
	ok("suspend-memory", "%lu pages", PAGES + 0UL);
	return check_end();
}
