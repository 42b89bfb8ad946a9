/* SPDX-License-Identifier: BSD-3-Clause */
/* A simulated Mac for one test, and a client of its dext. Failures are cmocka's. */
#ifndef TEST_DEXT_MAC_H
#define TEST_DEXT_MAC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <cmocka.h>
#include <IOKit/IOKitLib.h>

#include "quiver/dext_abi.h"

#define GRANULE 16384u

/* One at a time. Options are simmacd's; a reset takes 1 ms unless they say otherwise. */
void mac_start(const char *options);
/* Orderly: no panic, nothing left behind. */
void mac_stop(void);
int mac_teardown(void **unused);	/* the same, as cmocka's teardown */
/* For a panic: waits for it, and returns the report. */
const char *mac_panic(void);
/* The exit status of an orderly end. */
int mac_end(void);
bool mac_alive(void);

/* A line of simmacctl's. Answers with text, to be freed, or NULL. */
char *mac_control(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same where the text does not matter: whether it was done. */
bool mac_does(const char *command);
/* The same for one that must be done: whether its text has this in it. */
bool mac_answers(const char *command, const char *text);
/* All that it says of itself; to be given back. */
struct json_t *mac_state(void);
/* A number of the first device, as "mappings"; of calls, as "IOPCIDevice::Open". */
uint64_t mac_device(const char *key);
uint64_t mac_calls(const char *key);
uint64_t mac_call_names(void);		/* how many there are */
/* Until the first device has that many of it, for two seconds. */
void mac_wait_device(const char *key, uint64_t value);

/* The first service; 0 when there is none. */
io_service_t mac_service(void);
io_connect_t client_open(void);
kern_return_t client_claim(io_connect_t client);
/* Waits for whoever had it before to be gone. */
io_connect_t client_open_claimed(void);

kern_return_t client_identify(io_connect_t client, struct quiver_dext_identity *identity);
kern_return_t client_stats(io_connect_t client, struct quiver_dext_stats *stats);
uint32_t client_state(io_connect_t client);
uint32_t client_config_read(io_connect_t client, unsigned int offset, unsigned int width);
kern_return_t client_config_write(io_connect_t client, unsigned int offset, unsigned int width,
				  uint32_t value);
void client_master(io_connect_t client, bool on);
kern_return_t client_reset(io_connect_t client, uint64_t *dropped);
kern_return_t client_irq(io_connect_t client, uint64_t type, uint64_t count, uint64_t *granted);
void *client_map_memory(io_connect_t client, uint32_t type, size_t *size);

/* Sends count entries of request; the call must succeed. */
void client_dma(io_connect_t client, struct quiver_dext_dma_request *request,
		struct quiver_dext_dma_result *result);
/* One entry's status; UINT32_MAX when the call itself failed. */
uint32_t client_dma_map(io_connect_t client, const void *memory, uint64_t length, uint64_t *iova);
uint32_t client_dma_unmap(io_connect_t client, uint64_t iova, uint64_t length);

/* Whole granules of zeros. */
void *memory_new(size_t length);
void memory_free(void *memory, size_t length);

#endif
