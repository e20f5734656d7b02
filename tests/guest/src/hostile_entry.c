// SPDX-License-Identifier: GPL-2.0
/*
 * Makes every entry into the kernel with every flag that a program can set.
 *
 * The kernel's C code relies on a clear direction flag, and on a few other
 * flags. Depending on the entry, the CPU, the entry code or a hypervisor clears
 * them. Each entry is therefore made with each combination of flags. Three
 * things are checked: the result and the memory of the system call, the
 * registers and flags of the program afterwards, and (as root) the flags that
 * interrupted kernel code had.
 *
 * The program is linked statically to a fixed address. Its code and data are
 * below 4 GiB, so that it can contain 32-bit code.
 */
#include "check.h"

#include <asm/perf_regs.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <setjmp.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <ucontext.h>

#define JOB_SECONDS	280
#define NOBODY		65534
#define PAGE		4096UL

#define BIT(n)		(1UL << (n))
#define ARITH_BITS	0x8d5UL		/* CF PF AF ZF SF OF */
#define TF_BIT		BIT(8)
#define IF_BIT		BIT(9)
#define DF_BIT		BIT(10)
#define IOPL_BITS	(3UL << 12)
#define NT_BIT		BIT(14)
#define AC_BIT		BIT(18)
#define ID_BIT		BIT(21)
#define PLAIN_FLAGS	(IF_BIT | 2)
/* RF is not checked: the CPU changes it by itself. */
#define CHECKED_FLAGS	(ARITH_BITS | TF_BIT | IF_BIT | DF_BIT | IOPL_BITS | NT_BIT |	\
			 AC_BIT | ID_BIT)

static const struct flag {
	const char *name;
	unsigned long bits;
} flags[] = {
	{ "TF", TF_BIT },
	{ "NT", NT_BIT },
	{ "AC", AC_BIT },
	{ "ID", ID_BIT },
	{ "arith", ARITH_BITS },
	/* DF is last, because it does most harm to the machine */
	{ "DF", DF_BIT },
};

#define DF_COMBINATION	BIT(ARRAY_SIZE(flags) - 1)
#define ALL_BUT_TF	(DF_COMBINATION - 2)
#define COMBINATIONS	BIT(ARRAY_SIZE(flags))

enum reg {
	AX, BX, CX, DX, SI, DI, BP, R8, R9, R10, R11, R12, R13, R14, R15, FLAGS, REGS
};

static const char *const reg_names[REGS] = {
	"ax", "bx", "cx", "dx", "si", "di", "bp", "r8", "r9", "r10", "r11", "r12", "r13",
	"r14", "r15", "flags"
};

/* Registers that the stubs below load before an entry, and store after it. */
static uint64_t reg_in[REGS] __attribute__((used));
static uint64_t reg_out[REGS] __attribute__((used));
static uint64_t kept_sp __attribute__((used));
static uint8_t low_stack[128 * 1024] __attribute__((used, aligned(64)));

/* ---- the entries
 *
 * A stub loads all registers and then the flags. The next instruction is the
 * entry, because a CPU with TF set traps after that instruction.
 */

#define SAVE_CALLER							\
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"	\
	"mov %rsp, kept_sp(%rip)\n"

#define RESTORE_CALLER							\
	"mov kept_sp(%rip), %rsp\n"					\
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"	\
	"ret\n"

#define LOAD_64								\
	"mov reg_in + 8 * 0(%rip), %rax; mov reg_in + 8 * 1(%rip), %rbx\n"	\
	"mov reg_in + 8 * 2(%rip), %rcx; mov reg_in + 8 * 3(%rip), %rdx\n"	\
	"mov reg_in + 8 * 4(%rip), %rsi; mov reg_in + 8 * 5(%rip), %rdi\n"	\
	"mov reg_in + 8 * 6(%rip), %rbp; mov reg_in + 8 * 7(%rip), %r8\n"	\
	"mov reg_in + 8 * 8(%rip), %r9; mov reg_in + 8 * 9(%rip), %r10\n"	\
	"mov reg_in + 8 * 10(%rip), %r11; mov reg_in + 8 * 11(%rip), %r12\n"	\
	"mov reg_in + 8 * 12(%rip), %r13; mov reg_in + 8 * 13(%rip), %r14\n"	\
	"mov reg_in + 8 * 14(%rip), %r15\n"

#define STORE_64							\
	"mov %rax, reg_out + 8 * 0(%rip); mov %rbx, reg_out + 8 * 1(%rip)\n"	\
	"mov %rcx, reg_out + 8 * 2(%rip); mov %rdx, reg_out + 8 * 3(%rip)\n"	\
	"mov %rsi, reg_out + 8 * 4(%rip); mov %rdi, reg_out + 8 * 5(%rip)\n"	\
	"mov %rbp, reg_out + 8 * 6(%rip); mov %r8, reg_out + 8 * 7(%rip)\n"	\
	"mov %r9, reg_out + 8 * 8(%rip); mov %r10, reg_out + 8 * 9(%rip)\n"	\
	"mov %r11, reg_out + 8 * 10(%rip); mov %r12, reg_out + 8 * 11(%rip)\n"	\
	"mov %r13, reg_out + 8 * 12(%rip); mov %r14, reg_out + 8 * 13(%rip)\n"	\
	"mov %r15, reg_out + 8 * 14(%rip)\n"

#define LOAD_32								\
	"mov reg_in + 8 * 0, %eax; mov reg_in + 8 * 1, %ebx\n"		\
	"mov reg_in + 8 * 2, %ecx; mov reg_in + 8 * 3, %edx\n"		\
	"mov reg_in + 8 * 4, %esi; mov reg_in + 8 * 5, %edi\n"		\
	"mov reg_in + 8 * 6, %ebp\n"

#define STORE_32							\
	"mov %eax, reg_out + 8 * 0; mov %ebx, reg_out + 8 * 1\n"	\
	"mov %ecx, reg_out + 8 * 2; mov %edx, reg_out + 8 * 3\n"	\
	"mov %esi, reg_out + 8 * 4; mov %edi, reg_out + 8 * 5\n"	\
	"mov %ebp, reg_out + 8 * 6\n"

#define STUB_64(name, insn)						\
static __attribute__((naked, noinline)) void name(void)			\
{									\
	asm volatile(SAVE_CALLER LOAD_64				\
		     "pushq reg_in + 8 * 15(%rip)\n"			\
		     "popfq\n"						\
		     insn "\n"						\
		     "pushfq\n"						\
		     "pushq $0x202\n"					\
		     "popfq\n"						\
		     "popq reg_out + 8 * 15(%rip)\n"			\
		     STORE_64 RESTORE_CALLER);				\
}

/*
 * 32-bit code cannot use null selectors, and DS and ES are null in 64-bit
 * programs.
 */
#define STUB_32(name, insn)						\
static __attribute__((naked, noinline)) void name(void)			\
{									\
	asm volatile(SAVE_CALLER					\
		     "mov $0x2b, %eax\n"				\
		     "mov %eax, %ds\n"					\
		     "mov %eax, %es\n"					\
		     "lea low_stack + 128 * 1024 - 64(%rip), %rsp\n"	\
		     "ljmp *1f(%rip)\n"					\
		     "1: .long 2f, 0x23\n"				\
		     ".code32\n"					\
		     "2:\n"						\
		     LOAD_32						\
		     "pushl reg_in + 8 * 15\n"				\
		     "popfl\n"						\
		     insn "\n"						\
		     "pushfl\n"						\
		     "pushl $0x202\n"					\
		     "popfl\n"						\
		     "popl reg_out + 8 * 15\n"				\
		     STORE_32						\
		     "ljmp $0x33, $3f\n"				\
		     ".code64\n"					\
		     "3: xor %eax, %eax\n"				\
		     "mov %eax, %ds\n"					\
		     "mov %eax, %es\n"					\
		     RESTORE_CALLER);					\
}

/*
 * The kernel lets SYSCALL and SYSENTER of 32-bit code return to one address in
 * the 32-bit vDSO only. It reads the sixth argument from the stack, where the
 * vDSO's code puts it. move_vdso() describes what is at that address in this
 * program.
 */
#define AS_VDSO(insn)							\
	"call 4f; jmp 5f\n"						\
	"4: push %ecx; push %edx; push %ebp\n"				\
	insn "\n"							\
	"ud2\n"								\
	"5:\n"

STUB_64(enter_syscall64, "syscall")
STUB_64(enter_int80_64, "int $0x80")
STUB_32(enter_int80_32, "int $0x80")
STUB_32(enter_syscall32, AS_VDSO("mov %ecx, %ebp; syscall"))
STUB_32(enter_sysenter32, AS_VDSO("mov %esp, %ebp; sysenter"))
STUB_64(enter_touch_64, "mov %al, (%rdi)")
STUB_32(enter_touch_32, "mov %al, (%edi)")
STUB_64(enter_fill_64, "rep stosb")
STUB_32(enter_fill_32, "rep stosb")
STUB_64(enter_wild_64, "mov %al, (%rdi)")
STUB_64(enter_ud_64, "ud2")
STUB_32(enter_ud_32, "ud2")
STUB_64(enter_bp_64, "int3")
STUB_32(enter_bp_32, "int3")
STUB_64(enter_of_64, "int $4")
STUB_32(enter_of_32, "int $4")
STUB_64(enter_de_64, "div %ecx")
STUB_32(enter_de_32, "div %ecx")
STUB_64(enter_gp_64, "hlt")
STUB_32(enter_gp_32, "hlt")
STUB_64(enter_int_64, "int $0x81")

enum kind { CALL_64, CALL_32, TRAP, TOUCH, FILL };

#define ALL_64		(BIT(FLAGS) - 1)
#define ALL_32		(BIT(R8) - 1)

#define CALL(id, how, same, never)					\
	{ .name = #id, .enter = enter_##id, .kind = how, .kept = same, .without = never }
#define FAULT(id, same, signal, bytes)					\
	{ .name = #id, .enter = enter_##id, .kind = TRAP, .kept = same,	\
	  .sig = signal, .skip = bytes }

static const struct entry {
	const char *name;
	void (*enter)(void);
	enum kind kind;
	unsigned long kept;	/* registers that the entry must preserve */
	int sig;		/* the entry ends with this signal */
	int skip;		/* length of the instruction to skip after the signal */
	unsigned long without;	/* flags that the entry is not made with */
} entries[] = {
	CALL(syscall64, CALL_64, ALL_64 & ~(BIT(AX) | BIT(CX) | BIT(R11)), 0),
	/* some kernels cleared R8 to R11, and no ABI promises them */
	CALL(int80_64, CALL_32,
	     ALL_64 & ~(BIT(AX) | BIT(R8) | BIT(R9) | BIT(R10) | BIT(R11)), 0),
	CALL(int80_32, CALL_32, ALL_32 & ~BIT(AX), 0),
	CALL(syscall32, CALL_32, ALL_32 & ~BIT(AX), 0),
	/* SYSENTER does not clear TF; the kernel may drop the trap */
	CALL(sysenter32, CALL_32, ALL_32 & ~BIT(AX), TF_BIT),
	CALL(touch_64, TOUCH, ALL_64, 0),
	CALL(touch_32, TOUCH, ALL_32, 0),
	CALL(fill_64, FILL, ALL_64 & ~(BIT(CX) | BIT(DI)), 0),
	CALL(fill_32, FILL, ALL_32 & ~(BIT(CX) | BIT(DI)), 0),
	FAULT(wild_64, ALL_64, SIGSEGV, 2),
	FAULT(ud_64, ALL_64, SIGILL, 2),
	FAULT(ud_32, ALL_32, SIGILL, 2),
	FAULT(bp_64, ALL_64, SIGTRAP, 0),
	FAULT(bp_32, ALL_32, SIGTRAP, 0),
	FAULT(of_64, ALL_64, SIGSEGV, 0),
	FAULT(of_32, ALL_32, SIGSEGV, 0),
	FAULT(de_64, ALL_64, SIGFPE, 2),
	FAULT(de_32, ALL_32, SIGFPE, 2),
	FAULT(gp_64, ALL_64, SIGSEGV, 1),
	FAULT(gp_32, ALL_32, SIGSEGV, 1),
	FAULT(int_64, ALL_64, SIGSEGV, 2),
};

/* ---- signals */

static volatile sig_atomic_t expected_signal, expected_skip, faults, traps;
static volatile sig_atomic_t surprise_signal;
static volatile uint64_t surprise_ip, fault_flags;
static sigjmp_buf surprise;

/* A handler starts with AC unchanged, and C code makes unaligned accesses. */
static inline void clear_ac(void)
{
	asm volatile("lea -128(%%rsp), %%rsp\n"
		     "pushfq\n"
		     "andl %0, (%%rsp)\n"
		     "popfq\n"
		     "lea 128(%%rsp), %%rsp" : : "i" (~AC_BIT & 0xffffffff) : "memory", "cc");
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	clear_ac();
	if (sig == SIGALRM)
		return;
	if (sig == SIGTRAP && (info->si_code == TRAP_TRACE || info->si_code == TRAP_BRKPT)) {
		traps = traps + 1;
		return;
	}
	if (sig == expected_signal && !faults) {
		faults = 1;
		fault_flags = regs[REG_EFL];
		regs[REG_RIP] += expected_skip;
		return;
	}
	surprise_signal = sig;
	surprise_ip = regs[REG_RIP];
	siglongjmp(surprise, 1);
}

static void catch_signals(void)
{
	static const int sigs[] = { SIGALRM, SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };

	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		if (sigaction(sigs[i], &sa, NULL))
			bail("sigaction: %s", strerror(errno));
}

/* glibc would call the vDSO, which move_vdso() has replaced. */
static int64_t raw_now(void)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return ts_ns(&ts);
}

/* ---- the address that SYSCALL and SYSENTER of 32-bit code return to */

#define VDSO_ROOM	(8 * PAGE)

static uint8_t *landing;

/*
 * The kernel computes the return address from the address of the vDSO. In a
 * 64-bit program the vDSO is far above 4 GiB, where 32-bit code cannot be. So
 * the vDSO is moved below 4 GiB and then replaced by INT3 instructions. The
 * first system call shows the return address by the INT3 that it hits.
 */
static bool move_vdso(void)
{
	unsigned long vdso = getauxval(AT_SYSINFO_EHDR), start, end, size = 0;
	uint8_t *low;
	FILE *maps;
	char line[256];

	maps = fopen("/proc/self/maps", "re");
	if (!vdso || !maps)
		return false;
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && start == vdso)
			size = end - start;
	fclose(maps);
	if (!size || size > VDSO_ROOM)
		return false;
	low = mmap(NULL, VDSO_ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (low == MAP_FAILED)
		return false;
	if (mremap((void *)vdso, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, low) != low)
		return false;
	if (mmap(low, VDSO_ROOM, PROT_READ | PROT_WRITE | PROT_EXEC,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != low)
		return false;
	memset(low, 0xcc, VDSO_ROOM);
	landing = low;
	return true;
}

/* The same code as in the vDSO. */
static const uint8_t landing_code[] = {
	0x5d,		/* pop %ebp */
	0x5a,		/* pop %edx */
	0x59,		/* pop %ecx */
	0xc3,		/* ret */
};

/*
 * Test if the CPU and the kernel have this entry, and put landing_code at its
 * return address. Returns NULL or the reason.
 */
static const char *try_fast(const struct entry *e)
{
	static char why[80];

	memset(reg_in, 0, sizeof(reg_in));
	reg_in[AX] = 20;		/* getpid */
	reg_in[FLAGS] = PLAIN_FLAGS;
	expected_signal = 0;
	faults = 0;
	surprise_signal = 0;
	if (!sigsetjmp(surprise, 1)) {
		e->enter();
		return NULL;
	}
	if (surprise_signal == SIGTRAP && surprise_ip - 1 >= (uintptr_t)landing &&
	    surprise_ip - 1 < (uintptr_t)landing + VDSO_ROOM - sizeof(landing_code)) {
		memcpy((void *)(surprise_ip - 1), landing_code, sizeof(landing_code));
		return NULL;
	}
	snprintf(why, sizeof(why), "%s at %#llx", strsignal(surprise_signal),
		 (unsigned long long)surprise_ip);
	return why;
}

/* ---- the system calls */

#define ROOM		(4 * PAGE)
#define CANARY		0xa5
#define BYTES		2048

static uint8_t room[ROOM] __attribute__((aligned(4096)));
static uint8_t *const buf = room + PAGE + 104;
static uint8_t pattern[BYTES], reference[BYTES];
static int file, pipe_fd[2], socket_fd[2], directory, version;
static pid_t zombie, tracee;

/* Structures that arguments point to. */
static union {
	uint64_t wide[64];
	uint32_t narrow[128];
	struct pollfd poll;
	struct {
		uint64_t parts[8];
		union {
			struct msghdr wide;
			uint32_t narrow[8];
		} head;
	} msg;
} small;

/* Read a value from the buffer, where it need not be aligned. */
static uint64_t in_buf(size_t at, size_t bytes)
{
	uint64_t value = 0;

	memcpy(&value, buf + at, bytes);
	return value;
}

static const char *why(const char *fmt, long long a, long long b)
{
	static char text[120];

	snprintf(text, sizeof(text), fmt, a, b);
	return text;
}

static void fresh_room(void)
{
	memset(room, CANARY, sizeof(room));
}

/* Check that nothing but the first bytes of the buffer has changed. */
static const char *outside(size_t bytes)
{
	for (uint8_t *p = room; p < room + ROOM; p++) {
		if (p >= buf && p < buf + bytes)
			continue;
		if (*p != CANARY)
			return why("byte %lld from the buffer's begin is %#llx", p - buf, *p);
	}
	return NULL;
}

static const char *returned(int64_t ret, int64_t want)
{
	return ret == want ? NULL : why("returned %lld, not %lld", ret, want);
}

static const char *same(const void *a, const void *b, size_t bytes)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < bytes; i++)
		if (x[i] != y[i])
			return why("byte %lld is %#llx", i, x[i]);
	return NULL;
}

static const char *data_in(int64_t ret, const void *want, size_t bytes)
{
	const char *bad = returned(ret, bytes);

	if (!bad)
		bad = same(buf, want, bytes);
	return bad ? bad : outside(bytes);
}

static void ready_nothing(uint64_t *arg, bool compat)
{
	(void)arg;
	(void)compat;
}

static const char *is_ppid(int64_t ret, bool compat)
{
	(void)compat;
	return returned(ret, syscall(SYS_getppid));
}

static void ready_pread(uint64_t *arg, bool compat)
{
	(void)compat;
	fresh_room();
	arg[0] = file;
	arg[1] = (uintptr_t)buf;
	arg[2] = BYTES;
	arg[3] = BYTES;
}

static const char *is_pread(int64_t ret, bool compat)
{
	(void)compat;
	return data_in(ret, pattern, BYTES);
}

static void ready_pwrite(uint64_t *arg, bool compat)
{
	ready_pread(arg, compat);
	memcpy(buf, pattern, BYTES);
	arg[3] = 3 * BYTES;
}

/* The bytes before and after the written ones must not change. */
static const char *is_pwrite(int64_t ret, bool compat)
{
	static uint8_t back[3 * BYTES], nothing[BYTES];
	const char *bad = returned(ret, BYTES);

	(void)compat;
	if (bad)
		return bad;
	if (pread(file, back, sizeof(back), 2 * BYTES) != sizeof(back))
		return "the file cannot be read back";
	if (pwrite(file, nothing, BYTES, 3 * BYTES) != BYTES)
		return "the file cannot be cleared";
	bad = same(back, nothing, BYTES);
	if (!bad)
		bad = same(back + BYTES, pattern, BYTES);
	return bad ? bad : same(back + 2 * BYTES, nothing, BYTES);
}

static void two_parts(bool compat)
{
	const uint64_t parts[4] = {
		(uintptr_t)buf, 1000, (uintptr_t)buf + 1000, BYTES - 1000
	};

	for (int i = 0; i < 4; i++) {
		if (compat)
			small.narrow[i] = parts[i];
		else
			small.wide[i] = parts[i];
	}
}

static void ready_readv(uint64_t *arg, bool compat)
{
	fresh_room();
	two_parts(compat);
	lseek(file, BYTES, SEEK_SET);
	arg[0] = file;
	arg[1] = (uintptr_t)&small;
	arg[2] = 2;
}

static void ready_writev(uint64_t *arg, bool compat)
{
	ready_readv(arg, compat);
	memcpy(buf, pattern, BYTES);
	lseek(file, 3 * BYTES, SEEK_SET);
}

static void ready_getrandom(uint64_t *arg, bool compat)
{
	(void)compat;
	fresh_room();
	arg[0] = (uintptr_t)buf;
	arg[1] = 256;
}

static const char *is_getrandom(int64_t ret, bool compat)
{
	const char *bad = returned(ret, 256);
	int still = 0;

	(void)compat;
	for (int i = 0; i < 256; i++)
		still += buf[i] == CANARY;
	if (!bad && still > 32)
		bad = why("%lld of %lld bytes were not written", still, 256);
	return bad ? bad : outside(256);
}

static void ready_write(uint64_t *arg, bool compat)
{
	(void)compat;
	fresh_room();
	memcpy(buf, pattern, BYTES);
	arg[0] = pipe_fd[1];
	arg[1] = (uintptr_t)buf;
	arg[2] = BYTES;
}

static const char *is_write(int64_t ret, bool compat)
{
	static uint8_t back[BYTES];
	const char *bad = returned(ret, BYTES);

	(void)compat;
	if (bad)
		return bad;
	if (read(pipe_fd[0], back, BYTES) != BYTES)
		return "the pipe cannot be read";
	return same(back, pattern, BYTES);
}

static void ready_read(uint64_t *arg, bool compat)
{
	(void)compat;
	fresh_room();
	if (write(pipe_fd[1], pattern, BYTES) != BYTES)
		bail("pipe: %s", strerror(errno));
	arg[0] = pipe_fd[0];
	arg[1] = (uintptr_t)buf;
	arg[2] = BYTES;
}

static void message(bool compat)
{
	memset(&small, 0, sizeof(small));
	two_parts(compat);
	if (compat) {
		small.msg.head.narrow[2] = (uintptr_t)&small;	/* msg_iov */
		small.msg.head.narrow[3] = 2;
	} else {
		small.msg.head.wide.msg_iov = (struct iovec *)&small;
		small.msg.head.wide.msg_iovlen = 2;
	}
}

static void ready_recvmsg(uint64_t *arg, bool compat)
{
	fresh_room();
	message(compat);
	if (send(socket_fd[1], pattern, BYTES, 0) != BYTES)
		bail("send: %s", strerror(errno));
	arg[0] = socket_fd[0];
	arg[1] = (uintptr_t)&small.msg.head;
}

static void ready_sendmsg(uint64_t *arg, bool compat)
{
	fresh_room();
	message(compat);
	memcpy(buf, pattern, BYTES);
	arg[0] = socket_fd[0];
	arg[1] = (uintptr_t)&small.msg.head;
}

static const char *is_sendmsg(int64_t ret, bool compat)
{
	static uint8_t back[BYTES];
	const char *bad = returned(ret, BYTES);

	(void)compat;
	if (bad)
		return bad;
	if (recv(socket_fd[1], back, BYTES, 0) != BYTES)
		return "the message cannot be read";
	return same(back, pattern, BYTES);
}

static int64_t before_ns;

static void ready_clock(uint64_t *arg, bool compat)
{
	(void)compat;
	fresh_room();
	before_ns = raw_now();
	arg[0] = CLOCK_MONOTONIC;
	arg[1] = (uintptr_t)buf;
}

static const char *is_clock(int64_t ret, bool compat)
{
	int64_t after = raw_now();
	int64_t told = in_buf(0, 8) * NSEC_PER_SEC + in_buf(8, 8);
	const char *bad = returned(ret, 0);

	(void)compat;
	if (!bad && (told < before_ns || told > after))
		bad = why("the clock is %lld, and was %lld before", told, before_ns);
	return bad ? bad : outside(sizeof(struct timespec));
}

static void ready_buf(uint64_t *arg, bool compat)
{
	(void)compat;
	fresh_room();
	arg[0] = (uintptr_t)buf;
}

static const char *is_uname(int64_t ret, bool compat)
{
	struct utsname want;

	(void)compat;
	uname(&want);
	return data_in(ret ? ret : (int64_t)sizeof(want), &want, sizeof(want));
}

static void ready_getdents(uint64_t *arg, bool compat)
{
	(void)compat;
	fresh_room();
	lseek(directory, 0, SEEK_SET);
	memset(reference, CANARY, sizeof(reference));
	arg[0] = directory;
	arg[1] = (uintptr_t)buf;
	arg[2] = BYTES;
}

/* A pending signal ends getdents64() early, but not before the first name. */
static const char *is_getdents(int64_t ret, bool compat)
{
	long all = 0;

	(void)compat;
	if (ret <= 0)
		return why("returned %lld%.0lld", ret, 0);
	for (int i = 0; i < 100 && all < ret; i++) {
		lseek(directory, 0, SEEK_SET);
		all = syscall(SYS_getdents64, directory, reference, BYTES);
	}
	return all < ret ? returned(ret, all) : data_in(ret, reference, ret);
}

#define ALT_SIZE	16384

static void ready_altstack(uint64_t *arg, bool compat)
{
	static uint8_t alt[ALT_SIZE];
	stack_t st = { .ss_sp = alt, .ss_size = ALT_SIZE };

	(void)compat;
	sigaltstack(&st, NULL);
	small.wide[0] = (uintptr_t)alt;
	fresh_room();
	arg[0] = 0;
	arg[1] = (uintptr_t)buf;
}

static const char *is_altstack(int64_t ret, bool compat)
{
	size_t word = compat ? 4 : 8;
	const char *bad = returned(ret, 0);

	if (!bad && in_buf(0, word) != small.wide[0])
		bad = "wrong stack address";
	if (!bad && in_buf(2 * word, word) != ALT_SIZE)
		bad = "wrong stack size";
	return bad ? bad : outside(3 * word);
}

static void ready_getregs(uint64_t *arg, bool compat)
{
	(void)compat;
	fresh_room();
	arg[0] = PTRACE_GETREGS;
	arg[1] = tracee;
	arg[3] = (uintptr_t)buf;
}

static const char *is_getregs(int64_t ret, bool compat)
{
	struct user_regs_struct want;
	const char *bad = returned(ret, 0);

	if (bad)
		return bad;
	if (ptrace(PTRACE_GETREGS, tracee, 0, &want))
		return "ptrace fails";
	if (!compat)
		return data_in(sizeof(want), &want, sizeof(want));
	if (in_buf(12 * 4, 4) != (uint32_t)want.rip || in_buf(15 * 4, 4) != (uint32_t)want.rsp)
		return "wrong EIP or ESP";
	return outside(17 * 4);
}

static void ready_futex(uint64_t *arg, bool compat)
{
	(void)compat;
	fresh_room();
	arg[0] = (uintptr_t)buf;
	arg[1] = FUTEX_WAIT;
	arg[2] = 1;
}

static const char *is_futex(int64_t ret, bool compat)
{
	(void)compat;
	return returned(ret, -EAGAIN);
}

#define RUSAGE_AT	256

static void ready_waitid(uint64_t *arg, bool compat)
{
	(void)compat;
	fresh_room();
	arg[0] = P_PID;
	arg[1] = zombie;
	arg[2] = (uintptr_t)buf;
	arg[3] = WEXITED | WNOWAIT;
	arg[4] = (uintptr_t)(buf + RUSAGE_AT);
}

static const char *is_waitid(int64_t ret, bool compat)
{
	size_t at = compat ? 12 : 16;	/* si_pid, si_uid, si_status */
	pid_t pid = in_buf(at, 4);
	int status = in_buf(at + 8, 4);
	const char *bad = returned(ret, 0);

	if (!bad && pid != zombie)
		bad = why("si_pid is %lld, not %lld", pid, zombie);
	if (!bad && status != 42)
		bad = why("si_status is %lld, not %lld", status, 42);
	if (!bad && in_buf(RUSAGE_AT, 8) == 0x0101010101010101UL * CANARY)
		bad = "no rusage";
	return bad ? bad : outside(RUSAGE_AT + (compat ? 72 : sizeof(struct rusage)));
}

static void ready_fstat(uint64_t *arg, bool compat)
{
	(void)compat;
	fresh_room();
	arg[0] = file;
	arg[1] = (uintptr_t)buf;
}

static const char *is_fstat(int64_t ret, bool compat)
{
	struct stat want;
	const char *bad = returned(ret, 0);

	if (bad)
		return bad;
	fstat(file, &want);
	if (!compat)
		return data_in(sizeof(want), &want, sizeof(want));
	bad = same(buf + 44, &want.st_size, 8);
	return bad ? bad : outside(96);
}

static void ready_poll(uint64_t *arg, bool compat)
{
	(void)compat;
	small.poll.fd = pipe_fd[1];
	small.poll.events = POLLOUT;
	small.poll.revents = 0;
	arg[0] = (uintptr_t)&small;
	arg[1] = 1;
}

static const char *is_poll(int64_t ret, bool compat)
{
	const char *bad = returned(ret, 1);

	(void)compat;
	if (!bad && small.poll.revents != POLLOUT)
		bad = "no POLLOUT";
	return bad;
}

static bool timer_wanted;

/*
 * A child does not inherit the timer. With a signal every millisecond fork()
 * would be restarted again and again, so the timer stops meanwhile.
 */
static void hold_timer(bool hold)
{
	static const struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, off;

	setitimer(ITIMER_REAL, timer_wanted && !hold ? &often : &off, NULL);
}

/* The child returns from the same stub, and its flags are checked too. */
static void ready_fork(uint64_t *arg, bool compat)
{
	(void)arg;
	(void)compat;
	hold_timer(true);
}

static const char *is_fork(int64_t ret, bool compat)
{
	int status;

	(void)compat;
	if (!ret)
		_exit((reg_out[FLAGS] ^ reg_in[FLAGS]) & CHECKED_FLAGS ? 1 : 7);
	hold_timer(false);
	if (ret < 0)
		return why("returned %lld, not a process%.0lld", ret, 0);
	while (waitpid(ret, &status, 0) < 0)
		if (errno != EINTR)
			return "no child";
	return WIFEXITED(status) && WEXITSTATUS(status) == 7 ? NULL :
		why("the child ended with %#llx, not %#llx", status, 7 << 8);
}

static void ready_execve(uint64_t *arg, bool compat)
{
	static const char path[] = "/no/such/program";

	memset(&small, 0, sizeof(small));
	if (compat)
		small.narrow[0] = (uintptr_t)path;
	else
		small.wide[0] = (uintptr_t)path;
	arg[0] = (uintptr_t)path;
	arg[1] = (uintptr_t)&small;
	arg[2] = (uintptr_t)&small;
}

static const char *is_execve(int64_t ret, bool compat)
{
	(void)compat;
	return returned(ret, -ENOENT);
}

static void ready_version(uint64_t *arg, bool compat)
{
	(void)compat;
	fresh_room();
	lseek(version, 0, SEEK_SET);
	arg[0] = version;
	arg[1] = (uintptr_t)buf;
	arg[2] = BYTES;
}

static const char *is_version(int64_t ret, bool compat)
{
	ssize_t want = pread(version, reference, BYTES, 0);

	(void)compat;
	return data_in(ret, reference, want);
}

#define POPULATED	(8 * PAGE)

static void ready_mmap(uint64_t *arg, bool compat)
{
	(void)compat;
	arg[0] = 0;
	arg[1] = POPULATED;
	arg[2] = PROT_READ | PROT_WRITE;
	arg[3] = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_32BIT;
	arg[4] = 0xffffffff;
	arg[5] = 0;
}

static const char *is_mmap(int64_t ret, bool compat)
{
	const char *bad = NULL;
	uint64_t *p = (uint64_t *)(uintptr_t)(uint32_t)ret;

	(void)compat;
	if (ret < 0 && ret > -4096)
		return why("returned %lld%.0lld", ret, 0);
	for (size_t i = 0; !bad && i < POPULATED / sizeof(*p); i++)
		if (p[i])
			bad = why("new memory has %#llx at %lld", p[i], i * sizeof(*p));
	munmap(p, POPULATED);
	return bad;
}

static const struct op {
	const char *name;
	int nr[2];		/* numbers for 64-bit and for 32-bit programs */
	void (*ready)(uint64_t *arg, bool compat);
	const char *(*check)(int64_t ret, bool compat);
	unsigned long without;	/* flags with which the call would take too long */
} ops[] = {
	{ "getppid", { SYS_getppid, 64 }, ready_nothing, is_ppid, 0 },
	{ "futex", { SYS_futex, 240 }, ready_futex, is_futex, 0 },
	{ "poll", { SYS_poll, 168 }, ready_poll, is_poll, 0 },
	{ "clock_gettime", { SYS_clock_gettime, 403 }, ready_clock, is_clock, 0 },
	{ "sigaltstack", { SYS_sigaltstack, 186 }, ready_altstack, is_altstack, 0 },
	{ "uname", { SYS_uname, 122 }, ready_buf, is_uname, 0 },
	{ "fstat", { SYS_fstat, 197 }, ready_fstat, is_fstat, 0 },
	{ "waitid", { SYS_waitid, 284 }, ready_waitid, is_waitid, 0 },
	{ "ptrace", { SYS_ptrace, 26 }, ready_getregs, is_getregs, 0 },
	{ "getdents64", { SYS_getdents64, 220 }, ready_getdents, is_getdents, 0 },
	{ "execve", { SYS_execve, 11 }, ready_execve, is_execve, 0 },
	{ "proc-read", { SYS_read, 3 }, ready_version, is_version, 0 },
	{ "getrandom", { SYS_getrandom, 355 }, ready_getrandom, is_getrandom, 0 },
	{ "pread", { SYS_pread64, 180 }, ready_pread, is_pread, 0 },
	{ "pwrite", { SYS_pwrite64, 181 }, ready_pwrite, is_pwrite, 0 },
	{ "readv", { SYS_readv, 145 }, ready_readv, is_pread, 0 },
	{ "writev", { SYS_writev, 146 }, ready_writev, is_pwrite, 0 },
	{ "pipe-write", { SYS_write, 4 }, ready_write, is_write, 0 },
	{ "pipe-read", { SYS_read, 3 }, ready_read, is_pread, 0 },
	{ "recvmsg", { SYS_recvmsg, 372 }, ready_recvmsg, is_pread, 0 },
	{ "sendmsg", { SYS_sendmsg, 370 }, ready_sendmsg, is_sendmsg, 0 },
	{ "mmap", { SYS_mmap, 192 }, ready_mmap, is_mmap, ARITH_BITS },
	{ "fork", { SYS_fork, 2 }, ready_fork, is_fork, ARITH_BITS },
};

/* Create the files and processes that the system calls work on. */
static void make_things(void)
{
	static uint8_t nothing[5 * BYTES];
	siginfo_t info;

	for (int i = 0; i < BYTES; i++)
		pattern[i] = i * 7 + (i >> 8) + 1;
	file = memfd_create("hostile", 0);
	if (file < 0 || pwrite(file, nothing, sizeof(nothing), 0) != sizeof(nothing) ||
	    pwrite(file, pattern, BYTES, BYTES) != BYTES)
		bail("memfd: %s", strerror(errno));
	directory = open("/sys/kernel", O_RDONLY | O_DIRECTORY);
	version = open("/proc/version", O_RDONLY);
	if (pipe(pipe_fd) || socketpair(AF_UNIX, SOCK_DGRAM, 0, socket_fd) ||
	    directory < 0 || version < 0)
		bail("no files: %s", strerror(errno));
	zombie = fork();
	if (!zombie)
		_exit(42);
	tracee = fork();
	if (!tracee) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(1);
		raise(SIGSTOP);
		_exit(0);
	}
	if (zombie < 0 || tracee < 0 ||
	    waitid(P_PID, zombie, &info, WEXITED | WNOWAIT) ||
	    waitpid(tracee, NULL, WUNTRACED) != tracee)
		bail("no children: %s", strerror(errno));
}

static void end_things(void)
{
	kill(tracee, SIGKILL);
	waitpid(tracee, NULL, 0);
	waitpid(zombie, NULL, 0);
}

/* ---- one entry, and its result */

static const enum reg args_64[6] = { DI, SI, DX, R10, R8, R9 };
static const enum reg args_32[6] = { BX, CX, DX, SI, DI, BP };

#define FRESH_PAGES	2

static uint8_t *fresh;		/* unmapped pages below 4 GiB */

static const char *made(const struct entry *e)
{
	uint64_t wrong;

	if (surprise_signal)
		return why("signal %lld at %#llx", surprise_signal, surprise_ip);
	if (faults != !!e->sig)
		return why("signal %lld did not come%.0lld", e->sig, 0);
	wrong = (reg_out[FLAGS] ^ reg_in[FLAGS]) & CHECKED_FLAGS;
	if (wrong)
		return why("flags are %#llx, not %#llx", reg_out[FLAGS], reg_in[FLAGS]);
	wrong = (fault_flags ^ reg_in[FLAGS]) & CHECKED_FLAGS;
	if (e->sig && wrong)
		return why("the handler saw flags %#llx, not %#llx", fault_flags, reg_in[FLAGS]);
	if (reg_in[FLAGS] & TF_BIT && !traps)
		return "TF made no trap";
	if (!(reg_in[FLAGS] & TF_BIT) && traps)
		return "a trap without TF";
	for (int r = 0; r < FLAGS; r++) {
		uint64_t mask = e->kept == ALL_32 || !(e->kept & BIT(R15)) ? 0xffffffff : ~0UL;

		if (e->kept & BIT(r) && (reg_in[r] ^ reg_out[r]) & mask) {
			static char text[80];

			snprintf(text, sizeof(text), "%s is %#llx, not %#llx", reg_names[r],
				 (long long)reg_out[r], (long long)reg_in[r]);
			return text;
		}
	}
	return NULL;
}

static void run_stub(const struct entry *e, unsigned long with)
{
	reg_in[FLAGS] = PLAIN_FLAGS | with;
	memset(reg_out, 0, sizeof(reg_out));
	expected_signal = e->sig;
	expected_skip = e->skip;
	faults = 0;
	traps = 0;
	surprise_signal = 0;
	if (!sigsetjmp(surprise, 1))
		e->enter();
	expected_signal = 0;
}

static void fill_regs(void)
{
	for (int r = 0; r < FLAGS; r++)
		reg_in[r] = 0x1111111111111111UL * r + 0x1234;
}

static const char *call_once(const struct entry *e, const struct op *op, unsigned long with)
{
	bool compat = e->kind == CALL_32;
	uint64_t arg[6] = { 0 };
	const char *bad;
	int64_t ret;

	fill_regs();
	op->ready(arg, compat);
	for (int i = 0; i < 6; i++)
		reg_in[(compat ? args_32 : args_64)[i]] = arg[i];
	reg_in[AX] = op->nr[compat];
	run_stub(e, with);
	ret = compat ? (int32_t)reg_out[AX] : (int64_t)reg_out[AX];
	bad = op->check(ret, compat);
	return bad ? bad : made(e);
}

/* Make an exception. Page faults are checked by the memory that they write. */
static const char *fault_once(const struct entry *e, unsigned long with)
{
	bool down = with & DF_BIT;
	size_t bytes = 1;
	uint8_t *at = fresh + PAGE;
	const char *bad;

	fill_regs();
	reg_in[CX] = 0;
	if (e->kind == TOUCH || e->kind == FILL) {
		madvise(fresh, FRESH_PAGES * PAGE, MADV_DONTNEED);
		bytes = e->kind == FILL ? 2 * PAGE - 200 : 1;
		if (e->kind == FILL)
			at = fresh + (down ? 2 * PAGE - 101 : 100);
		reg_in[CX] = bytes;
		reg_in[DI] = (uintptr_t)at;
	} else {
		reg_in[DI] = 0xffff888000000000;
	}
	run_stub(e, with);
	bad = made(e);
	if (bad || (e->kind != TOUCH && e->kind != FILL))
		return bad;
	if (down && e->kind == FILL)
		at -= bytes - 1;
	for (uint8_t *p = fresh; p < fresh + FRESH_PAGES * PAGE; p++) {
		uint8_t want = p >= at && p < at + bytes ? (uint8_t)reg_in[AX] : 0;

		if (*p != want)
			return why("byte %lld is %#llx", p - fresh, *p);
	}
	if (e->kind == FILL && (uint32_t)reg_out[CX])
		return why("%lld bytes are left%.0lld", reg_out[CX], 0);
	return NULL;
}

static const char *flag_names(unsigned int combination)
{
	static char text[64];
	size_t n = 0;

	text[0] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (combination & BIT(i))
			n += snprintf(text + n, sizeof(text) - n, "%s%s", n ? "+" : "",
				      flags[i].name);
	return n ? text : "none";
}

/* Returns false if the entry is not made with this combination. */
static bool flag_bits(unsigned int combination, const struct entry *e, unsigned long *bits)
{
	*bits = 0;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (combination & BIT(i))
			*bits |= flags[i].bits;
	return !(*bits & e->without);
}

/* Make all operations of this entry once. */
static const char *one_round(const struct entry *e, unsigned long bits, const char **what,
			     unsigned long *calls)
{
	const char *bad;

	if (e->kind != CALL_64 && e->kind != CALL_32) {
		*what = "";
		++*calls;
		return fault_once(e, bits);
	}
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (ops[i].without & bits)
			continue;
		*what = ops[i].name;
		++*calls;
		bad = call_once(e, &ops[i], bits);
		if (bad)
			return bad;
	}
	return NULL;
}

static bool drop_rights(void)
{
	return !setresgid(NOBODY, NOBODY, NOBODY) && !setresuid(NOBODY, NOBODY, NOBODY) &&
	       !prctl(PR_SET_DUMPABLE, 1);
}

static bool is_fast(const struct entry *e)
{
	return e->enter == enter_syscall32 || e->enter == enter_sysenter32;
}

/* Returns false if the entry cannot be made and the check has been reported. */
static bool prepare_entry(const struct entry *e, const char *name)
{
	const char *bad;

	catch_signals();
	make_things();
	fresh = mmap(NULL, FRESH_PAGES * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (fresh == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	if (!is_fast(e))
		return true;
	if (!move_vdso())
		bail("the vDSO cannot be moved: %s", strerror(errno));
	bad = try_fast(e);
	if (bad)
		skip(name, "the CPU has no such entry: %s", bad);
	return !bad;
}

#define COMBINATION_NS	(5 * NSEC_PER_MSEC)

/*
 * Makes an entry with each combination of flags, as an ordinary user and with a
 * timer that fires. Xen 4.17 leaves DF set at SYSCALL. The kernel's string
 * instructions then ran backwards and changed memory below the buffers (patch
 * 0013).
 */
static int check_flags(const struct entry *e, const char *name, unsigned int from,
		       unsigned int to)
{
	unsigned int bad_combinations = 0, combinations = 0;
	unsigned long bits, calls = 0;
	char first[200] = "";
	const char *what = "", *bad;

	if (!drop_rights())
		bail("setresuid: %s", strerror(errno));
	if (!prepare_entry(e, name))
		return 0;
	timer_wanted = true;
	hold_timer(false);
	for (unsigned int c = from; c < to; c++) {
		int64_t end = raw_now() + COMBINATION_NS;

		if (!flag_bits(c, e, &bits))
			continue;
		combinations++;
		do {
			bad = one_round(e, bits, &what, &calls);
		} while (!bad && raw_now() < end);
		if (!bad)
			continue;
		bad_combinations++;
		if (!*first)
			snprintf(first, sizeof(first), "%s %s: %s", flag_names(c), what, bad);
	}
	hold_timer(true);
	if (bad_combinations)
		not_ok(name, "%u of %u combinations, the first: %s", bad_combinations,
		       combinations, first);
	else
		ok(name, "%u combinations, %lu entries", combinations, calls);
	end_things();
	return check_end();
}

/* ---- the flags that the kernel runs with */

#define RING_PAGES	64
#define PERIOD_NS	400000
#define SAMPLE_NS	(150 * NSEC_PER_MSEC)
#define LONGEST_NS	(2000 * NSEC_PER_MSEC)
#define ENOUGH_SAMPLES	20

static struct { uint64_t from, to; } backwards[8];
static int n_backwards;

/* Find the bounds of memmove(), which sets DF for a moment by design. */
static void find_memmove(void)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	bool open_end = false;
	char line[512];

	if (!f)
		bail("no /proc/kallsyms: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		unsigned long at;
		char symbol[256];

		if (sscanf(line, "%lx %*c %255s", &at, symbol) != 2)
			continue;
		if (open_end && at > backwards[n_backwards].from) {
			backwards[n_backwards++].to = at;
			open_end = false;
		}
		if (n_backwards < (int)ARRAY_SIZE(backwards) && !open_end &&
		    (!strcmp(symbol, "memmove") || !strcmp(symbol, "__memmove"))) {
			backwards[n_backwards].from = at;
			open_end = true;
		}
	}
	fclose(f);
	if (!n_backwards || !backwards[0].from)
		bail("memmove is not in /proc/kallsyms");
}

static bool in_memmove(uint64_t ip)
{
	for (int i = 0; i < n_backwards; i++)
		if (ip >= backwards[i].from && ip < backwards[i].to)
			return true;
	return false;
}

static bool is_xen_pv(void)
{
	char text[64], line[4096];
	bool pv = false;
	FILE *f;

	if (!read_file("/sys/hypervisor/type", text, sizeof(text)) || strcmp(text, "xen"))
		return false;
	if (read_file("/sys/hypervisor/guest_type", text, sizeof(text)))
		return !strcmp(text, "PV");
	f = fopen("/proc/cpuinfo", "re");
	while (f && !pv && fgets(line, sizeof(line), f))
		pv = strstr(line, " xenpv");
	if (f)
		fclose(f);
	return pv;
}

/*
 * On bare metal AC may be set in the kernel: STAC sets it, and without SMAP
 * exceptions leave it as it was. It has no effect in ring 0. The kernel of a
 * Xen PV guest runs in ring 3, where AC would make unaligned accesses fault.
 */
static unsigned long forbidden_flags(void)
{
	return DF_BIT | NT_BIT | TF_BIT | IOPL_BITS | (is_xen_pv() ? AC_BIT : 0);
}

struct samples {
	unsigned long count, kernel, lost;
	unsigned long id_kernel, with_id;	/* samples while programs have ID set */
	uint64_t bad_ip, bad_flags;
};

/*
 * The event belongs to a CPU and not to a process. The kernel changes its text
 * for the first event of a process. QEMU 7.2 does not always survive that (see
 * the job poke).
 */
static int open_sampler(int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = PERIOD_NS,
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_REGS_INTR,
		.sample_regs_intr = 1UL << PERF_REG_X86_FLAGS,
		.disabled = 1,
		.exclude_user = 1,
		.exclude_idle = 1,
	};

	return syscall(SYS_perf_event_open, &attr, -1, cpu, -1, 0);
}

/* Read the records in the ring. A record may wrap around the ring's end. */
static void read_ring(struct perf_event_mmap_page *page, unsigned long forbidden,
		      unsigned long bits, struct samples *seen)
{
	const uint8_t *data = (const uint8_t *)page + PAGE;
	uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = page->data_tail;
	uint64_t record[16];

	while (tail < head) {
		const uint64_t size = RING_PAGES * PAGE;
		struct perf_event_header h;

		memcpy(&h, data + tail % size, sizeof(h));
		for (size_t i = 0; i < h.size / 8u && i < ARRAY_SIZE(record); i++)
			memcpy(&record[i], data + (tail + 8 * i) % size, 8);
		tail += h.size;
		if (h.type == PERF_RECORD_LOST)
			seen->lost++;
		/* header, IP, ABI of the registers, flags */
		if (h.type != PERF_RECORD_SAMPLE || h.size < 32 || !record[2])
			continue;
		seen->count++;
		if (!(record[1] >> 63))
			continue;
		seen->kernel++;
		seen->id_kernel += !!(bits & ID_BIT);
		seen->with_id += !!(record[3] & bits & ID_BIT);
		if (in_memmove(record[1]))
			record[3] &= ~DF_BIT;
		if (record[3] & forbidden && !seen->bad_flags) {
			seen->bad_ip = record[1];
			seen->bad_flags = record[3];
		}
	}
	__atomic_store_n(&page->data_tail, tail, __ATOMIC_RELEASE);
}

/*
 * Makes an entry while perf samples the flags of the interrupted kernel. A flag
 * that the program set must not be set there. This finds a forgotten CLD or
 * POPF even if no result is wrong.
 */
static int check_kernel_flags(const struct entry *e, const char *name, unsigned int from,
			      unsigned int to)
{
	unsigned long forbidden = forbidden_flags(), bits, calls = 0;
	struct perf_event_mmap_page *page;
	struct samples seen = { 0 };
	const char *what = "", *bad = NULL;
	int64_t begin, took;
	int fd, cpu;

	find_memmove();
	if (!prepare_entry(e, name))
		return 0;
	/* by the system call, because the vDSO was replaced */
	if (syscall(SYS_getcpu, &cpu, NULL, NULL) || !pin(cpu))
		bail("no CPU: %s", strerror(errno));
	fd = open_sampler(cpu);
	if (fd < 0) {
		not_ok(name, "perf_event_open: %s", strerror(errno));
		return 1;
	}
	page = mmap(NULL, (1 + RING_PAGES) * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		bail("mmap of the samples: %s", strerror(errno));
	begin = raw_now();
	do {
		for (unsigned int c = from; c < to; c++) {
			/*
			 * single flags and all flags; TF is left out, because
			 * its traps would be sampled
			 */
			if (!flag_bits(c, e, &bits) || bits & TF_BIT ||
			    (__builtin_popcount(c & (DF_COMBINATION - 1)) > 1 &&
			     c % DF_COMBINATION != ALL_BUT_TF))
				continue;
			ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
			bad = one_round(e, bits, &what, &calls);
			ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
			read_ring(page, forbidden, bits, &seen);
		}
		took = raw_now() - begin;
	} while (took < SAMPLE_NS || (seen.kernel < ENOUGH_SAMPLES && took < LONGEST_NS));
	end_things();
	if (seen.bad_flags)
		not_ok(name, "flags %#llx at %#llx", (long long)seen.bad_flags,
		       (long long)seen.bad_ip);
	else if (!seen.kernel)
		not_ok(name, "no sample of the kernel, %lu in all", seen.count);
	else if (strstr(e->name, "syscall") && seen.with_id > seen.id_kernel / 2)
		/*
		 * an interrupt of the program leaves ID set, SYSCALL clears it
		 */
		not_ok(name, "ID is set in %lu of %lu samples", seen.with_id, seen.id_kernel);
	else if (bad)
		not_ok(name, "%s: %s", what, bad);
	else
		ok(name, "%lu samples, ID in %lu of %lu, %lu lost", seen.kernel, seen.with_id,
		   seen.id_kernel, seen.lost);
	return check_end();
}

/* ---- a loop of system calls with DF set */

#define DF_LOOP_NS	(2000 * NSEC_PER_MSEC)

static int df_loop(int cpu)
{
	int64_t end;

	if (!pin(cpu) || !drop_rights())
		return 1;
	end = now_ns() + DF_LOOP_NS;
	do {
		for (int i = 0; i < 1000; i++) {
			long ret = SYS_getppid;

			asm volatile("std; syscall; cld" : "+a" (ret)
				     : : "rcx", "r11", "memory");
		}
	} while (now_ns() < end);
	return 0;
}

/* Allocates, copies and frees memory in the kernel. */
static int df_load(int cpu)
{
	int64_t end = now_ns() + DF_LOOP_NS;

	if (!pin(cpu))
		return 1;
	do {
		pid_t child = fork();
		char *p;

		if (!child)
			_exit(0);
		p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (p != MAP_FAILED)
			munmap(p, 64 * PAGE);
		if (child < 0 || p == MAP_FAILED || waitpid(child, NULL, 0) != child)
			return 2;
	} while (now_ns() < end);
	return 0;
}

/*
 * Runs STD, SYSCALL and CLD in a loop on each CPU, beside a load. Without patch
 * 0013 the kernel's memory was corrupted and the machine died.
 */
static void check_df_loop(void)
{
	int cpus[CPU_SETSIZE], n = usable_cpus(cpus, CPU_SETSIZE), bad = 0, status;

	for (int i = 0; i < 2 * n; i++) {
		pid_t child = fork();

		if (!child)
			_exit((i & 1 ? df_load : df_loop)(cpus[i / 2]));
		if (child < 0)
			bail("fork: %s", strerror(errno));
	}
	for (int i = 0; i < 2 * n; i++)
		if (wait(&status) < 0 || status)
			bad++;
	if (bad || !n)
		not_ok("df-loop", "%d of %d processes failed", bad, 2 * n);
	else
		ok("df-loop", "%d CPUs", n);
}

/* ---- main */

static char skipped[4096];

/* The kernel's command line lists the checks that must not run. */
static void find_skipped(void)
{
	char line[4096], *at;

	if (!read_file("/proc/cmdline", line, sizeof(line)))
		return;
	at = strstr(line, "pvops.skip=");
	if (!at)
		return;
	at[strcspn(at, " ")] = 0;
	snprintf(skipped, sizeof(skipped), ",%s,", at + strlen("pvops.skip="));
}

static bool is_skipped(const char *name)
{
	char pattern_text[80];

	snprintf(pattern_text, sizeof(pattern_text), ",%s,", name);
	if (!strstr(skipped, pattern_text))
		return false;
	skip(name, "not run: it would take this machine down");
	return true;
}

/* Run each check in a process of its own. A check that dies fails alone. */
static void each_entry(const char *prefix, unsigned int from, unsigned int to,
		       int (*check)(const struct entry *, const char *, unsigned int,
				    unsigned int))
{
	int64_t begin = now_ns();

	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		char name[64];
		int status;
		pid_t child;

		snprintf(name, sizeof(name), "%s-%s", prefix, entries[i].name);
		if (is_skipped(name))
			continue;
		child = fork();
		if (!child) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			check_failures = 0;
			_exit(check(&entries[i], name, from, to));
		}
		if (child < 0 || waitpid(child, &status, 0) != child)
			bail("fork: %s", strerror(errno));
		if (WIFSIGNALED(status))
			not_ok(name, "died of signal %d", WTERMSIG(status));
		else if (WEXITSTATUS(status))
			check_failures++;
	}
	note("%s took %lld s", prefix, (long long)((now_ns() - begin) / NSEC_PER_SEC));
}

int main(void)
{
	check_begin("hostile-entry", JOB_SECONDS);
	find_skipped();
	each_entry("flags", 0, DF_COMBINATION, check_flags);
	each_entry("kernel-flags", 0, DF_COMBINATION, check_kernel_flags);
	each_entry("df", DF_COMBINATION, COMBINATIONS, check_flags);
	each_entry("kernel-df", DF_COMBINATION, COMBINATIONS, check_kernel_flags);
	if (!is_skipped("df-loop"))
		check_df_loop();
	return check_end();
}
