// SPDX-License-Identifier: GPL-2.0
/*
 * Work in a domain that is saved, restored, migrated, ballooned and reduced to
 * one CPU meanwhile. The work must not notice.
 *
 * Each thread does one kind of work, counts its rounds and checks its results:
 * memory, copies of memory after fork(), the clock, a file on the disk, a
 * connection to dom0, a process that is pinned to one CPU. dom0 connects to one
 * port to read the counters ("status"), and to another to give orders
 * ("orders"). SIGTERM ends the program.
 */
#include "memory.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define WORDS		(PAGE / sizeof(uint64_t))
#define STATUS_PORT	7000
#define ORDER_PORT	7001
#define ECHO_PORT	7
#define RECORDS		1024	/* in the file, which is a ring */
#define MAX_CPUS	64
#define HOME_CPU	1	/* CPU of the pinned process */
#define HOME_CALLS	256	/* its system calls between two checks of its CPU */
#define MIB_PAGES	((1UL << 20) / PAGE)

enum { MEMORY, MEMORY_TOO, COPIES, CLOCK, DISK, NET, HOME, HOARD, KINDS };

static const char * const kinds[KINDS] = {
	"memory", "memory2", "copies", "clock", "disk", "net", "home", "hoard",
};

static struct work {
	pthread_t thread;
	atomic_ulong rounds;
	atomic_ulong wrong;
	char why[200];		/* the first failure */
} work[KINDS];

/* Shared with the pinned process. */
struct home {
	atomic_ulong calls;	/* of this process and of those before it */
	atomic_bool returned;	/* its CPU was unplugged and plugged in, and it runs there again */
};

static struct home *home;
static atomic_int home_pid;
static atomic_ulong returns;	/* pinned processes that returned to their CPU and were killed */

static atomic_ulong to_hold;	/* MiB; set by an order */
static atomic_ulong held;

/* Set by an order: all programs but the pinned process are on CPU 0. */
static atomic_bool apart;
static atomic_bool stop;
static const char *directory;
static const char *server;

__attribute__((format(printf, 2, 3)))
static void wrong(int kind, const char *fmt, ...)
{
	va_list ap;

	if (atomic_fetch_add(&work[kind].wrong, 1))
		return;
	va_start(ap, fmt);
	vsnprintf(work[kind].why, sizeof(work[kind].why), fmt, ap);
	va_end(ap);
}

static void fill(uint64_t *page, uint64_t seed)
{
	for (size_t i = 0; i < WORDS; i++)
		page[i] = pattern(seed, i);
}

static bool holds(const uint64_t *page, uint64_t seed)
{
	for (size_t i = 0; i < WORDS; i++)
		if (page[i] != pattern(seed, i))
			return false;
	return true;
}

/*
 * Check each page of some megabytes, and fill it with the next pattern, again
 * and again.
 */
static void memory(int kind)
{
	const size_t pages = 2048;
	uint64_t *base = map_anon(pages);
	/* no two pages and no two turns have the same pattern */
	uint64_t turn = (1 + kind) << 16;

	for (size_t i = 0; i < pages; i++)
		fill(base + i * WORDS, turn + i);
	while (!atomic_load(&stop)) {
		for (size_t i = 0; i < pages && !atomic_load(&stop); i++) {
			uint64_t *page = base + i * WORDS;

			if (!holds(page, turn + i))
				wrong(kind, "page %zu in turn %lu", i,
				      (unsigned long)turn / pages);
			fill(page, turn + pages + i);
			atomic_fetch_add(&work[kind].rounds, 1);
		}
		turn += pages;
	}
	/*
	 * this stopped in the middle of a turn, so the rest cannot be checked
	 */
	munmap(base, pages * PAGE);
}

/* A child has a copy of its own, whatever parent and child write. */
static void copies(int kind)
{
	const size_t pages = 48;

	for (uint64_t turn = 1; !atomic_load(&stop); turn++) {
		uint64_t *base = map_anon(pages);
		int status;
		pid_t pid;

		for (size_t i = 0; i < pages; i++)
			fill(base + i * WORDS, turn + i);
		mprotect(base, pages / 2 * PAGE, PROT_READ);
		pid = fork();
		if (pid < 0) {
			wrong(kind, "fork: %s", strerror(errno));
			usleep(100000);
			munmap(base, pages * PAGE);
			continue;
		}
		if (!pid) {
			int bad = 0;

			for (size_t i = pages / 2; i < pages; i += 2)
				fill(base + i * WORDS, turn + 1000 + i);
			sched_yield();
			for (size_t i = 0; i < pages; i++)
				bad |= !holds(base + i * WORDS, turn + i +
					      (i >= pages / 2 && !(i & 1) ?
					       1000 : 0));
			_exit(bad);
		}
		mprotect(base, pages * PAGE, PROT_READ | PROT_WRITE);
		for (size_t i = 0; i < pages; i += 3)
			fill(base + i * WORDS, turn + 2000 + i);
		if (waitpid(pid, &status, 0) != pid || status)
			wrong(kind, "child of turn %lu: status %#x",
			      (unsigned long)turn, status);
		for (size_t i = 0; i < pages; i++)
			if (!holds(base + i * WORDS,
				   turn + i + (i % 3 ? 0 : 2000)))
				wrong(kind, "page %zu in turn %lu", i,
				      (unsigned long)turn);
		munmap(base, pages * PAGE);
		atomic_fetch_add(&work[kind].rounds, 1);
	}
}

/* Clocks advance on each CPU, and timers fire, but not early. */
static void clocks(int kind)
{
	const int64_t nap = 5 * NSEC_PER_MSEC;
	struct timespec ts = { .tv_nsec = nap };
	int64_t last = now_ns();

	for (unsigned int turn = 0; !atomic_load(&stop); turn++) {
		int64_t now;

		/* a CPU that is offline at the moment is not a failure */
		pin(atomic_load(&apart) ? 0 : turn % 2);
		now = now_ns();
		if (now < last)
			wrong(kind, "monotonic clock went back by %lld ns",
			      (long long)(last - now));
		last = now;
		if (nanosleep(&ts, NULL))
			wrong(kind, "nanosleep: %s", strerror(errno));
		now = now_ns();
		if (now - last < nap)
			wrong(kind, "slept %lld ns instead of %lld",
			      (long long)(now - last), (long long)nap);
		/*
		 * a save or a migration takes some time, a lost timer takes
		 * forever
		 */
		if (now - last > 60 * NSEC_PER_SEC)
			wrong(kind, "slept %lld s",
			      (long long)((now - last) / NSEC_PER_SEC));
		last = now;
		atomic_fetch_add(&work[kind].rounds, 1);
	}
}

/*
 * Write records of a page to a file, and read them back from the disk without
 * caches.
 */
static void disk(int kind)
{
	char path[256];
	uint64_t *page = map_anon(1), turn;
	int fd, direct;

	snprintf(path, sizeof(path), "%s/records", directory);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
	direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || direct < 0)
		bail("%s: %s", path, strerror(errno));
	for (turn = 0; !atomic_load(&stop); turn++) {
		uint64_t look = turn - turn % 8;

		fill(page, turn);
		if (pwrite(fd, page, PAGE, turn % RECORDS * PAGE) != (ssize_t)PAGE) {
			wrong(kind, "write: %s", strerror(errno));
			usleep(100000);
		}
		if (turn % 8 == 7) {
			if (fdatasync(fd))
				wrong(kind, "sync: %s", strerror(errno));
			if (pread(direct, page, PAGE, look % RECORDS * PAGE) !=
			    (ssize_t)PAGE)
				wrong(kind, "read: %s", strerror(errno));
			else if (!holds(page, look))
				wrong(kind, "record %lu is wrong",
				      (unsigned long)look);
		}
		atomic_fetch_add(&work[kind].rounds, 1);
	}
	/* check all records that the ring contains in the end */
	for (uint64_t i = turn > RECORDS ? turn - RECORDS : 0; i < turn; i++) {
		if (pread(direct, page, PAGE, i % RECORDS * PAGE) != (ssize_t)PAGE ||
		    !holds(page, i))
			wrong(kind, "record %lu is wrong in the end",
			      (unsigned long)i);
	}
	if (fsync(fd) || close(fd))
		wrong(kind, "sync: %s", strerror(errno));
	close(direct);
}

static bool transfer(int fd, void *buf, size_t size, bool out)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = out ? send(fd, (char *)buf + done, size - done,
				       MSG_NOSIGNAL) :
				  recv(fd, (char *)buf + done, size - done, 0);

		/* freezing the task interrupts a call that has a time limit */
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (!n)
				errno = EPIPE;
			return false;
		}
		done += n;
	}
	return true;
}

/*
 * One connection for the whole time: the data that is sent comes back in order.
 */
static void net(int kind)
{
	struct timeval limit = { .tv_sec = 60 };
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(ECHO_PORT),
		.sin_addr.s_addr = inet_addr(server),
	};
	uint64_t *page = map_anon(1);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		bail("connect to %s: %s", server, strerror(errno));
	for (uint64_t turn = 0; !atomic_load(&stop); turn++) {
		fill(page, turn);
		if (!transfer(fd, page, PAGE, true) ||
		    !transfer(fd, page, PAGE, false)) {
			wrong(kind, "turn %lu: %s", (unsigned long)turn,
			      strerror(errno));
			break;
		}
		if (!holds(page, turn))
			wrong(kind, "turn %lu: something else came back",
			      (unsigned long)turn);
		atomic_fetch_add(&work[kind].rounds, 1);
	}
	close(fd);
}

/*
 * The pinned process. It sleeps now and then, so that others can use its CPU.
 * After a return to its CPU it does not sleep: another task would then be the
 * first to meet wrong state of that CPU.
 */
__attribute__((noreturn))
static void at_home(pid_t parent)
{
	bool was_there = false, kept = false;
	unsigned int cpu;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		/*
		 * by the system call: the vDSO may have the number of another
		 * CPU
		 */
		if (syscall(SYS_getcpu, &cpu, NULL, NULL))
			_exit(1);
		/*
		 * The scheduler may move this process to its CPU before the
		 * process pins itself again. So the present CPU proves nothing.
		 * The process must have been seen on another CPU since it was
		 * pinned last.
		 */
		if (cpu != HOME_CPU)
			kept = false;
		if (!kept && pin(HOME_CPU)) {
			if (was_there)
				atomic_store(&home->returned, true);
			was_there = true;
			kept = true;
		}
		for (int i = 0; i < HOME_CALLS; i++)
			if (syscall(SYS_getppid) != parent)
				_exit(2);
		atomic_fetch_add(&home->calls, HOME_CALLS);
		if (!atomic_load(&home->returned))
			usleep(1000);
	}
}

/*
 * One process works on one CPU. After that CPU was unplugged and plugged in,
 * the process returns to it, works for a while and is killed. Then the next
 * process begins.
 */
static void belong(int kind)
{
	const unsigned long enough = 100 * HOME_CALLS;
	pid_t parent = getpid();

	while (!atomic_load(&stop)) {
		unsigned long there = 0, now;
		int status;
		pid_t pid;

		atomic_store(&home->returned, false);
		pid = fork();
		if (pid < 0) {
			wrong(kind, "fork: %s", strerror(errno));
			usleep(100000);
			continue;
		}
		if (!pid)
			at_home(parent);
		atomic_store(&home_pid, pid);
		do {
			usleep(20000);
			now = atomic_load(&home->calls);
			atomic_store(&work[kind].rounds, now);
			if (!there && atomic_load(&home->returned))
				there = now;
			if (waitpid(pid, &status, WNOHANG)) {
				wrong(kind, "the pinned process ended with status %#x", status);
				pid = 0;
				break;
			}
		} while (!atomic_load(&stop) && (!there || now - there < enough));
		if (!pid)
			continue;
		kill(pid, SIGKILL);
		if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) ||
		    WTERMSIG(status) != SIGKILL)
			wrong(kind, "the pinned process was killed, but its status is %#x", status);
		if (there)
			atomic_fetch_add(&returns, 1);
	}
}

/* Allocate as much memory as ordered, fill and check it, and free it. */
static void hoard(int kind)
{
	for (uint64_t turn = 1; !atomic_load(&stop); turn++) {
		unsigned long size = atomic_load(&to_hold), i;
		char *base;

		atomic_store(&held, size);
		atomic_fetch_add(&work[kind].rounds, 1);
		if (!size) {
			usleep(20000);
			continue;
		}
		base = map_anon(size * MIB_PAGES);
		for (i = 0; i < 2 * size; i++) {
			uint64_t seed = turn << 32 | i % size;
			char *at = base + i % size * MIB_PAGES * PAGE;

			if (atomic_load(&to_hold) != size || atomic_load(&stop))
				break;
			if (i < size)
				fill_pages(at, MIB_PAGES, seed);
			else if (wrong_pages(at, MIB_PAGES, seed))
				wrong(kind, "MiB %lu of %lu in turn %lu",
				      i - size, size, (unsigned long)turn);
			atomic_fetch_add(&work[kind].rounds, 1);
		}
		munmap(base, size * MIB_PAGES * PAGE);
	}
}

static void *run(void *arg)
{
	static void (* const fn[KINDS])(int) = {
		memory, memory, copies, clocks, disk, net, belong, hoard,
	};
	int kind = (int)(intptr_t)arg;

	fn[kind](kind);
	return NULL;
}

/* Print the timer interrupts of each online CPU: "0:123,1:456". */
static void ticks(char *out, size_t size)
{
	unsigned long count[MAX_CPUS] = { 0 };
	FILE *f = fopen("/proc/interrupts", "re");
	int cpu[MAX_CPUS], nr = 0, used = 0, n, got;
	char line[4096], *at;

	*out = 0;
	if (!f)
		return;
	if (fgets(line, sizeof(line), f))
		for (at = line; nr < MAX_CPUS &&
		     sscanf(at, " CPU%d%n", &got, &n) == 1; at += n)
			cpu[nr++] = got;
	while (fgets(line, sizeof(line), f)) {
		at = strchr(line, ':');
		if (!at || !strstr(line, "timer"))
			continue;
		at++;
		for (int i = 0; i < nr; i++) {
			unsigned long value;

			if (sscanf(at, " %lu%n", &value, &n) != 1)
				break;
			count[i] += value;
			at += n;
		}
	}
	fclose(f);
	for (int i = 0; i < nr && used < (int)size - 32; i++)
		used += snprintf(out + used, size - used, "%s%d:%lu",
				 i ? "," : "", cpu[i], count[i]);
}

static long total_kb(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	long kb = 0;

	if (f) {
		if (fscanf(f, "MemTotal: %ld", &kb) != 1)
			kb = 0;
		fclose(f);
	}
	return kb;
}

/* Send the counters to a client in one line. */
static void answer(int fd)
{
	char line[2048], per_cpu[1024], online[256] = "";
	unsigned long lost = 0;
	int n = 0;

	for (int i = 0; i < KINDS; i++) {
		n += snprintf(line + n, sizeof(line) - n, "%s=%lu ", kinds[i],
			      atomic_load(&work[i].rounds));
		lost += atomic_load(&work[i].wrong);
	}
	ticks(per_cpu, sizeof(per_cpu));
	read_file("/sys/devices/system/cpu/online", online, sizeof(online));
	n += snprintf(line + n, sizeof(line) - n,
		      "returns=%lu wrong=%lu ticks=%s online=%s total_kb=%ld time=%lld\n",
		      atomic_load(&returns), lost, per_cpu, online, total_kb(),
		      (long long)time(NULL));
	if (send(fd, line, n, MSG_NOSIGNAL) != n)
		note("a status was not sent: %s", strerror(errno));
}

/*
 * Set the CPUs on which the threads of a program may run; false if pid is not a
 * program.
 */
static bool allow(const char *pid, const cpu_set_t *set)
{
	char path[64], to[256];
	struct dirent *entry;
	DIR *tasks;

	/* a kernel thread has no executable */
	snprintf(path, sizeof(path), "/proc/%.20s/exe", pid);
	if (readlink(path, to, sizeof(to)) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%.20s/task", pid);
	tasks = opendir(path);
	while (tasks && (entry = readdir(tasks)))
		if (atoi(entry->d_name) > 0)
			sched_setaffinity(atoi(entry->d_name), sizeof(*set), set);
	if (tasks)
		closedir(tasks);
	return true;
}

/*
 * Move all programs to CPU 0, or allow them all CPUs. A program that starts
 * later inherits the CPUs of its parent. A program that starts at this moment
 * may be missed, and is found the second time.
 */
static bool spread(bool alone)
{
	cpu_set_t set;
	int seen = 0;

	CPU_ZERO(&set);
	for (int cpu = 0; cpu < (alone ? 1 : MAX_CPUS); cpu++)
		CPU_SET(cpu, &set);
	atomic_store(&apart, alone);
	for (int times = 0; times < 2; times++) {
		DIR *all = opendir("/proc");
		struct dirent *entry;

		usleep(100000);
		while (all && (entry = readdir(all)))
			if (atoi(entry->d_name) > 0 &&
			    atoi(entry->d_name) != atomic_load(&home_pid))
				seen += allow(entry->d_name, &set);
		if (all)
			closedir(all);
	}
	return seen;
}

static bool hold(unsigned long size)
{
	atomic_store(&to_hold, size);
	for (int i = 0; i < 300 && atomic_load(&held) != size; i++)
		usleep(100000);
	return atomic_load(&held) == size;
}

/* Read one line with an order, carry the order out, and answer. */
static void obey(int fd)
{
	char line[64] = "";
	unsigned long size;
	bool done = false;

	for (size_t n = 0; n < sizeof(line) - 1 && !strchr(line, '\n'); n++)
		if (recv(fd, line + n, 1, 0) != 1)
			break;
	if (!strcmp(line, "apart\n") || !strcmp(line, "together\n"))
		done = spread(*line == 'a');
	else if (sscanf(line, "hold %lu\n", &size) == 1)
		done = hold(size);
	if (send(fd, done ? "ok\n" : "no\n", 3, MSG_NOSIGNAL) != 3)
		note("an order was not answered: %s", strerror(errno));
}

static const struct port {
	unsigned short number;
	void (*serve)(int fd);
} ports[] = {
	{ STATUS_PORT, answer },
	{ ORDER_PORT, obey },
};

static void *listener(void *arg)
{
	const struct port *port = arg;
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons(port->number),
	};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 8))
		bail("port %d: %s", port->number, strerror(errno));
	for (;;) {
		int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (peer < 0)
			continue;
		port->serve(peer);
		close(peer);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	sigset_t set;
	int sig;

	check_begin("survive", 1800);
	if (argc != 3)
		bail("usage: survive DIRECTORY SERVER");
	directory = argv[1];
	server = argv[2];
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);

	home = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (home == MAP_FAILED)
		bail("no shared memory: %s", strerror(errno));
	for (intptr_t i = 0; i < KINDS; i++)
		if (pthread_create(&work[i].thread, NULL, run, (void *)i))
			bail("cannot start a thread: %s", strerror(errno));
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
		if (pthread_create(&thread, NULL, listener, (void *)&ports[i]))
			bail("cannot start a thread: %s", strerror(errno));
	sigwait(&set, &sig);

	atomic_store(&stop, true);
	for (int i = 0; i < KINDS; i++) {
		char name[64];

		pthread_join(work[i].thread, NULL);
		snprintf(name, sizeof(name), "survive-%s", kinds[i]);
		if (work[i].wrong)
			not_ok(name, "%lu times, the first one: %s",
			       work[i].wrong, work[i].why);
		else if (!work[i].rounds)
			not_ok(name, "nothing was done");
		else
			ok(name, "%lu rounds", work[i].rounds);
	}
	return check_end();
}
