// SPDX-License-Identifier: GPL-2.0
/*
 * A library that is preloaded into some of the kernel's selftests if the kernel
 * does not support huge pages.
 *
 * These programs ask for the size of a huge page before they use one, and
 * divide by it. They exit if they cannot make a file of huge pages, and would
 * then not test ordinary pages. This library reports the size, as on a kernel
 * with huge pages of which none is free. A file of huge pages can be made, but
 * not mapped.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_SIZE "2097152\n"
#define MEMINFO_LINE "Hugepagesize:       2048 kB\n"

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static int real_memfd(const char *name, unsigned int flags)
{
	int (*real)(const char *name, unsigned int flags) = next("memfd_create");

	return real(name, flags);
}

/* Open the file write-only: mmap() refuses it, and all other calls work. */
int memfd_create(const char *name, unsigned int flags)
{
	char path[32];
	int fd, mappable;

	if (!(flags & MFD_HUGETLB))
		return real_memfd(name, flags);
	mappable = real_memfd(name, MFD_CLOEXEC);
	if (mappable < 0)
		return mappable;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", mappable);
	fd = open(path, O_WRONLY);
	close(mappable);
	return fd;
}

int open(const char *path, int flags, ...)
{
	int (*real)(const char *path, int flags, ...) = next("open");
	mode_t mode = 0;
	va_list list;
	int fd;

	if (!strcmp(path, "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size")) {
		fd = real_memfd("hpage_pmd_size", MFD_CLOEXEC);
		if (fd >= 0 && (write(fd, HUGE_SIZE, strlen(HUGE_SIZE)) < 0 ||
				lseek(fd, 0, SEEK_SET) < 0)) {
			close(fd);
			return -1;
		}
		return fd;
	}
	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(list, flags);
		mode = va_arg(list, mode_t);
		va_end(list);
	}
	return real(path, flags, mode);
}

FILE *fopen(const char *path, const char *mode)
{
	FILE *(*real)(const char *path, const char *mode) = next("fopen");
	FILE *file = real(path, mode), *all;
	int c;

	if (!file || strcmp(path, "/proc/meminfo"))
		return file;
	all = tmpfile();
	if (all) {
		while ((c = getc(file)) != EOF)
			putc(c, all);
		fputs(MEMINFO_LINE, all);
		rewind(all);
	}
	fclose(file);
	return all;
}
