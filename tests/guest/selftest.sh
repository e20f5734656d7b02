# SPDX-License-Identifier: GPL-2.0
#
# Functions of the jobs that run the kernel's own selftests one by one.
#
# These functions do not know which failures are expected.
# tests/guest/expected.toml lists them for each world, and tools/pvops/jobs.py
# compares. A job therefore exits with 0 when all of its programs have run.
#
# A test reports its result by its exit status; 4 means "skipped" in the
# kernel's tests. Some tests only print that they skipped and exit with 0. Such
# a test counts as skipped if it did nothing else.

patience=${SELFTEST_PATIENCE:-120}
out=/tmp/selftest.out
current=/tmp/selftest.current
run=0
# A job sets this if its tests number their cases: each failed case is a check
# then.
cases=

# Tests that would crash the machine. The names come from expected.toml by the
# kernel's command line.
skip=
for word in $(cat /proc/cmdline); do
	case $word in pvops.skip=*) skip=",${word#*=}," ;; esac
done

# reason <pattern>: the first line of a test's output that gives the reason, or
# its last line
reason()
{
	{ grep -a '^not ok' "$out" || grep -a "$1" "$out" || tail -n 1 "$out"; } |
		head -n 1 | tr '\t' ' ' | cut -c 1-160
}

# idle: did a test that exited with 0 skip everything? A test that numbers its
# cases reports a skip for each case.
idle()
{
	if grep -aqE '^(not )?ok [0-9]' "$out"; then
		! grep -aE '^ok [0-9]' "$out" | grep -aqv '# SKIP'
	else
		grep -aq '\[SKIP\]' "$out" && ! grep -aqE '\[OK\]|PASS' "$out"
	fi
}

# where: print what the tasks of a hanging test wait for, and the counts of
# interrupts at two times. If the counts grow, the test only waits. If they do
# not, the kernel has lost an interrupt.
interrupts()
{
	grep -E 'LOC|RES|CAL|TLB' /proc/interrupts | tr -s ' ' | sed 's/^/#  /'
}

where()
{
	for task in /proc/[0-9]*/task/[0-9]*; do
		[ -n "$(tr '\0' ' ' <"$task/cmdline")" ] || continue
		echo "#   $(cut -d ' ' -f 1-4 <"$task/stat") on CPU $(cut -d ' ' -f 39 <"$task/stat")" \
			"in $(cat "$task/wchan") syscall $(cat "$task/syscall")"
	done 2>/dev/null
	interrupts
	sleep 5
	interrupts
}

# watch: one watcher for all tests. It distinguishes them by their start times.
watch()
{
	said=
	while sleep 10; do
		read -r name start <"$current" || continue
		read -r now _ </proc/uptime
		[ $((${now%.*} - ${start%.*})) -ge "$patience" ] && [ "$said" != "$name" ] || continue
		said=$name
		echo "# $name is not done after $patience s:"
		where
	done
}

# kill_left <directory>: kill programs from there that outlived their parent
kill_left()
{
	for exe in /proc/[0-9]*/exe; do
		case $(readlink "$exe") in
		"$1"/*) pid=${exe#/proc/}; kill -KILL "${pid%/exe}" ;;
		esac
	done 2>/dev/null
}

# failed_cases <name>: print a check for each failed case; false if there is
# none
failed_cases()
{
	[ -n "$cases" ] && grep -aq '^not ok [0-9]' "$out" || return
	sed -n 's/^not ok [0-9]* *-* *//p' "$out" | tr '\t' ' ' | sed 's/ - /, /g' |
		cut -c 1-160 | sort -u | while read -r case; do
		echo "not ok $1: $case"
	done
}

begin()
{
	: >"$current"
	watch &
	watcher=$!
}

# try <name> <seconds> <command>...: run one test and print its check
try()
{
	# A slow kernel gets more time: tools/pvops/jobs.py says how much.
	name=$1 limit=$(($2 * ${PVOPS_SCALE:-1}))
	shift 2
	run=$((run + 1))
	case $skip in
	*,"$name",*)
		echo "skip $name - not run: it would take this machine down"
		return
		;;
	esac
	read -r start _ </proc/uptime
	echo "$name $start" >"$current"
	timeout "$limit" "$@" >"$out" 2>&1 </dev/null
	rc=$?
	read -r end _ </proc/uptime
	took=$((${end%.*} - ${start%.*}))
	[ "$took" -lt 10 ] || echo "# $name took $took s"
	case $rc in
	0)
		if failed_cases "$name"; then
			:
		elif idle; then
			echo "skip $name - $(reason 'SKIP')"
			return
		else
			echo "ok $name"
			return
		fi
		;;
	4)
		echo "skip $name - $(reason 'SKIP')"
		return
		;;
	124 | 143)
		failed_cases "$name"
		echo "not ok $name - no end within $limit s"
		;;
	*)
		# A test that was killed by a signal did not reach its later
		# cases.
		failed_cases "$name" && { [ "$rc" -lt 126 ] || [ "$rc" -gt 192 ]; } ||
			echo "not ok $name - rc=$rc $(reason '\[FAIL\]\|FAIL')"
		;;
	esac
	# Indented, because at the start of a line "not ok" would be a check of
	# this job.
	{ grep -a '^not ok' "$out" | head -n 12; tail -n 12 "$out"; } | cut -c 1-200 | sed 's/^/#   /'
}

finish()
{
	kill "$watcher"
	rm -f "$out" "$current"
	echo "# $run tests"
	[ "$run" -gt 0 ]
}
