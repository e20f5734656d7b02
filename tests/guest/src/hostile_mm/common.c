// SPDX-License-Identifier: GPL-2.0
/*
 * Helpers of all trials: failures, mappings, a second thread or process,
 * counters.
 */
#include "hostile_mm.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define NOBODY		65534

struct control *control;
bool threaded;
pid_t victim;

/* Keep only the first failure: later ones follow from it. */
__attribute__((format(printf, 1, 2), noreturn))
void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!atomic_exchange(&control->failed, true))
		vsnprintf(control->failure, sizeof(control->failure), fmt, ap);
	va_end(ap);
	_exit(1);
}

__attribute__((format(printf, 1, 2)))
void remark(const char *fmt, ...)
{
	size_t n = strlen(control->remark);
	va_list ap;

	if (n && n + 3 < sizeof(control->remark)) {
		strcat(control->remark, ", ");
		n += 2;
	}
	va_start(ap, fmt);
	vsnprintf(control->remark + n, sizeof(control->remark) - n, fmt, ap);
	va_end(ap);
}

void need(bool good, const char *what)
{
	if (!good)
		fail("%s: %s", what, strerror(errno));
}

void none_wrong(size_t wrong, const char *what)
{
	if (wrong)
		fail("%zu wrong: %s", wrong, what);
}

bool stopped(void)
{
	return atomic_load(&control->stop);
}

int64_t in_ms(long ms)
{
	return now_ns() + ms * NSEC_PER_MSEC;
}

void *map(size_t pages, int prot, int flags, int fd)
{
	void *p = mmap(NULL, pages * PAGE, prot, flags, fd, 0);

	need(p != MAP_FAILED, "mmap");
	return p;
}

/* Exclude huge pages: the trials need page tables with 4 KiB pages. */
char *map_private(size_t pages)
{
	char *p = map(pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
	return p;
}

/*
 * Map an aligned area without touching it. No other area uses its page tables.
 */
char *map_aligned(size_t bytes, size_t align, int prot)
{
	char *p = map((bytes + align) / PAGE, prot,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	char *start = (char *)(((uintptr_t)p + align - 1) & ~(align - 1));

	if (start > p)
		munmap(p, start - p);
	munmap(start + bytes, p + align - start);
	madvise(start, bytes, MADV_NOHUGEPAGE);
	return start;
}

int memory_file(size_t pages)
{
	int fd = memfd_create("hostile", MFD_CLOEXEC);

	need(fd >= 0 && !ftruncate(fd, pages * PAGE), "memfd");
	return fd;
}

char *map_shared(size_t pages, int fd)
{
	return map(pages, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
}

size_t wrong_in_file(int fd, size_t first, size_t pages, uint64_t seed)
{
	size_t wrong = 0;
	uint64_t word;

	for (size_t i = first; i < pages; i++) {
		need(pread(fd, &word, 8, i * PAGE) == 8, "pread");
		wrong += word != pattern(seed, i);
		need(pread(fd, &word, 8, i * PAGE + PAGE - 8) == 8, "pread");
		wrong += word != pattern(~seed, i);
	}
	return wrong;
}

size_t wrong_from(const char *p, size_t first, size_t pages, uint64_t seed)
{
	size_t wrong = 0;

	for (size_t i = first; i < pages; i++)
		wrong += *(uint64_t *)(p + i * PAGE) != pattern(seed, i) ||
			 *(uint64_t *)(p + i * PAGE + PAGE - 8) != pattern(~seed, i);
	return wrong;
}

size_t nonzero_pages(const char *p, size_t pages)
{
	size_t wrong = 0;

	for (size_t i = 0; i < pages; i++)
		wrong += *(uint64_t *)(p + i * PAGE) != 0 ||
			 *(uint64_t *)(p + i * PAGE + PAGE - 8) != 0;
	return wrong;
}

pid_t spawn(void)
{
	pid_t parent = getpid(), pid = fork();

	need(pid >= 0, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

int wait_for(pid_t pid)
{
	int status;

	need(waitpid(pid, &status, 0) == pid, "waitpid");
	return status;
}

void ends_well(pid_t pid, const char *what)
{
	int status = wait_for(pid);

	if (status)
		fail("%s ended with status %#x", what, status);
}

static void *idle(void *arg)
{
	for (;;)
		pause();
	return arg;
}

void idle_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, idle, NULL))
		fail("no thread: %s", strerror(errno));
}

static void *other_thread(void *arg)
{
	struct other *other = arg;

	other->run(other->arg);
	return NULL;
}

void other_process(struct other *other, void (*run)(void *arg), void *arg)
{
	victim = getpid();
	other->pid = spawn();
	if (!other->pid) {
		run(arg);
		_exit(0);
	}
}

void other_start(struct other *other, void (*run)(void *arg), void *arg)
{
	victim = getpid();
	other->run = run;
	other->arg = arg;
	other->pid = 0;
	if (!threaded)
		other_process(other, run, arg);
	else if (pthread_create(&other->thread, NULL, other_thread, other))
		fail("no thread: %s", strerror(errno));
}

void other_end(struct other *other)
{
	atomic_store(&control->stop, true);
	if (other->pid)
		ends_well(other->pid, "the other process");
	else
		pthread_join(other->thread, NULL);
	atomic_store(&control->stop, false);
}

void counter_init(struct counter *c, char *base, size_t pages, size_t slot)
{
	c->base = base;
	c->pages = pages;
	c->slot = slot;
	c->loops = 0;
	c->wrote = calloc(pages, sizeof(*c->wrote));
	need(c->wrote, "calloc");
}

void count(struct counter *c)
{
	for (size_t i = 0; i < c->pages; i++) {
		volatile uint64_t *p = (volatile uint64_t *)(c->base + i * PAGE +
							     64 * c->slot);
		uint64_t seen = *p;

		if (seen != c->wrote[i])
			fail("slot %zu of page %zu is %lu, not %lu (loop %lu)", c->slot, i,
			     (unsigned long)seen, (unsigned long)c->wrote[i], c->loops);
		*p = ++c->wrote[i];
	}
	c->loops++;
}

void count_on(void *arg)
{
	struct counter *c = arg;

	while (!stopped())
		count(c);
	count(c);
}

int proc_open(pid_t pid, const char *file, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, flags | O_CLOEXEC);
	need(fd >= 0, path);
	return fd;
}

/*
 * Count the pages whose pagemap entry has a bit set: 62 swapped out, 63
 * present, 55 soft-dirty.
 */
size_t pages_with(const char *p, size_t pages, int bit)
{
	int fd = proc_open(getpid(), "pagemap", O_RDONLY);
	uint64_t entry;
	size_t n = 0;

	for (size_t i = 0; i < pages; i++) {
		need(pread(fd, &entry, 8, ((uintptr_t)p / PAGE + i) * 8) == 8, "pagemap");
		n += entry >> bit & 1;
	}
	close(fd);
	return n;
}

void page_out(void *p, size_t pages)
{
	need(!madvise(p, pages * PAGE, MADV_PAGEOUT), "MADV_PAGEOUT");
}

void protect(void *p, size_t pages, int prot)
{
	need(!mprotect(p, pages * PAGE, prot), "mprotect");
}

/* Change to read-only and back. This also flushes the TLBs of all CPUs. */
void flip(void *p, size_t pages)
{
	protect(p, pages, PROT_READ);
	protect(p, pages, PROT_READ | PROT_WRITE);
}

void must_write(const char *path, const char *text)
{
	need(write_file(path, text), path);
}

void become_nobody(void)
{
	need(!setresgid(NOBODY, NOBODY, NOBODY) && !setresuid(NOBODY, NOBODY, NOBODY),
	     "setresuid");
	/*
	 * After a change of user, /proc/self belongs to root unless the process
	 * is dumpable.
	 */
	prctl(PR_SET_DUMPABLE, 1);
}

size_t wrong_apart(const char *p, size_t bytes, size_t step, uint64_t seed)
{
	size_t wrong = 0;

	for (size_t i = 0; i < bytes / step; i++)
		wrong += *(uint64_t *)(p + i * step) != pattern(seed, i);
	return wrong;
}

void fill_apart(char *p, size_t bytes, size_t step, uint64_t seed)
{
	for (size_t i = 0; i < bytes / step; i++)
		*(uint64_t *)(p + i * step) = pattern(seed, i);
}
