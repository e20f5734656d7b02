// SPDX-License-Identifier: GPL-2.0
/*
 * Page tables under stress; the data in memory is checked.
 *
 * A paravirtual MMU may implement read-modify-write operations differently:
 * get-and-clear, write-protect, test-and-clear-young. If such an operation
 * loses the Dirty bit that a CPU sets at the same time, or leaves a stale
 * translation in a TLB, data is lost. Each part therefore lets another CPU
 * write at that moment, and then looks for lost data.
 */
#include "memory.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#ifndef MADV_COLD
#define MADV_COLD	20
#define MADV_PAGEOUT	21
#endif

#define MAX_WRITERS	8
#define THP_DIRECTORY	"/sys/kernel/mm/transparent_hugepage/"
#define THP		THP_DIRECTORY "enabled"
#define THP_2M		THP_DIRECTORY "hugepages-2048kB"
#define BUDGET_NS	(NSEC_PER_SEC * 3 / 2)

static int cpus[64];
static int nr_cpus;

static size_t nonzero_pages(const char *base, size_t pages)
{
	size_t wrong = 0;

	for (size_t i = 0; i < pages; i++)
		wrong += *(uint64_t *)(base + i * PAGE) != 0 ||
			 *(uint64_t *)(base + i * PAGE + PAGE - 8) != 0;
	return wrong;
}

/*
 * Writers are threads on all CPUs. Each increments a word of its own in every
 * page of a shared area, and keeps a copy of the words it wrote. A word that
 * differs from its copy is a lost write.
 */
struct writer {
	pthread_t thread;
	int cpu, index;
	unsigned long loops;
	uint64_t *wrote;
	unsigned long lost;
};

static struct {
	char *base;
	size_t pages;
	atomic_bool stop;
	struct writer writer[MAX_WRITERS];
	int nr;
} area;

static volatile uint64_t *slot(int writer, size_t page)
{
	return (volatile uint64_t *)(area.base + page * PAGE + 64 * writer);
}

static void *write_on(void *arg)
{
	struct writer *me = arg;

	pin(me->cpu);
	while (!atomic_load(&area.stop)) {
		for (size_t i = 0; i < area.pages; i++) {
			volatile uint64_t *p = slot(me->index, i);

			if (*p != me->wrote[i])
				me->lost++;
			me->wrote[i]++;
			*p = me->wrote[i];
		}
		me->loops++;
	}
	return NULL;
}

static void writers_start(char *base, size_t pages)
{
	area.base = base;
	area.pages = pages;
	atomic_store(&area.stop, false);
	area.nr = nr_cpus < MAX_WRITERS ? nr_cpus : MAX_WRITERS;
	if (area.nr < 2)
		area.nr = 2;
	for (int i = 0; i < area.nr; i++) {
		struct writer *w = &area.writer[i];

		memset(w, 0, sizeof(*w));
		w->index = i;
		w->cpu = cpus[i % nr_cpus];
		w->wrote = calloc(pages, sizeof(*w->wrote));
		if (!w->wrote)
			bail("no memory");
		if (pthread_create(&w->thread, NULL, write_on, w))
			bail("cannot start a thread: %s", strerror(errno));
	}
}

/*
 * Returns the number of lost writes; *loops is the number of rounds of all
 * writers.
 */
static unsigned long writers_stop(unsigned long *loops)
{
	unsigned long lost = 0;

	*loops = 0;
	atomic_store(&area.stop, true);
	for (int i = 0; i < area.nr; i++)
		pthread_join(area.writer[i].thread, NULL);
	for (int i = 0; i < area.nr; i++) {
		struct writer *w = &area.writer[i];

		lost += w->lost;
		for (size_t page = 0; page < area.pages; page++)
			lost += *slot(i, page) != w->wrote[page];
		*loops += w->loops;
		free(w->wrote);
	}
	return lost;
}

static void judge(const char *name, unsigned long lost, unsigned long rounds,
		  unsigned long loops)
{
	if (lost)
		not_ok(name, "%lu writes lost", lost);
	else if (!rounds || !loops)
		not_ok(name, "nothing happened: %lu rounds, %lu loops", rounds,
		       loops);
	else
		ok(name, "%lu rounds against %lu loops of %d writers", rounds,
		   loops, area.nr);
}

/*
 * Wait for a child. Returns the number of wrong pages, or 1000 plus the signal
 * that killed it.
 */
static unsigned long reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return 1;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return 1000 + WTERMSIG(status);
}

static int capped(size_t n)
{
	return n > 200 ? 200 : (int)n;
}

/* fork() write-protects the parent's pages. Then both processes write. */
static void fork_cow(void)
{
	const size_t pages = 256;
	char *p = map_anon(pages);
	unsigned long wrong = 0;
	int rounds;

	madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
	for (rounds = 0; rounds < 12; rounds++) {
		uint64_t seed = rounds * 2 + 1;
		pid_t pid;

		fill_pages(p, pages, seed);
		pid = fork();
		if (pid < 0)
			bail("fork: %s", strerror(errno));
		if (!pid) {
			size_t bad = wrong_pages(p, pages, seed);

			fill_pages(p, pages, seed + 1000);
			sched_yield();
			bad += wrong_pages(p, pages, seed + 1000);
			_exit(capped(bad));
		}
		fill_pages(p, pages / 2, seed + 1);
		wrong += wrong_pages(p, pages / 2, seed + 1);
		for (size_t i = pages / 2; i < pages; i++)
			wrong += *(uint64_t *)(p + i * PAGE) !=
				 pattern(seed, i);
		wrong += reap(pid);
	}
	munmap(p, pages * PAGE);
	if (wrong)
		not_ok("mm-fork-cow", "%lu wrong", wrong);
	else
		ok("mm-fork-cow", "%d forks of %zu pages", rounds, pages);
}

/*
 * The child's copy is a snapshot. Its words must not change, and no word may be
 * older than before the fork.
 */
static size_t snapshot_wrong(size_t pages, const uint64_t *before)
{
	size_t bad = 0;
	uint64_t *seen = calloc(pages, sizeof(*seen));

	if (!seen)
		return 1;
	for (size_t i = 0; i < pages; i++) {
		seen[i] = *slot(0, i);
		bad += seen[i] < before[i];
	}
	sched_yield();
	for (size_t i = 0; i < pages; i++)
		bad += *slot(0, i) != seen[i];
	free(seen);
	return bad;
}

/* The same while threads of the parent write. */
static void fork_against_writers(void)
{
	const size_t pages = 64;
	char *p = map_anon(pages);
	uint64_t *before = calloc(pages, sizeof(*before));
	int64_t limit = now_ns() + BUDGET_NS;
	unsigned long loops, lost, rounds = 0, wrong = 0;

	if (!before)
		bail("no memory");
	madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
	writers_start(p, pages);
	while (now_ns() < limit) {
		pid_t pid;

		for (size_t i = 0; i < pages; i++)
			before[i] = *slot(0, i);
		pid = fork();
		if (pid < 0)
			bail("fork: %s", strerror(errno));
		if (!pid)
			_exit(capped(snapshot_wrong(pages, before)));
		wrong += reap(pid);
		rounds++;
	}
	lost = writers_stop(&loops);
	munmap(p, pages * PAGE);
	free(before);
	if (wrong)
		not_ok("mm-fork-snapshot", "%lu words wrong in children", wrong);
	else
		ok("mm-fork-snapshot", "%lu children", rounds);
	judge("mm-fork-against-writers", lost, rounds, loops);
}

/* Change the rights to read-only and back. A writer that faults tries again. */
static atomic_ulong caught;

static void on_segv(int sig, siginfo_t *info, void *context)
{
	char *at = info->si_addr;

	(void)sig;
	(void)context;
	if (at < area.base || at >= area.base + area.pages * PAGE)
		_exit(99);
	atomic_fetch_add(&caught, 1);
	sched_yield();
}

static void mprotect_against_writers(void)
{
	const size_t pages = 64;
	char *p = map_anon(pages);
	struct sigaction sa = {
		.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO,
	}, old;
	int64_t limit;
	unsigned long loops, lost, rounds = 0, moved = 0;

	madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
	sigaction(SIGSEGV, &sa, &old);
	writers_start(p, pages);
	limit = now_ns() + BUDGET_NS;
	while (now_ns() < limit) {
		uint64_t first, second;

		if (mprotect(p, pages * PAGE, PROT_READ))
			bail("mprotect: %s", strerror(errno));
		/*
		 * The area is read-only on every CPU now: no word may change.
		 */
		first = *slot(area.nr - 1, pages / 2);
		for (int i = 0; i < 200; i++)
			__asm__ volatile("pause");
		second = *slot(area.nr - 1, pages / 2);
		moved += first != second;
		/* On a busy machine no writer may have run meanwhile. */
		if (!atomic_load(&caught))
			usleep(1000);
		if (mprotect(p, pages * PAGE, PROT_READ | PROT_WRITE))
			bail("mprotect: %s", strerror(errno));
		usleep(200);
		rounds++;
	}
	lost = writers_stop(&loops);
	sigaction(SIGSEGV, &old, NULL);
	munmap(p, pages * PAGE);
	if (moved)
		not_ok("mm-mprotect-holds", "written %lu times while read-only",
		       moved);
	else if (!atomic_load(&caught))
		not_ok("mm-mprotect-holds", "no writer was ever caught");
	else
		ok("mm-mprotect-holds", "%lu faults", atomic_load(&caught));
	judge("mm-mprotect-against-writers", lost, rounds, loops);
}

/*
 * A stale translation shows as foreign data in a new mapping, or as lost data
 * of the thread's own. All threads share the address space. Each unmaps only
 * memory of its own.
 */
static atomic_ulong stale;
static atomic_bool unmap_stop;
static atomic_ulong unmap_rounds;

static void *map_unmap(void *arg)
{
	int me = (int)(intptr_t)arg;
	const size_t pages = 32;
	uint64_t seed = 77 + me;

	pin(cpus[me % nr_cpus]);
	while (!atomic_load(&unmap_stop)) {
		char *p = map_anon(pages);
		size_t bad = nonzero_pages(p, pages);

		fill_pages(p, pages, ++seed);
		sched_yield();
		bad += wrong_pages(p, pages, seed);
		/*
		 * First make a hole, so that page tables are split and freed
		 * unevenly.
		 */
		munmap(p + 8 * PAGE, 16 * PAGE);
		bad += wrong_pages(p, 8, seed);
		munmap(p, pages * PAGE);
		atomic_fetch_add(&stale, bad);
		atomic_fetch_add(&unmap_rounds, 1);
	}
	return NULL;
}

static void unmap_shared(void)
{
	pthread_t threads[MAX_WRITERS];
	int n = nr_cpus + 1 < MAX_WRITERS ? nr_cpus + 1 : MAX_WRITERS;

	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, map_unmap,
				   (void *)(intptr_t)i))
			bail("cannot start a thread: %s", strerror(errno));
	usleep(BUDGET_NS / 1000);
	atomic_store(&unmap_stop, true);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	if (stale || !unmap_rounds)
		not_ok("mm-munmap-shared", "%lu pages wrong in %lu rounds",
		       stale, unmap_rounds);
	else
		ok("mm-munmap-shared", "%lu rounds in %d threads", unmap_rounds,
		   n);
}

/* mremap() moves page-table entries. The old place must be empty afterwards. */
static void move_pages(void)
{
	const size_t pages = 700;	/* more than one page table */
	unsigned long wrong = 0;
	int rounds;
	char *p = map_anon(pages);

	madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
	fill_pages(p, pages, 5);
	for (rounds = 0; rounds < 10; rounds++) {
		char *target = map_anon(pages + 512);
		unsigned char vec;
		char *q;

		q = mremap(p, pages * PAGE, pages * PAGE,
			   MREMAP_MAYMOVE | MREMAP_FIXED, target + PAGE * rounds);
		if (q == MAP_FAILED)
			bail("mremap: %s", strerror(errno));
		wrong += wrong_pages(q, pages, 5);
		if (!mincore(p, PAGE, &vec) || errno != ENOMEM)
			wrong++;
		/* Unmap the rest of the target around the moved pages. */
		if (rounds)
			munmap(target, PAGE * rounds);
		munmap(q + pages * PAGE, (512 - rounds) * PAGE);
		p = q;
	}
	munmap(p, pages * PAGE);
	if (wrong)
		not_ok("mm-mremap", "%lu wrong", wrong);
	else
		ok("mm-mremap", "%d moves of %zu pages", rounds, pages);
}

static void advise(void)
{
	const size_t pages = 128;
	char *p = map_anon(pages);
	size_t wrong;

	madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
	fill_pages(p, pages, 9);
	if (madvise(p, pages / 2 * PAGE, MADV_DONTNEED))
		bail("MADV_DONTNEED: %s", strerror(errno));
	wrong = nonzero_pages(p, pages / 2);
	for (size_t i = pages / 2; i < pages; i++)
		wrong += *(uint64_t *)(p + i * PAGE) != pattern(9, i);
	if (wrong)
		not_ok("mm-dontneed", "%zu pages wrong", wrong);
	else
		ok("mm-dontneed", NULL);

	/* There is no swap: the data must stay, whatever the advice. */
	fill_pages(p, pages, 10);
	if (madvise(p, pages * PAGE, MADV_COLD) ||
	    madvise(p, pages * PAGE, MADV_PAGEOUT))
		skip("mm-cold", "MADV_COLD/PAGEOUT: %s", strerror(errno));
	else if (wrong_pages(p, pages, 10))
		not_ok("mm-cold", "%zu pages wrong", wrong_pages(p, pages, 10));
	else
		ok("mm-cold", NULL);
	munmap(p, pages * PAGE);
}

/*
 * After MADV_FREE only the Dirty bit distinguishes a page with new data from a
 * page that may be dropped. Write to every second page, have the pages
 * reclaimed, and check them.
 */
static void dirty_after_free(void)
{
	const size_t pages = 256;
	char *p = map_anon(pages);
	size_t lost = 0, dropped = 0;

	madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
	for (int round = 0; round < 4; round++) {
		fill_pages(p, pages, 20 + round);
		if (madvise(p, pages * PAGE, MADV_FREE)) {
			skip("mm-dirty-after-free", "MADV_FREE: %s",
			     strerror(errno));
			munmap(p, pages * PAGE);
			return;
		}
		for (size_t i = 0; i < pages; i += 2)
			*(uint64_t *)(p + i * PAGE) = pattern(40 + round, i);
		madvise(p, pages * PAGE, MADV_PAGEOUT);
		for (size_t i = 0; i < pages; i++) {
			uint64_t word = *(uint64_t *)(p + i * PAGE);

			if (!(i & 1))
				lost += word != pattern(40 + round, i);
			else if (!word)
				dropped++;
			else
				lost += word != pattern(20 + round, i);
		}
	}
	munmap(p, pages * PAGE);
	if (lost)
		not_ok("mm-dirty-after-free", "%zu written pages lost", lost);
	else if (!dropped)
		not_ok("mm-dirty-after-free", "nothing shown: no clean page was reclaimed");
	else
		ok("mm-dirty-after-free", "%zu clean pages dropped, no dirty one",
		   dropped);
}

/*
 * Dirty tracking of a shared file: writeback cleans and write-protects each
 * entry while threads write. The file is a block device over a file in memory,
 * so the contents "on disk" can be compared with the written data.
 */
static int loop_device(int backing, char *name, size_t size)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int fd, n;

	if (control < 0)
		return -1;
	n = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	if (n < 0)
		return -1;
	snprintf(name, size, "/dev/loop%d", n);
	fd = open(name, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && ioctl(fd, LOOP_SET_FD, backing)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void writeback_against_writers(void)
{
	static const char name[] = "mm-writeback-against-writers";
	const size_t pages = 64;
	int backing = memfd_create("backing", MFD_CLOEXEC);
	unsigned long loops, lost, rounds = 0;
	char device[32] = "/dev/loop-control";
	int64_t limit;
	char *p, *disk;
	int fd;

	if (backing < 0 || ftruncate(backing, pages * PAGE))
		bail("memfd: %s", strerror(errno));
	fd = loop_device(backing, device, sizeof(device));
	if (fd < 0) {
		skip(name, "no loop device (%s): %s", device, strerror(errno));
		close(backing);
		return;
	}
	p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		bail("mmap %s: %s", device, strerror(errno));
	limit = now_ns() + BUDGET_NS;
	writers_start(p, pages);
	while (now_ns() < limit) {
		if (msync(p, pages * PAGE, MS_SYNC))
			bail("msync: %s", strerror(errno));
		rounds++;
	}
	lost = writers_stop(&loops);
	if (msync(p, pages * PAGE, MS_SYNC) || fsync(fd))
		bail("msync: %s", strerror(errno));
	disk = mmap(NULL, pages * PAGE, PROT_READ, MAP_SHARED, backing, 0);
	if (disk == MAP_FAILED)
		bail("mmap backing: %s", strerror(errno));
	for (size_t i = 0; i < pages; i++)
		lost += memcmp(p + i * PAGE, disk + i * PAGE, PAGE) != 0;
	munmap(disk, pages * PAGE);
	munmap(p, pages * PAGE);
	ioctl(fd, LOOP_CLR_FD, 0);
	close(fd);
	close(backing);
	judge(name, lost, rounds, loops);
}

/* Find a field, in kB, of the smaps entry of addr; -1 if there is none. */
static long smaps_kb(const void *addr, const char *field)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long from, to;
	char line[256];
	bool inside = false;
	long kb = -1;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = (unsigned long)addr >= from &&
				 (unsigned long)addr < to;
		else if (inside && !strncmp(line, field, strlen(field)))
			kb = atol(line + strlen(field));
	}
	fclose(f);
	return kb;
}

/*
 * The Accessed bit must be set for pages touched after clearing it, and for no
 * others.
 */
static void accessed_bit(void)
{
	const size_t pages = 128, touched = 48;
	char *p = map_anon(pages);
	volatile char sink;
	long kb;

	madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
	fill_pages(p, pages, 30);
	if (!write_file("/proc/self/clear_refs", "1")) {
		skip("mm-accessed", "clear_refs: %s", strerror(errno));
		munmap(p, pages * PAGE);
		return;
	}
	/*
	 * Clearing the bits does not flush the TLB. mprotect() does, and keeps
	 * the bits.
	 */
	mprotect(p, pages * PAGE, PROT_READ);
	mprotect(p, pages * PAGE, PROT_READ | PROT_WRITE);
	kb = smaps_kb(p, "Referenced:");
	if (kb != 0)
		not_ok("mm-accessed-cleared", "%ld kB still referenced", kb);
	else
		ok("mm-accessed-cleared", NULL);
	for (size_t i = 0; i < touched; i++)
		sink = p[i * PAGE];
	(void)sink;
	kb = smaps_kb(p, "Referenced:");
	if (kb != (long)(touched * PAGE / 1024))
		not_ok("mm-accessed", "%zu pages read, %ld kB referenced",
		       touched, kb);
	else
		ok("mm-accessed", "%zu pages", touched);
	if (wrong_pages(p, pages, 30))
		not_ok("mm-accessed-data", "%zu pages wrong",
		       wrong_pages(p, pages, 30));
	munmap(p, pages * PAGE);
}

/* All of the above with huge pages, whose entries are PMDs. */
static void huge(void)
{
	const size_t unit = 512, pages = 4 * unit;
	char text[128], *map, *p, *q;
	unsigned long wrong = 0;
	long kb;
	pid_t pid;

	/* Below 512 MiB of memory the kernel disables them by default. */
	write_file(THP, "madvise");
	if (!read_file(THP, text, sizeof(text)) || access(THP_2M, F_OK)) {
		skip("mm-huge", "no transparent huge pages in this machine");
		return;
	}
	if (!strstr(text, "[madvise]")) {
		skip("mm-huge", "transparent huge pages cannot be switched on: %s",
		     text);
		return;
	}
	map = map_anon(pages + unit);
	p = (char *)(((unsigned long)map + unit * PAGE - 1) &
		     ~(unit * PAGE - 1));
	madvise(p, pages * PAGE, MADV_HUGEPAGE);
	fill_pages(p, pages, 50);
	kb = smaps_kb(p, "AnonHugePages:");
	if (kb <= 0) {
		skip("mm-huge", "no huge page was given");
		munmap(map, (pages + unit) * PAGE);
		return;
	}
	pid = fork();			/* the PMD is write-protected */
	if (pid < 0)
		bail("fork: %s", strerror(errno));
	if (!pid) {
		size_t bad = wrong_pages(p, pages, 50);

		fill_pages(p, pages, 51);
		_exit(capped(bad + wrong_pages(p, pages, 51)));
	}
	fill_pages(p, unit, 52);		/* the PMD is split and pages are copied */
	wrong += wrong_pages(p, unit, 52);
	wrong += reap(pid);
	fill_pages(p, pages, 53);
	mprotect(p, pages * PAGE, PROT_READ);
	wrong += wrong_pages(p, pages, 53);
	mprotect(p, pages * PAGE, PROT_READ | PROT_WRITE);
	fill_pages(p, pages, 54);
	/*
	 * Split a huge page: make one small page read-only, and drop another.
	 */
	mprotect(p + 3 * PAGE, PAGE, PROT_READ);
	wrong += wrong_pages(p, pages, 54);
	mprotect(p + 3 * PAGE, PAGE, PROT_READ | PROT_WRITE);
	madvise(p + (unit + 7) * PAGE, PAGE, MADV_DONTNEED);
	wrong += nonzero_pages(p + (unit + 7) * PAGE, 1);
	fill_pages(p, pages, 55);
	wrong += wrong_pages(p, pages, 55);
	/* Move one huge page as a whole. */
	q = map_anon(2 * unit);
	q = mremap(p + 2 * unit * PAGE, unit * PAGE, unit * PAGE,
		   MREMAP_MAYMOVE | MREMAP_FIXED,
		   (void *)(((unsigned long)q + unit * PAGE - 1) &
			    ~(unit * PAGE - 1)));
	if (q == MAP_FAILED)
		bail("mremap of a huge page: %s", strerror(errno));
	for (size_t i = 0; i < unit; i++)
		wrong += *(uint64_t *)(q + i * PAGE) !=
			 pattern(55, 2 * unit + i);
	munmap(p, 2 * unit * PAGE);
	for (size_t i = 3 * unit; i < pages; i++)
		wrong += *(uint64_t *)(p + i * PAGE) != pattern(55, i);
	if (wrong)
		not_ok("mm-huge", "%lu wrong", wrong);
	else
		ok("mm-huge", "%ld kB in huge pages", kb);
}

/* Fork while other CPUs write to huge pages. */
static void huge_against_writers(void)
{
	const size_t unit = 512;
	char *map = map_anon(2 * unit), *p;
	int64_t limit;
	unsigned long loops, lost, rounds = 0, wrong = 0;

	p = (char *)(((unsigned long)map + unit * PAGE - 1) &
		     ~(unit * PAGE - 1));
	madvise(p, unit * PAGE, MADV_HUGEPAGE);
	*(volatile char *)p = 0;
	if (smaps_kb(p, "AnonHugePages:") <= 0) {
		skip("mm-huge-against-writers", "no huge page was given");
		munmap(map, 2 * unit * PAGE);
		return;
	}
	writers_start(p, unit);
	limit = now_ns() + BUDGET_NS;
	while (now_ns() < limit) {
		pid_t pid = fork();

		if (pid < 0)
			bail("fork: %s", strerror(errno));
		if (!pid)
			_exit(0);
		wrong += reap(pid);
		rounds++;
	}
	lost = writers_stop(&loops);
	munmap(map, 2 * unit * PAGE);
	judge("mm-huge-against-writers", lost + wrong, rounds, loops);
}

/* Create and destroy address spaces on all CPUs at once. */
static void fork_storm(void)
{
	int64_t limit = now_ns() + BUDGET_NS;
	unsigned long wrong = 0;
	pid_t pids[MAX_WRITERS];
	int n = nr_cpus + 1 < MAX_WRITERS ? nr_cpus + 1 : MAX_WRITERS;

	for (int i = 0; i < n; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			bail("fork: %s", strerror(errno));
		if (pids[i])
			continue;
		for (uint64_t seed = i; now_ns() < limit; seed++) {
			char *p = map_anon(24);
			pid_t pid;

			fill_pages(p, 24, seed);
			pid = fork();
			if (pid < 0)
				_exit(1);
			if (!pid) {
				size_t bad = wrong_pages(p, 24, seed);

				fill_pages(p, 12, seed + 1);
				_exit(capped(bad + wrong_pages(p, 12, seed + 1)));
			}
			wrong += reap(pid) + wrong_pages(p, 24, seed);
			munmap(p, 24 * PAGE);
		}
		_exit(capped(wrong));
	}
	for (int i = 0; i < n; i++)
		wrong += reap(pids[i]);
	if (wrong)
		not_ok("mm-fork-storm", "%lu wrong", wrong);
	else
		ok("mm-fork-storm", "%d processes", n);
}

/*
 * Execute a new program, with a new address space, on each CPU in turn. The
 * parent has had threads.
 */
static void exec_storm(const char *program)
{
	unsigned long wrong = 0;
	int rounds;

	if (access(program, X_OK)) {
		not_ok("mm-exec-storm", "%s: %s", program, strerror(errno));
		return;
	}
	for (rounds = 0; rounds < 60; rounds++) {
		pid_t pid = fork();

		if (pid < 0)
			bail("fork: %s", strerror(errno));
		if (!pid) {
			pin(cpus[rounds % nr_cpus]);
			execl(program, program, NULL);
			_exit(1);
		}
		wrong += reap(pid);
	}
	if (wrong)
		not_ok("mm-exec-storm", "%lu failed", wrong);
	else
		ok("mm-exec-storm", "%d execs", rounds);
}

int main(int argc, char **argv)
{
	check_begin("mmstress", 240);
	nr_cpus = usable_cpus(cpus, 64);
	if (argc != 2)
		bail("usage: mmstress PROGRAM-THAT-EXITS");
	fork_cow();
	fork_against_writers();
	mprotect_against_writers();
	unmap_shared();
	move_pages();
	advise();
	dirty_after_free();
	writeback_against_writers();
	accessed_bit();
	huge();
	huge_against_writers();
	fork_storm();
	exec_storm(argv[1]);
	return check_end();
}
