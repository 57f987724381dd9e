/* SPDX-License-Identifier: GPL-2.0 */
#undef CONFIG_VFIO_PCI_IGD
