// SPDX-License-Identifier: GPL-2.0
/*
 * Steal time. One CPU computes alone, and then all CPUs compute. If the
 * hypervisor has fewer CPUs than it shows, each CPU then gets less work done.
 * The kernel must report the missing time as stolen. The hypervisor's work for
 * a tick, which is large in emulation, is not stolen time. It occurs in both
 * cases.
 */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

#define MAX_CPUS	64
/*
 * The two alternate, because the machine may become faster or slower meanwhile.
 */
#define ROUNDS		6
#define SECONDS_ALONE	1
#define SECONDS_ALL	2
#define MAX_TIMES	1000000
/* The fraction by which both may differ: the kernel counts whole ticks. */
#define TOLERANCE	0.2

struct cpu {
	int number;
	double turns;
	double seconds;
	double stolen;		/* part of these seconds */
	int64_t *times;		/* of each turn, in ns; NULL if not needed */
	size_t nr_times;
};

static double duration;
static atomic_int ready;
static atomic_bool go;

/* /proc/stat: user nice system idle iowait irq softirq steal */
static double stolen_seconds(const struct cpu *cpu)
{
	char name[16], line[512];
	FILE *f = fopen("/proc/stat", "re");

	snprintf(name, sizeof(name), "cpu%d ", cpu->number);
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long long t[8];

		if (strncmp(line, name, strlen(name)) ||
		    sscanf(line + strlen(name), "%llu %llu %llu %llu %llu %llu %llu %llu",
			   &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]) != 8)
			continue;
		fclose(f);
		return (double)t[7] / sysconf(_SC_CLK_TCK);
	}
	bail("/proc/stat has no %s", name);
}

static void *compute(void *arg)
{
	struct cpu *cpu = arg;
	int64_t begin, last, end;
	double stolen;

	if (!pin(cpu->number))
		bail("CPU %d is not available", cpu->number);
	atomic_fetch_add(&ready, 1);
	while (!atomic_load(&go))
		;
	stolen = stolen_seconds(cpu);
	begin = now_ns();
	end = begin;
	do {
		last = end;
		for (volatile int i = 0; i < 20000; i++)
			;
		cpu->turns++;
		end = now_ns();
		if (cpu->times && cpu->nr_times < MAX_TIMES)
			cpu->times[cpu->nr_times++] = end - last;
	} while (end - begin < duration * NSEC_PER_SEC);
	cpu->seconds += (double)(end - begin) / NSEC_PER_SEC;
	cpu->stolen += stolen_seconds(cpu) - stolen;
	return NULL;
}

static void run(struct cpu *cpus, int nr, double seconds)
{
	pthread_t threads[MAX_CPUS];

	duration = seconds;
	atomic_store(&go, false);
	atomic_store(&ready, 0);
	for (int i = 0; i < nr; i++)
		if (pthread_create(&threads[i], NULL, compute, &cpus[i]))
			bail("no thread for CPU %d", cpus[i].number);
	while (atomic_load(&ready) < nr)
		usleep(1000);
	atomic_store(&go, true);
	for (int i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
}

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/*
 * Seconds for an undisturbed turn: the median, because most turns are
 * undisturbed.
 */
static double one_turn(const struct cpu *cpu)
{
	qsort(cpu->times, cpu->nr_times, sizeof(cpu->times[0]), by_time);
	return (double)cpu->times[cpu->nr_times / 2] / NSEC_PER_SEC;
}

int main(void)
{
	struct cpu alone = {}, cpus[MAX_CPUS] = {};
	int numbers[MAX_CPUS], nr;
	char name[32];
	double turn;

	check_begin("steal", 120);
	nr = usable_cpus(numbers, MAX_CPUS);
	for (int i = 0; i < nr; i++)
		cpus[i].number = numbers[i];
	alone.number = numbers[0];
	alone.times = calloc(MAX_TIMES, sizeof(alone.times[0]));
	if (!alone.times)
		bail("no memory");

	for (int round = 0; round < ROUNDS; round++) {
		run(&alone, 1, SECONDS_ALONE);
		run(cpus, nr, SECONDS_ALL);
	}
	turn = one_turn(&alone);

	for (int i = 0; i < nr; i++) {
		double stolen = cpus[i].stolen / cpus[i].seconds -
				alone.stolen / alone.seconds;
		double missing = turn * (alone.turns / alone.seconds -
					 cpus[i].turns / cpus[i].seconds);

		snprintf(name, sizeof(name), "steal-cpu%d", cpus[i].number);
		if (missing < TOLERANCE && stolen < TOLERANCE)
			skip(name, "nothing was stolen: %.0f %% of the work is missing",
			     missing * 100);
		else if (stolen < missing - TOLERANCE || stolen > missing + TOLERANCE)
			not_ok(name, "%.0f %% of the time, %.0f %% of the work is missing",
			       stolen * 100, missing * 100);
		else
			ok(name, "%.0f %% of the time, %.0f %% of the work is missing",
			   stolen * 100, missing * 100);
	}
	return check_end();
}
