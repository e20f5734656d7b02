/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers of all guest jobs: result lines, pinning, time and a watchdog.
 *
 * A job prints one line for each check: "ok", "not ok" or "skip". The kernel
 * prints on the same console. Each line is written by one write(), so that
 * lines of two processes do not mix.
 */
#ifndef PVOPS_CHECK_H
#define PVOPS_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define NSEC_PER_SEC	1000000000LL
#define NSEC_PER_MSEC	1000000LL

static int check_failures;
static const char *check_job = "job";

static inline void check_line(const char *verdict, const char *name,
			      const char *detail)
{
	char line[512];
	int n;

	n = snprintf(line, sizeof(line), "%s %s%s%s", verdict, name,
		     *detail ? " - " : "", detail);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, n) != n)
		check_failures++;
}

/* Format fmt into detail[]. This is a macro because of va_start(). */
#define CHECK_DETAIL						\
	char detail[400] = "";						\
	va_list ap;							\
									\
	va_start(ap, fmt);						\
	if (fmt)							\
		vsnprintf(detail, sizeof(detail), fmt, ap);		\
	va_end(ap)

__attribute__((format(printf, 2, 3)))
static inline void ok(const char *name, const char *fmt, ...)
{
	CHECK_DETAIL;

	check_line("ok", name, detail);
}

__attribute__((format(printf, 2, 3)))
static inline void not_ok(const char *name, const char *fmt, ...)
{
	CHECK_DETAIL;

	check_failures++;
	check_line("not ok", name, detail);
}

__attribute__((format(printf, 2, 3)))
static inline void skip(const char *name, const char *fmt, ...)
{
	CHECK_DETAIL;

	check_line("skip", name, detail);
}

__attribute__((format(printf, 1, 2)))
static inline void note(const char *fmt, ...)
{
	CHECK_DETAIL;

	check_line("#", detail, "");
}

/* The machine refused something that the job needs. Report that and exit. */
__attribute__((format(printf, 1, 2), noreturn))
static inline void bail(const char *fmt, ...)
{
	CHECK_DETAIL;

	check_line("not ok", check_job, detail);
	_exit(1);
}

static void check_alarm(int sig)
{
	static const char text[] = "not ok watchdog - did not finish in time\n";

	(void)sig;
	if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

/*
 * A slow kernel gets a multiple of the time: tools/pvops/world.py sets PVOPS_SCALE on
 * its command line, and the kernel hands it to init.
 */
static inline unsigned int check_seconds(unsigned int seconds)
{
	const char *scale = getenv("PVOPS_SCALE");

	return scale ? seconds * atoi(scale) : seconds;
}

/*
 * Make a hang a failed check. Otherwise the run would end at the time limit of
 * QEMU.
 */
static inline void check_begin(const char *job, unsigned int seconds)
{
	check_job = job;
	signal(SIGALRM, check_alarm);
	alarm(check_seconds(seconds));
}

static inline int check_end(void)
{
	return check_failures ? 1 : 0;
}

static inline int64_t ts_ns(const struct timespec *ts)
{
	return ts->tv_sec * NSEC_PER_SEC + ts->tv_nsec;
}

static inline int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts_ns(&ts);
}

/* Move the calling thread to one CPU; false if that is impossible. */
static inline bool pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

/* List the CPUs that this process may use, in order; returns their number. */
static inline int usable_cpus(int *cpus, int max)
{
	cpu_set_t set;
	int n = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 0;
	for (int cpu = 0; cpu < CPU_SETSIZE && n < max; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[n++] = cpu;
	return n;
}

static inline bool write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	bool good;

	if (!f)
		return false;
	good = fputs(text, f) >= 0;
	if (fclose(f))
		good = false;
	return good;
}

static inline bool read_file(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return false;
	n = fread(buf, 1, size - 1, f);
	fclose(f);
	buf[n] = 0;
	if (n && buf[n - 1] == '\n')
		buf[n - 1] = 0;
	return true;
}

#endif /* PVOPS_CHECK_H */
