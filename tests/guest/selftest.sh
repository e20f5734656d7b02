# SPDX-License-Identifier: GPL-2.0
#
# What the jobs share that run the kernel's own selftests, one by one. What
# counts as expected is not known here: tests/guest/expected.toml says it per
# world, and the tool that started this run compares. So such a job ends with 0
# when all of its programs were run.
#
# A test says how it went by its exit status; 4 is the kernel's way to say
# "skipped". Some only print that they skipped and end with 0: if they did
# nothing else, that is a skip, too.

patience=${SELFTEST_PATIENCE:-120}
out=/tmp/selftest.out
current=/tmp/selftest.current
run=0
# Set by a job whose tests count their cases: each case that failed is a check then.
cases=

# Some would take the whole machine down: their names come from the same list.
skip=
for word in $(cat /proc/cmdline); do
	case $word in pvops.skip=*) skip=",${word#*=}," ;; esac
done

# reason <pattern>: what the test says about it, on one line, or its last word
reason()
{
	{ grep -a '^not ok' "$out" || grep -a "$1" "$out" || tail -n 1 "$out"; } |
		head -n 1 | tr '\t' ' ' | cut -c 1-160
}

# Whether a test that ended well did nothing. One that counts its cases says it of
# each of them.
idle()
{
	if grep -aqE '^(not )?ok [0-9]' "$out"; then
		! grep -aE '^ok [0-9]' "$out" | grep -aqv '# SKIP'
	else
		grep -aq '\[SKIP\]' "$out" && ! grep -aqE '\[OK\]|PASS' "$out"
	fi
}

# Where the tasks of a test that does not come back are, and which interrupts come
# yet: that tells a test that only waits from a kernel that has lost something.
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

# One for all tests, which are told apart by when they began.
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

# kill_left <directory>: programs from there that outlived the one that started them
kill_left()
{
	for exe in /proc/[0-9]*/exe; do
		case $(readlink "$exe") in
		"$1"/*) pid=${exe#/proc/}; kill -KILL "${pid%/exe}" ;;
		esac
	done 2>/dev/null
}

# failed_cases <name>: a check for each case that failed; false if there is none
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

# try <name> <seconds> <command>...: run one and print its check
try()
{
	name=$1 limit=$2
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
		# One that a signal ended said nothing of the cases behind.
		failed_cases "$name" && { [ "$rc" -lt 126 ] || [ "$rc" -gt 192 ]; } ||
			echo "not ok $name - rc=$rc $(reason '\[FAIL\]\|FAIL')"
		;;
	esac
	# Not at the start of a line: there it would be a check of this job.
	{ grep -a '^not ok' "$out" | head -n 12; tail -n 12 "$out"; } | cut -c 1-200 | sed 's/^/#   /'
}

finish()
{
	kill "$watcher"
	rm -f "$out" "$current"
	echo "# $run tests"
	[ "$run" -gt 0 ]
}
