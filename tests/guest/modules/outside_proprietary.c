// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "outside-proprietary: " fmt

#include "outside.h"

MODULE_DESCRIPTION("Helpers that headers offer, for a module with the licence Proprietary");
MODULE_LICENSE("Proprietary");
