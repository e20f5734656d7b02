// SPDX-License-Identifier: GPL-2.0
/*
 * The state of the ROMs hw and all-call.
 */
#include "rom.h"

struct rom rom;
struct rom_cpu vmi_cpu __section(".percpu");
