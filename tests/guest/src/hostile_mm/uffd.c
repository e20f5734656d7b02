// SPDX-License-Identifier: GPL-2.0
/* Trials of userfaultfd and of PAGEMAP_SCAN. */
#include "hostile_mm.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

/* Older headers lack these constants and structures. */
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
#define SCAN_WP			3	/* protect matching pages; needs WP_ASYNC */
#define SCAN_WRITTEN		2

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

/*
 * Returns false if the address space is changing. The caller then tries again.
 */
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
 * Removes write-protected pages of a shared mapping in several ways.
 *
 * For each removed page the kernel installs a marker, and reads the entry that
 * it cleared to decide so. In a lazy MMU section the clear may wait in a queue.
 * The kernel then found the old entry and printed a warning (patch 0016).
 */
void uffd_wp_shmem(void)
{
	const size_t pages = 96, half = pages / 2;

	for (int round = 0; round < 14; round++) {
		uint64_t seed = 100 + round;
		int fd = memory_file(pages), uffd = uffd_open(WP_SYNC);
		char *p = map_shared(pages, fd);
		size_t lost = 0;	/* pages at the start whose contents are removed */

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

/*
 * The same with pages of a private mapping that are in swap. Their entries are
 * swap entries, for which the kernel installs markers too (patch 0016).
 */
void uffd_wp_swap(void)
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

/*
 * The same with a private mapping of a file that is not in a memory file
 * system. There only WP_ASYNC is allowed, so the kernel itself resolves write
 * faults. A lost marker or entry shows the wrong contents.
 */
void uffd_wp_file(void)
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

/* Answers the events of a userfaultfd. */
struct handler {
	int fd;
	char *base, *source;	/* missing pages are copied from source */
	size_t pages;
	bool protect;		/* write-protect all pages from time to time */
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
		/* The faulting thread waits until this answer. */
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
				/* The oldest child has exited long before. */
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
	/* Leave no thread waiting for an answer. */
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
	/*
	 * The handler answers until it is stopped, and then removes the
	 * protection.
	 */
	other_end(&other);
	count(&c);
	remark("%lu faults in %lu loops", atomic_load(&control->events[FAULTS]), c.loops);
	close(h.fd);
	free(c.wrote);
}

/*
 * A thread or another process write-protects pages while the victim writes.
 * Each change of an entry races with the victim's CPU, which sets Dirty. A
 * write would be lost if Dirty were.
 */
void uffd_wp_fault(void)
{
	const size_t pages = 64;
	int fd = memory_file(pages);

	uffd_fault_in(map_private(pages), pages);
	uffd_fault_in(map_shared(pages, fd), pages);
}

/*
 * Fills pages by UFFDIO_COPY, ZEROPAGE, CONTINUE and MOVE. Each installs an
 * entry from outside a page fault. A queued update would show as a wrong or a
 * missing page.
 */
void uffd_fill(void)
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
		/*
		 * Half of the copies are write-protected. The second half of
		 * the area is missing.
		 */
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

/*
 * Forks a process whose userfaultfd reports forks. fork() copies
 * write-protected entries in a lazy MMU section. The child must have its own
 * userfaultfd and the same protection.
 */
void uffd_fork(void)
{
	const size_t pages = 16;
	char *p = map_private(pages);
	struct handler h = { .fd = uffd_open(WP_SYNC | UFFD_FEATURE_EVENT_FORK), .base = p,
			     .pages = pages };
	struct other other;
	int round;

	fill_pages(p, pages, 1);
	/*
	 * Start the handler before registering: starting a process is a fork,
	 * which the handler would have to answer.
	 */
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

/*
 * Moves, drops and unmaps a registered range. Protection must move with the
 * entries, and each event must arrive.
 */
void uffd_events(void)
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
		/*
		 * The pages are still protected: the handler answers a fault
		 * for each.
		 */
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

/*
 * Mark each page that was written since the last call, and write-protect it
 * again.
 */
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

/*
 * Asks the kernel for written pages, which protects them again, while the
 * victim writes. PAGEMAP_SCAN dropped the page-table lock before its lazy MMU
 * section ended. Its queued updates could then map freed pages (patch 0021).
 */
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

void pagemap_scan(void)
{
	const size_t pages = 96;

	scan_in(map_private(pages), pages);
	scan_in(map_shared(pages, memory_file(pages)), pages);
}
