// SPDX-License-Identifier: GPL-2.0
/*
 * What an operation costs, in TSC ticks. Meant for QEMU's -icount shift=0 on
 * one CPU, where a tick is an instruction, a hypervisor's included.
 *
 * Each operation is timed alone, many times over. The samples are taken in
 * batches, and the smallest of each batch is kept: a timer interrupt or a
 * refill of an allocator's cache falls into some samples of a batch, not into
 * all. Printed are the smallest, the median and the largest of the batches,
 * and the median of all samples, one line an operation:
 *
 *	cost <name> min=<n> median=<n> max=<n> all=<n> batches=<n> of=<n>
 *
 * "all" contains what the batches hide, and is less steady for it.
 *
 * Started as init, it also says what booting took, and powers off in the end.
 * Without a program to exec it then measures nothing else.
 */
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PAGE		4096UL
#define BATCH		5
#define FORK_PAGES	300
#define FORK_MANY	3000
#define RANGE_PAGES	256
#define FAULTS		64
#define FAULT_AROUND	16	/* pages that one file fault may map */

static const char *program;
static uint64_t overhead;

static inline uint64_t ticks(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t median(uint64_t *v, int n)
{
	qsort(v, n, sizeof(*v), compare);
	return v[n / 2];
}

static void report(const char *name, uint64_t *samples, int n)
{
	int batches = n / BATCH;
	uint64_t *best = calloc(batches, sizeof(*best));
	char line[256];
	int len;

	if (!best)
		bail("no memory");
	for (int i = 0; i < batches; i++) {
		best[i] = UINT64_MAX;
		for (int j = 0; j < BATCH; j++)
			if (samples[i * BATCH + j] < best[i])
				best[i] = samples[i * BATCH + j];
	}
	qsort(best, batches, sizeof(*best), compare);
	len = snprintf(line, sizeof(line),
		       "cost %s min=%llu median=%llu max=%llu all=%llu batches=%d of=%d\n",
		       name, (unsigned long long)best[0],
		       (unsigned long long)best[batches / 2],
		       (unsigned long long)best[batches - 1],
		       (unsigned long long)median(samples, n), batches, BATCH);
	if (write(STDOUT_FILENO, line, len) != len)
		check_failures++;
	free(best);
}

/* Time one call of a function, less what reading the clock costs. */
static void measure(const char *name, void (*op)(void), int n)
{
	uint64_t *samples = calloc(n, sizeof(*samples));

	if (!samples)
		bail("no memory");
	memset(samples, 1, n * sizeof(*samples));
	for (int i = 0; i < n / 4 + 2; i++)
		op();
	for (int i = 0; i < n; i++) {
		uint64_t start = ticks();

		op();
		samples[i] = ticks() - start - overhead;
	}
	report(name, samples, n);
	free(samples);
}

static void op_nothing(void)
{
	__asm__ volatile("" : : : "memory");
}

/* What two readings of the clock cost by themselves. */
static void find_overhead(void)
{
	uint64_t v[101];

	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		uint64_t start = ticks();

		v[i] = ticks() - start;
	}
	overhead = median(v, ARRAY_SIZE(v));
}

/*
 * Is a tick really an instruction? Two loops of two instructions a turn that
 * differ by a known number of turns must differ by twice that.
 */
static uint64_t time_loop(uint64_t turns)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 20; i++) {
		uint64_t n = turns, start = ticks(), took;

		__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n));
		took = ticks() - start;
		if (took < best)
			best = took;
	}
	return best;
}

static void prove_counting(void)
{
	const uint64_t small = 10000, large = 60000;
	uint64_t expected = 2 * (large - small);
	uint64_t got = time_loop(large) - time_loop(small);

	if (got == expected)
		ok("counting", "%llu instructions are %llu ticks",
		   (unsigned long long)expected, (unsigned long long)got);
	else
		not_ok("counting", "%llu instructions are %llu ticks",
		       (unsigned long long)expected, (unsigned long long)got);
}

static void op_getppid(void)
{
	syscall(SYS_getppid);
}

static char *map(size_t pages)
{
	char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	return p;
}

static void map_touch_unmap(size_t pages)
{
	char *p = map(pages);

	for (size_t i = 0; i < pages; i++)
		((volatile char *)p)[i * PAGE] = 1;
	munmap(p, pages * PAGE);
}

static void op_map_1(void)
{
	map_touch_unmap(1);
}

static void op_map_256(void)
{
	map_touch_unmap(RANGE_PAGES);
}

static char *range, *many;

static void op_mprotect(void)
{
	if (mprotect(range, RANGE_PAGES * PAGE, PROT_READ) ||
	    mprotect(range, RANGE_PAGES * PAGE, PROT_READ | PROT_WRITE))
		bail("mprotect: %s", strerror(errno));
}

static void wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		bail("a child failed: %s", strerror(errno));
}

static void op_fork(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	wait_for(pid);
}

static void op_exec(void)
{
	pid_t pid = fork();

	if (!pid) {
		execl(program, program, NULL);
		_exit(1);
	}
	wait_for(pid);
}

static int there[2], back[2];

static void op_pipe(void)
{
	char c = 0;

	if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
		bail("pipe: %s", strerror(errno));
}

static void pipe_ping_pong(void)
{
	pid_t pid;
	char c;

	if (pipe(there) || pipe(back))
		bail("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		bail("fork: %s", strerror(errno));
	if (!pid) {
		close(there[1]);
		close(back[0]);
		while (read(there[0], &c, 1) == 1)
			if (write(back[1], &c, 1) != 1)
				_exit(1);
		_exit(0);
	}
	close(there[0]);
	close(back[1]);
	measure("pipe-ping-pong", op_pipe, 600);
	close(there[1]);
	close(back[0]);
	wait_for(pid);
}

/*
 * Faults are timed one by one, as many as fit into a mapping, and the mapping
 * is made anew until there are enough. The first one of each mapping may also
 * build a page table: it is left out.
 */
static void time_faults(volatile char *p, size_t step, int faults, bool write,
			uint64_t *samples)
{
	char c;

	for (int i = 0; i < faults; i++) {
		uint64_t start = ticks();

		if (write)
			p[i * step] = 2;
		else
			c = p[i * step];
		samples[i] = ticks() - start - overhead;
	}
	(void)c;
}

static void fault_anonymous(void)
{
	enum { MAPS = 10 };
	static uint64_t samples[MAPS * FAULTS];

	for (int round = -1; round < MAPS; round++) {
		char *p = map(FAULTS + 1);

		p[FAULTS * PAGE] = 1;
		time_faults(p, PAGE, FAULTS, true,
			    samples + (round < 0 ? 0 : round) * FAULTS);
		munmap(p, (FAULTS + 1) * PAGE);
	}
	report("fault-anonymous", samples, ARRAY_SIZE(samples));
}

/* The child writes to what it shares with its parent, and tells how long. */
static void fault_cow(void)
{
	enum { FORKS = 10 };
	uint64_t *samples = mmap(NULL, FORKS * FAULTS * sizeof(*samples),
				 PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *p = map(FAULTS + 1);

	if (samples == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	memset(samples, 0, FORKS * FAULTS * sizeof(*samples));
	memset(p, 1, (FAULTS + 1) * PAGE);
	for (int round = -1; round < FORKS; round++) {
		pid_t pid = fork();

		if (!pid) {
			p[FAULTS * PAGE] = 2;
			time_faults(p, PAGE, FAULTS, true,
				    samples + (round < 0 ? 0 : round) * FAULTS);
			_exit(0);
		}
		wait_for(pid);
	}
	report("fault-cow", samples, FORKS * FAULTS);
	munmap(p, (FAULTS + 1) * PAGE);
	munmap(samples, FORKS * FAULTS * sizeof(*samples));
}

/* Each read fault maps what the page cache has around it, too. */
static void fault_file(void)
{
	enum { MAPS = 15, STEPS = 32 };
	static uint64_t samples[MAPS * STEPS];
	const size_t size = (STEPS + 1) * FAULT_AROUND * PAGE;
	int fd = memfd_create("file", MFD_CLOEXEC);
	char *p;

	if (fd < 0 || ftruncate(fd, size))
		bail("memfd: %s", strerror(errno));
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	memset(p, 1, size);
	munmap(p, size);
	for (int round = -1; round < MAPS; round++) {
		char sink;

		p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED)
			bail("mmap: %s", strerror(errno));
		sink = ((volatile char *)p)[STEPS * FAULT_AROUND * PAGE];
		(void)sink;
		time_faults(p, FAULT_AROUND * PAGE, STEPS, false,
			    samples + (round < 0 ? 0 : round) * STEPS);
		munmap(p, size);
	}
	close(fd);
	report("fault-file", samples, ARRAY_SIZE(samples));
}

/*
 * As init, this program also knows what it took to get here: in ticks since
 * reset, and since the kernel's own clock was started, early in setup_arch().
 * That clock stamps the kernel log, so a line written to it tells.
 */
static void boot_cost(uint64_t began)
{
	static const char mark[] = "opcost: begins\n";
	unsigned long long usec = 0;
	char record[512];
	uint64_t marked;
	int out, in;
	ssize_t n;

	if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL))
		bail("mount /dev: %s", strerror(errno));
	out = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	in = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (out < 0 || in < 0)
		bail("/dev/kmsg: %s", strerror(errno));
	lseek(in, 0, SEEK_END);
	marked = ticks();
	if (write(out, mark, sizeof(mark) - 1) < 0)
		bail("/dev/kmsg: %s", strerror(errno));
	while ((n = read(in, record, sizeof(record) - 1)) > 0) {
		record[n] = 0;
		if (strstr(record, "opcost: begins"))
			break;
	}
	if (n <= 0 || sscanf(record, "%*u,%*u,%llu", &usec) != 1)
		bail("the mark did not come back from the kernel log");
	close(in);
	close(out);
	printf("boot reset-ticks=%llu clock-us=%llu mark-ticks=%llu\n",
	       (unsigned long long)began, usec,
	       (unsigned long long)(marked - began));
	fflush(stdout);
}

static void measure_all(void)
{
	/* Huge pages come and go; what is compared here is the 4 KiB path. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	find_overhead();
	prove_counting();
	measure("nothing", op_nothing, 500);
	measure("getppid", op_getppid, 1000);
	pipe_ping_pong();
	measure("mmap-1", op_map_1, 500);
	measure("mmap-256", op_map_256, 60);
	range = map(RANGE_PAGES);
	memset(range, 1, RANGE_PAGES * PAGE);
	measure("mprotect-256", op_mprotect, 150);
	munmap(range, RANGE_PAGES * PAGE);
	fault_anonymous();
	fault_cow();
	fault_file();
	/* Last: the pages below are part of this process from here on. */
	range = map(FORK_PAGES);
	memset(range, 1, FORK_PAGES * PAGE);
	measure("fork-exit", op_fork, 150);
	measure("fork-exec", op_exec, 150);
	many = map(FORK_MANY);
	memset(many, 1, FORK_MANY * PAGE);
	measure("fork-many", op_fork, 30);
}

/* Init may not end, and is alone: what worlds/guest/init says, said from here. */
static void as_init(uint64_t began)
{
	pid_t pid;
	int status = 1;

	printf("PVOPS-BEGIN report\ncpus: %ld\nPVOPS-END report\n"
	       "PVOPS-BEGIN job opcost\n", sysconf(_SC_NPROCESSORS_ONLN));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		boot_cost(began);
		if (program)
			measure_all();
		_exit(check_end());
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	printf("\nPVOPS-END job opcost rc=%d\nPVOPS-DONE\n",
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128);
	fflush(stdout);
	reboot(RB_POWER_OFF);
	pause();
}

int main(int argc, char **argv)
{
	uint64_t began = ticks();

	check_job = "opcost";
	/* The kernel may hand words of its own command line to init first. */
	program = argv[argc - 1];
	if (argc < 2 || program[0] != '/' || access(program, X_OK))
		program = NULL;
	if (getpid() == 1)
		as_init(began);
	if (!program)
		bail("usage: opcost PROGRAM-THAT-EXITS");
	measure_all();
	return check_end();
}
