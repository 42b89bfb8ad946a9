/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients that do all that there is to do with the first device, while something happens to it. */
#ifndef QUIVER_TEST_DEXT_LOAD_H
#define QUIVER_TEST_DEXT_LOAD_H

/*
 * Disturbs so many times, each after the clients have come to do something again.
 * In the end they are gone, nothing is mapped, and the device masters no bus.
 */
void load_disturb(unsigned int times, void (*disturb)(void));

#endif
