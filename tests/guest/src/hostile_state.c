// SPDX-License-Identifier: GPL-2.0
/*
 * Has the kernel load state that a program provides: selectors, descriptors,
 * signal frames, registers of another process, segment bases, debug registers.
 *
 * The kernel may refuse any of it, and may kill the program by a signal. It
 * must not do more. A check is therefore a list of cases. A process runs one
 * case after the other. If a signal that a program may get kills it, the next
 * process continues with the case after that. Cases that must work, and cases
 * that must be refused, are checked too.
 */
#include "check.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <setjmp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>

#define JOB_SECONDS	120
#define NOBODY		65534
#define USER_CS		0x33
#define USER32_CS	0x23
#define USER_DS		0x2b
#define CPU_SELECTOR	0x7b		/* its limit is the CPU's number */
#define CPUID_FSGSBASE	1U		/* leaf 7, EBX */

#ifndef ARCH_SET_GS
#define ARCH_SET_GS	0x1001
#endif

static char text[160];

__attribute__((format(printf, 1, 2)))
static const char *why(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return text;
}

/* ---- addresses */

static int address_bits;	/* 48, or 57 with five-level page tables */

static void find_address_bits(void)
{
	char line[4096];
	FILE *f = fopen("/proc/cpuinfo", "re");

	address_bits = 48;
	if (!f)
		bail("no /proc/cpuinfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "flags", 5) && strstr(line, " la57"))
			address_bits = 57;
	fclose(f);
}

/* The first address above the user half. */
static uint64_t user_end(void)
{
	return (1UL << (address_bits - 1)) - 4096;
}

static bool canonical(uint64_t address)
{
	int unused = 64 - address_bits;

	return (int64_t)(address << unused) >> unused == (int64_t)address;
}

/* ---- lists of cases */

struct progress {
	volatile unsigned int done;	/* number of cases that were begun */
	volatile unsigned int counted;	/* cases that worked, for the line of output */
	volatile unsigned int failures;
	char first[160];
};

static struct progress *progress;

static void case_failed(const char *what)
{
	if (!progress->failures)
		snprintf(progress->first, sizeof(progress->first), "%s", what);
	progress->failures = progress->failures + 1;
}

static bool may_die_of(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGTRAP || sig == SIGILL ||
	       sig == SIGFPE;
}

static bool drop_rights(void)
{
	return !setresgid(NOBODY, NOBODY, NOBODY) && !setresuid(NOBODY, NOBODY, NOBODY) &&
	       !prctl(PR_SET_DUMPABLE, 1);
}

/*
 * Run all cases of a check. @one runs a case and returns NULL or the failure.
 */
static void run_cases(const char *name, unsigned int cases, void (*prepare)(void),
		      const char *(*one)(unsigned int number))
{
	unsigned int deaths = 0;
	int status;

	memset(progress, 0, sizeof(*progress));
	while (progress->done < cases) {
		pid_t child = fork();

		if (!child) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (!drop_rights())
				bail("setresuid: %s", strerror(errno));
			if (prepare)
				prepare();
			while (progress->done < cases) {
				const char *bad;

				progress->done = progress->done + 1;
				bad = one(progress->done - 1);
				if (bad)
					case_failed(bad);
			}
			_exit(0);
		}
		if (child < 0 || waitpid(child, &status, 0) != child)
			bail("fork: %s", strerror(errno));
		if (!status)
			break;
		if (!WIFSIGNALED(status) || !may_die_of(WTERMSIG(status))) {
			not_ok(name, "case %u ended with %#x", progress->done - 1, status);
			return;
		}
		deaths++;
	}
	/* The last process is dead. Check that the kernel still works. */
	if (syscall(SYS_getpid) != getpid())
		not_ok(name, "getpid() returns something else");
	else if (progress->failures)
		not_ok(name, "%u of %u cases, the first: %s", progress->failures, cases,
		       progress->first);
	else
		ok(name, "%u cases, %u worked, %u deaths", cases, progress->counted, deaths);
}

/* ---- signals: handled on an alternate stack, so that RSP may have any value */

static sigjmp_buf back;
static volatile sig_atomic_t seen_signal;
static volatile uint64_t seen_ip, seen_sp;
static volatile uint16_t seen_cs;
static uint64_t fs_base;

/*
 * The kernel does not change selectors when a handler starts. Without its FS
 * base the C library does not work.
 */
static inline void restore_fs(void)
{
	long ret = SYS_arch_prctl;

	asm volatile("syscall" : "+a" (ret) : "D" (ARCH_SET_FS), "S" (fs_base)
		     : "rcx", "r11", "memory");
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)info;
	restore_fs();
	/* reset AC and all other flags that a frame may have set */
	asm volatile("lea -128(%%rsp), %%rsp; push $0x202; popfq; lea 128(%%rsp), %%rsp"
		     : : : "memory", "cc");
	seen_signal = sig;
	seen_ip = regs[REG_RIP];
	seen_sp = regs[REG_RSP];
	seen_cs = regs[REG_CSGSFS];
	siglongjmp(back, 1);
}

static void catch_signals(void)
{
	static const int sigs[] = { SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	static uint8_t stack[64 * 1024] __attribute__((aligned(64)));
	stack_t st = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction sa = {
		.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
	};

	if (syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_base) || sigaltstack(&st, NULL))
		bail("sigaltstack: %s", strerror(errno));
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		if (sigaction(sigs[i], &sa, NULL))
			bail("sigaction: %s", strerror(errno));
}

/* ---- all selectors in all segment registers */

#define SELECTORS	65536U

static bool lar(uint16_t selector, uint32_t *access)
{
	bool there;

	asm volatile("lar %2, %0" : "=r" (*access), "=@ccz" (there)
		     : "r" ((uint32_t)selector), "0" (0) : "cc");
	return there;
}

/*
 * The register depends on the selector, so that one process covers all four
 * registers. For each descriptor the selectors with the four privilege levels
 * go into different registers. Returns false if the load faults.
 */
static bool load_segment(uint16_t selector)
{
	if (sigsetjmp(back, 1))
		return false;
	switch ((selector + (selector >> 3)) & 3) {
	case 0:
		asm volatile("mov %0, %%ds" : : "r" (selector));
		break;
	case 1:
		asm volatile("mov %0, %%es" : : "r" (selector));
		break;
	case 2:
		asm volatile("mov %0, %%fs" : : "r" (selector));
		restore_fs();
		break;
	case 3:
		asm volatile("mov %0, %%gs" : : "r" (selector));
		break;
	}
	return true;
}

/*
 * Loads each of the 65536 selectors into a segment register. A selector may
 * load only if LAR knows it, and LAR must show nothing but segments of
 * privilege level 3 and conforming code. A hypervisor's descriptors would show otherwise.
 */
static const char *selector_loads(unsigned int number)
{
	uint32_t access;
	bool there = lar(number, &access), loads = load_segment(number);

	if (loads) {
		progress->counted = progress->counted + 1;
		/*
		 * have the kernel save and restore the selector in a context
		 * switch
		 */
		sched_yield();
		asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%gs" : : "r" (0));
	}
	if (loads && number > 3 && !there)
		return why("%#x loads, but LAR fails", number);
	if (there && ((access >> 13) & 3) != 3 && (access & 0x1c00) != 0x1c00)
		return why("LAR shows %#x of %#x", access, number);
	return NULL;
}

/*
 * Asks about each selector by LSL, VERR and VERW. None of them may succeed
 * where LAR fails.
 */
static const char *selector_asks(unsigned int number)
{
	uint32_t limit = 0, access;
	bool lsl, verr, verw, there = lar(number, &access);

	asm volatile("lsl %2, %0" : "+r" (limit), "=@ccz" (lsl) : "r" (number) : "cc");
	asm volatile("verr %w1" : "=@ccz" (verr) : "r" (number) : "cc");
	asm volatile("verw %w1" : "=@ccz" (verw) : "r" (number) : "cc");
	progress->counted = progress->counted + there;
	if ((verr || verw || lsl) && !there)
		return why("%#x: LSL %d VERR %d VERW %d without LAR", number, lsl, verr, verw);
	return NULL;
}

/* ---- LDT */

/*
 * The argument of the system calls: struct user_desc, with its bit fields in
 * the last word.
 */
struct descriptor {
	uint32_t entry, base, limit, bits;
};

static long set_ldt(unsigned int entry, unsigned long base, unsigned int limit,
		    unsigned int bits, int func)
{
	struct descriptor desc = { entry, base, limit, bits };

	/*
	 * The kernel returns an int, and syscall() does not see a negative int
	 * as an error.
	 */
	return (int)syscall(SYS_modify_ldt, func, &desc, sizeof(desc));
}

#define BIT(n)		(1U << (n))
#define BIT32		BIT(0)
#define DOWN		BIT(1)
#define CODE		BIT(2)
#define CONFORMING	(CODE | DOWN)
#define READ_ONLY	BIT(3)
#define PAGES		BIT(4)
#define ABSENT		BIT(5)

/* The LDT entries to which frames below refer by number. */
static const unsigned int ldt_entries[] = {
	BIT32 | CODE | PAGES, BIT32 | PAGES, CODE, 0, BIT32 | DOWN, BIT32 | CODE | ABSENT,
	BIT32 | ABSENT, BIT32 | READ_ONLY | PAGES, BIT32 | CODE | READ_ONLY | PAGES,
};

#define LDT_CODE32	0x07
#define LDT_STACK32	0x0f
#define LDT_STACK16	0x1f

static bool sixteen_bit;	/* the kernel allows 16-bit segments */

static void make_ldt(void)
{
	catch_signals();
	for (size_t i = 0; i < ARRAY_SIZE(ldt_entries); i++)
		if (set_ldt(i, 0, 0xfffff, ldt_entries[i], 0x11) && ldt_entries[i] & BIT32)
			bail("modify_ldt of entry %zu: %s", i, strerror(errno));
	sixteen_bit = !set_ldt(3, 0, 0xfffff, 0, 0x11);
}

static const unsigned long bases[] = { 0, 0x1000, 0x7fffffff, 0xfffff000, 0xffffffff };

#define DESCRIPTOR_BITS	128
#define DESCRIPTORS	(DESCRIPTOR_BITS * ARRAY_SIZE(bases) * 2)

/*
 * Writes LDT entries with each combination of bits. A present conforming
 * code segment must be refused, all other 32-bit segments must be accepted. Each accepted
 * entry is loaded and used across a context switch.
 */
static const char *descriptor(unsigned int number)
{
	unsigned int bits = number % DESCRIPTOR_BITS;
	unsigned long base = bases[number / DESCRIPTOR_BITS % ARRAY_SIZE(bases)];
	int func = number / (DESCRIPTOR_BITS * ARRAY_SIZE(bases)) ? 1 : 0x11;
	unsigned int entry = number % 8190;
	bool conforming = (bits & CONFORMING) == CONFORMING;
	bool refuse = conforming && (func == 1 || !(bits & ABSENT));
	long ret = set_ldt(entry, base, 0xfffff, bits, func);

	if (refuse && !ret)
		return why("bits %#x are taken", bits);
	if (!refuse && ret && bits & BIT32)
		return why("bits %#x are refused: %ld", bits, ret);
	if (!set_ldt(8192, base, 0xfffff, BIT32, func))
		return "entry 8192 is taken";
	if (ret)
		return NULL;
	progress->counted = progress->counted + 1;
	for (int rpl = 0; rpl < 4; rpl++) {
		uint32_t access;

		lar(entry << 3 | 4 | rpl, &access);
		load_segment(entry << 3 | 4 | rpl);
		sched_yield();
	}
	asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%gs" : : "r" (0));
	return set_ldt(entry, 0, 0, 0x28, 1) ? "an entry cannot be cleared" : NULL;
}

/* The system call of 32-bit programs, which a 64-bit program can make too. */
static int set_thread_area(struct descriptor *desc)
{
	long ret;

	asm volatile("int $0x80" : "=a" (ret) : "0" (243), "b" (desc)
		     : "r8", "r9", "r10", "r11", "memory");
	return ret;
}

#define FIRST_TLS	12
#define TLS_CASES	(DESCRIPTOR_BITS * 8)

/*
 * Writes TLS entries of the GDT with each combination of bits. Entries outside
 * the TLS range must be refused: they belong to the kernel or the hypervisor.
 */
static const char *thread_area(unsigned int number)
{
	static struct descriptor desc;
	static uint32_t word = 0x5a5a1234;
	unsigned int bits = number % DESCRIPTOR_BITS, entry = number / DESCRIPTOR_BITS + 9;
	bool in_range = entry >= FIRST_TLS && entry < FIRST_TLS + 3;
	volatile uint32_t got = 0;
	int ret;

	desc = (struct descriptor) { entry, (uintptr_t)&word, 0xfffff, bits };
	ret = set_thread_area(&desc);
	if (!in_range)
		return ret ? NULL : why("entry %u is taken", entry);
	/* only present 32-bit data segments are allowed */
	if (!ret && (!(bits & BIT32) || bits & CODE || bits & ABSENT))
		return why("bits %#x are taken", bits);
	if (ret && (bits & (BIT32 | CODE | ABSENT)) == BIT32)
		return why("bits %#x are refused: %d", bits, ret);
	if (ret || bits & DOWN)
		return NULL;
	if (!sigsetjmp(back, 1))
		asm volatile("mov %1, %%gs; mov %%gs:0, %0" : "=r" (got)
			     : "r" (entry << 3 | 3));
	asm volatile("mov %0, %%gs" : : "r" (0));
	progress->counted = progress->counted + 1;
	return got == word ? NULL : why("GS:0 is %#x, bits %#x", got, bits);
}

/* ---- signal frames */

static const uint16_t odd_selectors[] = {
	0, 1, 2, 3, 0x04, 0x07, 0x08, 0x0b, 0x0c, 0x0f, 0x10, 0x13, 0x17, 0x18, 0x1b, 0x1f, 0x20,
	0x23, 0x27, 0x28, 0x2b, 0x2f, 0x30, 0x33, 0x37, 0x38, 0x3b, 0x3f, 0x40, 0x43, 0x47, 0x48,
	0x4b, 0x60, 0x63, 0x6b, 0x73, 0x78, 0x7b, 0x7f, 0x83, 0xfffc, 0xffff, 0xfff8, 0x8003,
	/*
	 * Xen's own: kernel and user segments of 32-bit guests, TSS, LDT, flat
	 * ring 3, and beyond
	 */
	0xe000, 0xe008, 0xe010, 0xe019, 0xe01b, 0xe021, 0xe023, 0xe028, 0xe02b, 0xe030, 0xe033,
	0xe038, 0xe03b, 0xe040, 0xe043, 0xe048, 0xe04b, 0xe050, 0xe053, 0xe060, 0xe063, 0xe02f,
};

static const uint64_t odd_addresses[] = {
	0, 0x10, 0xffffffff, 0x100000000, 0x7fffffffefff, 0x7ffffffff000, 0x7fffffffffff,
	0x800000000000, 0x8000000000000000, 0xfffeffffffffffff, 0xffff7fffffffffff,
	0xffff800000000000, 0xffff820000000000, 0xffff830000000000, 0xffff880000000000,
	0xffff888000000000, 0xffffc90000000000, 0xfffffe0000000000, 0xffffffff80000000,
	0xffffffff81000000, 0xffffffffff600000, 0xfffffffffffff000, 0xffffffffffffffff,
};

static const uint64_t odd_flags[] = {
	~0UL, 0, 0x3000, 0x20000, 0x100000, 0x80000, 0x180000, 0x10000, 0x4000, 0x40000,
	0x200000, 0x100, 0x400, 0x1000, 0x2000, 0x8000,
};

#define N_SEL		ARRAY_SIZE(odd_selectors)
#define N_ADDR		ARRAY_SIZE(odd_addresses)
#define N_FLAGS		ARRAY_SIZE(odd_flags)

struct frame {
	uint16_t cs, ss;
	uint64_t ip, sp, flags;
};

static uint8_t frame_stack[8192] __attribute__((aligned(64)));

/*
 * INT3, and instructions that fault if the CPU decodes them at another offset
 */
static __attribute__((naked, noinline)) void landing(void)
{
	asm volatile("int3; int3; int3; hlt; hlt; hlt; hlt");
}

/*
 * Each frame is valid except for one field, with 64-bit code or with 32-bit
 * code.
 */
static struct frame make_frame(unsigned int number)
{
	struct frame f = {
		.cs = number & 1 ? USER32_CS : USER_CS, .ss = USER_DS,
		.ip = (uintptr_t)landing, .sp = (uintptr_t)frame_stack + 4096, .flags = 0x202,
	};

	number >>= 1;
	if (number < N_SEL) {
		f.ss = odd_selectors[number];
		return f;
	}
	number -= N_SEL;
	if (number < 2 * N_SEL) {
		f.cs = odd_selectors[number / 2];
		f.ss = number & 1 ? LDT_STACK32 : USER_DS;
		return f;
	}
	number -= 2 * N_SEL;
	if (number < N_ADDR) {
		f.ip = odd_addresses[number];
		return f;
	}
	number -= N_ADDR;
	if (number < N_ADDR) {
		f.sp = odd_addresses[number];
		return f;
	}
	f.flags = odd_flags[number - N_ADDR];
	return f;
}

#define FRAMES		(2 * (3 * N_SEL + 2 * N_ADDR + N_FLAGS))

static struct frame frame;

static void on_user(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uint64_t *csgsfs = (uint64_t *)&uc->uc_mcontext.gregs[REG_CSGSFS];

	(void)sig;
	(void)info;
	*csgsfs = frame.cs | (uint64_t)frame.ss << 48;
	uc->uc_mcontext.gregs[REG_RIP] = frame.ip;
	uc->uc_mcontext.gregs[REG_RSP] = frame.sp;
	uc->uc_mcontext.gregs[REG_EFL] = frame.flags;
	/*
	 * UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS: load SS exactly as the frame
	 * has it
	 */
	uc->uc_flags |= 6;
}

static void prepare_frames(void)
{
	struct sigaction sa = { .sa_sigaction = on_user, .sa_flags = SA_SIGINFO };

	make_ldt();
	if (sigaction(SIGUSR1, &sa, NULL))
		bail("sigaction: %s", strerror(errno));
}

static void take_frame(void)
{
	seen_signal = 0;
	if (!sigsetjmp(back, 1))
		raise(SIGUSR1);
}

static bool landed(void)
{
	return seen_signal == SIGTRAP && seen_ip == (uintptr_t)landing + 1;
}

/*
 * Returns from a signal frame with one odd selector, address or flag. The
 * kernel executes IRET with these values. It must handle the fault of the IRET,
 * and must never run the frame in ring 0.
 */
static const char *signal_frame(unsigned int number)
{
	bool plain;

	frame = make_frame(number);
	plain = (frame.cs == USER_CS || frame.cs == USER32_CS || frame.cs == LDT_CODE32) &&
		(frame.ss == USER_DS || frame.ss == LDT_STACK32) &&
		frame.ip == (uintptr_t)landing && !(frame.flags & 0x100) &&
		frame.sp == (uintptr_t)frame_stack + 4096;
	take_frame();
	progress->counted = progress->counted + landed();
	/* 64-bit code runs again: reset the data segments */
	asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%gs" : : "r" (0));
	if (!seen_signal)
		return why("cs %#x ss %#x ip %#llx: no signal came", frame.cs, frame.ss,
			   (unsigned long long)frame.ip);
	if (plain && !landed())
		return why("cs %#x ss %#x flags %#llx: signal %d at %#llx", frame.cs, frame.ss,
			   (unsigned long long)frame.flags, seen_signal,
			   (unsigned long long)seen_ip);
	if (landed() && (seen_cs & 3) != 3)
		return why("cs %#x ran as %#x", frame.cs, seen_cs);
	return NULL;
}

/*
 * The signal frame of a 32-bit program, which a 64-bit program can return from
 * too. It also has the data segments. The kernel replaces a data segment that
 * cannot be loaded by a null selector.
 */
enum frame32 {
	F32_GS, F32_FS, F32_ES, F32_DS, F32_SP = 7, F32_IP = 14, F32_CS, F32_FLAGS, F32_SS = 18
};

static const enum frame32 places32[] = { F32_GS, F32_FS, F32_ES, F32_DS, F32_CS, F32_SS };

#define N_PLACES	ARRAY_SIZE(places32)
#define FRAMES32	(N_PLACES * N_SEL + N_FLAGS)

/* Each frame is valid except for one word, whose place is returned. */
static enum frame32 make_frame32(unsigned int number, uint32_t *f)
{
	enum frame32 place = F32_FLAGS;

	f[F32_SP] = (uintptr_t)frame_stack + 4096;
	f[F32_IP] = (uintptr_t)landing;
	f[F32_CS] = USER32_CS;
	f[F32_SS] = USER_DS;
	f[F32_FLAGS] = 0x202;
	if (number < N_PLACES * N_SEL) {
		place = places32[number / N_SEL];
		f[place] = odd_selectors[number % N_SEL];
	} else {
		f[place] = odd_flags[number - N_PLACES * N_SEL];
	}
	return place;
}

static void take_frame32(const uint32_t *f)
{
	seen_signal = 0;
	if (!sigsetjmp(back, 1))
		asm volatile("mov %0, %%rsp; mov $119, %%eax; int $0x80; ud2"	/* sigreturn */
			     : : "r" (f) : "memory");
}

/*
 * Returns from a 32-bit frame with one odd word. The kernel loads the data
 * segments itself, and must survive the fault of a bad selector.
 */
static const char *signal_frame32(unsigned int number)
{
	/*
	 * around the context: 8 bytes in front of it, FPU state and signal mask
	 * behind it
	 */
	static uint32_t memory[512] __attribute__((aligned(16)));
	uint32_t *f = memory + 4;
	enum frame32 place;

	memset(memory, 0, sizeof(memory));
	place = make_frame32(number, f);
	take_frame32(f);
	progress->counted = progress->counted + landed();
	asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%gs" : : "r" (0));
	if (!seen_signal)
		return why("word %d %#x: no signal came", place, f[place]);
	if (place != F32_CS && place != F32_SS && !(f[F32_FLAGS] & 0x100) && !landed())
		return why("word %d %#x: signal %d at %#llx", place, f[place], seen_signal,
			   (unsigned long long)seen_ip);
	return NULL;
}

/*
 * An IRET to a 16-bit stack loads only the lower half of ESP. The upper half
 * would leak the kernel's ESP. Either the kernel refuses such segments, or the
 * program must get its own upper half.
 */
#define ESP_CASES	32

static const char *espfix(unsigned int number)
{
	frame = (struct frame) {
		.cs = number & 1 ? LDT_CODE32 : USER32_CS, .ss = LDT_STACK16,
		.ip = (uintptr_t)landing, .flags = 0x202,
		.sp = 0x10001000UL * (number + 1) & 0xfffff000,
	};
	take_frame();
	if (!sixteen_bit)
		return landed() ? "a refused segment is used" : NULL;
	if (!landed())
		return why("sp %#llx: signal %d", (unsigned long long)frame.sp, seen_signal);
	progress->counted = progress->counted + 1;
	return (uint32_t)seen_sp == frame.sp ? NULL :
		why("sp is %#llx, not %#llx", (unsigned long long)seen_sp,
		    (unsigned long long)frame.sp);
}

/* ---- another process's registers */

static const size_t poked[] = {
	offsetof(struct user_regs_struct, cs), offsetof(struct user_regs_struct, ss),
	offsetof(struct user_regs_struct, ds), offsetof(struct user_regs_struct, es),
	offsetof(struct user_regs_struct, fs), offsetof(struct user_regs_struct, gs),
};

#define POKES_SEL	(ARRAY_SIZE(poked) * N_SEL)
#define POKES_ADDR	(2 * N_ADDR)
#define POKES_BASE	(2 * N_ADDR)
#define POKES		(POKES_SEL + POKES_ADDR + POKES_BASE + N_FLAGS)

static pid_t start_tracee(void)
{
	pid_t child = fork();
	int status;

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGSEGV, SIG_DFL);
		signal(SIGTRAP, SIG_DFL);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		for (;;)
			asm volatile("int3");
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		bail("no process to trace: %s", strerror(errno));
	return child;
}

/*
 * Writes odd selectors, addresses, bases and flags into the registers of a
 * traced process, and lets it run. The kernel must refuse them or load them
 * without harm: a base in the kernel's half, IOPL or a CS of ring 0 must not be
 * accepted.
 */
static const char *poke(unsigned int number)
{
	size_t at;
	uint64_t value, got;
	bool address = false, base = false;
	const char *bad = NULL;
	pid_t child = start_tracee();
	int status = 0;
	long ret;

	if (number < POKES_SEL) {
		at = poked[number / N_SEL];
		value = odd_selectors[number % N_SEL];
	} else if (number < POKES_SEL + POKES_ADDR) {
		number -= POKES_SEL;
		at = number / N_ADDR ? offsetof(struct user_regs_struct, rip) :
				       offsetof(struct user_regs_struct, rsp);
		value = odd_addresses[number % N_ADDR];
		address = true;
	} else if (number < POKES_SEL + POKES_ADDR + POKES_BASE) {
		number -= POKES_SEL + POKES_ADDR;
		at = number / N_ADDR ? offsetof(struct user_regs_struct, fs_base) :
				       offsetof(struct user_regs_struct, gs_base);
		value = odd_addresses[number % N_ADDR];
		base = true;
	} else {
		at = offsetof(struct user_regs_struct, eflags);
		value = odd_flags[number - POKES_SEL - POKES_ADDR - POKES_BASE];
	}
	ret = ptrace(PTRACE_POKEUSER, child, at, value);
	errno = 0;
	got = ptrace(PTRACE_PEEKUSER, child, at, 0);
	if (!ret)
		progress->counted = progress->counted + 1;
	if (base && !ret && value >= user_end())
		bad = why("base %#llx is taken", (unsigned long long)value);
	else if (!address && !base && at == offsetof(struct user_regs_struct, eflags) &&
		 got & 0x1a3000)
		bad = why("flags %#llx are taken for %#llx", (unsigned long long)got,
			  (unsigned long long)value);
	else if (at == poked[0] && !ret && (got & 3) != 3)
		bad = why("CS %#llx is taken", (unsigned long long)value);
	/* single-step three instructions with these registers, then run on */
	for (int i = 0; !bad && i < 4; i++) {
		if (ptrace(i < 3 ? PTRACE_SINGLESTEP : PTRACE_CONT, child, 0, 0) ||
		    waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
			break;
		if (!may_die_of(WSTOPSIG(status)))
			bad = why("at %zu %#llx: signal %d", at, (unsigned long long)value,
				  WSTOPSIG(status));
	}
	kill(child, SIGKILL);
	while (waitpid(child, &status, 0) == child && !WIFSIGNALED(status))
		;
	return bad;
}

/* ---- bases of FS and GS */

#define BASE_CASES	(2 * N_ADDR)

/*
 * Sets odd bases by arch_prctl(). Addresses of the user half must be accepted
 * and read back, all others must be refused.
 */
static const char *segment_base(unsigned int number)
{
	bool fs = number / N_ADDR;
	uint64_t value = odd_addresses[number % N_ADDR], got = 0;
	long set = SYS_arch_prctl, get = SYS_arch_prctl;

	/*
	 * inline system calls, because the C library does not work without its
	 * FS base
	 */
	asm volatile("syscall" : "+a" (set)
		     : "D" (fs ? ARCH_SET_FS : ARCH_SET_GS), "S" (value)
		     : "rcx", "r11", "memory");
	asm volatile("syscall" : "+a" (get)
		     : "D" (fs ? ARCH_GET_FS : ARCH_GET_GS), "S" (&got)
		     : "rcx", "r11", "memory");
	restore_fs();
	if (!set && value >= user_end())
		return why("%#llx is taken", (unsigned long long)value);
	if (set && value < user_end())
		return why("%#llx is refused: %ld", (unsigned long long)value, set);
	if (!set && (get || got != value))
		return why("%#llx is read back as %#llx", (unsigned long long)value,
			   (unsigned long long)got);
	progress->counted = progress->counted + !set;
	return NULL;
}

#define GONE_CASES	64

static inline long call2(long number, unsigned long first, const void *second)
{
	asm volatile("syscall" : "+a" (number) : "D" (first), "S" (second)
		     : "rcx", "r11", "memory");
	return number;
}

static inline long call3(long number, long first, const void *second, unsigned long third)
{
	asm volatile("syscall" : "+a" (number) : "D" (first), "S" (second), "d" (third)
		     : "rcx", "r11", "memory");
	return number;
}

/* Writes a descriptor of the GDT or the LDT, without the C library. */
static inline int set_descriptor(bool ldt, struct descriptor *desc)
{
	return ldt ? (int)call3(SYS_modify_ldt, 1, desc, sizeof(*desc)) : set_thread_area(desc);
}

/*
 * Sets a base by arch_prctl(), loads FS or GS with the selector of a descriptor,
 * removes the descriptor, and sleeps. The base that was set first must not come back.
 * The kernel loads the selector of a TLS entry again, whatever its privilege level is,
 * so that the base is zero. It does not load one of the LDT again, so that its base may
 * stay if the CPU has FSGSBASE (patches 0025 and 0040).
 */
static const char *gone_base(unsigned int number)
{
	static const struct timespec nap = { .tv_nsec = 1000000 };
	static struct descriptor entry, none;
	bool fs = number & 1, ldt = number & 2;
	unsigned int index = ldt ? 0 : FIRST_TLS;
	unsigned int selector = index << 3 | (ldt ? 4 : 0) | number / 4 % 4;
	uint64_t got = ~0UL;
	long set, use, drop, get;

	if (sigsetjmp(back, 1))
		return "a signal";
	entry = (struct descriptor) { index, 0x54321000, 0xfffff, BIT32 };
	none = (struct descriptor) { index, 0, 0, 0x28 };
	use = set_descriptor(ldt, &entry);
	/* inline system calls, because the C library does not work without its FS base */
	set = call2(SYS_arch_prctl, fs ? ARCH_SET_FS : ARCH_SET_GS, (void *)0x12345000);
	if (fs)
		asm volatile("mov %0, %%fs" : : "r" (selector));
	else
		asm volatile("mov %0, %%gs" : : "r" (selector));
	drop = set_descriptor(ldt, &none);
	call2(SYS_nanosleep, (unsigned long)&nap, NULL);
	get = call2(SYS_arch_prctl, fs ? ARCH_GET_FS : ARCH_GET_GS, &got);
	restore_fs();
	if (use || set || drop || get)
		return why("%ld, %ld, %ld, %ld", use, set, drop, get);
	if (got && !(ldt && got == 0x54321000))
		return why("selector %#x: the base of %cS is %#llx", selector, fs ? 'F' : 'G',
			   (unsigned long long)got);
	progress->counted = progress->counted + 1;
	return NULL;
}

#define KEPT_CASES	300

/*
 * Loads selectors of the LDT, of a TLS entry and of the GDT into DS, ES, FS and GS in
 * each combination, and lets a program run that has neither LDT nor TLS entries. The
 * selectors must be there afterwards. A hypervisor may stop the CPU when the descriptors
 * of the other program are there already, and continues it with null selectors
 * (patch 0039). Xen gives the selector that a kernel loads into GS the RPL 3.
 */
static const char *kept_selectors(unsigned int number)
{
	static const unsigned int choice[] = {
		0, 4, 7, FIRST_TLS << 3, FIRST_TLS << 3 | 3, USER_DS,
	};
	const unsigned int n = ARRAY_SIZE(choice);
	static struct descriptor tls = { FIRST_TLS, 0, 0xfffff, BIT32 | PAGES };
	unsigned int want[4], got[4], yields = 4;

	if (sigsetjmp(back, 1))
		return "a signal";
	for (unsigned int i = 0; i < 4; i++)
		want[i] = choice[(number + i * (number / n) + i) % n];
	if (set_ldt(0, 0, 0xfffff, BIT32 | PAGES, 1) || set_thread_area(&tls))
		return "no descriptors";
	/* all at once, because the C library does not work without its FS base */
	asm volatile("mov %k[ds], %%ds; mov %k[es], %%es; mov %k[fs], %%fs; mov %k[gs], %%gs\n"
		     "1: mov %[yield], %%eax; syscall; dec %[yields]; jnz 1b\n"
		     "mov %%ds, %[ds]; mov %%es, %[es]; mov %%fs, %[fs]; mov %%gs, %[gs]"
		     : [ds] "=r" (got[0]), [es] "=r" (got[1]), [fs] "=r" (got[2]),
		       [gs] "=r" (got[3]), [yields] "+r" (yields)
		     : [yield] "i" (SYS_sched_yield), "[ds]" (want[0]), "[es]" (want[1]),
		       "[fs]" (want[2]), "[gs]" (want[3])
		     : "rax", "rcx", "r11", "memory", "cc");
	restore_fs();
	asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%gs" : : "r" (0));
	for (unsigned int i = 0; i < 4; i++)
		if (got[i] != want[i] && (i != 3 || !want[i] || got[i] != (want[i] | 3)))
			return why("selector %#x of %cS has become %#x", want[i], "DEFG"[i],
				   got[i]);
	progress->counted = progress->counted + 1;
	return NULL;
}

/* A program without LDT and TLS entries, which runs whenever another one yields. */
static pid_t start_yielding(void)
{
	pid_t child = fork();

	if (child < 0)
		bail("fork: %s", strerror(errno));
	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		sched_yield();
}

static void check_kept(void)
{
	cpu_set_t all;
	pid_t child;

	if (sched_getaffinity(0, sizeof(all), &all) || !pin(0)) {
		skip("selectors-kept", "CPU 0 cannot be used alone");
		return;
	}
	child = start_yielding();
	run_cases("selectors-kept", KEPT_CASES, catch_signals, kept_selectors);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	sched_setaffinity(0, sizeof(all), &all);
}

#define FREED_ROUNDS	1000

static int use_ldt(__attribute__((unused)) void *arg)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	do {
		asm volatile("mov %0, %%gs" : : "r" (7));
	} while (!syscall(SYS_sched_yield));
	return 0;
}

/*
 * One CPU uses the LDT and gives way to another program all the time. Another CPU
 * replaces the LDT, so that the kernel frees the old one. In a Xen PV guest the pages
 * become writable then, which Xen refuses while a CPU uses them (patch 0041).
 */
static void check_freed(void)
{
	static uint8_t stack[65536] __attribute__((aligned(64)));
	pid_t yielding, using;
	cpu_set_t all;
	int bad;

	if (sched_getaffinity(0, sizeof(all), &all) || !pin(1) || !pin(0)) {
		sched_setaffinity(0, sizeof(all), &all);
		skip("selectors-freed", "CPUs 0 and 1 cannot be used");
		return;
	}
	yielding = start_yielding();
	bad = set_ldt(0, 0, 0xfffff, BIT32 | PAGES, 1);
	using = clone(use_ldt, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
	if (using < 0)
		bail("clone: %s", strerror(errno));
	pin(1);
	for (int i = 0; i < FREED_ROUNDS && !bad; i++)
		bad = set_ldt(0, 0, 0xfffff, BIT32 | PAGES, 1);
	kill(using, SIGKILL);
	kill(yielding, SIGKILL);
	waitpid(using, NULL, 0);
	waitpid(yielding, NULL, 0);
	sched_setaffinity(0, sizeof(all), &all);
	if (bad)
		not_ok("selectors-freed", "modify_ldt: %s", strerror(errno));
	else
		ok("selectors-freed", "%d LDTs", FREED_ROUNDS);
}

/* ---- the GS of another program */

#define NEIGHBOUR_ROUNDS	300
#define AWAY			0x7f000000	/* nothing is mapped so far from a word */

static volatile sig_atomic_t enough;

static void on_enough(__attribute__((unused)) int sig)
{
	enough = 1;
}

/*
 * Never loads GS. So its selector and base are 0, and GS finds what other segments
 * find. Exits with 0 if that has been so in many rounds.
 */
static int neighbour(__attribute__((unused)) void *arg)
{
	static volatile uint64_t word = 0x1234567890abcdef;
	unsigned long rounds = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!enough) {
		unsigned int selector;
		uint64_t got;

		asm volatile("mov %%gs:(%2), %0; mov %%gs, %1"
			     : "=r" (got), "=r" (selector) : "r" (&word));
		if (got != word || selector)
			_exit(2);
		rounds++;
		syscall(SYS_sched_yield);
	}
	_exit(rounds < NEIGHBOUR_ROUNDS ? 3 : 0);
}

static void load_gs(unsigned int selector)
{
	asm volatile("mov %0, %%gs" : : "r" (selector));
	sched_yield();
}

/*
 * Gives GS a base in each way that there is, and leaves it. The neighbour runs
 * after each step. If the neighbour shares the descriptors, they stay.
 */
static int disturb(unsigned int round, bool shared)
{
	static struct descriptor entry, none;
	unsigned int tls = FIRST_TLS + (shared ? 0 : round % 3);

	entry = (struct descriptor) { tls, AWAY, 0xfffff, BIT32 | PAGES };
	none = (struct descriptor) { tls, 0, 0, 0x28 };
	if ((shared || round & 1) && set_thread_area(&entry))
		return 4;
	if ((shared || round & 2) && set_ldt(0, AWAY, 0xfffff, BIT32 | PAGES, 1))
		return 5;
	if (round & 1)
		load_gs(tls << 3 | 3);
	if (round & 2)
		load_gs(7);
	if (round & 4)
		load_gs(0);
	if (round & 8)
		load_gs(USER_DS);
	if (!shared && round & 16 && set_thread_area(&none))
		return 6;
	if (round & 32 && syscall(SYS_arch_prctl, ARCH_SET_GS, 0x123400000000))
		return 7;
	sched_yield();
	if (round & 64)
		load_gs(3);
	return 0;
}

/*
 * The neighbour is another program, or shares memory and descriptors. An emulator
 * clears the base when 0 is loaded, which some CPUs do not. So what follows from
 * a base that is left behind a null selector is tested by KUnit only
 * (null_gs_is_loaded_once).
 */
static void check_neighbour(const char *name, bool shared)
{
	static uint8_t stack[65536] __attribute__((aligned(64)));
	int status = 0, disturbed = 0;
	unsigned int i = 0;
	cpu_set_t all;
	pid_t child;

	if (sched_getaffinity(0, sizeof(all), &all) || !pin(0)) {
		skip(name, "CPU 0 cannot be used alone");
		return;
	}
	enough = 0;
	signal(SIGTERM, on_enough);
	if (shared)
		disturbed = disturb(0, true);
	child = shared ? clone(neighbour, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL) : fork();
	if (child < 0)
		bail("fork: %s", strerror(errno));
	if (!child)
		neighbour(NULL);
	while (i < 2 * NEIGHBOUR_ROUNDS && !disturbed && !waitpid(child, &status, WNOHANG)) {
		pid_t other = shared ? 0 : fork();

		if (other < 0)
			bail("fork: %s", strerror(errno));
		if (shared) {
			disturbed = disturb(i, true);
		} else if (!other) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			_exit(disturb(i, false));
		} else if (waitpid(other, &disturbed, 0) != other) {
			bail("waitpid: %s", strerror(errno));
		}
		i++;
	}
	if (i == 2 * NEIGHBOUR_ROUNDS || disturbed) {
		kill(child, SIGTERM);
		waitpid(child, &status, 0);
	}
	asm volatile("mov %0, %%gs" : : "r" (0));
	signal(SIGTERM, SIG_DFL);
	sched_setaffinity(0, sizeof(all), &all);
	if (disturbed)
		not_ok(name, "round %u: a step failed: %#x", i - 1, disturbed);
	else if (status || i < 2 * NEIGHBOUR_ROUNDS)
		not_ok(name, "round %u: the neighbour ended with %#x", i - 1, status);
	else
		ok(name, "%u rounds", i);
}

static bool has_fsgsbase(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & CPUID_FSGSBASE;
}

/*
 * WRGSBASE accepts addresses of the kernel's half too. The base must stay that
 * of the program over system calls and context switches.
 */
static const char *write_base(unsigned int number)
{
	uint64_t value = odd_addresses[number];
	volatile uint64_t got = ~value, after = ~value;

	if (!canonical(value))
		return NULL;
	seen_signal = 0;
	if (!sigsetjmp(back, 1)) {
		asm volatile("wrgsbase %0" : : "r" (value) : "memory");
		asm volatile("rdgsbase %0" : "=r" (got));
		sched_yield();
		for (int i = 0; i < 100; i++)
			syscall(SYS_getppid);
		asm volatile("rdgsbase %0" : "=r" (after));
	}
	asm volatile("mov %0, %%gs" : : "r" (0));
	if (seen_signal || got != value || after != value)
		return why("%#llx: signal %d, then %#llx, then %#llx",
			   (unsigned long long)value, seen_signal, (unsigned long long)got,
			   (unsigned long long)after);
	progress->counted = progress->counted + 1;
	return NULL;
}

/*
 * WRGSBASE with a non-canonical address must fault in the program, not later
 * when the kernel restores the base.
 */
static const char *write_bad_base(unsigned int number)
{
	uint64_t value = odd_addresses[number];

	if (canonical(value))
		return NULL;
	seen_signal = 0;
	if (!sigsetjmp(back, 1)) {
		asm volatile("wrgsbase %0" : : "r" (value) : "memory");
		sched_yield();
		syscall(SYS_getppid);
	}
	asm volatile("mov %0, %%gs" : : "r" (0));
	if (seen_signal != SIGSEGV)
		return why("%#llx: signal %d", (unsigned long long)value, seen_signal);
	progress->counted = progress->counted + 1;
	return NULL;
}

static void check_write_base(void)
{
	if (has_fsgsbase()) {
		run_cases("selectors-wrgsbase", N_ADDR, catch_signals, write_base);
		run_cases("selectors-wrgsbase-bad", N_ADDR, catch_signals, write_bad_base);
	} else {
		skip("selectors-wrgsbase", "the CPU does not have it");
		skip("selectors-wrgsbase-bad", "the CPU does not have it");
	}
}

/* ---- the CPU number */

/*
 * Asks for the CPU number on each CPU in each way that there is. In a Xen PV
 * guest LSL failed on all CPUs but the first, so getcpu() of the vDSO returned
 * 123 there (patch 0014).
 */
static void check_getcpu(void)
{
	int cpus[CPU_SETSIZE], n = usable_cpus(cpus, CPU_SETSIZE);

	for (int i = 0; i < n; i++) {
		unsigned int cpu = ~0U, node = ~0U, vdso_cpu = ~0U, vdso_node = ~0U;
		uint32_t limit = ~0U;
		char name[32];

		snprintf(name, sizeof(name), "getcpu-%d", cpus[i]);
		if (!pin(cpus[i])) {
			not_ok(name, "the CPU is not available: %s", strerror(errno));
			continue;
		}
		syscall(SYS_getcpu, &cpu, &node, NULL);
		getcpu(&vdso_cpu, &vdso_node);
		asm volatile("lsl %1, %0" : "+r" (limit) : "r" (CPU_SELECTOR) : "cc");
		if (cpu != (unsigned int)cpus[i] || vdso_cpu != cpu || vdso_node != node ||
		    sched_getcpu() != cpus[i] || (limit & 0xfff) != cpu)
			not_ok(name, "system call %u, vDSO %u, node %u and %u, LSL %#x", cpu,
			       vdso_cpu, node, vdso_node, limit);
		else
			ok(name, NULL);
	}
	if (!n)
		not_ok("getcpu", "no CPU");
}

/* ---- debug registers and single steps */

static volatile uint64_t watched __attribute__((aligned(8)));

/* The lengths of these instructions are in steps[] below. */
static __attribute__((naked, noinline)) void stepped(void)
{
	asm volatile("push %rbx\n"
		     "int3\n"
		     "mov $110, %eax\n"		/* getppid */
		     "syscall\n"
		     "nop\n"
		     "mov $64, %eax\n"		/* getppid of 32-bit programs */
		     "int $0x80\n"
		     "nop\n"
		     "pushfq\n"
		     "pop %rbx\n"
		     "nop\n"
		     "int3\n"
		     "pop %rbx\n"
		     "ret\n");
}

static const struct step {
	unsigned int length;
	bool result;		/* RAX is the parent's process number then */
} steps[] = {
	{ 5, false }, { 2, true }, { 1, true }, { 5, false }, { 2, true }, { 1, true },
	{ 1, true }, { 1, true }, { 1, true },
};

static pid_t start_traced(void (*run)(void))
{
	pid_t child = fork();
	int status;

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!drop_rights() || ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(1);
		run();
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		bail("no process to trace: %s", strerror(errno));
	return child;
}

static void end_traced(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/*
 * Single-steps through system calls and flag instructions. Each step must stop
 * at the next instruction.
 */
static const char *step_through(pid_t child)
{
	struct user_regs_struct regs;
	uint64_t want;
	int status;

	if (ptrace(PTRACE_GETREGS, child, 0, &regs))
		return "no registers";
	want = regs.rip;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		want += steps[i].length;
		if (ptrace(PTRACE_SINGLESTEP, child, 0, 0) ||
		    waitpid(child, &status, 0) != child || !WIFSTOPPED(status) ||
		    WSTOPSIG(status) != SIGTRAP || ptrace(PTRACE_GETREGS, child, 0, &regs))
			return why("step %zu: status %#x", i, status);
		if (regs.rip != want)
			return why("step %zu: at %lld from where it should be", i,
				   (long long)(regs.rip - want));
		if (steps[i].result && (pid_t)regs.rax != getpid())
			return why("step %zu: RAX is %#llx", i, regs.rax);
	}
	return NULL;
}

static void check_steps(void)
{
	pid_t child = start_traced(stepped);
	const char *bad = NULL;

	/* many times, so that interrupts arrive in between */
	for (int i = 0; !bad && i < 50; i++) {
		struct user_regs_struct first, regs;

		if (ptrace(PTRACE_GETREGS, child, 0, &first)) {
			bad = "no registers";
			break;
		}
		bad = step_through(child);
		if (bad || ptrace(PTRACE_GETREGS, child, 0, &regs))
			break;
		regs.rip = first.rip;
		regs.rbx = first.rbx;
		if (ptrace(PTRACE_SETREGS, child, 0, &regs))
			bad = "registers cannot be set";
	}
	end_traced(child);
	if (bad)
		not_ok("debug-step", "%s", bad);
	else
		ok("debug-step", NULL);
}

/* A store, a call, and a store by the kernel. */
static void watch_body(void)
{
	asm volatile("int3");
	watched = 1;
	asm volatile("nop");
	landing();
	if (syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (struct timespec *)&watched))
		_exit(1);
	_exit(watched ? 7 : 2);
}

static long set_debug(pid_t child, int reg, unsigned long value)
{
	return ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[reg]), value);
}

static unsigned long get_debug(pid_t child, int reg)
{
	return ptrace(PTRACE_PEEKUSER, child, offsetof(struct user, u_debugreg[reg]), 0);
}

/*
 * The bits of DR7 for one of the four registers: stores to 8 bytes, or
 * execution.
 */
static unsigned long on_store(int reg)
{
	return BIT(2 * reg) | 9UL << (16 + 4 * reg);
}

static unsigned long on_execution(int reg)
{
	return BIT(2 * reg);
}

static const char *stops_with(pid_t child, int dr6)
{
	unsigned long seen;
	int status = 0;

	if (ptrace(PTRACE_CONT, child, 0, 0) || waitpid(child, &status, 0) != child)
		return "the process does not continue";
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
		return why("status %#x", status);
	seen = get_debug(child, 6);
	if ((seen & 15) != (unsigned long)dr6)
		return why("DR6 is %#lx", seen);
	set_debug(child, 6, 0);
	return NULL;
}

static void check_watch(void)
{
	pid_t child = start_traced(watch_body);
	const char *bad = NULL;
	int status = 0;

	if (set_debug(child, 0, (unsigned long)&watched) ||
	    set_debug(child, 1, (unsigned long)landing) ||
	    set_debug(child, 7, on_store(0) | on_execution(1)))
		bad = why("refused: %s", strerror(errno));
	if (!bad)
		bad = stops_with(child, 1);	/* the store */
	if (!bad)
		bad = stops_with(child, 2);	/* the call */
	/* the INT3 at landing(); a frame made below returns from there */
	if (!bad)
		bad = stops_with(child, 0);
	if (!bad) {
		struct user_regs_struct regs;

		ptrace(PTRACE_GETREGS, child, 0, &regs);
		regs.rip = ptrace(PTRACE_PEEKDATA, child, regs.rsp, 0);
		regs.rsp += 8;
		ptrace(PTRACE_SETREGS, child, 0, &regs);
	}
	/*
	 * A store by the kernel raises one signal or none. The data must be
	 * right.
	 */
	while (!bad) {
		if (ptrace(PTRACE_CONT, child, 0, 0) || waitpid(child, &status, 0) != child)
			bad = "the process does not continue";
		else if (WIFEXITED(status) && WEXITSTATUS(status) != 7)
			bad = why("the process exited with %d", WEXITSTATUS(status));
		else if (WIFEXITED(status))
			break;
		else if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
			bad = why("status %#x", status);
	}
	if (bad) {
		end_traced(child);
		not_ok("debug-watch", "%s", bad);
	} else {
		ok("debug-watch", NULL);
	}
}

static const unsigned long kernel_addresses[] = {
	0xff11000000000000, 0xffff800000000000, 0xffff830000000000, 0xffff888000000000,
	0xfffffe0000000000, 0xffffffff80000000, 0xffffffff81000000, 0xffffffffff600000,
	0xfffffffffffffff8, 0x8000000000000000, 0x0100000000000000,
};

/*
 * Sets watchpoints at addresses of the kernel. A debug exception in the
 * kernel's entry code could crash the machine, so they must be refused.
 */
static const char *refused_watch(pid_t child)
{
	for (size_t i = 0; i < ARRAY_SIZE(kernel_addresses); i++) {
		for (int exec = 0; exec < 2; exec++) {
			unsigned long dr7 = exec ? on_execution(2) : on_store(2);
			long address, control;

			address = set_debug(child, 2, kernel_addresses[i]);
			control = set_debug(child, 7, dr7);
			if (!address && !control && get_debug(child, 2) == kernel_addresses[i] &&
			    get_debug(child, 7) & 0x30)
				return why("%#lx is taken", kernel_addresses[i]);
			set_debug(child, 7, 0);
		}
	}
	/* every bit of DR7; DR4 and DR5, which do not exist */
	set_debug(child, 2, 0);
	for (int bit = 0; bit < 64; bit++)
		set_debug(child, 7, 1UL << bit);
	set_debug(child, 7, ~0UL);
	if (!set_debug(child, 4, 1) || !set_debug(child, 5, 1))
		return "DR4 or DR5 can be set";
	set_debug(child, 7, 0);
	return NULL;
}

/* As an ordinary user, because root may watch the kernel. */
static void check_refused_watch(void)
{
	int status;
	pid_t tracer = fork();

	if (!tracer) {
		const char *bad;
		pid_t child;

		if (!drop_rights())
			bail("setresuid: %s", strerror(errno));
		child = start_traced(stepped);
		bad = refused_watch(child);
		if (!bad)
			bad = step_through(child);
		end_traced(child);
		if (bad)
			not_ok("debug-refused", "%s", bad);
		else
			ok("debug-refused", NULL);
		_exit(!!bad);
	}
	if (tracer < 0 || waitpid(tracer, &status, 0) != tracer || status) {
		if (tracer < 0 || WIFSIGNALED(status))
			not_ok("debug-refused", "the tracer died");
		check_failures++;
	}
}

int main(void)
{
	check_begin("hostile-state", JOB_SECONDS);
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED)
		bail("mmap: %s", strerror(errno));

	find_address_bits();
	check_getcpu();
	run_cases("selectors-asked", SELECTORS, NULL, selector_asks);
	run_cases("selectors-loaded", SELECTORS, catch_signals, selector_loads);
	run_cases("selectors-ldt", DESCRIPTORS, catch_signals, descriptor);
	run_cases("selectors-tls", TLS_CASES, catch_signals, thread_area);
	run_cases("selectors-base", BASE_CASES, catch_signals, segment_base);
	run_cases("selectors-gone", GONE_CASES, catch_signals, gone_base);
	check_kept();
	check_write_base();
	check_neighbour("selectors-neighbour", false);
	check_neighbour("selectors-sibling", true);
	/* This process has an LDT from here on, and so have its children. */
	check_freed();
	run_cases("selectors-frame", FRAMES, prepare_frames, signal_frame);
	run_cases("selectors-frame32", FRAMES32, prepare_frames, signal_frame32);
	run_cases("selectors-espfix", ESP_CASES, prepare_frames, espfix);
	run_cases("selectors-ptrace", POKES, NULL, poke);
	check_steps();
	check_watch();
	check_refused_watch();
	return check_end();
}
