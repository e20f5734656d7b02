// SPDX-License-Identifier: GPL-2.0
/*
 * RDFSBASE, RDGSBASE, WRFSBASE and WRGSBASE, if CPUID shows them to a program.
 *
 * The CPU may execute these instructions, or a kernel that runs without the
 * feature may emulate them. The program must not see a difference in operands,
 * faults and single steps. A base must survive signals, task switches, fork and
 * changes by a debugger.
 *
 * The C library finds its thread data by FS. Code that changes FS therefore
 * does not use the C library. It makes system calls inline, and restores FS
 * before it returns.
 */
#include "check.h"

#include <asm/ldt.h>
#include <asm/prctl.h>
#include <cpuid.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <sys/user.h>
#include <sys/wait.h>

#define USER_END	0x7ffffffff000ULL
#define PAGE		4096
#define RSP		4
#define EFLAGS_TF	0x100
#define DR6_BS		0x4000
#define USER_DS		0x2b
#define USER32_CS	0x23

enum which { RDFS, RDGS, WRFS, WRGS };

static const char * const names[] = {
	"rdfsbase", "rdgsbase", "wrfsbase", "wrgsbase"
};

static const uint64_t canonical[] = {
	0, 1, 0x12345678, 0x80000000, 0xffffffff, 0x100000000, 0x123456789abc,
	0x7fffffffffff, 0xffff800000000000, 0xfffffffffffffff8,
	0xffffffffffffffff
};

static const uint64_t non_canonical[] = {
	0x800000000000, 0x8000000000000000, 0x7fffffffffffffff,
	0xffff7fffffffffff, 0x0001000000001000
};

static inline __attribute__((always_inline)) uint64_t rdfs(void)
{
	uint64_t base;

	asm volatile("rdfsbase %0" : "=r"(base) : : "memory");
	return base;
}

static inline __attribute__((always_inline)) uint64_t rdgs(void)
{
	uint64_t base;

	asm volatile("rdgsbase %0" : "=r"(base) : : "memory");
	return base;
}

static inline __attribute__((always_inline)) void wrfs(uint64_t base)
{
	asm volatile("wrfsbase %0" : : "r"(base) : "memory");
}

static inline __attribute__((always_inline)) void wrgs(uint64_t base)
{
	asm volatile("wrgsbase %0" : : "r"(base) : "memory");
}

/* A system call without the C library, which needs FS. */
static inline __attribute__((always_inline)) long raw(long nr, long a, long b,
						      long c)
{
	long ret;

	asm volatile("syscall" : "=a"(ret)
		     : "a"(nr), "D"(a), "S"(b), "d"(c)
		     : "rcx", "r11", "memory");
	return ret;
}

static void handle(int sig, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction sa = {
		.sa_sigaction = handler,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	if (sigaction(sig, &sa, NULL))
		bail("sigaction: %s", strerror(errno));
}

/* ---- one instruction at a time, with all registers */

/*
 * Below 2 GiB, so that absolute addresses reach it while no register is free.
 */
struct area {
	uint64_t host[16];
	uint64_t in[16];
	uint64_t out[16];
	uint64_t fs;		/* the base of the C library */
	uint64_t set;		/* the base before the instruction */
	uint64_t got;		/* the base that arch_prctl() returns after the instruction */
	uint32_t far_ip;
	uint16_t far_cs;
	uint8_t code[1024] __attribute__((aligned(64)));
};

static struct area *area;
static uint8_t *next;

/* What the last signal reported, and where the handler continues. */
static volatile int seen_sig;
static volatile int seen_code;
static volatile long seen_trap;
static volatile uint64_t seen_ip;
static uint64_t seen_addr;
static volatile uint64_t recover;
static volatile uint64_t recover_cs;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	greg_t *regs = uc->uc_mcontext.gregs;

	seen_sig = sig;
	seen_code = info->si_code;
	seen_addr = (uintptr_t)info->si_addr;
	seen_trap = regs[REG_TRAPNO];
	seen_ip = regs[REG_RIP];
	regs[REG_RIP] = recover;
	if (recover_cs)
		regs[REG_CSGSFS] = (regs[REG_CSGSFS] & ~0xffffLL) | recover_cs;
}

static void emit(const void *bytes, size_t n)
{
	memcpy(next, bytes, n);
	next += n;
}

static void emit32(uint32_t val)
{
	emit(&val, sizeof(val));
}

/*
 * Emit a mov between a register and memory; op is 0x89 to store and 0x8b to
 * load.
 */
static void emit_mov(uint8_t op, int reg, const void *mem)
{
	uint8_t bytes[] = { 0x48 | (reg >> 3 << 2), op, (reg & 7) << 3 | 4, 0x25 };

	emit(bytes, sizeof(bytes));
	emit32((uintptr_t)mem);
}

/* Emit arch_prctl(code, mem), or arch_prctl(code, *mem) if by_value. */
static void emit_prctl(uint32_t code, const void *mem, bool by_value)
{
	emit("\xb8", 1);	/* mov $158, %eax */
	emit32(SYS_arch_prctl);
	emit("\xbf", 1);	/* mov $code, %edi */
	emit32(code);
	if (by_value) {
		emit_mov(0x8b, 6, mem);
	} else {
		emit("\xbe", 1);	/* mov $mem, %esi */
		emit32((uintptr_t)mem);
	}
	emit("\x0f\x05", 2);	/* syscall */
}

static size_t encode(uint8_t *bytes, enum which which, int reg, bool wide)
{
	size_t n = 0;

	bytes[n++] = 0xf3;
	if (wide || reg >= 8)
		bytes[n++] = 0x40 | wide << 3 | reg >> 3;
	bytes[n++] = 0x0f;
	bytes[n++] = 0xae;
	bytes[n++] = 0xc0 | which << 3 | (reg & 7);
	return n;
}

/*
 * Run an instruction with area->in in the registers and area->set as the base
 * of FS or GS. Afterwards area->got has the base, and seen_sig the signal.
 */
static void run(bool gs, const uint8_t *bytes, size_t n)
{
	uint8_t insn[16];
	int reg;

	next = area->code;
	for (reg = 0; reg < 16; reg++)
		emit_mov(0x89, reg, &area->host[reg]);
	if (area->set < USER_END) {
		emit_prctl(gs ? ARCH_SET_GS : ARCH_SET_FS, &area->set, true);
	} else {
		emit_mov(0x8b, 0, &area->set);
		emit(insn, encode(insn, gs ? WRGS : WRFS, 0, true));
	}
	for (reg = 0; reg < 16; reg++)
		emit_mov(0x8b, reg, &area->in[reg]);
	emit(bytes, n);
	recover = (uintptr_t)next;
	for (reg = 0; reg < 16; reg++)
		emit_mov(0x89, reg, &area->out[reg]);
	emit_prctl(gs ? ARCH_GET_GS : ARCH_GET_FS, &area->got, false);
	emit_prctl(ARCH_SET_FS, &area->fs, true);
	for (reg = 0; reg < 16; reg++)
		emit_mov(0x8b, reg, &area->host[reg]);
	emit("\xc3", 1);	/* ret */

	seen_sig = 0;
	area->got = ~0xbadULL;
	((void (*)(void))area->code)();
}

static void fill_registers(void)
{
	int reg;

	for (reg = 0; reg < 16; reg++)
		area->in[reg] = 0x1111111111111111ULL * reg ^ 0xa5a5a5a5;
}

static bool try_operand(enum which which, int reg, bool wide, uint64_t val)
{
	bool gs = which & 1, write = which & 2;
	uint64_t part = wide ? val : (uint32_t)val;
	uint64_t want_reg = write ? val : part;
	uint64_t want_base = write ? part : val;
	uint8_t insn[16];
	int i;

	fill_registers();
	area->set = write ? 0x5555 : val;
	if (write)
		area->in[reg] = val;
	run(gs, insn, encode(insn, which, reg, wide));
	if (seen_sig) {
		not_ok(names[which], "signal %d, register %d, %s, %#llx", seen_sig,
		       reg, wide ? "64-bit" : "32-bit", (unsigned long long)val);
		return false;
	}
	for (i = 0; i < 16; i++) {
		uint64_t want = i == reg ? want_reg : area->in[i];

		if (area->out[i] == want)
			continue;
		not_ok(names[which], "operand %d, %s, %#llx: register %d %#llx, not %#llx",
		       reg, wide ? "64-bit" : "32-bit", (unsigned long long)val, i,
		       (unsigned long long)area->out[i], (unsigned long long)want);
		return false;
	}
	if (area->got != want_base) {
		not_ok(names[which], "register %d, %s, %#llx: base %#llx, not %#llx",
		       reg, wide ? "64-bit" : "32-bit", (unsigned long long)val,
		       (unsigned long long)area->got, (unsigned long long)want_base);
		return false;
	}
	return true;
}

static void test_operands(enum which which)
{
	unsigned int i;
	int reg, wide;

	for (reg = 0; reg < 16; reg++)
		for (wide = 0; wide < 2; wide++)
			for (i = 0; i < ARRAY_SIZE(canonical); i++)
				if (!try_operand(which, reg, wide, canonical[i]))
					return;
	ok(names[which], NULL);
}

static void test_non_canonical(bool gs)
{
	const char *name = gs ? "gs-non-canonical" : "fs-non-canonical";
	uint8_t insn[16];
	unsigned int i;
	int reg;

	for (i = 0; i < ARRAY_SIZE(non_canonical); i++) {
		unsigned long long val = non_canonical[i];

		for (reg = 0; reg < 16; reg += 3) {
			fill_registers();
			area->set = 0x5555;
			area->in[reg] = val;
			run(gs, insn, encode(insn, gs ? WRGS : WRFS, reg, true));
			if (seen_sig != SIGSEGV || seen_code != SI_KERNEL ||
			    seen_trap != 13) {
				not_ok(name, "%#llx: signal %d, code %#x, trap %ld",
				       val, seen_sig, seen_code, seen_trap);
				return;
			}
			if (area->got != 0x5555 || area->out[reg] != val) {
				not_ok(name, "%#llx: base %#llx after the fault",
				       val, (unsigned long long)area->got);
				return;
			}
		}
		/* The lower 32 bits are a canonical address. */
		if (!try_operand(gs ? WRGS : WRFS, 0, false, val))
			return;
	}
	ok(name, NULL);
}

static const struct {
	const char *bytes;
	unsigned char n;
	unsigned char sig;
} encodings[] = {
	/* all of these are rdgsbase, or differ from it by a prefix */
	{ "\x66\xf3\x48\x0f\xae\xc8", 6, 0 },
	{ "\xf3\x66\x48\x0f\xae\xc8", 6, 0 },
	{ "\xf3\x67\x48\x0f\xae\xc8", 6, 0 },
	{ "\x2e\xf3\x48\x0f\xae\xc8", 6, 0 },
	{ "\xf3\x64\x48\x0f\xae\xc8", 6, 0 },
	{ "\xf3\xf3\xf3\x48\x0f\xae\xc8", 7, 0 },
	{ "\xf2\xf3\x48\x0f\xae\xc8", 6, 0 },
	{ "\xf3\x4e\x0f\xae\xc8", 5, 0 },
	/*
	 * The kernel's instruction decoder knows at most four different
	 * prefixes.
	 */
	{ "\xf3\x3e\x64\x65\x48\x0f\xae\xc8", 8, 0 },
	{ "\xf3\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x48\x0f\xae\xc8", 15, 0 },
	{ "\xf0\xf3\x48\x0f\xae\xc8", 6, SIGILL },
	{ "\xf3\xf0\x48\x0f\xae\xc8", 6, SIGILL },
	{ "\x66\x48\x0f\xae\xc8", 5, SIGILL },
	{ "\x48\x0f\xae\xc8", 4, SIGILL },
	{ "\x0f\x0b", 2, SIGILL },
};

static void test_encodings(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(encodings); i++) {
		fill_registers();
		area->set = 0x123456789abc;
		run(true, (const uint8_t *)encodings[i].bytes, encodings[i].n);
		if (seen_sig != encodings[i].sig) {
			not_ok("encodings", "number %u: signal %d, not %d", i,
			       seen_sig, encodings[i].sig);
			return;
		}
		if (seen_sig && (seen_code != ILL_ILLOPN || seen_trap != 6)) {
			not_ok("encodings", "number %u: code %d, trap %ld", i,
			       seen_code, seen_trap);
			return;
		}
		if (area->out[0] != (seen_sig ? area->in[0] : area->set)) {
			not_ok("encodings", "number %u: %#llx", i,
			       (unsigned long long)area->out[0]);
			return;
		}
	}
	ok("encodings", NULL);
}

/*
 * The instruction is at the end of a page, and the next page is not mapped. An
 * emulator must not read beyond the instruction.
 */
static void test_page_end(void)
{
	uint8_t *pages, *at, insn[] = { 0xe9, 0, 0, 0, 0 }, code[16];
	size_t n = encode(code, RDGS, 3, true);
	int32_t far;

	pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (pages == MAP_FAILED || munmap(pages + PAGE, PAGE))
		bail("mmap: %s", strerror(errno));
	at = pages + PAGE - n;
	memcpy(at, code, n);

	/* The jump's distance depends on run(), so find it by a first run. */
	fill_registers();
	area->set = 0x4321;
	run(true, (const uint8_t *)"\x90\x90\x90\x90\x90", sizeof(insn));
	far = at - (uint8_t *)(uintptr_t)recover;
	memcpy(insn + 1, &far, sizeof(far));
	run(true, insn, sizeof(insn));
	if (seen_sig != SIGSEGV || seen_ip != (uintptr_t)pages + PAGE)
		not_ok("page-end", "signal %d at %#llx", seen_sig,
		       (unsigned long long)seen_ip);
	else if (area->out[3] != area->set)
		not_ok("page-end", "%#llx", (unsigned long long)area->out[3]);
	else
		ok("page-end", NULL);
	munmap(pages, PAGE);
}

/* These instructions exist only in 64-bit code. */
static void test_32bit(void)
{
	uint8_t jump[] = { 0xff, 0x2c, 0x25, 0, 0, 0, 0 };
	uint32_t where = (uintptr_t)&area->far_ip;
	uint8_t *code = (uint8_t *)area + PAGE;
	int which;

	asm volatile("mov %%cs, %0" : "=r"(recover_cs));
	memcpy(jump + 3, &where, sizeof(where));
	for (which = RDFS; which <= WRGS; which++) {
		size_t n = encode(code, which, 0, false);

		code[n] = 0xf4;		/* hlt: raises another signal if reached */
		area->far_ip = (uintptr_t)code;
		area->far_cs = USER32_CS;
		fill_registers();
		area->set = 0x4321;
		run(true, jump, sizeof(jump));
		if (seen_sig != SIGILL || seen_ip != area->far_ip) {
			not_ok("32-bit-code", "%s: signal %d at %#llx", names[which],
			       seen_sig, (unsigned long long)seen_ip);
			break;
		}
	}
	if (which > WRGS)
		ok("32-bit-code", NULL);
	recover_cs = 0;
}

/* ---- what a program does between two instructions */

/* Switch to another task and back, and move to another CPU. */
static inline __attribute__((always_inline)) void go_around(const int *cpus, int n,
							    int turn)
{
	unsigned long set[16] = {};
	int cpu = cpus[turn % n];

	set[cpu / 64] = 1UL << (cpu % 64);
	raw(SYS_sched_setaffinity, 0, sizeof(set), (long)set);
	raw(SYS_sched_yield, 0, 0, 0);
}

static int cpus[64];
static int nr_cpus;

static uint64_t handler_saw[2];

static void on_usr1(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	handler_saw[0] = rdfs();
	handler_saw[1] = rdgs();
	wrfs(0x3333000);
	wrgs(0xffff888000000000);
}

static void test_signals(void)
{
	uint64_t old = rdfs(), fs, gs;

	handle(SIGUSR1, on_usr1);
	wrgs(0x2222000);
	wrfs(0x1111000);
	raw(SYS_kill, raw(SYS_getpid, 0, 0, 0), SIGUSR1, 0);
	fs = rdfs();
	gs = rdgs();
	wrfs(old);
	if (handler_saw[0] != 0x1111000 || handler_saw[1] != 0x2222000)
		not_ok("signals", "the handler saw %#llx and %#llx",
		       (unsigned long long)handler_saw[0],
		       (unsigned long long)handler_saw[1]);
	else if (fs != 0x3333000 || gs != 0xffff888000000000)
		not_ok("signals", "%#llx and %#llx after the handler",
		       (unsigned long long)fs, (unsigned long long)gs);
	else
		ok("signals", NULL);
}

static int nr_steps;
static uint64_t steps[16];
static int step_codes[16];

static void on_trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	if (nr_steps < (int)ARRAY_SIZE(steps)) {
		steps[nr_steps] = uc->uc_mcontext.gregs[REG_RIP];
		step_codes[nr_steps++] = info->si_code;
	}
}

static void test_trap_flag(void)
{
	uint64_t first, second, third;

	handle(SIGTRAP, on_trap);
	nr_steps = 0;
	/* Leave the red zone below RSP alone: the compiler may use it. */
	asm volatile("sub $256, %%rsp\n\t"
		     "pushfq\n\t"
		     "orl %3, (%%rsp)\n\t"
		     "lea 1f(%%rip), %0\n\t"
		     "lea 2f(%%rip), %1\n\t"
		     "lea 3f(%%rip), %2\n\t"
		     "popfq\n\t"
		     "rdgsbase %%rax\n"
		     "1:\twrgsbase %%rax\n"
		     "2:\tnop\n"
		     "3:\tpushfq\n\t"
		     "andl %4, (%%rsp)\n\t"
		     "popfq\n\t"
		     "add $256, %%rsp"
		     : "=&r"(first), "=&r"(second), "=&r"(third)
		     : "i"(EFLAGS_TF), "i"(~EFLAGS_TF)
		     : "rax", "memory", "cc");
	if (nr_steps < 3 || steps[0] != first || steps[1] != second ||
	    steps[2] != third)
		not_ok("trap-flag", "%d steps, to %#llx %#llx %#llx, not %#llx", nr_steps,
		       (unsigned long long)steps[0], (unsigned long long)steps[1],
		       (unsigned long long)steps[2], (unsigned long long)first);
	else if (step_codes[0] != TRAP_TRACE || step_codes[1] != TRAP_TRACE)
		not_ok("trap-flag", "codes %d and %d", step_codes[0], step_codes[1]);
	else
		ok("trap-flag", NULL);
	signal(SIGTRAP, SIG_DFL);
}

/* The bases that the child found. */
struct found {
	uint64_t fs;
	uint64_t gs;
};

static void test_fork(void)
{
	struct found *child = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t old = rdfs(), fs, gs;
	int pid;

	if (child == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	wrgs(0xabc000);
	wrfs(0xdef000);
	pid = raw(SYS_fork, 0, 0, 0);
	if (!pid) {
		child->fs = rdfs();
		child->gs = rdgs();
		wrfs(1);
		wrgs(2);
		raw(SYS_exit_group, 0, 0, 0);
	}
	raw(SYS_wait4, pid, 0, 0);
	fs = rdfs();
	gs = rdgs();
	wrfs(old);
	if (pid < 0)
		bail("fork failed");
	if (child->fs != 0xdef000 || child->gs != 0xabc000)
		not_ok("fork", "the child has %#llx and %#llx",
		       (unsigned long long)child->fs, (unsigned long long)child->gs);
	else if (fs != 0xdef000 || gs != 0xabc000)
		not_ok("fork", "the parent has %#llx and %#llx",
		       (unsigned long long)fs, (unsigned long long)gs);
	else
		ok("fork", NULL);
	munmap(child, PAGE);
}

/*
 * The program that test_exec() starts: checks its bases and returns an exit
 * status.
 */
static int after_exec(void)
{
	uint64_t gs = rdgs();

	/* The C library has set FS to its thread data by now. */
	return gs ? 1 : rdfs() == (uintptr_t)pthread_self() ? 0 : 2;
}

static void test_exec(void)
{
	int pid, status;

	wrgs(0x77777000);
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", "fsgsbase", "after-exec", NULL);
		_exit(9);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		bail("fork: %s", strerror(errno));
	if (status)
		not_ok("exec", "status %#x", status);
	else
		ok("exec", NULL);
}

struct worker {
	pthread_t thread;
	uint64_t id;
	uint64_t inherited;
	uint64_t lost_fs;
	uint64_t lost_gs;
	int rounds;
};

static void *work(void *arg)
{
	struct worker *me = arg;
	uint64_t old, fs, gs;
	int i;

	me->inherited = rdgs();
	old = rdfs();
	for (i = 0; i < me->rounds; i++) {
		fs = me->id << 32 | (uint32_t)i << 12;
		/* Also addresses of the kernel's half. */
		gs = ~fs;
		wrfs(fs);
		wrgs(gs);
		go_around(cpus, nr_cpus, i / 8 + me->id);
		if (rdfs() != fs)
			me->lost_fs++;
		if (rdgs() != gs)
			me->lost_gs++;
	}
	wrfs(old);
	return NULL;
}

static void test_threads(void)
{
	struct worker workers[5] = {};
	uint64_t lost_fs = 0, lost_gs = 0;
	unsigned int i, stranger = 0;

	wrgs(0x66666000);
	for (i = 0; i < ARRAY_SIZE(workers); i++) {
		workers[i].id = i + 1;
		workers[i].rounds = 400;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			bail("no thread");
	}
	for (i = 0; i < ARRAY_SIZE(workers); i++) {
		pthread_join(workers[i].thread, NULL);
		lost_fs += workers[i].lost_fs;
		lost_gs += workers[i].lost_gs;
		stranger += workers[i].inherited != 0x66666000;
	}
	if (lost_fs || lost_gs)
		not_ok("threads", "FS lost %llu times, GS %llu times",
		       (unsigned long long)lost_fs, (unsigned long long)lost_gs);
	else if (stranger)
		not_ok("threads", "%u did not begin with the base of GS of their creator",
		       stranger);
	else if (rdgs() != 0x66666000)
		not_ok("threads", "the creator's base of GS is gone");
	else
		ok("threads", "on %d CPUs", nr_cpus);
}

/* ---- selectors */

/*
 * The bases found in the steps of select_gs() and select_fs(), and the selector
 * at the end.
 */
struct selected {
	uint64_t loaded;
	uint64_t kept;
	uint64_t written;
	uint64_t stayed;
	uint16_t sel;
};

static void select_gs(uint16_t sel, struct selected *s)
{
	int i;

	asm volatile("mov %0, %%gs" : : "r"((unsigned int)sel) : "memory");
	s->loaded = rdgs();
	for (i = 0; i < 8; i++)
		go_around(cpus, nr_cpus, i);
	s->kept = rdgs();
	wrgs(0xfedcba98000);
	s->written = rdgs();
	for (i = 0; i < 8; i++)
		go_around(cpus, nr_cpus, i);
	s->stayed = rdgs();
	asm volatile("mov %%gs, %0" : "=r"(s->sel));
	raw(SYS_arch_prctl, ARCH_SET_GS, 0, 0);
}

static void select_fs(uint16_t sel, struct selected *s)
{
	uint64_t old = rdfs();
	int i;

	asm volatile("mov %0, %%fs" : : "r"((unsigned int)sel) : "memory");
	s->loaded = rdfs();
	for (i = 0; i < 8; i++)
		go_around(cpus, nr_cpus, i);
	s->kept = rdfs();
	wrfs(0xfedcba98000);
	s->written = rdfs();
	for (i = 0; i < 8; i++)
		go_around(cpus, nr_cpus, i);
	s->stayed = rdfs();
	asm volatile("mov %%fs, %0" : "=r"(s->sel));
	raw(SYS_arch_prctl, ARCH_SET_FS, old, 0);
}

static volatile bool stop;

/* A thread to switch to. */
static void *spin(void *arg)
{
	pin(*(int *)arg);
	while (!stop)
		sched_yield();
	return NULL;
}

static void test_selector(const char *name, uint16_t sel, uint64_t base, bool gs)
{
	struct selected s;

	if (gs)
		select_gs(sel, &s);
	else
		select_fs(sel, &s);
	if (s.loaded != base || s.kept != base)
		not_ok(name, "base %#llx, then %#llx, not %#llx",
		       (unsigned long long)s.loaded, (unsigned long long)s.kept,
		       (unsigned long long)base);
	else if (s.written != 0xfedcba98000 || s.stayed != 0xfedcba98000)
		not_ok(name, "written %#llx, then %#llx",
		       (unsigned long long)s.written, (unsigned long long)s.stayed);
	else if (s.sel != sel && s.sel != 0)
		not_ok(name, "the selector is %#x", s.sel);
	else
		ok(name, "the selector is %#x afterwards", s.sel);
}

static void test_selectors(void)
{
	struct user_desc ldt = {
		.entry_number = 3,
		.base_addr = 0x7654000,
		.limit = 0xfffff,
		.seg_32bit = 1,
		.limit_in_pages = 1,
	};
	uint16_t sel = 3 << 3 | 7;
	pthread_t threads[2];
	int i, n = nr_cpus < 2 ? nr_cpus : 2;

	stop = false;
	for (i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, spin, &cpus[i]))
			bail("no thread");
	test_selector("fs-user-ds", USER_DS, 0, false);
	test_selector("gs-user-ds", USER_DS, 0, true);
	if (syscall(SYS_modify_ldt, 1, &ldt, sizeof(ldt))) {
		skip("fs-ldt", "modify_ldt: %s", strerror(errno));
		skip("gs-ldt", "modify_ldt: %s", strerror(errno));
	} else {
		test_selector("fs-ldt", sel, ldt.base_addr, false);
		test_selector("gs-ldt", sel, ldt.base_addr, true);
	}
	stop = true;
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

/* ---- a debugger */

/*
 * INT3, and then the instructions that the debugger steps over. The debuggee
 * exits by itself.
 */
static void __attribute__((noinline, noreturn)) debuggee(void)
{
	asm volatile("mov $0x11111000, %%rax\n\t"
		     "movabs $0xffff900000001000, %%rdi\n\t"
		     "int3\n\t"
		     "wrgsbase %%rax\n\t"
		     "rdgsbase %%rbx\n\t"
		     "wrfsbase %%rdi\n\t"
		     "rdfsbase %%r12\n\t"
		     "nop\n\t"
		     "mov %0, %%eax\n\t"
		     "xor %%edi, %%edi\n\t"
		     "syscall\n\t"
		     "hlt"
		     : : "i"(SYS_exit_group)
		     : "rax", "rbx", "rcx", "rdi", "r11", "r12", "memory");
	__builtin_unreachable();
}

static bool stopped(int pid, int sig)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) &&
	       WSTOPSIG(status) == sig;
}

#define USER(field)	offsetof(struct user, field)

/*
 * Make one step, and check its length and everything that a debugger sees of
 * it.
 */
static bool step(int pid, const char *what, int bytes)
{
	unsigned long long ip = ptrace(PTRACE_PEEKUSER, pid, USER(regs.rip), 0);
	unsigned long long flags = ptrace(PTRACE_PEEKUSER, pid, USER(regs.eflags), 0);
	unsigned long long now, new_flags, dr6;
	siginfo_t info;

	if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) || !stopped(pid, SIGTRAP)) {
		not_ok("ptrace", "%s: no stop", what);
		return false;
	}
	now = ptrace(PTRACE_PEEKUSER, pid, USER(regs.rip), 0);
	new_flags = ptrace(PTRACE_PEEKUSER, pid, USER(regs.eflags), 0);
	dr6 = ptrace(PTRACE_PEEKUSER, pid, USER(u_debugreg[6]), 0);
	if (now != ip + bytes) {
		not_ok("ptrace", "%s: %llu bytes, not %d", what, now - ip, bytes);
		return false;
	}
	if (ptrace(PTRACE_GETSIGINFO, pid, 0, &info) || info.si_code != TRAP_TRACE ||
	    (uintptr_t)info.si_addr != now) {
		not_ok("ptrace", "%s: si_code %d, si_addr %p", what, info.si_code,
		       info.si_addr);
		return false;
	}
	if (new_flags != flags || !(dr6 & DR6_BS)) {
		not_ok("ptrace", "%s: flags %#llx from %#llx, dr6 %#llx", what,
		       new_flags, flags, dr6);
		return false;
	}
	return true;
}

static bool peek(int pid, const char *what, size_t where, unsigned long long want)
{
	unsigned long long got = ptrace(PTRACE_PEEKUSER, pid, where, 0);

	if (got == want)
		return true;
	not_ok("ptrace", "%s: %#llx, not %#llx", what, got, want);
	return false;
}

static bool debug(int pid)
{
	unsigned long base = 0;

	if (!step(pid, "wrgsbase", 5) ||
	    !peek(pid, "gs_base", USER(regs.gs_base), 0x11111000))
		return false;
	if (ptrace(PTRACE_ARCH_PRCTL, pid, &base, ARCH_GET_GS) || base != 0x11111000) {
		not_ok("ptrace", "ARCH_GET_GS: %#lx", base);
		return false;
	}
	if (ptrace(PTRACE_POKEUSER, pid, USER(regs.gs_base), 0x22222000) ||
	    !peek(pid, "gs_base poked", USER(regs.gs_base), 0x22222000) ||
	    !step(pid, "rdgsbase", 5) ||
	    !peek(pid, "rdgsbase", USER(regs.rbx), 0x22222000))
		return false;
	if (!step(pid, "wrfsbase", 5) ||
	    !peek(pid, "fs_base", USER(regs.fs_base), 0xffff900000001000))
		return false;
	if (ptrace(PTRACE_ARCH_PRCTL, pid, 0x33333000, ARCH_SET_FS) ||
	    !peek(pid, "fs_base set", USER(regs.fs_base), 0x33333000) ||
	    !step(pid, "rdfsbase", 5) ||
	    !peek(pid, "rdfsbase", USER(regs.r12), 0x33333000))
		return false;
	return step(pid, "nop", 1);
}

static void test_ptrace(void)
{
	int pid, status;
	bool good;

	pid = fork();
	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(8);
		debuggee();
	}
	if (pid < 0)
		bail("fork: %s", strerror(errno));
	if (!stopped(pid, SIGTRAP))
		bail("the debuggee does not stop");
	good = debug(pid);
	ptrace(good ? PTRACE_CONT : PTRACE_KILL, pid, 0, 0);
	if (waitpid(pid, &status, 0) != pid)
		bail("waitpid: %s", strerror(errno));
	if (!good)
		return;
	if (status)
		not_ok("ptrace", "the debuggee ended with %#x", status);
	else
		ok("ptrace", NULL);
}

/* ---- the cost, printed for information */

static void tell_price(void)
{
	unsigned int i, n = 2000;
	uint64_t t0, t1, t2;

	t0 = __builtin_ia32_rdtsc();
	for (i = 0; i < n; i++)
		rdgs();
	t1 = __builtin_ia32_rdtsc();
	for (i = 0; i < n; i++)
		wrgs(i);
	t2 = __builtin_ia32_rdtsc();
	note("TSC ticks each: rdgsbase %llu, wrgsbase %llu",
	     (unsigned long long)(t1 - t0) / n, (unsigned long long)(t2 - t1) / n);
}

static bool promised(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & 1);
}

int main(int argc, char **argv)
{
	static uint8_t stack[64 << 10];
	stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };

	if (argc > 1 && !strcmp(argv[1], "after-exec"))
		return after_exec();

	check_begin("fsgsbase", 50);
	if (!promised()) {
		skip("fsgsbase", "CPUID does not show it");
		return check_end();
	}
	nr_cpus = usable_cpus(cpus, ARRAY_SIZE(cpus));
	area = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (area == MAP_FAILED || sigaltstack(&alt, NULL))
		bail("mmap: %s", strerror(errno));
	if (syscall(SYS_arch_prctl, ARCH_GET_FS, &area->fs))
		bail("arch_prctl: %s", strerror(errno));
	handle(SIGILL, on_fault);
	handle(SIGSEGV, on_fault);

	/*
	 * If this instruction raises a signal, the other tests would kill the
	 * program.
	 */
	if (!try_operand(RDGS, 0, true, 0x1234))
		return check_end();
	test_operands(RDFS);
	test_operands(RDGS);
	test_operands(WRFS);
	test_operands(WRGS);
	test_encodings();
	test_page_end();
	test_32bit();
	test_signals();
	test_trap_flag();
	test_fork();
	test_exec();
	test_threads();
	test_selectors();
	test_ptrace();
	test_non_canonical(false);
	test_non_canonical(true);
	tell_price();
	return check_end();
}
