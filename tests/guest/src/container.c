// SPDX-License-Identifier: GPL-2.0
/*
 * Makes a container by hand: all namespaces, its own root, and a cgroup that
 * hits its limits. Most users of a virtual machine run containers. A container
 * creates and destroys many address spaces, mounts and page tables.
 */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#define BOX		"/tmp/pvops-box"
#define CGROUP		"pvops-box"
#define PIDS_MAX	16
#define MEMORY_MAX	(24 << 20)
#define HOG_BYTES	(64 << 20)
#define OUTER_UID	100000
#define QUEUE_KEY	0x70766f70
#define STACK_SIZE	(256 << 10)

static int go[2], ready[2];
static char cgroup[128];

static void must(bool good, const char *what)
{
	if (!good)
		bail("%s: %s", what, strerror(errno));
}

static bool copy_file(const char *from, const char *to)
{
	char buf[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	ssize_t n;

	if (in < 0)
		return false;
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	if (out < 0) {
		close(in);
		return false;
	}
	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, n) != n) {
			n = -1;
			break;
		}
	close(in);
	return close(out) == 0 && n == 0;
}

static const char *busybox(void)
{
	static const char *const paths[] = {
		"/bin/busybox", "/usr/bin/busybox", "/sbin/busybox",
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (!access(paths[i], X_OK))
			return paths[i];
	bail("no busybox in the initramfs");
}

/*
 * The initramfs cannot be the old root of pivot_root(). So a tmpfs takes the
 * place of / first, as it does when an initramfs hands over to the root file
 * system. The container pivots from that tmpfs into a second one.
 */
static void new_root(void)
{
	must(!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private /");
	must(!mount("box", BOX, "tmpfs", 0, "size=16m"), "mount tmpfs");
	must(!mkdir(BOX "/new", 0755), "mkdir new");
	must(!mount("new", BOX "/new", "tmpfs", 0, "size=16m"),
	     "mount second tmpfs");
	must(!mkdir(BOX "/new/old", 0755), "mkdir old");
	must(!mkdir(BOX "/new/proc", 0755), "mkdir proc");
	must(!mkdir(BOX "/new/bin", 0755), "mkdir bin");
	must(copy_file(busybox(), BOX "/new/bin/busybox"), "copy busybox");
	must(!mount("proc", BOX "/new/proc", "proc", 0, NULL), "mount proc");
	must(!chdir(BOX), "chdir");
	must(!mount(".", "/", NULL, MS_MOVE, NULL), "move tmpfs to /");
	must(!chroot("."), "chroot");
	must(!chdir("/"), "chdir /");
	must(!syscall(SYS_pivot_root, "/new", "/new/old"), "pivot_root");
	must(!chdir("/"), "chdir to the new /");
	must(!umount2("/old", MNT_DETACH), "unmount the old root");
	must(!rmdir("/old"), "remove /old");
}

static int run_busybox(const char *command)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		execl("/bin/busybox", "sh", "-c", command, NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void look_around(void)
{
	static const char script[] =
		"test $(/bin/busybox hostname) = inside -a -r /proc/1/status -a $$ -gt 1";
	struct if_nameindex *nets;
	struct utsname uts;
	struct dirent *entry;
	int others = 0;
	DIR *dir;

	if (getpid() == 1 && getuid() == 0)
		ok("container-ids", "pid 1, uid 0 inside");
	else
		not_ok("container-ids", "pid %d uid %d", getpid(), getuid());

	must(!sethostname("inside", 6), "sethostname");
	if (!uname(&uts) && !strcmp(uts.nodename, "inside"))
		ok("container-uts", NULL);
	else
		not_ok("container-uts", "host name is %s", uts.nodename);

	dir = opendir("/proc");
	must(dir, "open /proc");
	while ((entry = readdir(dir)))
		if (strspn(entry->d_name, "0123456789") ==
		    strlen(entry->d_name) && strcmp(entry->d_name, "1"))
			others++;
	closedir(dir);
	if (others)
		not_ok("container-pid", "sees %d processes of others", others);
	else
		ok("container-pid", "sees only itself in /proc");

	nets = if_nameindex();
	if (nets && nets[0].if_index && !strcmp(nets[0].if_name, "lo") &&
	    !nets[1].if_index)
		ok("container-net", "only lo");
	else
		not_ok("container-net", "not just lo: %s",
		       nets ? "more interfaces" : strerror(errno));
	if (nets)
		if_freenameindex(nets);

	if (msgget(QUEUE_KEY, 0) >= 0)
		not_ok("container-ipc", "sees the outer message queue");
	else if (errno != ENOENT)
		not_ok("container-ipc", "msgget: %s", strerror(errno));
	else
		ok("container-ipc", NULL);

	if (!access("/jobs", F_OK) || !access("/init", F_OK))
		not_ok("container-root", "the old root can be seen");
	else
		ok("container-root", NULL);

	if (run_busybox(script) == 0)
		ok("container-busybox", NULL);
	else
		not_ok("container-busybox", "the shell of busybox did not work");
}

/* Fork until the kernel refuses. All children wait for the end of the pipe. */
static void fill_pids(void)
{
	int made = 0, error = 0, hold[2];
	pid_t pid;

	must(!pipe(hold), "pipe");
	while (made < 4 * PIDS_MAX) {
		pid = fork();
		if (!pid) {
			char c;

			close(hold[1]);
			if (read(hold[0], &c, 1) < 0)
				_exit(1);
			_exit(0);
		}
		if (pid < 0) {
			error = errno;
			break;
		}
		made++;
	}
	close(hold[0]);
	close(hold[1]);
	while (waitpid(-1, NULL, 0) > 0)
		;
	/* This process counts towards PIDS_MAX too. */
	if (error == EAGAIN && made == PIDS_MAX - 1)
		ok("container-pids-max", "fork refused after %d", made);
	else
		not_ok("container-pids-max", "%d forks of %d allowed, then %s",
		       made, PIDS_MAX - 1, error ? strerror(error) : "no error");
	pid = fork();
	if (!pid)
		_exit(0);
	if (pid > 0 && waitpid(pid, NULL, 0) == pid)
		ok("container-pids-freed", NULL);
	else
		not_ok("container-pids-freed", "no fork after all children left");
}

static void fill_memory(void)
{
	pid_t pid = fork();
	int status = 0;

	if (!pid) {
		char *p = mmap(NULL, HOG_BYTES, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			_exit(3);
		/* Have the OOM killer choose this process first. */
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
		write_file("/proc/self/oom_score_adj", "1000");
		for (long i = 0; i < HOG_BYTES; i += 4096)
			p[i] = 1;
		_exit(4);
	}
	must(pid > 0 && waitpid(pid, &status, 0) == pid, "fork the hog");
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		ok("container-memory-max", "the hog was killed");
	else
		not_ok("container-memory-max", "the hog ended with status %#x",
		       status);
}

static int inside(void *arg)
{
	char c;

	(void)arg;
	close(go[1]);
	if (read(go[0], &c, 1) != 1)
		return 1;
	alarm(check_seconds(90));
	/*
	 * Until now this was the outer root, whose user ID is not mapped
	 * inside.
	 */
	must(!setresgid(0, 0, 0) && !setresuid(0, 0, 0), "become uid 0 inside");
	must(write(ready[1], "r", 1) == 1, "say so");
	new_root();
	look_around();
	fill_pids();
	fill_memory();
	return check_failures ? 1 : 0;
}

/*
 * Find the value after "key " in a flat keyed file of the cgroup; -1 if absent.
 */
static long cgroup_value(const char *file, const char *key)
{
	char path[192], line[128];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", cgroup, file);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		size_t n = strlen(key);

		if (!strncmp(line, key, n) && line[n] == ' ')
			value = atol(line + n + 1);
	}
	fclose(f);
	return value;
}

static void cgroup_set(const char *file, const char *value)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", cgroup, file);
	if (!write_file(path, value))
		bail("cgroup %s = %s: %s", file, value, strerror(errno));
}

static void make_cgroup(void)
{
	static const char own[] = "/tmp/pvops-cgroup";
	char base[96] = "", line[512], path[192], value[32];
	FILE *f = fopen("/proc/mounts", "re");

	must(f, "/proc/mounts");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %95s", base) == 1 &&
		    strstr(line, " cgroup2 "))
			break;
		base[0] = 0;
	}
	fclose(f);
	if (!base[0]) {
		mkdir(own, 0755);
		must(!mount("cgroup2", own, "cgroup2", 0, NULL),
		     "mount cgroup2");
		strcpy(base, own);
	}
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", base);
	must(write_file(path, "+pids +memory"), "enable pids and memory");
	snprintf(cgroup, sizeof(cgroup), "%s/" CGROUP, base);
	must(!mkdir(cgroup, 0755) || errno == EEXIST, "mkdir cgroup");
	snprintf(value, sizeof(value), "%d", PIDS_MAX);
	cgroup_set("pids.max", value);
	snprintf(value, sizeof(value), "%d", MEMORY_MAX);
	cgroup_set("memory.max", value);
}

static void id_map(pid_t pid, const char *file)
{
	char path[64], text[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	snprintf(text, sizeof(text), "0 %d 1", OUTER_UID);
	must(write_file(path, text), file);
}

/* A process larger than the container's limit, and outside the container. */
static pid_t bystander(void)
{
	int up[2];
	char c;
	pid_t pid;

	must(!pipe(up), "pipe");
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid) {
		long size = MEMORY_MAX + (8 << 20);
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			_exit(1);
		memset(p, 1, size);
		if (write(up[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	must(read(up[0], &c, 1) == 1, "bystander");
	close(up[0]);
	close(up[1]);
	return pid;
}

int main(void)
{
	struct utsname uts;
	char path[64], text[4096], value[32];
	int queue, status = 0;
	char *stack, c;
	pid_t pid, other;

	check_begin("container", 120);
	mkdir("/tmp", 0777);
	must(!mkdir(BOX, 0755) || errno == EEXIST, "mkdir " BOX);
	make_cgroup();
	queue = msgget(QUEUE_KEY, IPC_CREAT | 0600);
	must(queue >= 0, "msgget");
	must(!uname(&uts), "uname");
	other = bystander();

	must(!pipe(go) && !pipe(ready), "pipe");
	stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(stack != MAP_FAILED, "stack");
	pid = clone(inside, stack + STACK_SIZE,
		    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS |
		    CLONE_NEWNET | CLONE_NEWIPC | SIGCHLD, NULL);
	must(pid > 0, "clone with all namespaces");
	close(go[0]);
	snprintf(path, sizeof(path), "/proc/%d/setgroups", pid);
	must(write_file(path, "deny"), "setgroups");
	id_map(pid, "gid_map");
	id_map(pid, "uid_map");
	snprintf(value, sizeof(value), "%d", pid);
	cgroup_set("cgroup.procs", value);

	must(write(go[1], "g", 1) == 1, "start the container");
	close(ready[1]);
	must(read(ready[0], &c, 1) == 1, "hear from the container");

	/* From outside, the container's root is an ordinary user. */
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	snprintf(value, sizeof(value), "Uid:\t%d\t", OUTER_UID);
	if (read_file(path, text, sizeof(text)) && strstr(text, value))
		ok("container-user", "uid %d outside", OUTER_UID);
	else
		not_ok("container-user", "not uid %d outside", OUTER_UID);

	must(waitpid(pid, &status, 0) == pid, "wait for the container");
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		ok("container-ended", NULL);
	else
		not_ok("container-ended", "status %#x", status);

	if (cgroup_value("pids.events", "max") > 0)
		ok("cgroup-pids-events", "max %ld",
		   cgroup_value("pids.events", "max"));
	else
		not_ok("cgroup-pids-events", "the limit was never hit");
	if (cgroup_value("memory.events", "oom_kill") == 1)
		ok("cgroup-oom-kill", "one process, in the cgroup");
	else
		not_ok("cgroup-oom-kill", "oom_kill is %ld, expected 1",
		       cgroup_value("memory.events", "oom_kill"));
	if (waitpid(other, &status, WNOHANG) == 0)
		ok("cgroup-bystander", "a larger process outside lives");
	else
		not_ok("cgroup-bystander", "the process ended with status %#x", status);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);

	if (!uname(&uts) && strcmp(uts.nodename, "inside"))
		ok("container-host-name", "unchanged outside");
	else
		not_ok("container-host-name", "changed outside too");
	msgctl(queue, IPC_RMID, NULL);
	if (!rmdir(cgroup))
		ok("cgroup-removed", NULL);
	else
		not_ok("cgroup-removed", "%s", strerror(errno));
	return check_end();
}
