// SPDX-License-Identifier: BSD-3-Clause
#include "run/awake.h"

#include "quiver/mac.h"
#include "run/note.h"

void quiver_awake_begin(struct quiver_awake *awake, size_t devices)
{
	awake->kept = devices && !quiver_mac_stay_awake(&awake->assertion);
	if (devices && !awake->kept)
		quiver_note("macOS does not promise to stay awake: if it sleeps, the guest loses its "
			    "devices until it wakes");
}

void quiver_awake_end(struct quiver_awake *awake)
{
	if (awake->kept)
		quiver_mac_may_sleep(awake->assertion);
	awake->kept = false;
}
