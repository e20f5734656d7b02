// SPDX-License-Identifier: GPL-2.0
/*
 * Counts crossings into the hypervisor. The hypervisor's own tracing counts
 * them. This program marks the beginning and the end of the counted interval by
 * an event that the tracing records:
 *
 *	xen	a hypercall by privcmd that does not exist: sched_op with one of
 *		the commands below. xentrace records the command. The crossings
 *		in between are found in the records afterwards.
 *	kvm	CPUID of a leaf that does not exist at the beginning, a read of an
 *		MSR that does not exist at the end. Both always exit. A hypercall
 *		would not do: with the interface of Hyper-V a program can make
 *		none. Triggers on the host start and stop the counting. This program
 *		asks for the result over the second serial port.
 *	ops	counts calls of pv ops instead of crossings, by the kernel's
 *		counters (pv_counters). They are read at each mark.
 */
#include "bench.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>

#define XEN_SCHED_OP		29
#define XEN_BEGIN		0x5e000000UL	/* | index of the operation */
#define XEN_END			0x5f000000UL
#define KVM_BEGIN		0x4fff0001U
#define KVM_END			0x4fff0002U
#define COUNTERS		"/sys/kernel/debug/pvops/counters"
#define MAX_OPS			128
#define ROUNDS_MIN		5
#define ROUNDS_MAX		50

/*
 * struct privcmd_hypercall and IOCTL_PRIVCMD_HYPERCALL of the kernel's
 * privcmd.h
 */
struct hypercall {
	uint64_t op;
	uint64_t arg[5];
};

#define PRIVCMD_HYPERCALL	_IOC(_IOC_NONE, 'P', 0, sizeof(struct hypercall))

static int privcmd = -1, host = -1, counters = -1, msrs = -1;

/*
 * The name of each pv op, and its calls in all intervals since the last report.
 */
static struct {
	char name[40];
	uint64_t calls;
} called[MAX_OPS];

/*
 * Subtract the kernel's counts at the beginning of an interval, add them at its
 * end.
 */
static void read_counters(bool begin)
{
	static char text[16384];
	size_t size = 0, op = 0;
	ssize_t n;

	while ((n = pread(counters, text + size, sizeof(text) - 1 - size, size)) > 0)
		size += n;
	if (n < 0)
		bail(COUNTERS ": %s", strerror(errno));
	text[size] = 0;
	for (char *line = strtok(text, "\n"); line && op < MAX_OPS; line = strtok(NULL, "\n")) {
		unsigned long long calls;

		if (*line == '#')
			continue;
		if (sscanf(line, "%39s %llu", called[op].name, &calls) != 2)
			bail(COUNTERS ": cannot read \"%s\"", line);
		called[op++].calls += begin ? -calls : calls;
	}
	if (!op)
		bail(COUNTERS ": nothing is counted without pv_counters");
}

static void report_counters(char *answer, size_t size)
{
	size_t len = 0;

	for (int i = 0; i < MAX_OPS; i++) {
		if (called[i].calls && len < size)
			len += snprintf(answer + len, size - len, "%s=%llu ", called[i].name,
					(unsigned long long)called[i].calls);
		called[i].calls = 0;
	}
}

bool cross_open(const char *how)
{
	struct termios tio;

	if (!strcmp(how, "xen")) {
		privcmd = open("/proc/xen/privcmd", O_RDWR | O_CLOEXEC);
		return privcmd >= 0;
	}
	if (!strcmp(how, "ops")) {
		counters = open(COUNTERS, O_RDONLY | O_CLOEXEC);
		return counters >= 0;
	}
	msrs = open("/dev/cpu/0/msr", O_RDONLY | O_CLOEXEC);
	host = open("/dev/ttyS1", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (msrs < 0 || host < 0 || tcgetattr(host, &tio))
		return false;
	cfmakeraw(&tio);
	return tcsetattr(host, TCSANOW, &tio) == 0;
}

static void mark(bool begin, int index)
{
	uint32_t a = KVM_BEGIN, b, c = 0, d;
	struct hypercall call = { .op = XEN_SCHED_OP };
	uint64_t value;

	if (counters >= 0) {
		read_counters(begin);
	} else if (privcmd >= 0) {
		/* This hypercall fails, as intended. */
		call.arg[0] = (begin ? XEN_BEGIN : XEN_END) | index;
		ioctl(privcmd, PRIVCMD_HYPERCALL, &call);
	} else if (begin) {
		__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	} else {
		/* This read fails, as intended. */
		if (pread(msrs, &value, sizeof(value), KVM_END) >= 0)
			bail("there is an MSR 0x%x", KVM_END);
	}
}

/*
 * Ask the host for its counts since the last question. @ends divides the boot
 * into phases; it may be empty.
 */
static void ask_host(const char *ends, char *answer, size_t size)
{
	size_t n = 0;

	if (dprintf(host, "read%s\n", ends) < 0)
		bail("ttyS1: %s", strerror(errno));
	while (n < size - 1 && read(host, answer + n, 1) == 1 && answer[n] != '\n')
		n++;
	answer[n] = 0;
	if (!strncmp(answer, "failed", 6))
		bail("the host cannot count exits");
}

static void print_counts(const char *name, int index, int brackets, int ops,
			 const char *ends)
{
	char answer[4096] = "", line[4300];
	int len;

	if (host >= 0)
		ask_host(ends, answer, sizeof(answer));
	else if (counters >= 0)
		report_counters(answer, sizeof(answer));
	len = snprintf(line, sizeof(line), "cross %s index=%d brackets=%d ops=%d %s\n",
		       name, index, brackets, ops, answer);
	if (write(STDOUT_FILENO, line, len) != len)
		check_failures++;
}

/**
 * cross_booted - report the crossings of the boot
 * @ends:	ticks at the start of the kernel, and at the end of each phase
 * @nr:		number of elements of @ends
 *
 * The records of Xen contain the time. A KVM host needs @ends to divide its
 * counts.
 */
void cross_booted(const uint64_t *ends, int nr)
{
	char list[400] = "";
	int len = 0;

	mark(false, 0xffff);
	for (int i = 0; i < nr; i++)
		len += snprintf(list + len, sizeof(list) - len, " %llu",
				(unsigned long long)ends[i]);
	print_counts("boot", 0xffff, 1, 1, list);
}

/**
 * cross_count - have an operation's crossings counted
 * @op:		the operation
 * @index:	its number, for the records
 * @budget:	ticks that the rounds may take
 *
 * The marks are crossings too. Rounds without preparation are therefore counted
 * together, with one pair of marks.
 */
void cross_count(const struct op *op, int index, uint64_t budget)
{
	bool alone = op->prepare || op->finish;
	int rounds, per = op->per_round ? op->per_round : 1;
	uint64_t took = UINT64_MAX;

	set_up(op);
	for (int i = 0; i < 4; i++) {
		uint64_t start;

		if (op->prepare)
			op->prepare();
		start = ticks();
		do_round(op, NULL);
		if (ticks() - start < took)
			took = ticks() - start;
		if (op->finish)
			op->finish();
	}
	rounds = budget / (took + 1) > ROUNDS_MAX ? ROUNDS_MAX : budget / (took + 1);
	if (rounds < ROUNDS_MIN)
		rounds = ROUNDS_MIN;
	if (!alone)
		mark(true, index);
	for (int i = 0; i < rounds; i++) {
		if (op->prepare)
			op->prepare();
		if (alone)
			mark(true, index);
		do_round(op, NULL);
		if (alone)
			mark(false, index);
		if (op->finish)
			op->finish();
	}
	if (!alone)
		mark(false, index);
	if (op->teardown)
		op->teardown();
	print_counts(op->name, index, alone ? rounds : 1, rounds * per, "");
}
