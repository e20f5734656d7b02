// SPDX-License-Identifier: GPL-2.0
/* Trials with a process whose memory others read and write. */
#include "hostile_mm.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* The address is the same in every process that runs this program. */
static uint64_t mailbox[2 * 512] __attribute__((aligned(4096)));

#define MAIL_FILE	8
#define MAIL_PTRACE	16
#define MAIL_OWN	24

/*
 * The program that exec_mem() starts: works a bit, and executes itself again
 * until the time is over.
 */
int exec_again(char **argv)
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

/*
 * One open file stands for one address space. A value written through the file
 * is there as long as the address space exists.
 */
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

/*
 * Reads and writes a process from outside while it calls execve() in a loop.
 * The accesses find address spaces that are being built or torn down. A write
 * to the wrong address space changes a word that its owner checks.
 */
void exec_mem(void)
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
	/*
	 * With threads execve() mostly waits for them to exit, and ptrace()
	 * waits too.
	 */
	if (!control->events[0] || !control->events[1] || (!control->events[2] && !threaded))
		fail("not looked at, or not written to");
}

/*
 * Write to the victim's pages by /proc/PID/mem and process_vm_writev(), and
 * read each word back.
 */
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
			/*
			 * The page may be read-only at this moment. Then the
			 * write has failed.
			 */
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
	/*
	 * Always another process: a thread would contend for the mmap lock of
	 * its own address space.
	 */
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

/*
 * The kernel writes to the victim's pages while their rights change and pages
 * go to swap. It marks a page dirty without the CPU's Dirty bit. If this mark
 * were lost, reclaim would drop the written page.
 */
void dirty_mem(void)
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

/*
 * Another thread or process clears Accessed bits while the victim writes. A Xen
 * hypercall replaces the whole entry, and a CPU may set Dirty at the same
 * moment. If Dirty were lost, reclaim would drop the written page.
 */
void clear_refs(void)
{
	const size_t pages = 64;
	int fd = memory_file(pages);
	/* The hole around the area keeps it a VMA of its own. */
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
	/*
	 * A CPU does not set Accessed again while its TLB has the translation.
	 */
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

/*
 * Clears soft-dirty bits and writes some pages. The kernel keeps this bit in
 * page-table entries, and each kind of update must keep it.
 */
void soft_dirty(void)
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
		/* The kernel treats a moved page as written. */
		q = mremap(p, pages * PAGE, pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   map_private(pages));
		need(q != MAP_FAILED, "mremap");
		p = q;
		none_wrong(pages - pages_with(p, pages, 55), "pages not soft-dirty after a move");
	}
}

/*
 * Reads from a block device directly into pages whose rights change. The device
 * writes to pinned pages by their physical addresses, so no CPU sets Dirty in
 * an entry. If reclaim dropped such a page as clean, the data would be lost.
 */
void dirty_aio(void)
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

/* Returns false if the kernel has no io_uring, or denies it. */
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

/*
 * A kernel thread of io_uring uses the address space and reads into its pages.
 * An early hypercall backend lost Dirty bits if a kernel thread began to use an
 * address space at the wrong moment.
 */
void dirty_ring(void)
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
			/*
			 * Read the flag only after the entries are visible to
			 * the kernel.
			 */
			atomic_thread_fence(memory_order_seq_cst);
			if (!kind || __atomic_load_n(ring.sq_flags, __ATOMIC_RELAXED) &
				     IORING_SQ_NEED_WAKEUP)
				need(syscall(SYS_io_uring_enter, ring.fd, pages, 0,
					     kind ? IORING_ENTER_SQ_WAKEUP : 0, NULL, 0) >= 0,
				     "io_uring_enter");
			while (got < pages) {
				unsigned int head = *ring.cq_head;

				/*
				 * Do not change the rights here: a read into a
				 * read-only page fails correctly.
				 */
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
