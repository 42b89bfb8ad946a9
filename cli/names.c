// SPDX-License-Identifier: BSD-3-Clause
#include <pci/pci.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "names.h"

/* libpci leaves these to pci_init(), and calls them without a look. */
static void say_nothing(char *format, ...)
{
}

__attribute__((noreturn)) static void give_up(char *format, ...)
{
	fputs("quiver: libpci failed\n", stderr);
	exit(QUIVER_EXIT_SETUP);
}

void quiver_names_open(struct quiver_names *names)
{
	/* No pci_init(): only the names are wanted, not this machine's own bus. */
	names->access = pci_alloc();
	names->access->error = give_up;
	names->access->warning = say_nothing;
	names->access->debug = say_nothing;
	/* pci.ids says the same on every machine; udev's data base may not. */
	pci_set_param(names->access, "hwdb.disable", "1");
}

void quiver_names_close(struct quiver_names *names)
{
	pci_free_name_list(names->access);
	pci_cleanup(names->access);
}

const char *quiver_name_device(struct quiver_names *names,
			       const struct quiver_dext_identity *identity, char *text,
			       size_t size)
{
	return pci_lookup_name(names->access, text, (int)size,
			       PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE, identity->vendor,
			       identity->device);
}

const char *quiver_name_class(struct quiver_names *names,
			      const struct quiver_dext_identity *identity, char *text, size_t size)
{
	return pci_lookup_name(names->access, text, (int)size, PCI_LOOKUP_CLASS,
			       identity->class_revision >> 16);
}
