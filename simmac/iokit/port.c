// SPDX-License-Identifier: BSD-3-Clause
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "map.h"
#include "port.h"

/* As on a Mac, a name says nothing: it is an index, and bits that are always set. */
#define NAME_SHIFT	8
#define NAME_LOW_BITS	0x03u

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct simmac_port **table;
static size_t table_size;

static mach_port_t name_of(size_t index)
{
	return (mach_port_t)((index + 1) << NAME_SHIFT | NAME_LOW_BITS);
}

static struct simmac_port **slot_locked(mach_port_t name)
{
	size_t index = (name >> NAME_SHIFT) - 1;

	return (name & 0xff) == NAME_LOW_BITS && index < table_size ? &table[index] : NULL;
}

static struct simmac_port **free_slot_locked(void)
{
	struct simmac_port **grown;
	size_t size = table_size ? table_size * 2 : 16;

	for (size_t i = 0; i < table_size; i++) {
		if (!table[i])
			return &table[i];
	}
	grown = realloc(table, size * sizeof(*grown));
	if (!grown)
		return NULL;
	table = grown;
	for (size_t i = table_size; i < size; i++)
		table[i] = NULL;
	grown = &table[table_size];
	table_size = size;
	return grown;
}

struct simmac_port *simmac_port_new(enum simmac_port_kind kind, int fd, int peer, uint64_t *ids,
				    size_t count)
{
	struct simmac_port *port = calloc(1, sizeof(*port));
	struct simmac_port **slot;

	pthread_mutex_lock(&table_lock);
	slot = port ? free_slot_locked() : NULL;
	if (slot) {
		*slot = port;
		port->name = name_of((size_t)(slot - table));
		port->kind = kind;
		port->users = 1;
		port->fd = fd;
		port->peer = peer;
		port->ids = ids;
		port->count = count;
		pthread_mutex_init(&port->lock, NULL);
	}
	pthread_mutex_unlock(&table_lock);
	if (slot)
		return port;
	free(port);
	return NULL;
}

struct simmac_port *simmac_port_get(mach_port_t name, enum simmac_port_kind kind)
{
	struct simmac_port *port = NULL;
	struct simmac_port **slot;

	pthread_mutex_lock(&table_lock);
	slot = slot_locked(name);
	if (slot && *slot && (*slot)->kind == kind) {
		port = *slot;
		port->users++;
	}
	pthread_mutex_unlock(&table_lock);
	return port;
}

bool simmac_port_any(bool (*matches)(struct simmac_port *port, const void *context),
		     const void *context)
{
	bool found = false;

	pthread_mutex_lock(&table_lock);
	for (size_t i = 0; i < table_size && !found; i++)
		found = table[i] && matches(table[i], context);
	pthread_mutex_unlock(&table_lock);
	return found;
}

static void port_free(struct simmac_port *port)
{
	simmac_mappings_free(port);
	if (port->fd >= 0)
		close(port->fd);
	if (port->peer >= 0)
		close(port->peer);
	pthread_mutex_destroy(&port->lock);
	free(port->ids);
	free(port);
}

void simmac_port_put(struct simmac_port *port)
{
	bool last;

	pthread_mutex_lock(&table_lock);
	last = --port->users == 0;
	pthread_mutex_unlock(&table_lock);
	if (last)
		port_free(port);
}

bool simmac_port_drop(mach_port_t name, enum simmac_port_kind kind)
{
	struct simmac_port *port = NULL;
	struct simmac_port **slot;

	pthread_mutex_lock(&table_lock);
	slot = slot_locked(name);
	if (slot && *slot && (*slot)->kind == kind) {
		port = *slot;
		*slot = NULL;
	}
	pthread_mutex_unlock(&table_lock);
	if (!port)
		return false;
	if (port->fd >= 0)
		shutdown(port->fd, SHUT_RDWR);
	simmac_port_put(port);
	return true;
}
