// SPDX-License-Identifier: BSD-3-Clause
/* Storage for the windows of core/, in user space. */
#include <stdlib.h>

#include "core/os.h"

void *quiver_memory_alloc(size_t size)
{
	return calloc(1, size);
}

void quiver_memory_free(void *memory)
{
	free(memory);
}

struct quiver_window *quiver_window_alloc(size_t size)
{
	return calloc(1, size);
}

void quiver_window_free(struct quiver_window *window)
{
	free(window);
}
