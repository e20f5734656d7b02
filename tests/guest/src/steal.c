// SPDX-License-Identifier: GPL-2.0
/*
 * Steal time. One CPU computes alone, then all do. Where the hypervisor has fewer
 * CPUs than it shows, each then gets less done, and by just as much must the kernel
 * say that time was stolen from it.
 */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

#define MAX_CPUS	64
#define SECONDS		6
/* Parts of the time by which the two may differ: a tick counts as a whole. */
#define TOLERANCE	0.2

struct cpu {
	int number;
	double rate;		/* turns a second */
	double stolen;		/* of a second */
};

static struct cpu cpus[MAX_CPUS];
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
	long turns = 0;
	int64_t begin, end;
	double stolen;

	if (!pin(cpu->number))
		bail("CPU %d cannot be had", cpu->number);
	atomic_fetch_add(&ready, 1);
	while (!atomic_load(&go))
		;
	stolen = stolen_seconds(cpu);
	begin = now_ns();
	do {
		for (volatile int i = 0; i < 20000; i++)
			;
		turns++;
		end = now_ns();
	} while (end - begin < SECONDS * NSEC_PER_SEC);
	cpu->rate = turns * (double)NSEC_PER_SEC / (end - begin);
	cpu->stolen = (stolen_seconds(cpu) - stolen) * NSEC_PER_SEC / (end - begin);
	return NULL;
}

static void run(int nr)
{
	pthread_t threads[MAX_CPUS];

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

/* What CPU 0 would do in a second if it had all of it. */
static double whole_rate(void)
{
	run(1);
	return cpus[0].rate / (1 - cpus[0].stolen);
}

int main(void)
{
	int numbers[MAX_CPUS], nr;
	double before, after, whole;
	struct cpu seen[MAX_CPUS];
	char name[32];

	check_begin("steal", 120);
	nr = usable_cpus(numbers, MAX_CPUS);
	for (int i = 0; i < nr; i++)
		cpus[i].number = numbers[i];

	/* The machine around may have had something else to do for one of them. */
	before = whole_rate();
	run(nr);
	memcpy(seen, cpus, sizeof(seen));
	after = whole_rate();
	whole = before > after ? before : after;

	for (int i = 0; i < nr; i++) {
		double stolen = seen[i].stolen, missing = 1 - seen[i].rate / whole;

		snprintf(name, sizeof(name), "steal-cpu%d", seen[i].number);
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
