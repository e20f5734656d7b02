/* SPDX-License-Identifier: GPL-2.0 */
/* KUnit cases of one suite in several files. */
#ifndef PVOPS_KUNIT_CASE_H
#define PVOPS_KUNIT_CASE_H

#include <kunit/test.h>

/*
 * KUNIT_CASE() names a case after its function. These functions are global and
 * have a prefix, which the name of the case does not need.
 */
#define PVOPS_KUNIT_CASE(prefix, case)					\
	{ .run_case = prefix##case, .name = #case, .module_name = KBUILD_MODNAME }

#endif /* PVOPS_KUNIT_CASE_H */
