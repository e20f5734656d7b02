// SPDX-License-Identifier: GPL-2.0
/*
 * The benchmark program, which measures the cost of operations in every world.
 *
 *	opcost [WORD]... PROGRAM	PROGRAM only exits
 *	opcost run NAME TIMES COMMAND...
 *
 * Words:
 *	ops=A,B		only these operations (default: all for this many CPUs)
 *	budget=N	million ticks to spend on one operation, approximately
 *	count=HOW	count crossings instead of timing, see cross.c
 *	time		also time a loop of known length before each operation
 *	loop=OP		repeat this operation until the budget is used up
 *	boot		print the cost of the boot
 *
 * The comments of sample.c, cross.c and of the functions below describe the
 * output. As init, opcost prints the cost of the boot and powers the machine off
 * at the end. As init without PROGRAM it measures nothing else.
 */
#include "bench.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>

#define MILLION		1000000ULL
#define ALARM		3000		/* seconds */

static const char *wanted_ops, *count_how, *loop_op;
static uint64_t budget = 60 * MILLION;
static bool with_time, with_boot;

/* Lines of the kernel log that end the phases of the boot, in order. */
static const struct {
	const char *text, *name;
} phases[] = {
	{ "Freeing SMP alternatives memory", "core" },
	{ "smp: Brought up ", "smp" },
	{ "Freeing unused kernel image (initmem)", "initcalls" },
	{ "Run /", "init" },
};

#define TICKS_PER_US	1000	/* under -icount */

/*
 * Ticks at the kernel's first instruction, at the start of its clock, and at
 * the end of each phase.
 */
static uint64_t boot_ends[2 + ARRAY_SIZE(phases)];
static int nr_boot_ends;

/* boot_params.hd0_info; tools/pvops/bootstamp.py has the ticks written there */
#define HD0_INFO	0x80

static uint64_t entry_ticks(void)
{
	int fd = open("/sys/kernel/boot_params/data", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	if (fd >= 0) {
		if (pread(fd, &entry, sizeof(entry), HD0_INFO) != sizeof(entry))
			entry = 0;
		close(fd);
	}
	return entry;
}

/*
 * Print the cost of the boot: in ticks since reset, and in microseconds of the
 * kernel's clock. That clock starts early in setup_arch() and stamps the lines
 * of the kernel log. A line written to the log gives the clock's present time.
 *
 *	phase <name> us=<n>
 *	boot reset-ticks=<n> clock-us=<n> mark-ticks=<n> entry-ticks=<n>
 *
 * mark-ticks is the time of that line, in ticks after reset-ticks. entry-ticks
 * is the time of the kernel's first instruction, or 0 if it was not recorded
 * (tools/pvops/bootstamp.py).
 */
static void boot_cost(uint64_t began)
{
	static const char mark[] = "opcost: begins\n";
	unsigned long long usec = 0;
	char record[8192];
	size_t phase = 0;
	uint64_t marked;
	int out, in;
	ssize_t n;

	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	out = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	in = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (out < 0 || in < 0)
		bail("/dev/kmsg: %s", strerror(errno));
	marked = ticks();
	if (write(out, mark, sizeof(mark) - 1) < 0)
		bail("/dev/kmsg: %s", strerror(errno));
	while ((n = read(in, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		record[n] = 0;
		if (sscanf(record, "%*u,%*u,%llu", &usec) != 1)
			continue;
		if (strstr(record, "opcost: begins"))
			break;
		if (phase < ARRAY_SIZE(phases) && strstr(record, phases[phase].text)) {
			printf("phase %s us=%llu\n", phases[phase].name, usec);
			boot_ends[2 + phase++] = usec;
		}
	}
	if (n <= 0)
		bail("the mark did not come back from the kernel log");
	close(in);
	close(out);
	boot_ends[0] = entry_ticks();
	for (size_t i = 1; i < 2 + phase; i++)
		boot_ends[i] = marked - (usec - boot_ends[i]) * TICKS_PER_US;
	nr_boot_ends = 2 + phase;
	printf("boot reset-ticks=%llu clock-us=%llu mark-ticks=%llu entry-ticks=%llu\n",
	       (unsigned long long)began, usec,
	       (unsigned long long)(marked - began),
	       (unsigned long long)boot_ends[0]);
	fflush(stdout);
}

/* Is a name in a comma-separated list? */
static bool listed(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = list; (at = strstr(at, name)); at += length)
		if ((at == list || at[-1] == ',') && (!at[length] || at[length] == ','))
			return true;
	return false;
}

static const struct op reference = {
	.name = "reference", .once = reference_loop, .samples = 100,
};

/* Repeat an operation, so that it can be profiled from outside. */
static void loop(const struct op *op)
{
	uint64_t began;

	set_up(op);
	printf("PVOPS-LOOP %s per-round=%d\n", op->name, op->per_round ? op->per_round : 1);
	fflush(stdout);
	for (began = ticks(); ticks() - began < budget;) {
		if (op->prepare)
			op->prepare();
		do_round(op, NULL);
		if (op->finish)
			op->finish();
	}
	if (op->teardown)
		op->teardown();
}

/*
 * Each operation runs in its own process. The cost of fork() depends on
 * everything that the process has mapped, so an earlier operation would change
 * it.
 */
static void in_child(const struct op *op, int index)
{
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		alarm(ALARM);
		if (count_how) {
			cross_count(op, index, budget);
		} else {
			if (with_time)
				measure(&reference, budget);
			measure(op, budget);
		}
		_exit(check_end());
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		not_ok(op->name, "could not be measured");
}

static void one(const struct op *op, int index)
{
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	bool smp = cpus > 1, alone = op->cpus < 2;

	if (loop_op) {
		if (!strcmp(loop_op, op->name))
			loop(op);
		return;
	}
	/* With several CPUs only operations for several CPUs are the default. */
	if (wanted_ops ? !listed(wanted_ops, op->name) :
	    op->cpus > cpus || smp == alone)
		return;
	if (op->cpus > cpus)
		not_ok(op->name, "needs %d CPUs, there are %d", op->cpus, cpus);
	else
		in_child(op, index);
}

static void each(const struct op *ops, int *index)
{
	for (const struct op *op = ops; op->name; op++) {
		struct op copy = *op;
		char name[40];

		copy.u2 = false;
		one(&copy, (*index)++);
		if (!op->u2)
			continue;
		snprintf(name, sizeof(name), "%s-u2", op->name);
		copy.name = name;
		copy.u2 = true;
		one(&copy, (*index)++);
	}
}

static void measure_all(void)
{
	int index = 0;

	/*
	 * Huge pages would vary from run to run. The benchmark compares 4 KiB
	 * pages, unless the kernel's command line asks for large folios.
	 */
	if (!getenv("FOLIOS"))
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	find_overhead();
	if (!with_time && !count_how && !loop_op)
		prove_counting();
	each(basic_ops, &index);
	each(memory_ops, &index);
	each(smp_ops, &index);
	each(process_ops, &index);
}

/*
 * Run a command several times and discard its output:
 *
 *	load <name> ticks=<n>,<n>,...
 */
static int run_load(char **argv)
{
	const char *name = argv[0];
	int times = atoi(argv[1]);
	uint64_t *took;

	if (times < 1)
		bail("%s: how many times?", name);
	took = calloc(times, sizeof(*took));
	if (!took)
		bail("no memory");
	for (int i = 0; i < times; i++) {
		uint64_t start = ticks();
		pid_t pid = fork();
		int status;

		if (!pid) {
			int null = open("/dev/null", O_RDWR);

			dup2(null, STDIN_FILENO);
			dup2(null, STDOUT_FILENO);
			execvp(argv[2], argv + 2);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			bail("%s: %s ended with %#x", name, argv[2], status);
		took[i] = ticks() - start;
	}
	printf("load %s ticks=", name);
	for (int i = 0; i < times; i++)
		printf("%s%llu", i ? "," : "", (unsigned long long)took[i]);
	printf("\n");
	fflush(stdout);
	free(took);
	return 0;
}

/*
 * As init this program must not exit, and worlds/guest/init does not run. So
 * print the marker lines of that script here.
 */
static void as_init(uint64_t began)
{
	pid_t pid;
	int status = 1;

	printf("PVOPS-BEGIN report\ncpus: %ld\nPVOPS-END report\n"
	       "PVOPS-BEGIN job opcost\n", sysconf(_SC_NPROCESSORS_ONLN));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		boot_cost(began);
		if (program)
			measure_all();
		_exit(check_end());
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	printf("\nPVOPS-END job opcost rc=%d\nPVOPS-DONE\n",
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128);
	fflush(stdout);
	reboot(RB_POWER_OFF);
	pause();
}

/*
 * Unknown words are skipped: the kernel may pass words of its command line to
 * init.
 */
static void parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "ops=", 4))
			wanted_ops = argv[i] + 4;
		else if (!strncmp(argv[i], "budget=", 7))
			budget = strtoull(argv[i] + 7, NULL, 10) * MILLION;
		else if (!strncmp(argv[i], "count=", 6))
			count_how = argv[i] + 6;
		else if (!strncmp(argv[i], "loop=", 5))
			loop_op = argv[i] + 5;
		else if (!strcmp(argv[i], "time"))
			with_time = true;
		else if (!strcmp(argv[i], "boot"))
			with_boot = true;
	}
	program = argv[argc - 1];
	if (argc < 2 || program[0] != '/' || access(program, X_OK))
		program = NULL;
}

int main(int argc, char **argv)
{
	uint64_t began = ticks();

	/* A guest that hangs is idle, and an idle guest's clock runs fast. */
	check_begin("opcost", ALARM);
	if (argc > 4 && !strcmp(argv[1], "run"))
		return run_load(argv + 2);
	parse(argc, argv);
	if (getpid() == 1)
		as_init(began);
	if (with_boot)
		boot_cost(began);
	if (count_how) {
		if (!cross_open(count_how))
			bail("count=%s: %s", count_how, strerror(errno));
		if (with_boot && strcmp(count_how, "ops"))
			cross_booted(boot_ends, nr_boot_ends);
	}
	if (program)
		measure_all();
	else if (!with_boot)
		bail("usage: opcost [WORD]... PROGRAM-THAT-EXITS");
	return check_end();
}
