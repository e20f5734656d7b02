// SPDX-License-Identifier: GPL-2.0
/*
 * Work in a domain that is saved, restored, moved, squeezed and cut down to one
 * CPU meanwhile, and must not notice.
 *
 * Each thread does one kind of work, counts its rounds, and checks everything
 * it gets against what it must be: memory, copies of memory after fork, the
 * clock, a file on the disk, a connection to dom0. dom0 asks for the counters
 * over a connection of its own ("status"). SIGTERM ends it.
 */
#include "memory.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define WORDS		(PAGE / sizeof(uint64_t))
#define STATUS_PORT	7000
#define ECHO_PORT	7
#define RECORDS		1024	/* in the file, which is written in a circle */
#define MAX_CPUS	64

enum { MEMORY, MEMORY_TOO, COPIES, CLOCK, DISK, NET, KINDS };

static const char * const kinds[KINDS] = {
	"memory", "memory2", "copies", "clock", "disk", "net",
};

static struct work {
	pthread_t thread;
	atomic_ulong rounds;
	atomic_ulong wrong;
	char why[200];		/* the first thing that was wrong */
} work[KINDS];

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
 * Every word of some megabytes, again and again: each page is checked, and
 * filled with the next pattern.
 */
static void memory(int kind)
{
	const size_t pages = 2048;
	uint64_t *base = map_anon(pages);
	/* no two pages hold the same, in no turn */
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
	/* stopped in the middle of a turn: nothing further can be said */
	munmap(base, pages * PAGE);
}

/* A child has a copy of its own, whatever either side writes. */
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

/* Clocks go on, on whichever CPU, and timers fire and not early. */
static void clocks(int kind)
{
	const int64_t nap = 5 * NSEC_PER_MSEC;
	struct timespec ts = { .tv_nsec = nap };
	int64_t last = now_ns();

	for (unsigned int turn = 0; !atomic_load(&stop); turn++) {
		int64_t now;

		/* a CPU that is not there just now is no fault */
		pin(turn % 2);
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
		/* freezing and moving takes a while, a lost timer for ever */
		if (now - last > 60 * NSEC_PER_SEC)
			wrong(kind, "slept %lld s",
			      (long long)((now - last) / NSEC_PER_SEC));
		last = now;
		atomic_fetch_add(&work[kind].rounds, 1);
	}
}

/* Records of a page each in a file, and back from the disk past all caches. */
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
				wrong(kind, "record %lu is another",
				      (unsigned long)look);
		}
		atomic_fetch_add(&work[kind].rounds, 1);
	}
	/* all that a circle holds, in the end */
	for (uint64_t i = turn > RECORDS ? turn - RECORDS : 0; i < turn; i++) {
		if (pread(direct, page, PAGE, i % RECORDS * PAGE) != (ssize_t)PAGE ||
		    !holds(page, i))
			wrong(kind, "record %lu is another in the end",
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

		/* being frozen interrupts a call that has a time limit */
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

/* One connection for the whole time: what is sent comes back, in order. */
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

static void *run(void *arg)
{
	static void (* const fn[KINDS])(int) = {
		memory, memory, copies, clocks, disk, net,
	};
	int kind = (int)(intptr_t)arg;

	fn[kind](kind);
	return NULL;
}

/* How often the timer of each CPU that is online has fired: "0:123,1:456". */
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

/* One line for whoever connects. */
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
		      "wrong=%lu ticks=%s online=%s total_kb=%ld time=%lld\n",
		      lost, per_cpu, online, total_kb(), (long long)time(NULL));
	if (send(fd, line, n, MSG_NOSIGNAL) != n)
		note("a status was not sent: %s", strerror(errno));
}

static void *listener(void *arg)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons(STATUS_PORT),
	};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)arg;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 8))
		bail("port %d: %s", STATUS_PORT, strerror(errno));
	for (;;) {
		int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (peer < 0)
			continue;
		answer(peer);
		close(peer);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t port;
	sigset_t set;
	int sig;

	check_begin("survive", 900);
	if (argc != 3)
		bail("usage: survive DIRECTORY SERVER");
	directory = argv[1];
	server = argv[2];
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);

	for (intptr_t i = 0; i < KINDS; i++)
		if (pthread_create(&work[i].thread, NULL, run, (void *)i))
			bail("cannot start a thread: %s", strerror(errno));
	if (pthread_create(&port, NULL, listener, NULL))
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
