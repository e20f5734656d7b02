// SPDX-License-Identifier: GPL-2.0
/*
 * What a program may ask of the memory management, asked for in the ways that hurt a
 * paravirtual one: entries that the kernel reads back after it wrote them, walks of
 * another process' tables while that process runs, whole page tables that change at
 * once, address spaces that end in the middle of something.
 *
 * Each trial is a process of its own, mostly of an unprivileged user. Most are made
 * twice: with one thread, and with a second one that sleeps, because the kernel takes
 * short cuts where an address space has one user only. A trial has failed if a byte is
 * not what was written, if its process dies, if it does not end, or if the kernel
 * complains meanwhile. Arguments are names of trials (patterns), for trying a few.
 */
#include "memory.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <linux/loop.h>
#include <linux/membarrier.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define NOBODY		65534
#define MIB		(1024 * 1024UL)
#define GIB		(1024 * MIB)
#define TABLE		512UL	/* pages that one page table maps */
#define SECONDS_ALL	300
#define SECONDS_TRIAL	60
#define SWAP_DEVICE	"/dev/ram0"
#define SWAP_BYTES	(64 * MIB)
#define KSM		"/sys/kernel/mm/ksm/"
#define GROUP		"/sys/fs/cgroup/hostile"

/* What the headers of the compiler's system need not have yet. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY	1
#endif
#define FEATURE_WP_UNPOPULATED	0x2000
#define FEATURE_WP_ASYNC	0x8000
#define FEATURE_MOVE		0x10000

struct move_arg {
	uint64_t dst, src, len, mode;
	int64_t move;
};

#define IOCTL_MOVE		_IOWR(UFFDIO, 5, struct move_arg)

struct scan_range {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t inverted, mask, anyof, returned;
};

#define IOCTL_SCAN		_IOWR('f', 16, struct scan_arg)
#define SCAN_WP			3	/* only where write faults resolve themselves */
#define SCAN_WRITTEN		2

/* Of a trial. */
#define ALONE		1
#define THREADS		2	/* with a second one that sleeps */
#define BOTH		(ALONE | THREADS)
#define ROOT		4	/* what it does takes privileges */
#define COMPACT		8	/* while all memory is compacted again and again */
#define QUIET		16	/* the kernel rightly says much: not on the console */

struct trial {
	const char *name;
	void (*run)(void);
	int how;
};

/* Shared by all processes of a trial. */
struct control {
	atomic_bool failed, stop;
	atomic_ulong events[4];
	char failure[200], remark[200];
};

static struct control *control;
static bool threaded;

/* ---- what all trials need */

/* The first failure counts: the others follow from it. */
__attribute__((format(printf, 1, 2), noreturn))
static void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!atomic_exchange(&control->failed, true))
		vsnprintf(control->failure, sizeof(control->failure), fmt, ap);
	va_end(ap);
	_exit(1);
}

__attribute__((format(printf, 1, 2)))
static void remark(const char *fmt, ...)
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

static void need(bool good, const char *what)
{
	if (!good)
		fail("%s: %s", what, strerror(errno));
}

static void none_wrong(size_t wrong, const char *what)
{
	if (wrong)
		fail("%zu wrong: %s", wrong, what);
}

static bool stopped(void)
{
	return atomic_load(&control->stop);
}

static int64_t in_ms(long ms)
{
	return now_ns() + ms * NSEC_PER_MSEC;
}

static void *map(size_t pages, int prot, int flags, int fd)
{
	void *p = mmap(NULL, pages * PAGE, prot, flags, fd, 0);

	need(p != MAP_FAILED, "mmap");
	return p;
}

/* Page by page: a huge page would take part in none of this. */
static char *map_private(size_t pages)
{
	char *p = map(pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
	return p;
}

/* Not touched yet; its page tables are its own. */
static char *map_aligned(size_t bytes, size_t align, int prot)
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

static int memory_file(size_t pages)
{
	int fd = memfd_create("hostile", MFD_CLOEXEC);

	need(fd >= 0 && !ftruncate(fd, pages * PAGE), "memfd");
	return fd;
}

static char *map_shared(size_t pages, int fd)
{
	return map(pages, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
}

static size_t wrong_in_file(int fd, size_t first, size_t pages, uint64_t seed)
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

static size_t wrong_from(const char *p, size_t first, size_t pages, uint64_t seed)
{
	size_t wrong = 0;

	for (size_t i = first; i < pages; i++)
		wrong += *(uint64_t *)(p + i * PAGE) != pattern(seed, i) ||
			 *(uint64_t *)(p + i * PAGE + PAGE - 8) != pattern(~seed, i);
	return wrong;
}

static size_t nonzero_pages(const char *p, size_t pages)
{
	size_t wrong = 0;

	for (size_t i = 0; i < pages; i++)
		wrong += *(uint64_t *)(p + i * PAGE) != 0 ||
			 *(uint64_t *)(p + i * PAGE + PAGE - 8) != 0;
	return wrong;
}

static pid_t spawn(void)
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

static int wait_for(pid_t pid)
{
	int status;

	need(waitpid(pid, &status, 0) == pid, "waitpid");
	return status;
}

static void ends_well(pid_t pid, const char *what)
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

static void idle_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, idle, NULL))
		fail("no thread: %s", strerror(errno));
}

/*
 * The other one: a thread if the trial has threads, else a process. The latter shares
 * what is mapped so, and reaches the rest from outside, by the victim's number.
 */
struct other {
	pthread_t thread;
	pid_t pid;
	void (*run)(void *arg);
	void *arg;
};

static pid_t victim;

static void *other_thread(void *arg)
{
	struct other *other = arg;

	other->run(other->arg);
	return NULL;
}

static void other_process(struct other *other, void (*run)(void *arg), void *arg)
{
	victim = getpid();
	other->pid = spawn();
	if (!other->pid) {
		run(arg);
		_exit(0);
	}
}

static void other_start(struct other *other, void (*run)(void *arg), void *arg)
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

static void other_end(struct other *other)
{
	atomic_store(&control->stop, true);
	if (other->pid)
		ends_well(other->pid, "the other process");
	else
		pthread_join(other->thread, NULL);
	atomic_store(&control->stop, false);
}

/*
 * One word in each page that one writer counts up. It knows what it wrote last, so it
 * sees when a write is lost.
 */
struct counter {
	char *base;
	size_t pages, slot;
	uint64_t *wrote;
	unsigned long loops;
};

static void counter_init(struct counter *c, char *base, size_t pages, size_t slot)
{
	c->base = base;
	c->pages = pages;
	c->slot = slot;
	c->loops = 0;
	c->wrote = calloc(pages, sizeof(*c->wrote));
	need(c->wrote, "calloc");
}

static void count(struct counter *c)
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

static void count_on(void *arg)
{
	struct counter *c = arg;

	while (!stopped())
		count(c);
	count(c);
}

static int proc_open(pid_t pid, const char *file, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, flags | O_CLOEXEC);
	need(fd >= 0, path);
	return fd;
}

/* Pages that are in swap (bit 62) or there (bit 63). */
static size_t pages_with(const char *p, size_t pages, int bit)
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

static void page_out(void *p, size_t pages)
{
	need(!madvise(p, pages * PAGE, MADV_PAGEOUT), "MADV_PAGEOUT");
}

static void protect(void *p, size_t pages, int prot)
{
	need(!mprotect(p, pages * PAGE, prot), "mprotect");
}

/* To read-only and back, which also makes all CPUs forget what they know of it. */
static void flip(void *p, size_t pages)
{
	protect(p, pages, PROT_READ);
	protect(p, pages, PROT_READ | PROT_WRITE);
}

/* ---- userfaultfd */

static int uffd_open(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);

	need(fd >= 0, "userfaultfd");
	need(!ioctl(fd, UFFDIO_API, &api), "UFFDIO_API");
	return fd;
}

static void uffd_register(int fd, void *p, size_t pages, uint64_t mode)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)p, .len = pages * PAGE }, .mode = mode,
	};

	need(!ioctl(fd, UFFDIO_REGISTER, &reg), "UFFDIO_REGISTER");
}

static void uffd_unregister(int fd, void *p, size_t pages)
{
	struct uffdio_range range = { .start = (uintptr_t)p, .len = pages * PAGE };

	need(!ioctl(fd, UFFDIO_UNREGISTER, &range), "UFFDIO_UNREGISTER");
}

/* False if the address space is just changing: then it is to be asked for anew. */
static bool uffd_try_wp(int fd, const void *p, size_t pages, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)p, .len = pages * PAGE },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	if (!ioctl(fd, UFFDIO_WRITEPROTECT, &wp))
		return true;
	if (errno != EAGAIN && errno != ENOENT && errno != ESRCH)
		fail("UFFDIO_WRITEPROTECT: %s", strerror(errno));
	return false;
}

static void uffd_wp(int fd, const void *p, size_t pages, bool on)
{
	while (!uffd_try_wp(fd, p, pages, on))
		sched_yield();
}

static bool uffd_copy(int fd, char *to, const void *from, uint64_t mode)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)to, .src = (uintptr_t)from, .len = PAGE, .mode = mode,
	};

	return !ioctl(fd, UFFDIO_COPY, &copy);
}

static bool uffd_zero(int fd, char *p)
{
	struct uffdio_zeropage zero = { .range = { .start = (uintptr_t)p, .len = PAGE } };

	return !ioctl(fd, UFFDIO_ZEROPAGE, &zero);
}

static bool uffd_continue(int fd, char *p)
{
	struct uffdio_continue more = { .range = { .start = (uintptr_t)p, .len = PAGE } };

	return !ioctl(fd, UFFDIO_CONTINUE, &more);
}

#define WP	UFFDIO_REGISTER_MODE_WP
#define WP_SYNC	(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM)
#define WP_SELF	(WP_SYNC | FEATURE_WP_ASYNC | FEATURE_WP_UNPOPULATED)

/*
 * Entries that are taken away leave a marker behind, which tells that the page was
 * write-protected. To know whether one is due the kernel reads the entry that it just
 * cleared.
 */
static void uffd_wp_shmem(void)
{
	const size_t pages = 96, half = pages / 2;

	for (int round = 0; round < 14; round++) {
		uint64_t seed = 100 + round;
		int fd = memory_file(pages), uffd = uffd_open(WP_SYNC);
		char *p = map_shared(pages, fd);
		size_t lost = 0;	/* pages at the start whose contents may go */

		fill_pages(p, pages, seed);
		uffd_register(uffd, p, pages, WP);
		uffd_wp(uffd, p, pages, true);
		switch (round % 7) {
		case 0:
			need(!madvise(p, pages * PAGE, MADV_DONTNEED), "DONTNEED");
			break;
		case 1:
			need(!madvise(p + half * PAGE, half * PAGE, MADV_DONTNEED),
			     "DONTNEED");
			break;
		case 2:
			page_out(p, pages);
			need(!madvise(p, pages * PAGE, MADV_DONTNEED), "DONTNEED");
			break;
		case 3:
			need(!madvise(p, half * PAGE, MADV_REMOVE), "MADV_REMOVE");
			lost = half;
			break;
		case 4:
			need(!ftruncate(fd, 0) && !ftruncate(fd, pages * PAGE), "ftruncate");
			lost = pages;
			break;
		case 5:
			page_out(p, pages);
			need(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
					half * PAGE), "fallocate");
			lost = half;
			break;
		default:
			munmap(p, pages * PAGE);
			p = map_shared(pages, fd);
		}
		none_wrong(nonzero_pages(p, lost), "removed pages");
		none_wrong(wrong_from(p, lost, pages, seed), "pages of the mapping");
		none_wrong(wrong_in_file(fd, lost, pages, seed), "pages of the file");
		if (round % 7 != 6)
			uffd_wp(uffd, p, pages, false);
		fill_pages(p, pages, ++seed);
		none_wrong(wrong_in_file(fd, 0, pages, seed), "pages written afterwards");
		munmap(p, pages * PAGE);
		close(uffd);
		close(fd);
	}
}

/* The same with pages of a private mapping that are in swap. */
static void uffd_wp_swap(void)
{
	const size_t pages = 96;
	size_t swapped = 0;

	for (int round = 0; round < 8; round++) {
		uint64_t seed = 200 + round;
		int fd = memory_file(pages), uffd = uffd_open(WP_SYNC);
		char *p = map_shared(pages, fd);

		fill_pages(p, pages, seed);
		munmap(p, pages * PAGE);
		p = map(pages, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
		fill_pages(p, pages, ~seed);
		uffd_register(uffd, p, pages, WP);
		uffd_wp(uffd, p, pages, true);
		page_out(p, pages);
		swapped += pages_with(p, pages, 62);
		switch (round % 4) {
		case 0:
			need(!madvise(p, pages * PAGE, MADV_DONTNEED), "DONTNEED");
			none_wrong(wrong_pages(p, pages, seed), "pages of the file");
			break;
		case 1:
			need(!ftruncate(fd, 0) && !ftruncate(fd, pages * PAGE), "ftruncate");
			none_wrong(nonzero_pages(p, pages), "truncated pages");
			break;
		case 2:
			none_wrong(wrong_pages(p, pages, ~seed), "pages from swap");
			page_out(p, pages);
			uffd_wp(uffd, p, pages, false);
			none_wrong(wrong_pages(p, pages, ~seed), "pages unprotected in swap");
			break;
		default:
			uffd_unregister(uffd, p, pages);
			none_wrong(wrong_pages(p, pages, ~seed), "pages unregistered in swap");
		}
		if (round % 4 < 2)
			uffd_wp(uffd, p, pages, false);
		fill_pages(p, pages, ++seed);
		none_wrong(wrong_pages(p, pages, seed), "pages written afterwards");
		munmap(p, pages * PAGE);
		close(uffd);
		close(fd);
	}
	if (!swapped)
		fail("no page went to swap");
	remark("%zu pages in swap", swapped);
}

/* A file that is not in memory only: there write faults must resolve themselves. */
static void uffd_wp_file(void)
{
	const size_t pages = 48;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char *file = malloc(pages * PAGE);

	need(fd >= 0 && file && pread(fd, file, pages * PAGE, 0) == (ssize_t)(pages * PAGE),
	     "/proc/self/exe");
	for (int round = 0; round < 6; round++) {
		int uffd = uffd_open(WP_SELF);
		char *p = map(pages, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);

		if (round % 2)
			fill_pages(p, pages, round);
		uffd_register(uffd, p, pages, WP);
		uffd_wp(uffd, p, pages, true);
		if (round >= 4)
			fill_pages(p, pages, round);
		if (round >= 2)
			page_out(p, pages);
		need(!madvise(p, pages * PAGE, MADV_DONTNEED), "DONTNEED");
		if (memcmp(p, file, pages * PAGE))
			fail("not the file's contents (round %d)", round);
		fill_pages(p, pages, ~round);
		none_wrong(wrong_pages(p, pages, ~round), "pages written afterwards");
		munmap(p, pages * PAGE);
		close(uffd);
	}
	free(file);
	close(fd);
}

/* Who answers what a userfaultfd tells. */
struct handler {
	int fd;
	char *base, *source;	/* a missing page comes from there */
	size_t pages;
	bool protect;		/* write-protect all now and then */
};

enum { FAULTS, FORKS, MOVES, REMOVES };

static char *source_of(const struct handler *h, uintptr_t address)
{
	return h->source + (address - (uintptr_t)h->base);
}

static void answer_fault(const struct handler *h, int fd, const struct uffd_msg *msg)
{
	uintptr_t address = msg->arg.pagefault.address & ~(PAGE - 1);
	size_t number = (address - (uintptr_t)h->base) / PAGE;
	char *page = (char *)address;
	bool good = true;

	if (msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
		/* The faulting one waits until the answer is given. */
		uffd_wp(fd, page, 1, false);
	} else if (msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_MINOR) {
		good = uffd_continue(fd, page);
	} else if (number % 3) {
		good = uffd_copy(fd, page, source_of(h, address), 0);
	} else {
		good = uffd_zero(fd, page);
	}
	if (!good && errno != EEXIST && errno != EAGAIN && errno != ENOENT)
		fail("a fault's answer: %s", strerror(errno));
	atomic_fetch_add(&control->events[FAULTS], 1);
}

static void handle(void *arg)
{
	struct handler *h = arg;
	struct pollfd fds[16] = { { .fd = h->fd, .events = POLLIN } };
	struct uffd_msg msg;
	int n = 1;

	while (!stopped()) {
		if (poll(fds, n, h->protect ? 1 : 20) <= 0) {
			if (h->protect)
				uffd_try_wp(h->fd, h->base, h->pages, true);
			continue;
		}
		for (int i = 0; i < n; i++) {
			if (!(fds[i].revents & POLLIN))
				continue;
			if (read(fds[i].fd, &msg, sizeof(msg)) != sizeof(msg))
				continue;
			if (msg.event == UFFD_EVENT_PAGEFAULT) {
				answer_fault(h, fds[i].fd, &msg);
			} else if (msg.event == UFFD_EVENT_FORK) {
				atomic_fetch_add(&control->events[FORKS], 1);
				/* The oldest child is gone long ago. */
				if (n == ARRAY_SIZE(fds)) {
					close(fds[1].fd);
					memmove(fds + 1, fds + 2, (n - 2) * sizeof(fds[0]));
					n--;
				}
				fds[n].fd = msg.arg.fork.ufd;
				fds[n].revents = 0;
				fds[n++].events = POLLIN;
			} else if (msg.event == UFFD_EVENT_REMAP) {
				atomic_fetch_add(&control->events[MOVES], 1);
			} else {
				atomic_fetch_add(&control->events[REMOVES], 1);
			}
		}
	}
	/* Nobody is to be left waiting. */
	if (h->protect)
		uffd_wp(h->fd, h->base, h->pages, false);
	for (int i = 1; i < n; i++)
		close(fds[i].fd);
}

static void uffd_fault_in(char *p, size_t pages)
{
	struct handler h = { .fd = uffd_open(WP_SYNC), .base = p, .pages = pages,
			     .protect = true };
	int64_t end = in_ms(400);
	struct counter c;
	struct other other;

	counter_init(&c, p, pages, 1);
	count(&c);
	atomic_store(&control->events[FAULTS], 0);
	uffd_register(h.fd, p, pages, WP);
	other_start(&other, handle, &h);
	do {
		count(&c);
		if (c.loops % 16 == 0)
			page_out(p, pages);
		if (c.loops % 5 == 0)
			flip(p, pages);
	} while (now_ns() < end || !atomic_load(&control->events[FAULTS]));
	/* The other one answers until it is told to stop, and then unprotects. */
	other_end(&other);
	count(&c);
	remark("%lu faults in %lu loops", atomic_load(&control->events[FAULTS]), c.loops);
	close(h.fd);
	free(c.wrote);
}

/* Protected by another one, from outside if there are no threads, while it writes. */
static void uffd_wp_fault(void)
{
	const size_t pages = 64;
	int fd = memory_file(pages);

	uffd_fault_in(map_private(pages), pages);
	uffd_fault_in(map_shared(pages, fd), pages);
}

/* Pages put into their places by a system call, in all ways that there are. */
static void uffd_fill(void)
{
	const size_t pages = 24;
	char *source = map_private(pages), *p, *q;
	struct handler h = { .base = NULL };
	struct other other;
	bool can_move = true;
	size_t wrong = 0;
	int fd;

	fill_pages(source, pages, 31);
	for (int round = 0; round < 3; round++) {
		p = map_private(pages);
		h = (struct handler){ .fd = uffd_open(UFFD_FEATURE_PAGEFAULT_FLAG_WP), .base = p,
				      .source = source, .pages = pages };
		uffd_register(h.fd, p, pages, UFFDIO_REGISTER_MODE_MISSING | WP);
		for (size_t i = 0; i < pages / 2; i++)
			need(uffd_copy(h.fd, p + i * PAGE, source + i * PAGE,
				       i % 2 ? UFFDIO_COPY_MODE_WP : 0), "UFFDIO_COPY");
		none_wrong(wrong_pages(p, pages / 2, 31), "copied pages");
		other_start(&other, handle, &h);
		/* Half of the copies are write-protected, the rest is not there. */
		for (size_t i = 0; i < pages; i++)
			*(uint64_t *)(p + i * PAGE + 512) = i + round;
		for (size_t i = 0; i < pages; i++) {
			bool zero = i >= pages / 2 && i % 3 == 0;

			wrong += *(uint64_t *)(p + i * PAGE + 512) != i + round;
			wrong += *(uint64_t *)(p + i * PAGE) != (zero ? 0 : pattern(31, i));
		}
		need(!madvise(p, pages * PAGE, MADV_DONTNEED), "DONTNEED");
		for (size_t i = 0; i < pages; i++)
			wrong += *(uint64_t *)(p + i * PAGE) != (i % 3 ? pattern(31, i) : 0);
		other_end(&other);
		none_wrong(wrong, "pages put in when touched");
		munmap(p, pages * PAGE);
		close(h.fd);
	}
	for (int round = 0; round < 3; round++) {
		fd = memory_file(pages);
		q = map_shared(pages, fd);
		fill_pages(q, pages, 32);
		p = map_shared(pages, fd);
		h = (struct handler){ .fd = uffd_open(UFFD_FEATURE_MINOR_SHMEM), .base = p,
				      .source = source, .pages = pages };
		uffd_register(h.fd, p, pages, UFFDIO_REGISTER_MODE_MINOR);
		for (size_t i = 0; i < pages; i += 2)
			need(uffd_continue(h.fd, p + i * PAGE), "UFFDIO_CONTINUE");
		other_start(&other, handle, &h);
		none_wrong(wrong_pages(p, pages, 32), "pages of the cache");
		fill_pages(p, pages, 33);
		none_wrong(wrong_pages(q, pages, 33), "pages seen through the other mapping");
		other_end(&other);
		munmap(p, pages * PAGE);
		munmap(q, pages * PAGE);
		close(h.fd);
		close(fd);
	}
	for (int round = 0; round < 4 && can_move; round++) {
		struct move_arg move = { .len = pages * PAGE };

		q = map_private(pages);
		p = map_private(pages);
		fill_pages(q, pages, 34);
		if (round % 2)
			page_out(q, pages);
		h.fd = uffd_open(FEATURE_MOVE);
		uffd_register(h.fd, p, pages, UFFDIO_REGISTER_MODE_MISSING);
		move.dst = (uintptr_t)p;
		move.src = (uintptr_t)q;
		while (move.len) {
			int rc = ioctl(h.fd, IOCTL_MOVE, &move);

			if (rc && errno != EAGAIN)
				fail("UFFDIO_MOVE: %s", strerror(errno));
			if (move.move > 0) {
				move.dst += move.move;
				move.src += move.move;
				move.len -= move.move;
			}
		}
		none_wrong(wrong_pages(p, pages, 34), "moved pages");
		none_wrong(nonzero_pages(q, pages), "pages left where they were moved from");
		munmap(p, pages * PAGE);
		munmap(q, pages * PAGE);
		close(h.fd);
	}
	munmap(source, pages * PAGE);
}

/* A child has a userfaultfd of its own, and its pages are protected as they were. */
static void uffd_fork(void)
{
	const size_t pages = 16;
	char *p = map_private(pages);
	struct handler h = { .fd = uffd_open(WP_SYNC | UFFD_FEATURE_EVENT_FORK), .base = p,
			     .pages = pages };
	struct other other;
	int round;

	fill_pages(p, pages, 1);
	/* First who answers, then what is asked: starting a process is a fork, too. */
	other_start(&other, handle, &h);
	uffd_register(h.fd, p, pages, WP);
	for (round = 1; round <= 6; round++) {
		pid_t child;

		uffd_wp(h.fd, p, pages, true);
		child = spawn();
		if (!child) {
			none_wrong(wrong_pages(p, pages, round), "pages of the child");
			fill_pages(p, pages, 1000 + round);
			none_wrong(wrong_pages(p, pages, 1000 + round), "child's own pages");
			_exit(0);
		}
		if (round % 2)
			fill_pages(p, pages, round);
		ends_well(child, "the child");
		none_wrong(wrong_pages(p, pages, round), "pages of the parent");
		fill_pages(p, pages, round + 1);
	}
	other_end(&other);
	if (atomic_load(&control->events[FORKS]) < 6)
		fail("%lu of 6 forks were told", atomic_load(&control->events[FORKS]));
	remark("%lu faults", atomic_load(&control->events[FAULTS]));
}

static void uffd_events(void)
{
	const size_t pages = 64;
	uint64_t features = WP_SYNC | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE |
			    UFFD_FEATURE_EVENT_UNMAP;
	char *a = map_aligned(2 * MIB, 2 * MIB, PROT_READ | PROT_WRITE);
	char *b = map_aligned(2 * MIB, 2 * MIB, PROT_NONE);
	struct handler h = { .fd = uffd_open(features), .base = a, .pages = pages };
	struct other other;

	uffd_register(h.fd, a, TABLE, WP);
	other_start(&other, handle, &h);
	for (int round = 0; round < 8; round++) {
		char *q;

		fill_pages(a, pages, round);
		uffd_wp(h.fd, a, pages, true);
		q = mremap(a, 2 * MIB, 2 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED, b);
		need(q == b, "mremap");
		b = a;
		a = q;
		none_wrong(wrong_pages(a, pages, round), "moved pages");
		/* Still protected: the other one is asked for each. */
		fill_pages(a, pages, ~round);
		none_wrong(wrong_pages(a, pages, ~round), "pages written after the move");
		uffd_wp(h.fd, a, pages, true);
		need(!madvise(a, pages / 2 * PAGE, MADV_DONTNEED), "DONTNEED");
		none_wrong(nonzero_pages(a, pages / 2), "pages that were given up");
	}
	munmap(a, 2 * MIB);
	other_end(&other);
	if (atomic_load(&control->events[MOVES]) < 8 || atomic_load(&control->events[REMOVES]) < 9)
		fail("%lu moves and %lu removals were told",
		     atomic_load(&control->events[MOVES]),
		     atomic_load(&control->events[REMOVES]));
	remark("%lu faults", atomic_load(&control->events[FAULTS]));
}

/* Marks each page that was written since it was last asked, and protects it anew. */
static long scan(int fd, char *p, size_t pages, bool *written)
{
	struct scan_range ranges[64];
	struct scan_arg arg = {
		.size = sizeof(arg), .flags = SCAN_WP, .start = (uintptr_t)p,
		.end = (uintptr_t)p + pages * PAGE, .vec = (uintptr_t)ranges,
		.vec_len = ARRAY_SIZE(ranges), .mask = SCAN_WRITTEN, .returned = SCAN_WRITTEN,
	};
	long n, found = 0;

	while (arg.start < arg.end) {
		n = ioctl(fd, IOCTL_SCAN, &arg);
		need(n >= 0, "PAGEMAP_SCAN");
		for (long i = 0; i < n; i++) {
			for (uint64_t at = ranges[i].start; at < ranges[i].end; at += PAGE) {
				if (written)
					written[(at - (uintptr_t)p) / PAGE] = true;
				found++;
			}
		}
		arg.start = arg.walk_end;
	}
	return found;
}

struct scanner {
	char *p;
	size_t pages;
};

static void scan_on(void *arg)
{
	const struct scanner *s = arg;
	int fd = proc_open(victim, "pagemap", O_RDONLY);

	while (!stopped())
		atomic_fetch_add(&control->events[0], scan(fd, s->p, s->pages, NULL));
	close(fd);
}

static void scan_in(char *p, size_t pages)
{
	int fd = proc_open(getpid(), "pagemap", O_RDONLY), uffd = uffd_open(WP_SELF);
	struct scanner s = { .p = p, .pages = pages };
	bool *written = calloc(pages, 1);
	int64_t end = in_ms(300);
	struct counter c;
	struct other other;

	need(written, "calloc");
	counter_init(&c, p, pages, 2);
	count(&c);
	uffd_register(uffd, p, pages, WP);
	uffd_wp(uffd, p, pages, true);
	scan(fd, p, pages, NULL);
	for (int round = 0; round < 6; round++) {
		size_t wrong = 0;

		memset(written, 0, pages);
		for (size_t i = round; i < pages; i += 3 + round)
			p[i * PAGE] = round;
		if (round % 3 == 2)
			page_out(p, pages);
		scan(fd, p, pages, written);
		for (size_t i = 0; i < pages; i++)
			wrong += written[i] != ((long)i - round >= 0 &&
						(i - round) % (3 + round) == 0);
		none_wrong(wrong, "pages said to be written");
	}
	atomic_store(&control->events[0], 0);
	other_start(&other, scan_on, &s);
	do {
		count(&c);
		if (c.loops % 32 == 0)
			page_out(p, pages);
	} while (now_ns() < end);
	other_end(&other);
	count(&c);
	remark("%lu pages written in %lu loops", atomic_load(&control->events[0]), c.loops);
	close(uffd);
	close(fd);
	free(written);
	free(c.wrote);
}

static void pagemap_scan(void)
{
	const size_t pages = 96;

	scan_in(map_private(pages), pages);
	scan_in(map_shared(pages, memory_file(pages)), pages);
}

/* ---- equal pages made one, and pages that move */

static long number_in(const char *path)
{
	char text[64];

	need(read_file(path, text, sizeof(text)), path);
	return atol(text);
}

static void put(const char *path, const char *text)
{
	need(write_file(path, text), path);
}

static void become_nobody(void)
{
	need(!setresgid(NOBODY, NOBODY, NOBODY) && !setresuid(NOBODY, NOBODY, NOBODY),
	     "setresuid");
	/* Else /proc belongs to root, and what it was is not this program's own. */
	prctl(PR_SET_DUMPABLE, 1);
}

static void ksm_victim(void)
{
	const size_t pages = 256;
	char *p = map_private(pages);
	int64_t end = in_ms(15000);

	become_nobody();
	for (int round = 0; round < 2; round++) {
		size_t wrong = 0;
		pid_t child;

		for (size_t i = 0; i < pages; i++)
			memset(p + i * PAGE, 0x5a + round, PAGE);
		need(!madvise(p, pages * PAGE, MADV_MERGEABLE), "MADV_MERGEABLE");
		while (number_in(KSM "pages_sharing") < (long)pages / 2) {
			if (now_ns() > end)
				fail("only %ld pages were merged",
				     number_in(KSM "pages_sharing"));
			usleep(10000);
		}
		child = spawn();
		if (!child) {
			fill_pages(p, pages, 5);
			none_wrong(wrong_pages(p, pages, 5), "merged pages of a child");
			_exit(0);
		}
		/* Half is written while the other half is being merged. */
		fill_pages(p, pages / 2, 7 + round);
		for (size_t i = pages / 2; i < pages; i++)
			for (size_t k = 0; k < PAGE; k += 512)
				wrong += p[i * PAGE + k] != 0x5a + round;
		ends_well(child, "a child");
		none_wrong(wrong, "merged pages");
		none_wrong(wrong_pages(p, pages / 2, 7 + round), "pages written after merging");
		if (round) {
			need(!madvise(p, pages * PAGE, MADV_UNMERGEABLE), "MADV_UNMERGEABLE");
		} else {
			atomic_store(&control->events[0], 1);
			while (atomic_load(&control->events[0]))
				usleep(1000);
		}
		none_wrong(wrong_pages(p, pages / 2, 7 + round), "pages that are single again");
		for (size_t i = pages / 2; i < pages; i++)
			wrong += p[i * PAGE + 17] != 0x5a + round;
		none_wrong(wrong, "pages that were merged");
	}
}

static void ksm(void)
{
	pid_t child;

	put(KSM "pages_to_scan", "2000");
	put(KSM "sleep_millisecs", "5");
	put(KSM "run", "1");
	child = spawn();
	if (!child) {
		if (threaded)
			idle_thread();
		ksm_victim();
		_exit(0);
	}
	while (!atomic_load(&control->events[0]) && !atomic_load(&control->failed)) {
		if (waitpid(child, NULL, WNOHANG))
			fail("the child died");
		usleep(1000);
	}
	/* 2 takes all merged pages apart, in whatever process. */
	put(KSM "run", "2");
	put(KSM "run", "1");
	atomic_store(&control->events[0], 0);
	ends_well(child, "the child");
	put(KSM "run", "0");
}

/* Pages with holes between them, so that there is something to compact. */
static void compaction(void)
{
	const size_t pages = 1024;
	int64_t end = in_ms(800);
	char *old = map_private(pages);
	unsigned long rounds = 0;

	fill_pages(old, pages, 1);
	do {
		uint64_t seed = 10 + rounds++;
		char *p = map_private(pages), *shared = map_shared(64, memory_file(64));
		pid_t child;

		fill_pages(p, pages, seed);
		fill_pages(shared, 64, seed);
		for (size_t i = 0; i < pages; i += 2)
			need(!madvise(p + i * PAGE, PAGE, MADV_DONTNEED), "DONTNEED");
		child = spawn();
		if (!child) {
			none_wrong(wrong_pages(old, pages, 1), "pages of a child");
			fill_pages(p, pages, seed + 1);
			none_wrong(wrong_pages(p, pages, seed + 1), "written pages of a child");
			_exit(0);
		}
		protect(p, pages, PROT_READ);
		for (size_t i = 1; i < pages; i += 2)
			if (*(uint64_t *)(p + i * PAGE) != pattern(seed, i))
				fail("page %zu is wrong", i);
		protect(p, pages, PROT_READ | PROT_WRITE);
		fill_pages(p, pages, ~seed);
		none_wrong(wrong_pages(p, pages, ~seed), "written pages");
		ends_well(child, "a child");
		none_wrong(wrong_pages(shared, 64, seed), "shared pages");
		none_wrong(wrong_pages(old, pages, 1), "old pages");
		munmap(p, pages * PAGE);
		munmap(shared, 64 * PAGE);
	} while (now_ns() < end || rounds < 3);
	remark("%lu rounds", rounds);
}

static void compact_all(void)
{
	for (;;) {
		if (!write_file("/proc/sys/vm/compact_memory", "1"))
			_exit(1);
		usleep(5000);
	}
}

/* ---- ends */

static void *mrelease_thread(void *arg)
{
	volatile char *p = arg;

	for (;;)
		for (size_t i = 0; i < 1024; i++)
			p[i * PAGE]++;
	return NULL;
}

/* An address space that is taken apart by another process while its own one ends. */
static void mrelease(void)
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
			/* Every other one ends by itself just then. */
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

		/* Of pagemap and mem where the program itself is mapped. */
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

/* Who looks at an address space last takes it apart, and that is not its own process. */
static void last_user(void)
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
 * An address space that has one user, two, and one again, in the middle of what the
 * kernel does to its tables.
 */
static void shared_mm(void)
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

	put(GROUP "/cgroup.procs", "0");
	become_nobody();
	if (threaded)
		for (int i = 0; i < 2; i++)
			pthread_create(&threads[i], NULL, mrelease_thread, p + i * MIB * 6);
	if (kind == 1) {
		/* Many that share pages until they write. */
		fill_pages(p, 1024, 1);
		for (int i = 0; i < 6; i++)
			if (fork() == 0)
				break;
		fill_pages(p, 1024, 2);
	} else if (kind == 2) {
		/* Over the limit in fork: page tables are memory, too. */
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

/* A memory cgroup kills at its limit, with page tables in whatever state they are. */
static void memcg_oom(void)
{
	put("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	need(!mkdir(GROUP, 0755) || errno == EEXIST, "mkdir " GROUP);
	put(GROUP "/memory.max", "8388608");
	/* Else it would swap for ever, and nobody would be killed. */
	put(GROUP "/memory.swap.max", "0");
	put(GROUP "/memory.oom.group", "1");
	put("/proc/sys/vm/oom_dump_tasks", "0");
	for (int round = 0; round < 8; round++) {
		int64_t end = in_ms(20000);
		pid_t child = spawn();
		char text[256];
		int status;

		if (!child)
			oom_child(round % 4);
		status = wait_for(child);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			fail("kind %d ended with status %#x", round % 4, status);
		/* Whatever it forked, too. */
		do {
			usleep(5000);
			put(GROUP "/cgroup.kill", "1");
			need(read_file(GROUP "/cgroup.events", text, sizeof(text)), "events");
		} while (!strstr(text, "populated 0") && now_ns() < end);
		if (!strstr(text, "populated 0"))
			fail("kind %d: the group is not empty", round % 4);
	}
	put("/proc/sys/vm/oom_dump_tasks", "1");
	for (int i = 0; rmdir(GROUP); i++) {
		if (i == 200)
			fail("rmdir " GROUP ": %s", strerror(errno));
		usleep(10000);
	}
}

/* ---- pages that go out while others use them */

static void pageout_on(void *arg)
{
	static const int how[] = { MADV_PAGEOUT, MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED };
	const struct counter *c = arg;
	struct iovec all = { .iov_base = c->base, .iov_len = c->pages * PAGE };
	int pidfd = syscall(SYS_pidfd_open, victim, 0);

	need(pidfd >= 0, "pidfd_open");
	for (unsigned int i = 0; !stopped(); i++) {
		int advice = how[i % ARRAY_SIZE(how)];

		if (syscall(SYS_process_madvise, pidfd, &all, 1, advice, 0) < 0)
			fail("process_madvise: %s", strerror(errno));
		atomic_fetch_add(&control->events[0], 1);
		usleep(500);
	}
	close(pidfd);
}

static void against_pageout(char *p, size_t pages)
{
	int64_t end = in_ms(350);
	struct other other;
	struct counter c;

	counter_init(&c, p, pages, 3);
	count(&c);
	atomic_store(&control->events[0], 0);
	other_start(&other, pageout_on, &c);
	do {
		count(&c);
		if (c.loops % 8 == 0)
			flip(p, pages);
	} while (now_ns() < end || atomic_load(&control->events[0]) < 4);
	other_end(&other);
	count(&c);
	free(c.wrote);
	remark("%lu loops", c.loops);
}

/* Sent out by another thread or process while the victim writes. */
static void pageout_remote(void)
{
	const size_t pages = 96;

	against_pageout(map_private(pages), pages);
	against_pageout(map_shared(pages, memory_file(pages)), pages);
}

static void pageout_self(void)
{
	const size_t pages = 256;
	char *p = map_private(pages), *s = map_shared(pages, memory_file(pages));
	char *idle = map_private(pages);
	int64_t end = in_ms(500);
	struct counter mine, theirs, alone;
	struct other other;
	size_t swapped = 0;

	counter_init(&mine, s, pages, 1);
	counter_init(&theirs, s, pages, 2);
	counter_init(&alone, p, pages, 1);
	other_start(&other, count_on, &theirs);
	for (int round = 0; now_ns() < end || round < 4; round++) {
		size_t wrong = 0;

		count(&mine);
		count(&alone);
		page_out(s, pages);
		page_out(p, pages);
		swapped += pages_with(p, pages, 62);
		count(&mine);
		need(!madvise(s, pages * PAGE, MADV_COLD), "MADV_COLD");
		need(!madvise(p, pages * PAGE, MADV_COLD), "MADV_COLD");
		count(&alone);
		/* What may go is there or is not; what was written since is there. */
		fill_pages(idle, pages, round);
		need(!madvise(idle, pages * PAGE, MADV_FREE), "MADV_FREE");
		*(uint64_t *)(idle + PAGE * 3) = 77 + round;
		page_out(idle, pages);
		for (size_t i = 0; i < pages; i++) {
			uint64_t word = *(uint64_t *)(idle + i * PAGE);

			wrong += i == 3 ? word != 77UL + round :
				 word && word != pattern(round, i);
		}
		none_wrong(wrong, "pages that were free to go");
	}
	other_end(&other);
	count(&mine);
	count(&alone);
	if (!swapped)
		fail("no page went to swap");
	remark("%lu loops, %zu pages in swap", alone.loops, swapped);
}

static bool swap_on(void)
{
	char page[PAGE] = "";
	uint32_t *header = (uint32_t *)(page + 1024);
	int fd = open(SWAP_DEVICE, O_RDWR | O_CLOEXEC);
	bool good;

	if (fd < 0)
		return false;
	header[0] = 1;
	header[1] = SWAP_BYTES / PAGE - 1;
	memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
	good = pwrite(fd, page, PAGE, 0) == (ssize_t)PAGE;
	if (fsync(fd) || close(fd))
		good = false;
	return good && (!swapon(SWAP_DEVICE, 0) || errno == EBUSY);
}

/* Every page in swap comes back, into tables whose owners run. */
static void swap_off(void)
{
	const size_t pages = 1024;

	for (int round = 0; round < 3; round++) {
		pid_t children[3];
		int ready[2];
		char byte = 0;

		need(!pipe(ready), "pipe");
		for (int i = 0; i < 3; i++) {
			children[i] = spawn();
			if (!children[i]) {
				char *p = map_private(pages), *cold = map_private(pages);
				struct counter c;

				become_nobody();
				if (threaded)
					idle_thread();
				counter_init(&c, p, pages, i);
				fill_pages(cold, pages, i);
				count(&c);
				page_out(p, pages);
				page_out(cold, pages);
				if (write(ready[1], &byte, 1) != 1)
					_exit(1);
				count_on(&c);
				none_wrong(wrong_pages(cold, pages, i), "pages out of swap");
				_exit(0);
			}
		}
		for (int i = 0; i < 3; i++)
			need(read(ready[0], &byte, 1) == 1, "pipe");
		need(!swapoff(SWAP_DEVICE), "swapoff");
		atomic_store(&control->stop, true);
		for (int i = 0; i < 3; i++)
			ends_well(children[i], "a process that had pages in swap");
		atomic_store(&control->stop, false);
		close(ready[0]);
		close(ready[1]);
		need(swap_on(), "swapon");
	}
}

/* ---- tables that move, and tables without number */

static size_t wrong_apart(const char *p, size_t bytes, size_t step, uint64_t seed)
{
	size_t wrong = 0;

	for (size_t i = 0; i < bytes / step; i++)
		wrong += *(uint64_t *)(p + i * step) != pattern(seed, i);
	return wrong;
}

static void fill_apart(char *p, size_t bytes, size_t step, uint64_t seed)
{
	for (size_t i = 0; i < bytes / step; i++)
		*(uint64_t *)(p + i * step) = pattern(seed, i);
}

static char *move_to(char *from, size_t bytes, char *to)
{
	char *p = mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to);

	need(p == to, "mremap");
	return p;
}

/* Whole tables move, where both places begin at one; else entry by entry. */
static void mremap_tables(void)
{
	const size_t step = 2 * MIB;
	char *room = map_aligned(4 * GIB, GIB, PROT_NONE), *p = room;
	pid_t child;

	need(mmap(p, GIB, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == p, "mmap");
	madvise(p, GIB, MADV_NOHUGEPAGE);
	fill_apart(p, GIB, step, 3);
	for (int round = 0; round < 6; round++) {
		p = move_to(p, GIB, room + (round % 2 ? 0 : 2 * GIB));
		none_wrong(wrong_apart(p, GIB, step, 3), "pages after a move by 2 GiB");
	}
	/* Not at a 1 GiB boundary, then not at one of 2 MiB. */
	p = move_to(p, GIB, room + 2 * GIB + 6 * MIB);
	none_wrong(wrong_apart(p, GIB, step, 3), "pages after a move by tables");
	p = move_to(p, GIB, room + 4 * PAGE);
	none_wrong(wrong_apart(p, GIB, step, 3), "pages after a move by pages");
	p = move_to(p, GIB, room + 2 * GIB);
	/* A part of it without rights, which moves for itself. */
	protect(p + 512 * MIB, 64 * MIB / PAGE, PROT_NONE);
	move_to(p + 512 * MIB, 64 * MIB, room + 512 * MIB);
	protect(room + 512 * MIB, 64 * MIB / PAGE, PROT_READ | PROT_WRITE);
	move_to(room + 512 * MIB, 64 * MIB, p + 512 * MIB);
	none_wrong(wrong_apart(p, GIB, step, 3), "pages after a move without rights");
	child = spawn();
	if (!child) {
		move_to(p, GIB, room);
		none_wrong(wrong_apart(room, GIB, step, 3), "pages of a child");
		fill_apart(room, GIB, step, 4);
		none_wrong(wrong_apart(room, GIB, step, 4), "pages written by a child");
		_exit(0);
	}
	p = move_to(p, GIB, room + GIB);
	none_wrong(wrong_apart(p, GIB, step, 3), "pages moved while a child shares them");
	fill_apart(p, GIB, step, 5);
	ends_well(child, "a child");
	none_wrong(wrong_apart(p, GIB, step, 5), "pages written after the move");
	munmap(room, 4 * GIB);
}

static void mremap_games(void)
{
	const size_t pages = 4 * TABLE, part = pages / 4;

	for (int round = 0; round < 5; round++) {
		char *p = map_aligned(pages * PAGE, 2 * MIB, PROT_READ | PROT_WRITE), *q;
		size_t shift = round % 2 ? 0 : 5 * PAGE;
		char *room = map_aligned(2 * pages * PAGE, 2 * MIB, PROT_NONE);

		fill_pages(p, part, round);
		q = mremap(p, part * PAGE, part * PAGE,
			   MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, room + shift);
		need(q == room + shift, "MREMAP_DONTUNMAP");
		none_wrong(wrong_pages(q, part, round), "moved pages");
		none_wrong(nonzero_pages(p, part), "pages of the emptied place");
		fill_pages(p, part, ~round);
		none_wrong(wrong_pages(q, part, round), "moved pages, later");
		/* Shorter, longer, shorter; what is new is zero. */
		q = mremap(q, part * PAGE, part / 2 * PAGE, 0);
		need(q != MAP_FAILED, "shrink");
		q = mremap(q, part / 2 * PAGE, 3 * part * PAGE, MREMAP_MAYMOVE);
		need(q != MAP_FAILED, "grow");
		none_wrong(wrong_pages(q, part / 2, round), "pages after growing");
		none_wrong(nonzero_pages(q + part / 2 * PAGE, part), "new pages");
		need(mremap(q, 3 * part * PAGE, PAGE, 0) == q, "shrink to a page");
		none_wrong(wrong_pages(q, 1, round), "the page that is left");
		munmap(q, PAGE);
		none_wrong(wrong_pages(p, part, ~round), "pages of the old place");
		munmap(p, pages * PAGE);
		munmap(room, 2 * pages * PAGE);
	}
}

/* For each page a table of each level but the top one. */
static void sparse(void)
{
	const size_t bytes = 600 * GIB;
	char *p = map_aligned(bytes, GIB, PROT_READ | PROT_WRITE);
	pid_t child;

	fill_apart(p, bytes, GIB, 9);
	none_wrong(wrong_apart(p, bytes, GIB, 9), "pages");
	child = spawn();
	if (!child) {
		none_wrong(wrong_apart(p, bytes, GIB, 9), "pages of a child");
		fill_apart(p, bytes / 2, GIB, 10);
		none_wrong(wrong_apart(p, bytes / 2, GIB, 10), "pages written by a child");
		_exit(0);
	}
	fill_apart(p, bytes / 4, GIB, 11);
	ends_well(child, "a child");
	none_wrong(wrong_apart(p, bytes / 4, GIB, 11), "pages written after a fork");
	child = spawn();
	if (!child) {
		execl("/proc/self/exe", "hostile_mm", "--nothing", NULL);
		_exit(1);
	}
	ends_well(child, "a child that called exec");
	protect(p, bytes / PAGE, PROT_READ);
	protect(p, bytes / PAGE, PROT_READ | PROT_WRITE);
	/* Holes first, then from the end, then all that is left. */
	for (size_t i = 1; i < 300; i += 2)
		munmap(p + i * GIB, GIB);
	munmap(p + 400 * GIB, 200 * GIB);
	for (size_t i = 0; i < 300; i += 2)
		if (*(uint64_t *)(p + i * GIB) != pattern(i < 150 ? 11 : 9, i))
			fail("page %zu is wrong", i);
	munmap(p, 400 * GIB);
}

/* ---- a process that is looked at, and written to, from outside */

/* At one address in every process that runs this program. */
static uint64_t mailbox[2 * 512] __attribute__((aligned(4096)));

#define MAIL_FILE	8
#define MAIL_PTRACE	16
#define MAIL_OWN	24

/* What an exec starts: a bit of work, and the next exec until the time is over. */
static int exec_again(char **argv)
{
	int64_t end = atoll(argv[2]);
	char *p = map_anon(64);

	for (uint64_t i = 1; i <= 40; i++) {
		mailbox[MAIL_OWN] = i;
		fill_pages(p, 64, i);
		if (wrong_pages(p, 64, i) || *(volatile uint64_t *)&mailbox[MAIL_OWN] != i)
			return 3;
	}
	if (now_ns() >= end)
		return 0;
	if (argv[3][0] == 't')
		idle_thread();
	execv("/proc/self/exe", argv);
	return 4;
}

static void look_at(pid_t pid)
{
	static const char *const files[] = { "maps", "smaps", "environ", "cmdline", "auxv",
					     "smaps_rollup", "numa_maps" };
	char path[64], buf[PAGE];
	uint64_t start, end, entry;
	unsigned long looks = 0;
	FILE *maps;
	int mem, fd;

	while (!stopped()) {
		for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
			snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			while (fd >= 0 && read(fd, buf, sizeof(buf)) > 0)
				looks++;
			if (fd >= 0)
				close(fd);
		}
		snprintf(path, sizeof(path), "/proc/%d/mem", pid);
		mem = open(path, O_RDONLY | O_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/%d/maps", pid);
		maps = fopen(path, "re");
		while (maps && fgets(buf, sizeof(buf), maps)) {
			if (sscanf(buf, "%lx-%lx", &start, &end) != 2)
				continue;
			for (uint64_t at = start; at < end && at < start + 64 * PAGE; at += PAGE) {
				struct iovec mine = { .iov_base = &entry, .iov_len = 8 };
				struct iovec theirs = { .iov_base = (void *)at, .iov_len = 8 };

				looks += pread(mem, &entry, 8, at) == 8;
				looks += pread(fd, &entry, 8, at / PAGE * 8) == 8;
				syscall(SYS_process_vm_readv, pid, &mine, 1, &theirs, 1, 0);
			}
		}
		if (maps)
			fclose(maps);
		close(mem);
		close(fd);
	}
	atomic_fetch_add(&control->events[0], looks);
}

/* What was written is there while it is the same address space, which mem stands for. */
static void write_to(pid_t pid)
{
	off_t at = (uintptr_t)&mailbox[MAIL_FILE];
	uint64_t value = 1, seen;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	while (!stopped()) {
		int mem = open(path, O_RDWR | O_CLOEXEC);

		for (int i = 0; mem >= 0 && i < 20; i++) {
			value++;
			if (pwrite(mem, &value, 8, at) != 8 || pread(mem, &seen, 8, at) != 8)
				break;
			if (seen != value)
				fail("/proc/PID/mem has %lu, not %lu", (unsigned long)seen,
				     (unsigned long)value);
			atomic_fetch_add(&control->events[1], 1);
		}
		if (mem >= 0)
			close(mem);
	}
}

static void poke_to(pid_t pid)
{
	long value = 1;
	int status;

	while (!stopped()) {
		if (ptrace(PTRACE_SEIZE, pid, 0, 0)) {
			usleep(1000);
			continue;
		}
		if (!ptrace(PTRACE_INTERRUPT, pid, 0, 0) &&
		    waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
			for (int i = 0; i < 10; i++) {
				value++;
				if (ptrace(PTRACE_POKEDATA, pid, &mailbox[MAIL_PTRACE], value))
					break;
				errno = 0;
				if (ptrace(PTRACE_PEEKDATA, pid, &mailbox[MAIL_PTRACE], 0) != value)
					fail("a word of a stopped process: %s", strerror(errno));
				atomic_fetch_add(&control->events[2], 1);
			}
			ptrace(PTRACE_DETACH, pid, 0, 0);
		}
		usleep(500);
	}
}

static void exec_mem(void)
{
	void (*const attackers[])(pid_t pid) = { look_at, write_to, poke_to };
	pid_t pids[ARRAY_SIZE(attackers)], pid;
	char end[32];

	snprintf(end, sizeof(end), "%lld", (long long)in_ms(1000));
	pid = spawn();
	if (!pid) {
		execl("/proc/self/exe", "hostile_mm", "--exec", end, threaded ? "t" : "-", NULL);
		_exit(5);
	}
	for (size_t i = 0; i < ARRAY_SIZE(attackers); i++) {
		pids[i] = spawn();
		if (!pids[i]) {
			attackers[i](pid);
			_exit(0);
		}
	}
	ends_well(pid, "the one that calls exec");
	atomic_store(&control->stop, true);
	for (size_t i = 0; i < ARRAY_SIZE(attackers); i++)
		ends_well(pids[i], "one that looked or wrote");
	remark("%lu looks, %lu writes, %lu pokes", atomic_load(&control->events[0]),
	       atomic_load(&control->events[1]), atomic_load(&control->events[2]));
	/* With threads exec is mostly just ending them, and keeps ptrace waiting. */
	if (!control->events[0] || !control->events[1] || (!control->events[2] && !threaded))
		fail("not looked at, or not written to");
}

/* Writes into the victim's pages by the kernel, each word read back from there. */
static void mem_writes(void *arg)
{
	const struct counter *c = arg;
	int mem = proc_open(victim, "mem", O_RDWR);
	uint64_t *wrote = calloc(c->pages, 8);
	unsigned long done = 0;

	need(wrote, "calloc");
	while (!stopped()) {
		for (size_t i = 0; i < c->pages; i++) {
			off_t at = (uintptr_t)c->base + i * PAGE + 64 * (c->slot + 1);
			uint64_t seen, value = wrote[i] + 1;
			struct iovec mine = { .iov_base = &value, .iov_len = 8 };
			struct iovec theirs = { .iov_base = (void *)at, .iov_len = 8 };

			need(pread(mem, &seen, 8, at) == 8, "read of /proc/PID/mem");
			if (seen != wrote[i])
				fail("page %zu has %lu from outside, not %lu", i,
				     (unsigned long)seen, (unsigned long)wrote[i]);
			/* Not where it is read-only just now. */
			if (done % 2 &&
			    syscall(SYS_process_vm_writev, victim, &mine, 1, &theirs, 1, 0) == 8)
				wrote[i] = value;
			else if (pwrite(mem, &value, 8, at) == 8)
				wrote[i] = value;
		}
		done++;
	}
	atomic_fetch_add(&control->events[0], done);
	close(mem);
	free(wrote);
}

static void against_writes(char *p, size_t pages)
{
	int64_t end = in_ms(500);
	struct other other;
	struct counter c;

	counter_init(&c, p, pages, 4);
	count(&c);
	/* A thread of its own would wait for its own address space: always from outside. */
	other_process(&other, mem_writes, &c);
	do {
		protect(p, pages, PROT_READ);
		protect(p, pages, PROT_READ | PROT_WRITE);
		count(&c);
		if (c.loops % 4 == 0)
			page_out(p, pages);
	} while (now_ns() < end);
	other_end(&other);
	count(&c);
	free(c.wrote);
	remark("%lu against %lu loops", c.loops, atomic_exchange(&control->events[0], 0));
}

static void dirty_mem(void)
{
	const size_t pages = 48;

	against_writes(map_private(pages), pages);
	against_writes(map_shared(pages, memory_file(pages)), pages);
}

static void clear_on(void *arg)
{
	int fd = proc_open(victim, "clear_refs", O_WRONLY);

	(void)arg;
	for (int i = 0; !stopped(); i++) {
		char digit = '1' + i % 5;

		need(pwrite(fd, &digit, 1, 0) == 1, "clear_refs");
		atomic_fetch_add(&control->events[0], 1);
		usleep(100);
	}
	close(fd);
}

static long referenced(const char *p)
{
	char line[256], start[32];
	FILE *f = fopen("/proc/self/smaps", "re");
	bool here = false;
	long kb = -1;

	need(f, "smaps");
	snprintf(start, sizeof(start), "%lx-", (unsigned long)p);
	while (kb < 0 && fgets(line, sizeof(line), f)) {
		here = here || !strncmp(line, start, strlen(start));
		if (here)
			sscanf(line, "Referenced: %ld kB", &kb);
	}
	fclose(f);
	return kb;
}

/* Accessed bits are cleared by another one; no Dirty bit goes with them. */
static void clear_refs(void)
{
	const size_t pages = 64;
	int fd = memory_file(pages);
	/* With a hole around it, so that it is an area of its own. */
	char *p = map_aligned(2 * MIB, 2 * MIB, PROT_NONE) + 64 * PAGE;
	char *shared = map_shared(pages, fd);
	int64_t end = in_ms(600);
	struct counter own, ours;
	struct other other;
	long before, after;
	size_t wrong = 0;

	protect(p, pages, PROT_READ | PROT_WRITE);
	counter_init(&own, p, pages, 1);
	counter_init(&ours, shared, pages, 2);
	count(&own);
	need(write_file("/proc/self/clear_refs", "1"), "clear_refs");
	before = referenced(p);
	/* Accessed is not set anew while a CPU's translation says that it is. */
	flip(p, pages);
	count(&own);
	after = referenced(p);
	if (before || after != (long)(pages * PAGE / 1024))
		fail("%ld kB referenced after clearing, %ld after writing", before, after);
	other_start(&other, clear_on, NULL);
	do {
		count(&own);
		count(&ours);
		if (own.loops % 7 == 0)
			page_out(p, pages);
		if (own.loops % 7 == 2)
			page_out(shared, pages);
		if (own.loops % 5 == 0)
			msync(shared, pages * PAGE, MS_SYNC);
		if (own.loops % 9 == 0)
			flip(p, pages);
	} while (now_ns() < end || !atomic_load(&control->events[0]));
	other_end(&other);
	count(&own);
	count(&ours);
	for (size_t i = 0; i < pages; i++) {
		uint64_t word;

		need(pread(fd, &word, 8, i * PAGE + 128) == 8, "pread");
		wrong += word != ours.wrote[i];
	}
	none_wrong(wrong, "words of the file");
	remark("%lu loops, cleared %lu times", own.loops, atomic_load(&control->events[0]));
}

static size_t wrong_soft(const char *p, size_t pages, size_t step)
{
	size_t wrong = 0;

	for (size_t i = 0; i < pages; i++)
		wrong += pages_with(p + i * PAGE, 1, 55) != (step && i % step == 0);
	return wrong;
}

/* The kernel's own note of what was written, kept in the entries. */
static void soft_dirty(void)
{
	const size_t pages = 64;
	char *p = map_private(pages), *s = map_shared(pages, memory_file(pages)), *q;

	fill_pages(p, pages, 1);
	fill_pages(s, pages, 1);
	if (!pages_with(p, pages, 55)) {
		remark("not in this kernel");
		return;
	}
	for (size_t step = 2; step < 6; step++) {
		need(write_file("/proc/self/clear_refs", "4"), "clear_refs");
		none_wrong(wrong_soft(p, pages, 0), "pages soft-dirty after clearing");
		none_wrong(wrong_soft(s, pages, 0), "shared pages soft-dirty after clearing");
		flip(p, pages);
		for (size_t i = 0; i < pages; i += step) {
			*(uint64_t *)(p + i * PAGE + 64) = step;
			*(uint64_t *)(s + i * PAGE + 64) = step;
		}
		none_wrong(wrong_soft(s, pages, step), "shared pages' soft-dirty bits");
		if (step % 2)
			page_out(p, pages);
		none_wrong(wrong_soft(p, pages, step), "soft-dirty bits");
		none_wrong(wrong_pages(p, pages, 1), "pages");
		/* A page that moves counts as written. */
		q = mremap(p, pages * PAGE, pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   map_private(pages));
		need(q != MAP_FAILED, "mremap");
		p = q;
		none_wrong(pages - pages_with(p, pages, 55), "pages not soft-dirty after a move");
	}
}

/* Reads from a block device straight into pages whose rights change meanwhile. */
static void dirty_aio(void)
{
	const size_t pages = 32;
	struct loop_config config = { .fd = memory_file(pages) };
	int control_fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC), loop, fd;
	char *p = map_private(pages), *file = map_shared(pages, config.fd), path[32];
	struct io_event events[32];
	struct iocb cbs[32], *list[32];
	aio_context_t context = 0;
	int64_t end = in_ms(500);
	unsigned long reads = 0;

	need(control_fd >= 0, "/dev/loop-control");
	loop = ioctl(control_fd, LOOP_CTL_GET_FREE);
	need(loop >= 0, "LOOP_CTL_GET_FREE");
	snprintf(path, sizeof(path), "/dev/loop%d", loop);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
	need(fd >= 0 && !ioctl(fd, LOOP_CONFIGURE, &config), path);
	need(!syscall(SYS_io_setup, pages, &context), "io_setup");
	for (uint64_t seed = 1; now_ns() < end || seed < 5; seed++) {
		long n = 0, got = 0;

		fill_pages(file, pages, seed);
		fill_pages(p, pages, ~seed);
		for (size_t i = 0; i < pages; i++) {
			cbs[i] = (struct iocb){ .aio_lio_opcode = IOCB_CMD_PREAD,
						.aio_fildes = fd, .aio_nbytes = PAGE,
						.aio_buf = (uintptr_t)p + i * PAGE,
						.aio_offset = i * PAGE };
			list[i] = &cbs[i];
		}
		while (n < (long)pages) {
			long rc = syscall(SYS_io_submit, context, pages - n, list + n);

			need(rc > 0, "io_submit");
			n += rc;
		}
		while (got < n) {
			struct timespec none = { 0 };
			long rc = syscall(SYS_io_getevents, context, 0, n, events, &none);

			need(rc >= 0, "io_getevents");
			for (long i = 0; i < rc; i++)
				if (events[i].res != (long)PAGE)
					fail("a read gave %lld", (long long)events[i].res);
			got += rc;
			protect(p, pages, PROT_READ);
			page_out(p, pages);
			protect(p, pages, PROT_READ | PROT_WRITE);
		}
		none_wrong(wrong_pages(p, pages, seed), "pages that were read");
		page_out(p, pages);
		none_wrong(wrong_pages(p, pages, seed), "pages that were read, from swap");
		reads += got;
	}
	syscall(SYS_io_destroy, context);
	ioctl(fd, LOOP_CLR_FD, 0);
	close(fd);
	close(control_fd);
	remark("%lu reads", reads);
}

struct ring {
	int fd;
	unsigned int *sq_head, *sq_tail, *sq_flags, *cq_head, *cq_tail;
	unsigned int *array, mask, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

/* False if this kernel has none, or lets nobody have one. */
static bool ring_open(struct ring *ring, unsigned int entries, unsigned int flags)
{
	struct io_uring_params params = { .flags = flags, .sq_thread_idle = 50 };
	char *rings;

	ring->fd = syscall(SYS_io_uring_setup, entries, &params);
	if (ring->fd < 0)
		return false;
	rings = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
		     IORING_OFF_SQ_RING);
	ring->sqes = mmap(NULL, params.sq_entries * sizeof(*ring->sqes), PROT_READ | PROT_WRITE,
			  MAP_SHARED, ring->fd, IORING_OFF_SQES);
	need(params.features & IORING_FEAT_SINGLE_MMAP && rings != MAP_FAILED &&
	     (void *)ring->sqes != MAP_FAILED, "mmap of the rings");
	ring->sq_head = (unsigned int *)(rings + params.sq_off.head);
	ring->sq_tail = (unsigned int *)(rings + params.sq_off.tail);
	ring->sq_flags = (unsigned int *)(rings + params.sq_off.flags);
	ring->mask = *(unsigned int *)(rings + params.sq_off.ring_mask);
	ring->array = (unsigned int *)(rings + params.sq_off.array);
	ring->cq_head = (unsigned int *)(rings + params.cq_off.head);
	ring->cq_tail = (unsigned int *)(rings + params.cq_off.tail);
	ring->cq_mask = *(unsigned int *)(rings + params.cq_off.ring_mask);
	ring->cqes = (struct io_uring_cqe *)(rings + params.cq_off.cqes);
	return true;
}

static void ring_read(struct ring *ring, int fd, void *to, off_t at, unsigned int flags)
{
	unsigned int tail = *ring->sq_tail, i = tail & ring->mask;

	ring->sqes[i] = (struct io_uring_sqe){
		.opcode = IORING_OP_READ, .fd = fd, .addr = (uintptr_t)to, .len = PAGE,
		.off = at, .flags = flags,
	};
	ring->array[i] = i;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
}

/* A thread of the kernel's, which has the address space too, reads into its pages. */
static void dirty_ring(void)
{
	const size_t pages = 16;
	int fd = memory_file(pages);
	char *p = map_private(pages), *file = map_shared(pages, fd);
	unsigned long reads = 0;

	for (int kind = 0; kind < 2; kind++) {
		int64_t end = in_ms(300);
		struct ring ring;

		if (!ring_open(&ring, pages, kind ? IORING_SETUP_SQPOLL : 0)) {
			remark("no io_uring here: %s", strerror(errno));
			return;
		}
		for (uint64_t seed = 1; now_ns() < end || seed < 4; seed++) {
			size_t got = 0;

			fill_pages(file, pages, seed);
			fill_pages(p, pages, ~seed);
			for (size_t i = 0; i < pages; i++)
				ring_read(&ring, fd, p + i * PAGE, i * PAGE,
					  kind ? 0 : IOSQE_ASYNC);
			/* The flag is only to be trusted after the entries are to be seen. */
			atomic_thread_fence(memory_order_seq_cst);
			if (!kind || __atomic_load_n(ring.sq_flags, __ATOMIC_RELAXED) &
				     IORING_SQ_NEED_WAKEUP)
				need(syscall(SYS_io_uring_enter, ring.fd, pages, 0,
					     kind ? IORING_ENTER_SQ_WAKEUP : 0, NULL, 0) >= 0,
				     "io_uring_enter");
			while (got < pages) {
				unsigned int head = *ring.cq_head;

				/* Rights stay: a read without them would rightly fail. */
				page_out(p, pages);
				need(!madvise(p, pages * PAGE, MADV_COLD), "MADV_COLD");
				while (head != __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE)) {
					int res = ring.cqes[head & ring.cq_mask].res;

					if (res != (int)PAGE)
						fail("a read gave %d", res);
					head++;
					got++;
				}
				__atomic_store_n(ring.cq_head, head, __ATOMIC_RELEASE);
			}
			flip(p, pages);
			none_wrong(wrong_pages(p, pages, seed), "pages that were read");
			page_out(p, pages);
			none_wrong(wrong_pages(p, pages, seed), "pages read, from swap");
			reads += got;
		}
		close(ring.fd);
	}
	remark("%lu reads", reads);
}

/* ---- areas */

/* Whether the kernel may read, and write, a page for this program. */
static void rights(const char *p, bool can_read, bool can_write, const char *what)
{
	char *at = (char *)p + 8;
	bool did_read, did_write;
	int fds[2];

	need(!pipe(fds), "pipe");
	did_read = write(fds[1], at, 1) == 1;
	if (!did_read)
		need(write(fds[1], "x", 1) == 1, "pipe");
	did_write = read(fds[0], at, 1) == 1;
	close(fds[0]);
	close(fds[1]);
	if (did_read != can_read || did_write != can_write)
		fail("%s: %s and %s", what, did_read ? "readable" : "not readable",
		     did_write ? "writable" : "not writable");
}

static volatile char *spin_page;

static void spin_on(void *arg)
{
	volatile unsigned long n = 0;

	(void)arg;
	while (!stopped())
		n += *spin_page;
}

/* A page table whose entries change all at once, and the next one with it. */
static void protect_tables(void)
{
	const size_t pages = 4 * TABLE;
	char *p = map_aligned(pages * PAGE, 2 * MIB, PROT_READ | PROT_WRITE);
	int64_t end = in_ms(800);
	struct other other;
	uint64_t seed = 0;

	spin_page = map_private(1);
	other_start(&other, spin_on, NULL);
	do {
		fill_pages(p, pages, ++seed);
		protect(p, pages, PROT_NONE);
		for (size_t i = 0; i < pages; i += 300)
			rights(p + i * PAGE, false, false, "PROT_NONE");
		protect(p, pages, PROT_READ);
		for (size_t i = 0; i < pages; i += 300)
			rights(p + i * PAGE, true, false, "PROT_READ");
		none_wrong(wrong_pages(p, pages, seed), "read-only pages");
		/* One table, less than one, and across two. */
		protect(p + TABLE * PAGE, TABLE, PROT_NONE);
		rights(p + TABLE * PAGE - PAGE, true, false, "before the table");
		rights(p + 2 * TABLE * PAGE, true, false, "after the table");
		rights(p + TABLE * PAGE, false, false, "the table's first page");
		rights(p + 2 * TABLE * PAGE - PAGE, false, false, "the table's last page");
		protect(p + TABLE / 2 * PAGE, TABLE, PROT_READ | PROT_WRITE);
		rights(p + (TABLE + 5) * PAGE, true, true, "across two tables");
		protect(p, pages, PROT_READ | PROT_WRITE);
		fill_pages(p + TABLE * PAGE, TABLE, seed);
		none_wrong(wrong_pages(p + TABLE * PAGE, TABLE, seed), "writable pages");
	} while (now_ns() < end || seed < 3);
	other_end(&other);
	remark("%lu rounds", (unsigned long)seed);
}

static void fork_writers(void)
{
	const size_t pages = 256;
	char *p = map_private(pages), *s = map_shared(pages, memory_file(pages));
	int64_t end = in_ms(600);
	struct counter mine, theirs;
	struct other other;
	unsigned long forks = 0;

	counter_init(&mine, p, pages, 1);
	counter_init(&theirs, threaded ? p : s, pages, 2);
	other_start(&other, count_on, &theirs);
	do {
		pid_t child = spawn();

		if (!child) {
			uint64_t seen[256];
			size_t wrong = 0;

			for (size_t i = 0; i < pages; i++)
				seen[i] = *(uint64_t *)(p + i * PAGE + 128);
			count(&mine);
			for (size_t i = 0; i < pages; i++)
				wrong += seen[i] != *(uint64_t *)(p + i * PAGE + 128);
			none_wrong(wrong, "words of a child that its parent writes");
			_exit(0);
		}
		count(&mine);
		if (forks++ % 2) {
			kill(child, SIGKILL);
			wait_for(child);
		} else {
			ends_well(child, "a child");
		}
		count(&mine);
	} while (now_ns() < end || forks < 4);
	other_end(&other);
	remark("%lu forks", forks);
}

/* What an unmapped page holds is gone, and what is mapped there is new. */
static void holes(void)
{
	const size_t pages = 2 * TABLE + 100;
	int64_t end = in_ms(400);

	for (int round = 0; now_ns() < end || round < 3; round++) {
		char *p = map_private(pages), *q;
		size_t wrong = 0;

		fill_pages(p, pages, round);
		munmap(p + 300 * PAGE, 500 * PAGE);
		none_wrong(wrong_pages(p, 300, round), "pages before a hole");
		none_wrong(wrong_from(p, 800, pages, round), "pages after a hole");
		q = mmap(p + 200 * PAGE, 700 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		need(q == p + 200 * PAGE, "MAP_FIXED");
		none_wrong(nonzero_pages(q, 700), "pages of the area put on top");
		fill_pages(q, 700, ~round);
		none_wrong(wrong_pages(p, 200, round), "pages before the area put on top");
		none_wrong(wrong_from(p, 900, pages, round), "pages behind it");
		/* Every other page goes. */
		for (size_t i = 0; i < 700; i += 2)
			munmap(q + i * PAGE, PAGE);
		for (size_t i = 1; i < 700; i += 2)
			wrong += *(uint64_t *)(q + i * PAGE) != pattern(~round, i);
		none_wrong(wrong, "pages between holes");
		munmap(p, pages * PAGE);
	}
}

static void locked(void)
{
	const size_t pages = 14;	/* an ordinary user's limit may be 64 KiB */
	char *p = map_private(pages), *s = map_shared(pages, memory_file(pages));

	for (int round = 0; round < 40; round++) {
		fill_pages(p, pages, round);
		need(!mlock(p, pages * PAGE), "mlock");
		if (!madvise(p, pages * PAGE, MADV_DONTNEED) || errno != EINVAL)
			fail("MADV_DONTNEED of locked memory: %s", strerror(errno));
		none_wrong(wrong_pages(p, pages, round), "locked pages");
		need(!madvise(p, pages / 2 * PAGE, MADV_DONTNEED_LOCKED), "DONTNEED_LOCKED");
		none_wrong(nonzero_pages(p, pages / 2), "locked pages that were given up");
		none_wrong(wrong_from(p, pages / 2, pages, round), "locked pages that stay");
		need(!munlock(p, pages * PAGE), "munlock");
		fill_pages(s, pages, round);
		need(!mlock2(s, pages * PAGE, MLOCK_ONFAULT), "mlock2");
		page_out(p, pages);
		need(!munlock(s, pages * PAGE), "munlock");
		page_out(s, pages);
		none_wrong(wrong_from(p, pages / 2, pages, round), "unlocked pages");
		none_wrong(wrong_pages(s, pages, round), "unlocked shared pages");
	}
}

static void remap_files(void)
{
	const size_t pages = 64;
	int fd = memory_file(pages);
	char *p = map_shared(pages, fd);
	size_t wrong = 0;

	fill_pages(p, pages, 1);
	for (size_t i = 0; i < pages; i++)
		need(!syscall(SYS_remap_file_pages, p + i * PAGE, PAGE, 0, pages - 1 - i, 0),
		     "remap_file_pages");
	for (size_t i = 0; i < pages; i++) {
		wrong += *(uint64_t *)(p + i * PAGE) != pattern(1, pages - 1 - i);
		*(uint64_t *)(p + i * PAGE) = pattern(2, pages - 1 - i);
		*(uint64_t *)(p + i * PAGE + PAGE - 8) = pattern(~2ULL, pages - 1 - i);
	}
	none_wrong(wrong, "pages in the reverse order");
	none_wrong(wrong_in_file(fd, 0, pages, 2), "pages of the file");
	munmap(p, pages * PAGE);
}

static sigjmp_buf out;

static void jump_out(int sig)
{
	siglongjmp(out, sig);
}

static void devices_and_stacks(void)
{
	const size_t pages = 40;
	char *room = map_aligned(4 * MIB, 2 * MIB, PROT_NONE), *top = room + 4 * MIB, *p;
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC), mem = open("/dev/mem", O_RDWR);
	pid_t child;

	if (mem >= 0)
		fail("/dev/mem was opened");
	signal(SIGSEGV, jump_out);
	/* An area that grows downwards, over the end of its page table. */
	munmap(room, 4 * MIB);
	p = mmap(top - 2 * MIB, 2 * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
	need(p == top - 2 * MIB, "MAP_GROWSDOWN");
	for (size_t i = 1; i <= pages; i++)
		*(uint64_t *)(p - i * PAGE) = i;
	for (size_t i = 1; i <= pages; i++)
		if (*(uint64_t *)(p - i * PAGE) != i)
			fail("page %zu below a stack is wrong", i);
	munmap(p - pages * PAGE, (pages + 2) * PAGE);
	if (!sigsetjmp(out, 1)) {
		*(volatile char *)p = 1;
		fail("an unmapped stack can be written");
	}
	need(fd >= 0, "/dev/zero");
	p = map(pages, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
	none_wrong(nonzero_pages(p, pages), "pages of /dev/zero");
	fill_pages(p, pages, 3);
	none_wrong(wrong_pages(p, pages, 3), "written pages of /dev/zero");
	p = map(pages, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	fill_pages(p, pages, 4);
	child = spawn();
	if (!child) {
		none_wrong(wrong_pages(p, pages, 4), "pages shared by /dev/zero");
		fill_pages(p, pages, 5);
		_exit(0);
	}
	ends_well(child, "a child");
	none_wrong(wrong_pages(p, pages, 5), "pages written by a child");
	/* Neither the kernel's half nor the gap between the halves is to be had. */
	for (size_t i = 0; i < 3; i++) {
		static const uintptr_t at[] = { 0xffff800000000000, 0xffffffff81000000,
						0x0100000000000000 };

		p = mmap((void *)at[i], PAGE, PROT_READ,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		if (p != MAP_FAILED)
			fail("a page was mapped at %p", (void *)p);
		if (!mprotect((void *)at[i], PAGE, PROT_READ) ||
		    !madvise((void *)at[i], PAGE, MADV_DONTNEED) ||
		    !munmap((void *)at[i], PAGE))
			fail("%#lx can be changed", (unsigned long)at[i]);
	}
}

/* ---- how long others wait */

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

/* With one CPU for those that wait and one for the process that forks and ends. */
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

static void latency(void)
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

/* ---- the trials, one by one */

static const struct trial trials[] = {
	{ "uffd-wp-shmem", uffd_wp_shmem, BOTH },
	{ "uffd-wp-swap", uffd_wp_swap, BOTH },
	{ "uffd-wp-file", uffd_wp_file, BOTH },
	{ "uffd-wp-fault", uffd_wp_fault, BOTH },
	{ "uffd-fill", uffd_fill, BOTH },
	{ "uffd-fork", uffd_fork, BOTH | ROOT },
	{ "uffd-events", uffd_events, BOTH },
	{ "pagemap-scan", pagemap_scan, BOTH },
	{ "ksm", ksm, BOTH | ROOT },
	{ "compaction", compaction, BOTH | COMPACT },
	{ "mrelease", mrelease, BOTH },
	{ "pageout-remote", pageout_remote, BOTH | ROOT },
	{ "pageout", pageout_self, BOTH },
	{ "swapoff", swap_off, BOTH | ROOT },
	{ "mremap-tables", mremap_tables, BOTH },
	{ "mremap-games", mremap_games, BOTH },
	{ "sparse", sparse, BOTH },
	{ "last-user", last_user, BOTH },
	{ "shared-mm", shared_mm, BOTH },
	{ "memcg-oom", memcg_oom, BOTH | ROOT | QUIET },
	{ "exec-mem", exec_mem, BOTH },
	{ "clear-refs", clear_refs, BOTH },
	{ "soft-dirty", soft_dirty, BOTH },
	{ "dirty-mem", dirty_mem, BOTH },
	{ "dirty-aio", dirty_aio, BOTH | ROOT },
	{ "dirty-ring", dirty_ring, BOTH },
	{ "protect-tables", protect_tables, BOTH },
	{ "fork-writers", fork_writers, BOTH },
	{ "holes", holes, BOTH },
	{ "locked", locked, BOTH },
	{ "remap-file-pages", remap_files, BOTH },
	{ "stacks-devices", devices_and_stacks, BOTH },
	{ "latency", latency, BOTH | ROOT },
};

/* The first line of the kernel's log since the last call that is a complaint. */
static bool kernel_complained(int log, char *line, size_t size)
{
	static const char *const signs[] = {
		"WARNING: ", "BUG: ", "cut here", "Oops", "Bad page", "bad pte", "Bad rss",
		"general protection", "rcu: INFO", "blocked for more", "swap_info_get",
		"Bad swap", "swap_dup", "hypercall: ", "INFO: ", "unchecked MSR",
	};
	char record[2048];
	bool found = false;
	ssize_t n;

	while ((n = read(log, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		char *text;

		if (n < 0)
			continue;
		record[n] = 0;
		text = strchr(record, ';');
		/* "cut here" says nothing yet: the line after it does. */
		if (!text || (found && !strstr(line, "cut here")))
			continue;
		text++;
		text[strcspn(text, "\n")] = 0;
		for (size_t i = 0; i < ARRAY_SIZE(signs); i++) {
			if (!strstr(text, signs[i]))
				continue;
			snprintf(line, size, "%s", text);
			found = true;
			break;
		}
	}
	return found;
}

static void trial_child(const struct trial *trial)
{
	setpgid(0, 0);
	if (!(trial->how & ROOT))
		become_nobody();
	if (threaded)
		idle_thread();
	trial->run();
	_exit(0);
}

/* All that the trial left behind, whoever's child it was. */
static void reap_group(pid_t group)
{
	kill(-group, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static pid_t background(const struct trial *trial)
{
	pid_t pid;

	if (!(trial->how & COMPACT))
		return 0;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		compact_all();
	}
	return pid;
}

/* A kill for want of memory prints a call trace as if something were wrong. */
static void console(bool quiet)
{
	static const char ignore[] = "/sys/module/printk/parameters/ignore_loglevel";
	static char was_ignored[8], was_level[64];

	if (quiet) {
		if (!read_file(ignore, was_ignored, sizeof(was_ignored)) ||
		    !read_file("/proc/sys/kernel/printk", was_level, sizeof(was_level)))
			bail("%s or /proc/sys/kernel/printk: %s", ignore, strerror(errno));
		write_file(ignore, "N");
	} else {
		write_file(ignore, was_ignored);
	}
	klogctl(8, NULL, quiet ? 1 : atoi(was_level));
}

static void run_trial(const struct trial *trial, int log)
{
	char name[64], line[240] = "";
	int64_t start = now_ns();
	struct pollfd done;
	bool in_time, complained;
	int status = 0;
	pid_t pid, helper;

	snprintf(name, sizeof(name), "mm-%s%s", trial->name, threaded ? "-threads" : "");
	memset(control, 0, sizeof(*control));
	/* A warning that comes once only would be the first trial's alone. */
	write_file("/sys/kernel/debug/clear_warn_once", "1");
	if (trial->how & QUIET)
		console(true);
	helper = background(trial);
	pid = fork();
	if (!pid)
		trial_child(trial);
	done = (struct pollfd){ .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	if (pid < 0 || helper < 0 || done.fd < 0)
		bail("cannot start %s: %s", name, strerror(errno));
	in_time = poll(&done, 1, SECONDS_TRIAL * 1000) == 1;
	close(done.fd);
	if (!in_time)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (helper) {
		kill(helper, SIGKILL);
		waitpid(helper, NULL, 0);
	}
	reap_group(pid);
	if (trial->how & QUIET)
		console(false);
	complained = kernel_complained(log, line, sizeof(line));
	if (!in_time)
		not_ok(name, "no end within %d s", SECONDS_TRIAL);
	else if (atomic_load(&control->failed))
		not_ok(name, "%s%s%s", control->failure, complained ? "; " : "", line);
	else if (status)
		not_ok(name, "ended with status %#x %s", status, line);
	else if (complained)
		not_ok(name, "the kernel says: %s", line);
	else
		ok(name, "%s%s%.1f s", control->remark, *control->remark ? ", " : "",
		   (now_ns() - start) / 1e9);
}

static bool wanted(const struct trial *trial, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!fnmatch(argv[i], trial->name, 0))
			return true;
	return argc == 1;
}

int main(int argc, char **argv)
{
	int log;

	if (argc == 2 && !strcmp(argv[1], "--nothing"))
		return 0;
	if (argc == 4 && !strcmp(argv[1], "--exec"))
		return exec_again(argv);
	check_begin("hostile_mm", SECONDS_ALL);
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (control == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log < 0 || lseek(log, 0, SEEK_END) < 0)
		bail("/dev/kmsg: %s", strerror(errno));
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!swap_on())
		not_ok("mm-swap", "no swap on " SWAP_DEVICE ": %s", strerror(errno));
	for (size_t i = 0; i < ARRAY_SIZE(trials); i++) {
		if (!wanted(&trials[i], argc, argv))
			continue;
		threaded = false;
		if (trials[i].how & ALONE)
			run_trial(&trials[i], log);
		threaded = true;
		if (trials[i].how & THREADS)
			run_trial(&trials[i], log);
	}
	if (swapoff(SWAP_DEVICE) && errno != EINVAL)
		not_ok("mm-swap", "swapoff: %s", strerror(errno));
	else
		ok("mm-swap", NULL);
	return check_end();
}
