/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entries of IOKit's registry, all of those that there were at one time. An
 * iterator ends early when the registry changes below it, as it does whenever
 * something is plugged in.
 */
#ifndef QUIVER_HOST_ENTRIES_H
#define QUIVER_HOST_ENTRIES_H

#include <IOKit/IOKitLib.h>
#include <stddef.h>

struct quiver_entries {
	io_object_t *entry;
	size_t count;
};

/*
 * begin() makes the iterator, again where one ended early, a few times at most.
 * No entry is fine. On failure there are none, and nothing is to be freed:
 * -EIO: no IOKit, or it does not come to rest; -ENOMEM.
 */
int quiver_entries_take(kern_return_t (*begin)(const void *context, io_iterator_t *iterator),
			const void *context, struct quiver_entries *entries);
/* One that is 0 was taken over by the caller. */
void quiver_entries_free(struct quiver_entries *entries);

#endif
