// SPDX-License-Identifier: GPL-2.0
/*
 * textdump - write the running kernel's text to stdout
 *
 * The text in memory differs from the text in vmlinux, because the kernel has
 * patched alternatives, pv calls and static branches. Only /proc/kcore has the
 * text that the CPU runs. Only /proc/kallsyms has its address.
 *
 * Arguments: OFFSET+LENGTH in hexadecimal, relative to _stext. The default is
 * all of the text.
 * Output for each: the line "pvops-text OFFSET LENGTH\n" and LENGTH raw bytes.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int find_text(unsigned long *start, unsigned long *end)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	unsigned long address;
	char line[1024], name[512], type;

	if (!file) {
		fprintf(stderr, "/proc/kallsyms: %s\n", strerror(errno));
		return -1;
	}
	*start = *end = 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx %c %511s", &address, &type, name) != 3)
			continue;
		if (!strcmp(name, "_stext"))
			*start = address;
		else if (!strcmp(name, "_etext"))
			*end = address;
	}
	fclose(file);
	if (!*start || *end <= *start) {
		fprintf(stderr, "/proc/kallsyms: no addresses of _stext and _etext\n");
		return -1;
	}
	return 0;
}

/*
 * Find the file offset of a range of addresses; 0 if no segment contains all of
 * it.
 */
static off_t find_offset(int core, unsigned long start, unsigned long end)
{
	Elf64_Ehdr head;
	Elf64_Phdr seg;
	int i;

	if (pread(core, &head, sizeof(head), 0) != sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG))
		return 0;
	for (i = 0; i < head.e_phnum; i++) {
		off_t at = head.e_phoff + (off_t)i * head.e_phentsize;

		if (pread(core, &seg, sizeof(seg), at) != sizeof(seg))
			return 0;
		if (seg.p_type == PT_LOAD && start >= seg.p_vaddr &&
		    end - seg.p_vaddr <= seg.p_memsz)
			return seg.p_offset + (start - seg.p_vaddr);
	}
	return 0;
}

static int dump(int core, off_t at, unsigned long offset, unsigned long length)
{
	static char block[1 << 16];
	unsigned long done;

	printf("pvops-text %lx %lx\n", offset, length);
	for (done = 0; done < length;) {
		size_t want = length - done;
		ssize_t got;

		if (want > sizeof(block))
			want = sizeof(block);
		got = pread(core, block, want, at + offset + done);
		if (got <= 0) {
			fprintf(stderr, "/proc/kcore: %s\n", got ? strerror(errno) : "short");
			return -1;
		}
		if (fwrite(block, 1, got, stdout) != (size_t)got)
			return -1;
		done += got;
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long start, end, offset, length;
	int core, i, used;
	off_t at;

	if (find_text(&start, &end))
		return 1;
	core = open("/proc/kcore", O_RDONLY);
	if (core < 0) {
		fprintf(stderr, "/proc/kcore: %s\n", strerror(errno));
		return 1;
	}
	at = find_offset(core, start, end);
	if (!at) {
		fprintf(stderr, "/proc/kcore: no segment has the kernel's text\n");
		return 1;
	}
	if (argc < 2 && dump(core, at, 0, end - start))
		return 1;
	for (i = 1; i < argc; i++) {
		if (sscanf(argv[i], "%lx+%lx%n", &offset, &length, &used) != 2 ||
		    argv[i][used] || offset > end - start ||
		    length > end - start - offset) {
			fprintf(stderr, "%s: not a part of the text\n", argv[i]);
			return 1;
		}
		if (dump(core, at, offset, length))
			return 1;
	}
	return fflush(stdout) ? 1 : 0;
}
