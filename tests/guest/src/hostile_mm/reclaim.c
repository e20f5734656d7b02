// SPDX-License-Identifier: GPL-2.0
/* Trials of KSM, compaction, MADV_PAGEOUT and swap. */
#include "hostile_mm.h"

#include <fcntl.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define KSM		"/sys/kernel/mm/ksm/"
#define SWAP_BYTES	(64 * MIB)

static long number_in(const char *path)
{
	char text[64];

	need(read_file(path, text, sizeof(text)), path);
	return atol(text);
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
		/* Write half of the area while KSM merges the other half. */
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

/*
 * Merges equal pages, then writes to them and splits them. KSM write-protects
 * and replaces entries of a running process. If an update were lost, a process
 * could write to a page that others share.
 */
void ksm(void)
{
	pid_t child;

	must_write(KSM "pages_to_scan", "2000");
	must_write(KSM "sleep_millisecs", "5");
	must_write(KSM "run", "1");
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
	/* Writing 2 splits all merged pages in all processes. */
	must_write(KSM "run", "2");
	must_write(KSM "run", "1");
	atomic_store(&control->events[0], 0);
	ends_well(child, "the child");
	must_write(KSM "run", "0");
}

/*
 * Drops every other page, so that compaction moves the rest while the program
 * forks and writes. Migration clears and restores entries. A lost entry or
 * Dirty bit would lose the contents.
 */
void compaction(void)
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

void compact_all(void)
{
	for (;;) {
		if (!write_file("/proc/sys/vm/compact_memory", "1"))
			_exit(1);
		usleep(5000);
	}
}

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

/*
 * Another thread or process pages memory out while the victim writes it. The
 * walk clears Accessed and takes entries away from a running CPU. If Dirty were
 * lost, reclaim would drop the written page.
 */
void pageout_remote(void)
{
	const size_t pages = 96;

	against_pageout(map_private(pages), pages);
	against_pageout(map_shared(pages, memory_file(pages)), pages);
}

/*
 * Pages out memory while a second writer uses it, also after MADV_FREE.
 * MADV_FREE clears and sets an entry in one lazy MMU section. With
 * page_table_check=on the kernel counted the page down twice and died of a
 * BUG() (patch 0022).
 */
void pageout_self(void)
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
		/*
		 * A page may be dropped or kept, but a page written after
		 * MADV_FREE must be kept.
		 */
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

bool swap_on(void)
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

/*
 * Removes the swap device, which brings each page back into the page tables of
 * running processes. An entry that is written late would leave the process with
 * a swap entry for a device that is gone.
 */
void swap_off(void)
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
