// SPDX-License-Identifier: GPL-2.0
/*
 * Starts a second kernel: instead of a reboot ("reboot"), or from reserved
 * memory after a crash of the first kernel ("crash"). Both kernels are the
 * image under test, /boot/kernel with /boot/initrd. Words on the command line
 * tell the second kernel which backend it should have: that of the first one, or
 * the one that pvops.second= asks for. The second kernel runs this job again,
 * which then checks the second kernel.
 */
#include "memory.h"

#include <elf.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <sys/reboot.h>
#include <sys/syscall.h>

#define SECOND		"pvops.second="
#define WANTED		"pvops.wanted="
#define SEED		"pvops.seed="
#define VMCORE		"/proc/vmcore"
/*
 * Number of pages with a pattern. The crashed kernel's memory must contain
 * each.
 */
#define MARKED		64

/*
 * Find the value of NAME on the kernel's command line, or NULL. The next call
 * overwrites it.
 */
static const char *word(const char *name)
{
	static char line[4096], text[64];
	const char *at;

	if (!read_file("/proc/cmdline", line, sizeof(line)))
		bail("no command line: %s", strerror(errno));
	at = strstr(line, name);
	if (!at || sscanf(at + strlen(name), "%63s", text) != 1)
		return NULL;
	return text;
}

static const char *own_backend(void)
{
	static char text[512];
	char *end;

	if (!read_file("/sys/kernel/debug/pvops/backend", text, sizeof(text)) ||
	    strncmp(text, "backend: ", 9))
		return "unknown";
	end = strchr(text, '\n');
	if (end)
		*end = 0;
	return text + 9;
}

static int open_or_bail(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		bail("%s: %s", path, strerror(errno));
	return fd;
}

/*
 * The second kernel's command line. It must not have crashkernel=, because it
 * needs no reservation of its own.
 */
static void command_line(char *to, size_t size, uint64_t seed)
{
	char line[4096], wanted[128], *at, *end;
	const char *second = word(SECOND);

	if (second)
		snprintf(wanted, sizeof(wanted), "pv_backend=%s " WANTED "%s", second, second);
	else
		snprintf(wanted, sizeof(wanted), WANTED "%s", own_backend());

	if (!read_file("/proc/cmdline", line, sizeof(line)))
		bail("no command line: %s", strerror(errno));
	at = strstr(line, "crashkernel=");
	if (at) {
		end = at + strcspn(at, " ");
		memmove(at, end, strlen(end) + 1);
	}
	if (snprintf(to, size, "%s %s " SEED "%llu", line, wanted,
		     (unsigned long long)seed) >= (int)size)
		bail("the command line is too long");
}

static void load(unsigned long flags, uint64_t seed)
{
	char line[2048];

	command_line(line, sizeof(line), seed);
	if (syscall(SYS_kexec_file_load, open_or_bail("/boot/kernel"),
		    open_or_bail("/boot/initrd"), strlen(line) + 1, line, flags))
		bail("kexec_file_load: %s", strerror(errno));
}

static void start_second(void)
{
	load(0, 0);
	ok("kexec-load", NULL);
	sync();
	reboot(LINUX_REBOOT_CMD_KEXEC);
	bail("kexec: %s", strerror(errno));
}

static void crash_kernel(void)
{
	uint64_t seed = now_ns(), *pages = map_anon(MARKED);
	char text[32];

	if (!read_file("/sys/kernel/kexec_crash_size", text, sizeof(text)) || !atoll(text))
		bail("no memory for the crash kernel: crashkernel= is missing");
	for (size_t i = 0; i < MARKED * PAGE / 8; i++)
		pages[i] = pattern(seed, i);
	if (mlock(pages, MARKED * PAGE))
		bail("mlock: %s", strerror(errno));
	load(KEXEC_FILE_ON_CRASH, seed);
	ok("kdump-load", NULL);
	if (!write_file("/proc/sys/kernel/sysrq", "1"))
		bail("no sysrq: %s", strerror(errno));
	write_file("/proc/sysrq-trigger", "c");
	bail("the kernel did not crash");
}

/* Find the number of a marked page, or -1 for another page. */
static int which(const uint64_t *page, uint64_t seed)
{
	for (int nr = 0; nr < MARKED; nr++) {
		size_t first = nr * (PAGE / 8), i;

		if (page[0] != pattern(seed, first))
			continue;
		for (i = 1; i < PAGE / 8 && page[i] == pattern(seed, first + i); i++)
			;
		if (i == PAGE / 8)
			return nr;
	}
	return -1;
}

static void read_at(int fd, void *to, size_t size, off_t at)
{
	ssize_t n = pread(fd, to, size, at);

	if (n != (ssize_t)size)
		bail(VMCORE ": %zd of %zu bytes at 0x%llx: %s", n, size,
		     (unsigned long long)at, n < 0 ? strerror(errno) : "its end");
}

/* Check the notes: registers of each CPU, and VMCOREINFO. */
static void check_notes(int fd, const Elf64_Phdr *ph, long cpus)
{
	char *notes = malloc(ph->p_filesz + 1);
	int registers = 0;
	bool info = false;

	if (!notes)
		bail("no memory");
	read_at(fd, notes, ph->p_filesz, ph->p_offset);
	for (size_t at = 0; at + sizeof(Elf64_Nhdr) <= ph->p_filesz;) {
		const Elf64_Nhdr *note = (const void *)(notes + at);
		const char *name = notes + at + sizeof(*note);

		registers += note->n_type == NT_PRSTATUS && note->n_namesz == 5 &&
			     !memcmp(name, "CORE", 5);
		info |= note->n_namesz == 11 && !memcmp(name, "VMCOREINFO", 11);
		at += sizeof(*note) + ((note->n_namesz + 3) & ~3U) +
		      ((note->n_descsz + 3) & ~3U);
	}
	if (registers == cpus)
		ok("kdump-registers", "of %d CPUs", registers);
	else
		not_ok("kdump-registers", "of %d CPUs instead of %ld", registers, cpus);
	if (info)
		ok("kdump-info", NULL);
	else
		not_ok("kdump-info", "no VMCOREINFO");
	free(notes);
}

/* What is known of the crashed kernel's memory: a sum of each page, by number. */
static struct {
	uint64_t *sums;
	size_t room, pages;
	bool seen[MARKED];
	int found;
} core;

static uint64_t sum(const uint64_t *page)
{
	uint64_t value = 0;

	for (size_t i = 0; i < PAGE / 8; i++)
		value = (value << 1 | value >> 63) ^ page[i];
	return value;
}

/* Note the sum of a page, and look for a mark. */
static void first_look(const uint64_t *page, uint64_t seed)
{
	int nr = which(page, seed);

	if (nr >= 0 && !core.seen[nr]) {
		core.seen[nr] = true;
		core.found++;
	}
	if (core.pages == core.room) {
		core.room = core.room ? 2 * core.room : 65536;
		core.sums = realloc(core.sums, core.room * sizeof(*core.sums));
		if (!core.sums)
			bail("no memory for sums");
	}
	core.sums[core.pages++] = sum(page);
}

/*
 * Read all of the memory that the crashed kernel had. The first time sums are
 * noted; the second time they are compared. Returns how many pages changed.
 *
 * This kernel has memory of its own, beside the first MiB. Nobody may change
 * the rest: not a hypervisor that still has an address of the crashed kernel.
 */
static size_t look(int fd, const Elf64_Ehdr *eh, uint64_t seed, bool again)
{
	static uint64_t chunk[64 * PAGE / 8];
	size_t changed = 0, page = 0;
	Elf64_Phdr ph;

	for (int i = 0; i < eh->e_phnum; i++) {
		read_at(fd, &ph, sizeof(ph), eh->e_phoff + i * sizeof(ph));
		if (ph.p_type == PT_NOTE && !again)
			check_notes(fd, &ph, sysconf(_SC_NPROCESSORS_ONLN));
		if (ph.p_type != PT_LOAD)
			continue;
		for (Elf64_Xword at = 0; at < ph.p_filesz; at += sizeof(chunk)) {
			size_t n = ph.p_filesz - at;

			n = n < sizeof(chunk) ? n : sizeof(chunk);
			read_at(fd, chunk, n, ph.p_offset + at);
			for (size_t p = 0; p + PAGE <= n; p += PAGE, page++) {
				if (!again) {
					first_look(chunk + p / 8, seed);
				} else if (ph.p_paddr + at + p >= 1 << 20 &&
					   sum(chunk + p / 8) != core.sums[page]) {
					if (++changed <= 5)
						note("page 0x%llx changed",
						     (unsigned long long)(ph.p_paddr + at + p));
				}
			}
		}
	}
	return changed;
}

static void check_core(uint64_t seed)
{
	int fd = open_or_bail(VMCORE);
	size_t changed;
	Elf64_Ehdr eh;

	read_at(fd, &eh, sizeof(eh), 0);
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) || eh.e_type != ET_CORE) {
		not_ok("kdump-core", "not an ELF core file");
		return;
	}
	look(fd, &eh, seed, false);
	ok("kdump-core", "%zu MiB", core.pages * PAGE >> 20);
	if (core.found == MARKED)
		ok("kdump-memory", "all %d pages of the program", core.found);
	else
		not_ok("kdump-memory", "%d of %d pages of the program", core.found, MARKED);
	changed = look(fd, &eh, seed, true);
	if (changed)
		not_ok("kdump-unchanged", "%zu pages changed after the crash", changed);
	else
		ok("kdump-unchanged", NULL);
}

static void check_backend(const char *name)
{
	const char *wanted = word(WANTED);

	if (!strcmp(wanted, own_backend()))
		ok(name, "%s", wanted);
	else
		not_ok(name, "%s instead of %s", own_backend(), wanted);
}

int main(int argc, char **argv)
{
	bool crashing = argc > 1 && !strcmp(argv[1], "crash");
	const char *text = word(SEED);
	uint64_t seed = text ? strtoull(text, NULL, 10) : 0;

	check_begin(crashing ? "kdump" : "kexec", 300);
	if (!word(WANTED)) {
		if (crashing)
			crash_kernel();
		start_second();
	}
	check_backend(crashing ? "kdump-backend" : "kexec-backend");
	if (crashing)
		check_core(seed);
	else
		ok("kexec", NULL);
	return check_end();
}
