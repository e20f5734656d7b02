// SPDX-License-Identifier: GPL-2.0
/*
 * Every CPU but CPU 0 goes offline and online several times under load. After
 * each step the counts of CPUs must be right. A CPU that is online again must
 * run threads, take page faults and get its timer interrupts.
 */
#include "check.h"

#include <ctype.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define MAX_CPUS	64
#define ROUNDS		4
#define MAX_LOAD	16

static int cpus[MAX_CPUS];
static int nr_cpus;
static atomic_bool stop;
static atomic_long progress[MAX_LOAD];

/*
 * Load that makes page tables, moves between CPUs, and checks the data it
 * wrote.
 */
static void *load(void *arg)
{
	int me = (int)(intptr_t)arg;
	long turn = 0;

	while (!atomic_load(&stop)) {
		size_t size = 16 * 4096;
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			bail("load: mmap: %s", strerror(errno));
		for (size_t i = 0; i < size; i += 4096) {
			if (p[i])
				bail("load: a new page is not zero");
			p[i] = (char)(turn + i / 4096 + 1);
		}
		sched_yield();
		for (size_t i = 0; i < size; i += 4096)
			if (p[i] != (char)(turn + i / 4096 + 1))
				bail("load: a page changed by itself");
		munmap(p, size);
		turn++;
		atomic_fetch_add(&progress[me], 1);
	}
	return NULL;
}

/* Count the CPUs of a list such as "0-2,5". */
static int count_list(const char *s)
{
	int count = 0;

	while (isdigit(*s)) {
		char *end;
		long first = strtol(s, &end, 10), last = first;

		if (*end == '-')
			last = strtol(end + 1, &end, 10);
		count += last - first + 1;
		s = *end == ',' ? end + 1 : end;
	}
	return count;
}

static int count_online(void)
{
	char text[256];

	if (!read_file("/sys/devices/system/cpu/online", text, sizeof(text)))
		return -1;
	return count_list(text);
}

static int count_cpuinfo(void)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[4096];
	int count = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		count += !strncmp(line, "processor", 9);
	fclose(f);
	return count;
}

static bool set_online(int cpu, bool on)
{
	char path[96];
	int fd, tries;
	ssize_t n = -1;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online",
		 cpu);
	/*
	 * The kernel may return EBUSY while another task holds the hotplug
	 * lock.
	 */
	for (tries = 0; tries < 20; tries++) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			return false;
		n = write(fd, on ? "1" : "0", 1);
		close(fd);
		if (n == 1 || errno != EBUSY)
			break;
		usleep(10000);
	}
	return n == 1;
}

static bool counts_are(int expected, const char *name, const char *when)
{
	int online = count_online(), info = count_cpuinfo();
	long conf = sysconf(_SC_NPROCESSORS_ONLN);

	if (online == expected && info == expected && conf == expected)
		return true;
	not_ok(name, "%s: expected %d CPUs, online says %d, cpuinfo %d, sysconf %ld",
	       when, expected, online, info, conf);
	return false;
}

/* This runs in a thread of its own, whose affinity ends with the thread. */
struct proof {
	int cpu;
	const char *wrong;
};

static void *prove(void *arg)
{
	struct proof *proof = arg;
	struct timespec nap = { .tv_nsec = 5 * NSEC_PER_MSEC };
	volatile char *p;

	if (!pin(proof->cpu)) {
		proof->wrong = "a thread cannot be moved to it";
		return NULL;
	}
	if (sched_getcpu() != proof->cpu) {
		proof->wrong = "the thread runs elsewhere";
		return NULL;
	}
	p = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		proof->wrong = "mmap failed on it";
		return NULL;
	}
	for (int i = 0; i < 64; i++)
		p[i * 4096] = i + 1;
	/* This returns only if the timer of this CPU works. */
	if (nanosleep(&nap, NULL))
		proof->wrong = "nanosleep failed on it";
	for (int i = 0; i < 64; i++)
		if (p[i * 4096] != i + 1)
			proof->wrong = "data written on it was lost";
	if (sched_getcpu() != proof->cpu)
		proof->wrong = "the thread left it";
	munmap((void *)p, 64 * 4096);
	return NULL;
}

static const char *works(int cpu)
{
	struct proof proof = { .cpu = cpu };
	pthread_t thread;

	if (pthread_create(&thread, NULL, prove, &proof))
		return "cannot start a thread";
	pthread_join(thread, NULL);
	return proof.wrong;
}

static void down_and_up(int cpu)
{
	char name[64];
	const char *wrong;

	snprintf(name, sizeof(name), "hotplug-cpu%d", cpu);
	for (int round = 1; round <= ROUNDS; round++) {
		if (!set_online(cpu, false)) {
			not_ok(name, "round %d: cannot take it offline: %s",
			       round, strerror(errno));
			return;
		}
		if (!counts_are(nr_cpus - 1, name, "offline"))
			return;
		if (!works(cpu)) {
			not_ok(name, "round %d: still runs threads", round);
			return;
		}
		if (!set_online(cpu, true)) {
			not_ok(name, "round %d: cannot bring it back: %s",
			       round, strerror(errno));
			return;
		}
		if (!counts_are(nr_cpus, name, "online again"))
			return;
		wrong = works(cpu);
		if (wrong) {
			not_ok(name, "round %d: %s", round, wrong);
			return;
		}
	}
	ok(name, "%d times", ROUNDS);
}

static void all_down_and_up(void)
{
	static const char name[] = "hotplug-all";
	const char *wrong;

	for (int i = 1; i < nr_cpus; i++) {
		if (!set_online(cpus[i], false)) {
			not_ok(name, "cannot take CPU %d offline: %s", cpus[i],
			       strerror(errno));
			return;
		}
	}
	if (!counts_are(1, name, "all but one offline"))
		return;
	for (int i = 1; i < nr_cpus; i++) {
		if (!set_online(cpus[i], true)) {
			not_ok(name, "cannot bring CPU %d back: %s", cpus[i],
			       strerror(errno));
			return;
		}
	}
	if (!counts_are(nr_cpus, name, "all online again"))
		return;
	for (int i = 0; i < nr_cpus; i++) {
		wrong = works(cpus[i]);
		if (wrong) {
			not_ok(name, "CPU %d: %s", cpus[i], wrong);
			return;
		}
	}
	ok(name, "%d CPUs", nr_cpus);
}

int main(void)
{
	pthread_t threads[MAX_LOAD];
	long before[MAX_LOAD];
	int nr_load, stuck = 0;

	check_begin("hotplug", 240);
	nr_cpus = usable_cpus(cpus, MAX_CPUS);
	if (nr_cpus < 2) {
		skip("hotplug", "this machine has one CPU");
		return check_end();
	}
	if (!counts_are(nr_cpus, "hotplug-start", "at the start"))
		return check_end();
	ok("hotplug-start", "%d CPUs", nr_cpus);

	nr_load = nr_cpus + 1 < MAX_LOAD ? nr_cpus + 1 : MAX_LOAD;
	for (int i = 0; i < nr_load; i++)
		if (pthread_create(&threads[i], NULL, load,
				   (void *)(intptr_t)i))
			bail("cannot start the load: %s", strerror(errno));

	for (int i = 1; i < nr_cpus; i++)
		down_and_up(cpus[i]);
	all_down_and_up();

	/* Each thread of the load must still make progress. */
	for (int i = 0; i < nr_load; i++)
		before[i] = atomic_load(&progress[i]);
	for (int i = 0; i < nr_load; i++) {
		int64_t limit = now_ns() + 20 * NSEC_PER_SEC;

		while (atomic_load(&progress[i]) == before[i] &&
		       now_ns() < limit)
			usleep(10000);
		stuck += atomic_load(&progress[i]) == before[i];
	}
	if (stuck)
		not_ok("hotplug-load", "%d of %d threads make no progress", stuck,
		       nr_load);
	else
		ok("hotplug-load", "%d threads went on", nr_load);
	if (stuck)
		return check_end();
	atomic_store(&stop, true);
	for (int i = 0; i < nr_load; i++)
		pthread_join(threads[i], NULL);
	return check_end();
}
