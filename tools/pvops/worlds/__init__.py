# SPDX-License-Identifier: GPL-2.0
"""The parts of tools.pvops.world, each using only those above it in this list.

    description   worlds/NAME.toml, and the checks on one
    machine       what the machines of all kinds have in common
    direct        the kind direct: QEMU's own emulation
    kvm           the kind kvm: QEMU/KVM inside an emulated machine with SVM
    xen           the kinds xen-dom0 and xen-domu: Xen in an emulated machine
    kinds         which kind is which, and a machine ready to start
    running       the process: start it, wait for it, end it
    judge         the console against the description
    shell         a world with a person at its console
"""
