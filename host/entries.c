// SPDX-License-Identifier: BSD-3-Clause
#include "entries.h"

#include <errno.h>
#include <stdlib.h>

/* A registry that is never at rest for so long is broken. */
#define TRIES	8

void quiver_entries_free(struct quiver_entries *entries)
{
	for (size_t i = 0; i < entries->count; i++)
		if (entries->entry[i])
			IOObjectRelease(entries->entry[i]);
	free(entries->entry);
	*entries = (struct quiver_entries){ 0 };
}

static int add(struct quiver_entries *entries, io_object_t object)
{
	size_t size = (entries->count + 1) * sizeof(*entries->entry);
	io_object_t *grown = realloc(entries->entry, size);

	if (!grown) {
		IOObjectRelease(object);
		return -ENOMEM;
	}
	entries->entry = grown;
	grown[entries->count++] = object;
	return 0;
}

/* -EAGAIN: it ended before its time. */
static int take(io_iterator_t iterator, struct quiver_entries *entries)
{
	io_object_t object;
	int error = 0;

	while (!error && (object = IOIteratorNext(iterator)))
		error = add(entries, object);
	if (!error && !IOIteratorIsValid(iterator))
		error = -EAGAIN;
	if (error)
		quiver_entries_free(entries);
	return error;
}

int quiver_entries_take(kern_return_t (*begin)(const void *context, io_iterator_t *iterator),
			const void *context, struct quiver_entries *entries)
{
	int error = -EAGAIN;

	*entries = (struct quiver_entries){ 0 };
	for (unsigned int i = 0; i < TRIES && error == -EAGAIN; i++) {
		io_iterator_t iterator = IO_OBJECT_NULL;

		if (begin(context, &iterator) != kIOReturnSuccess)
			return -EIO;
		/* Of nothing there may be no iterator. */
		if (!iterator)
			return 0;
		error = take(iterator, entries);
		IOObjectRelease(iterator);
	}
	return error == -EAGAIN ? -EIO : error;
}
