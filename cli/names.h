/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of PCI vendors, devices and classes, from pci.ids. */
#ifndef QUIVER_CLI_NAMES_H
#define QUIVER_CLI_NAMES_H

#include "quiver/host.h"

struct quiver_names {
	struct pci_access *access;
};

/* Never fails: without pci.ids the names are numbers. */
void quiver_names_open(struct quiver_names *names);
void quiver_names_close(struct quiver_names *names);

const char *quiver_name_device(struct quiver_names *names,
			       const struct quiver_dext_identity *identity, char *text,
			       size_t size);
const char *quiver_name_class(struct quiver_names *names,
			      const struct quiver_dext_identity *identity, char *text, size_t size);

#endif
