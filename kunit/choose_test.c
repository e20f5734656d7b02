// SPDX-License-Identifier: GPL-2.0
/*
 * The choice of a backend: order, pv_backend=, unknown names, fallback. The
 * table of ops is changed completely or not at all.
 *
 * Most cases use fake backends and a table of their own.
 */
#include <kunit/test.h>
#include <linux/errno.h>
#include <linux/string.h>

#include <asm/paravirt.h>

#include <pvops/socket.h>

struct fake {
	struct pvops_backend backend;
	enum pvops_confidence confidence;
	int error;		/* what setup returns */
	bool fills;		/* setup replaces two ops */
	bool empties;		/* setup leaves an op NULL */
	unsigned int set_up;	/* how often setup ran */
};

#define MAX_FAKES	4
#define MAX_LINES	8

struct fixture {
	struct fake fakes[MAX_FAKES];
	const struct pvops_backend *list[MAX_FAKES];
	struct paravirt_patch_template table;
	struct paravirt_patch_template before;
	struct paravirt_patch_template staging;
	struct pvops_facts facts;
	struct pvops_socket socket;
	unsigned int nr_lines;
	unsigned int nr_warnings;
	char lines[MAX_LINES][320];
};

static void pvops_test_fake_op(void)
{
}

static enum pvops_confidence pvops_test_fake_probe(const struct pvops_backend *self,
						   const struct pvops_facts *facts,
					struct pvops_reason *reason)
{
	const struct fake *fake = container_of(self, struct fake, backend);

	pvops_set_reason(reason, "%s answers %d", self->name, fake->confidence);
	return fake->confidence;
}

static int pvops_test_fake_setup(const struct pvops_backend *self,
				 const struct pvops_facts *facts,
		      struct paravirt_patch_template *ops,
		      struct pvops_reason *reason)
{
	struct fake *fake = container_of(self, struct fake, backend);

	fake->set_up++;
	if (fake->fills) {
		ops->cpu.io_delay = pvops_test_fake_op;
		ops->mmu.set_pte = (void *)pvops_test_fake_op;
	}
	if (fake->empties)
		ops->irq.halt = NULL;
	if (fake->error)
		pvops_set_reason(reason, "made to fail");
	return fake->error;
}

static void pvops_test_record_line(struct pvops_socket *socket, bool warn,
				   const char *line)
{
	struct fixture *fx = container_of(socket, struct fixture, socket);

	if (warn)
		fx->nr_warnings++;
	if (fx->nr_lines < MAX_LINES)
		strscpy(fx->lines[fx->nr_lines++], line);
}

static struct fixture *make_fixture(struct kunit *test)
{
	static const char * const names[MAX_FAKES] = { "a", "b", "c", "d" };
	struct fixture *fx = kunit_kzalloc(test, sizeof(*fx), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, fx);
	for (i = 0; i < MAX_FAKES; i++) {
		fx->fakes[i].backend = (struct pvops_backend){
			.name = names[i],
			.desc = "made up",
			.probe = pvops_test_fake_probe,
			.setup = pvops_test_fake_setup,
		};
		fx->list[i] = &fx->fakes[i].backend;
	}
	fx->table = pv_ops;
	fx->before = pv_ops;
	fx->socket.backends = fx->list;
	fx->socket.nr_backends = MAX_FAKES;
	fx->socket.table = &fx->table;
	fx->socket.staging = &fx->staging;
	fx->socket.log_decision = pvops_test_record_line;
	return fx;
}

static void expect_untouched(struct kunit *test, struct fixture *fx)
{
	KUNIT_EXPECT_MEMEQ(test, &fx->table, &fx->before, sizeof(fx->table));
}

static void expect_chosen(struct kunit *test, struct fixture *fx,
			  const char *request, const char *name)
{
	KUNIT_ASSERT_EQ(test, 0, pvops_choose(&fx->socket, &fx->facts, request));
	KUNIT_ASSERT_NOT_NULL(test, fx->socket.chosen);
	KUNIT_EXPECT_STREQ(test, fx->socket.chosen->name, name);
}

/*
 * The backend with the highest confidence is set up, and no other one.
 * Otherwise a guest misses the operations that its hypervisor offers.
 */
static void most_confident_wins(struct kunit *test)
{
	struct fixture *fx = make_fixture(test);

	fx->fakes[0].confidence = PVOPS_POSSIBLE;
	fx->fakes[1].confidence = PVOPS_DETECTED;
	fx->fakes[2].confidence = PVOPS_OFFERED;
	expect_chosen(test, fx, NULL, "c");
	KUNIT_EXPECT_EQ(test, fx->fakes[0].set_up, 0);
	KUNIT_EXPECT_EQ(test, fx->fakes[1].set_up, 0);
	KUNIT_EXPECT_EQ(test, fx->fakes[2].set_up, 1);
	KUNIT_EXPECT_EQ(test, fx->nr_lines, 1);
	KUNIT_EXPECT_EQ(test, fx->nr_warnings, 0);
	KUNIT_EXPECT_STREQ(test, fx->lines[0], "backend c: c answers 3");
}

/*
 * Of backends with equal confidence the first one in the registry is chosen.
 * Otherwise the order of the registry, which settles such cases, means nothing.
 */
static void first_of_equals_wins(struct kunit *test)
{
	struct fixture *fx = make_fixture(test);

	fx->fakes[1].confidence = PVOPS_DETECTED;
	fx->fakes[2].confidence = PVOPS_DETECTED;
	expect_chosen(test, fx, NULL, "b");
}

/*
 * If no backend can run here, none is set up, and the table stays as it is.
 * Otherwise pv_ops holds the ops of a hypervisor that is not there.
 */
static void absent_is_never_set_up(struct kunit *test)
{
	struct fixture *fx = make_fixture(test);

	KUNIT_EXPECT_EQ(test, -ENODEV,
			pvops_choose(&fx->socket, &fx->facts, NULL));
	KUNIT_EXPECT_NULL(test, fx->socket.chosen);
	KUNIT_EXPECT_EQ(test, fx->nr_warnings, 1);
	KUNIT_EXPECT_EQ(test, fx->fakes[0].set_up, 0);
	expect_untouched(test, fx);
}

/*
 * pv_backend= chooses a backend that can run, even with a lower confidence.
 * Otherwise a user cannot avoid a backend that does not work.
 */
static void request_beats_confidence(struct kunit *test)
{
	struct fixture *fx = make_fixture(test);

	fx->fakes[0].confidence = PVOPS_POSSIBLE;
	fx->fakes[1].confidence = PVOPS_OFFERED;
	expect_chosen(test, fx, "a", "a");
	KUNIT_EXPECT_STREQ(test, fx->socket.requested, "a");
	KUNIT_EXPECT_EQ(test, fx->fakes[1].set_up, 0);
	KUNIT_EXPECT_EQ(test, fx->nr_warnings, 0);
}

/*
 * pv_backend=auto and an empty name choose by confidence, without a warning.
 * Otherwise the documented default would be an unknown name.
 */
static void auto_is_no_request(struct kunit *test)
{
	struct fixture *fx = make_fixture(test);

	fx->fakes[3].confidence = PVOPS_POSSIBLE;
	expect_chosen(test, fx, "auto", "d");
	KUNIT_EXPECT_NULL(test, fx->socket.requested);
	expect_chosen(test, fx, "", "d");
	KUNIT_EXPECT_EQ(test, fx->nr_warnings, 0);
}

/*
 * An unknown name is one warning, which lists the known names.
 * Otherwise a typing error prevents the boot.
 */
static void unknown_name_is_one_warning(struct kunit *test)
{
	struct fixture *fx = make_fixture(test);

	fx->fakes[1].confidence = PVOPS_POSSIBLE;
	expect_chosen(test, fx, "nosuch", "b");
	KUNIT_EXPECT_EQ(test, fx->nr_warnings, 1);
	KUNIT_EXPECT_STREQ(test, fx->lines[0],
			   "pv_backend=nosuch is not known to this kernel (known: auto a b c d); choosing automatically");
	KUNIT_EXPECT_NULL(test, fx->socket.requested);
}

/*
 * A request for a backend that cannot run here is one warning with the reason.
 * Otherwise a command line of another machine prevents the boot.
 */
static void absent_request_is_one_warning(struct kunit *test)
{
	struct fixture *fx = make_fixture(test);

	fx->fakes[1].confidence = PVOPS_POSSIBLE;
	expect_chosen(test, fx, "c", "b");
	KUNIT_EXPECT_EQ(test, fx->nr_warnings, 1);
	KUNIT_EXPECT_STREQ(test, fx->lines[0],
			   "pv_backend=c cannot be used here (c answers 0); choosing automatically");
	KUNIT_EXPECT_EQ(test, fx->fakes[2].set_up, 0);
}

/*
 * The table gets all ops of a setup that succeeds, and no other changes.
 * Otherwise the ops of two backends are mixed.
 */
static void success_commits_all(struct kunit *test)
{
	struct fixture *fx = make_fixture(test);
	struct paravirt_patch_template want = fx->before;

	fx->fakes[0].confidence = PVOPS_OFFERED;
	fx->fakes[0].fills = true;
	expect_chosen(test, fx, NULL, "a");
	want.cpu.io_delay = pvops_test_fake_op;
	want.mmu.set_pte = (void *)pvops_test_fake_op;
	KUNIT_EXPECT_MEMEQ(test, &fx->table, &want, sizeof(want));
}

/*
 * A setup that fails leaves the table as it was, and the next backend is tried.
 * Otherwise the kernel goes on with half of the ops of a backend that gave up.
 */
static void failure_commits_nothing(struct kunit *test)
{
	struct fixture *fx = make_fixture(test);

	fx->fakes[0].confidence = PVOPS_OFFERED;
	fx->fakes[0].fills = true;
	fx->fakes[0].error = -EIO;
	fx->fakes[1].confidence = PVOPS_POSSIBLE;
	expect_chosen(test, fx, NULL, "b");
	expect_untouched(test, fx);
	KUNIT_EXPECT_EQ(test, fx->nr_warnings, 1);
	KUNIT_EXPECT_STREQ(test, fx->lines[0],
			   "backend a failed in setup (-5: made to fail); trying the next");
	KUNIT_EXPECT_STREQ(test, fx->socket.rejected, "a (-5: made to fail)");
}

/*
 * A setup that leaves an op empty counts as failed, and nothing is committed.
 * Otherwise the first call of this op jumps to address 0.
 */
static void hole_commits_nothing(struct kunit *test)
{
	struct fixture *fx = make_fixture(test);

	fx->fakes[0].confidence = PVOPS_OFFERED;
	fx->fakes[0].fills = true;
	fx->fakes[0].empties = true;
	fx->fakes[1].confidence = PVOPS_POSSIBLE;
	expect_chosen(test, fx, NULL, "b");
	expect_untouched(test, fx);
	KUNIT_EXPECT_STREQ(test, fx->lines[0],
			   "backend a failed in setup (-22: left irq.halt empty); trying the next");
}

/*
 * The next backend starts from a copy without the ops of the failed one.
 * Otherwise the ops of both are committed.
 */
static void next_starts_from_clean_copy(struct kunit *test)
{
	struct fixture *fx = make_fixture(test);
	struct paravirt_patch_template want = fx->before;

	fx->fakes[0].confidence = PVOPS_OFFERED;
	fx->fakes[0].empties = true;
	fx->fakes[1].confidence = PVOPS_DETECTED;
	fx->fakes[1].fills = true;
	expect_chosen(test, fx, NULL, "b");
	want.cpu.io_delay = pvops_test_fake_op;
	want.mmu.set_pte = (void *)pvops_test_fake_op;
	KUNIT_EXPECT_MEMEQ(test, &fx->table, &want, sizeof(want));
}

/*
 * A requested backend that fails in setup is not tried again by confidence.
 * Otherwise its setup runs twice on a machine that it may have changed.
 */
static void failed_request_falls_back_once(struct kunit *test)
{
	struct fixture *fx = make_fixture(test);

	fx->fakes[0].confidence = PVOPS_POSSIBLE;
	fx->fakes[2].confidence = PVOPS_OFFERED;
	fx->fakes[2].error = -EINVAL;
	expect_chosen(test, fx, "c", "a");
	KUNIT_EXPECT_EQ(test, fx->fakes[2].set_up, 1);
	KUNIT_EXPECT_EQ(test, fx->nr_warnings, 1);
}

/*
 * If all backends fail, each was tried once, and the table is as it was.
 * Otherwise the kernel loses the ops that it was linked with.
 */
static void all_failing_leaves_table(struct kunit *test)
{
	struct fixture *fx = make_fixture(test);
	unsigned int i;

	for (i = 0; i < MAX_FAKES; i++) {
		fx->fakes[i].confidence = PVOPS_DETECTED;
		fx->fakes[i].fills = true;
		fx->fakes[i].error = -ENOMEM;
	}
	KUNIT_EXPECT_EQ(test, -ENODEV,
			pvops_choose(&fx->socket, &fx->facts, NULL));
	KUNIT_EXPECT_NULL(test, fx->socket.chosen);
	KUNIT_EXPECT_EQ(test, fx->nr_warnings, MAX_FAKES + 1);
	for (i = 0; i < MAX_FAKES; i++)
		KUNIT_EXPECT_EQ(test, fx->fakes[i].set_up, 1);
	expect_untouched(test, fx);
}

/*
 * A backend without a setup is chosen, and the table stays as it is.
 * Otherwise native, which has none, could not be chosen.
 */
static void no_setup_needs_none(struct kunit *test)
{
	struct fixture *fx = make_fixture(test);

	fx->fakes[0].confidence = PVOPS_POSSIBLE;
	fx->fakes[0].backend.setup = NULL;
	expect_chosen(test, fx, NULL, "a");
	expect_untouched(test, fx);
}

/*
 * The last pv_backend= counts, and a different one before it is remembered.
 * Otherwise nobody is told that the wrong one of two was edited.
 */
static void requests_are_noted(struct kunit *test)
{
	struct pvops_request request = {};

	pvops_note_request(&request, "native");
	KUNIT_EXPECT_STREQ(test, request.name, "native");
	KUNIT_EXPECT_STREQ(test, request.overridden, "");
	pvops_note_request(&request, "native");
	KUNIT_EXPECT_STREQ(test, request.overridden, "");
	pvops_note_request(&request, "xen");
	KUNIT_EXPECT_STREQ(test, request.name, "xen");
	KUNIT_EXPECT_STREQ(test, request.overridden, "native");
	pvops_note_request(&request, NULL);
	KUNIT_EXPECT_STREQ(test, request.name, "");
	pvops_note_request(&request, "a-name-much-longer-than-any-backend-has");
	KUNIT_EXPECT_EQ(test, strlen(request.name), sizeof(request.name) - 1);
}

/*
 * Each name of the real registry finds its backend, and none is "auto".
 * Otherwise pv_backend= cannot reach one of the backends.
 */
static void registry_names_are_unique(struct kunit *test)
{
	size_t i;

	KUNIT_ASSERT_GT(test, pvops_registry_size, 0);
	for (i = 0; i < pvops_registry_size; i++) {
		const struct pvops_backend *b = pvops_registry[i];

		KUNIT_EXPECT_PTR_EQ(test, b,
				    pvops_find_backend(pvops_registry,
						       pvops_registry_size,
						       b->name));
		KUNIT_EXPECT_STRNEQ(test, b->name, PVOPS_AUTO);
	}
	KUNIT_EXPECT_NULL(test, pvops_find_backend(pvops_registry,
						   pvops_registry_size, ""));
}

/*
 * The running kernel has chosen a backend of the registry, and has a reason.
 * Otherwise nobody can tell whose ops a kernel runs with.
 */
static void running_kernel_has_chosen(struct kunit *test)
{
	KUNIT_ASSERT_NOT_NULL(test, pvops_socket.chosen);
	KUNIT_EXPECT_PTR_EQ(test, pvops_socket.chosen,
			    pvops_find_backend(pvops_registry,
					       pvops_registry_size,
					       pvops_socket.chosen->name));
	KUNIT_EXPECT_GT(test, strlen(pvops_socket.reason.text), 0);
}

/* Backend a has a complete() and stands on c, which is of the same type. */
static struct fixture *make_two_parts(struct kunit *test)
{
	struct fixture *fx = make_fixture(test);

	fx->fakes[0].confidence = PVOPS_OFFERED;
	fx->fakes[0].backend.setup = NULL;
	fx->fakes[0].backend.complete = pvops_test_fake_setup;
	fx->fakes[0].backend.type = X86_HYPER_XEN_PV;
	fx->fakes[2].confidence = PVOPS_DETECTED;
	fx->fakes[2].backend.setup = NULL;
	fx->fakes[2].backend.type = X86_HYPER_XEN_PV;
	KUNIT_ASSERT_EQ(test, 0, pvops_choose(&fx->socket, &fx->facts, NULL));
	KUNIT_ASSERT_PTR_EQ(test, fx->socket.chosen, fx->list[0]);
	return fx;
}

/*
 * complete() starts from the table as the platform code left it after setup.
 * Otherwise ops that the platform code changed late are overwritten.
 */
static void completion_commits_all(struct kunit *test)
{
	struct fixture *fx = make_two_parts(test);

	fx->fakes[0].fills = true;
	expect_untouched(test, fx);
	/*
	 * The platform code changes the table after setup: complete() starts
	 * from there.
	 */
	fx->table.mmu.set_pmd = (void *)pvops_test_fake_op;
	pvops_complete(&fx->socket, &fx->facts);
	KUNIT_EXPECT_EQ(test, 1, fx->fakes[0].set_up);
	KUNIT_EXPECT_PTR_EQ(test, (void *)fx->table.cpu.io_delay,
			    (void *)pvops_test_fake_op);
	KUNIT_EXPECT_PTR_EQ(test, (void *)fx->table.mmu.set_pmd,
			    (void *)pvops_test_fake_op);
	KUNIT_EXPECT_PTR_EQ(test, fx->socket.chosen, fx->list[0]);
	KUNIT_EXPECT_EQ(test, 0, fx->nr_warnings);
}

/*
 * If complete() fails, the in-tree backend that it stands on is the chosen one.
 * Otherwise the report names a backend whose ops are not in use.
 */
static void failed_completion_names_who_is_below(struct kunit *test)
{
	struct fixture *fx = make_two_parts(test);

	fx->fakes[0].fills = true;
	fx->fakes[0].error = -ENODEV;
	pvops_complete(&fx->socket, &fx->facts);
	expect_untouched(test, fx);
	KUNIT_EXPECT_PTR_EQ(test, fx->socket.chosen, fx->list[2]);
	KUNIT_EXPECT_EQ(test, 1, fx->nr_warnings);
	KUNIT_EXPECT_STREQ(test, fx->lines[fx->nr_lines - 1],
			   "backend a could not be completed (-19: made to fail); going on with c");
	KUNIT_EXPECT_STREQ(test, fx->socket.rejected, "a (-19: made to fail)");
}

/*
 * A complete() that leaves an op empty counts as failed, and commits nothing.
 * Otherwise the first call of this op jumps to address 0.
 */
static void hole_in_completion_commits_nothing(struct kunit *test)
{
	struct fixture *fx = make_two_parts(test);

	fx->fakes[0].empties = true;
	pvops_complete(&fx->socket, &fx->facts);
	expect_untouched(test, fx);
	KUNIT_EXPECT_PTR_EQ(test, fx->socket.chosen, fx->list[2]);
	KUNIT_EXPECT_EQ(test, 1, fx->nr_warnings);
}

/*
 * Without a complete(), or without a choice, there is nothing to do.
 * Otherwise most machines call through a NULL pointer early in boot.
 */
static void nothing_to_complete(struct kunit *test)
{
	struct fixture *fx = make_fixture(test);

	fx->fakes[1].confidence = PVOPS_POSSIBLE;
	pvops_choose(&fx->socket, &fx->facts, NULL);
	pvops_complete(&fx->socket, &fx->facts);
	KUNIT_EXPECT_EQ(test, 1, fx->fakes[1].set_up);
	KUNIT_EXPECT_PTR_EQ(test, fx->socket.chosen, fx->list[1]);
	expect_untouched(test, fx);

	fx->socket.chosen = NULL;
	pvops_complete(&fx->socket, &fx->facts);
	KUNIT_EXPECT_PTR_EQ(test, fx->socket.chosen,
			    (const struct pvops_backend *)NULL);
}

static struct kunit_case choose_cases[] = {
	KUNIT_CASE(most_confident_wins),
	KUNIT_CASE(first_of_equals_wins),
	KUNIT_CASE(absent_is_never_set_up),
	KUNIT_CASE(request_beats_confidence),
	KUNIT_CASE(auto_is_no_request),
	KUNIT_CASE(unknown_name_is_one_warning),
	KUNIT_CASE(absent_request_is_one_warning),
	KUNIT_CASE(success_commits_all),
	KUNIT_CASE(failure_commits_nothing),
	KUNIT_CASE(hole_commits_nothing),
	KUNIT_CASE(next_starts_from_clean_copy),
	KUNIT_CASE(failed_request_falls_back_once),
	KUNIT_CASE(all_failing_leaves_table),
	KUNIT_CASE(no_setup_needs_none),
	KUNIT_CASE(completion_commits_all),
	KUNIT_CASE(failed_completion_names_who_is_below),
	KUNIT_CASE(hole_in_completion_commits_nothing),
	KUNIT_CASE(nothing_to_complete),
	KUNIT_CASE(requests_are_noted),
	KUNIT_CASE(registry_names_are_unique),
	KUNIT_CASE(running_kernel_has_chosen),
	{}
};

static struct kunit_suite choose_suite = {
	.name = "pvops_choose",
	.test_cases = choose_cases,
};

kunit_test_suite(choose_suite);
