# SPDX-License-Identifier: BSD-3-Clause
"""matrix-client: started, killed, and what it leaves."""

import os
import select
import subprocess
import time

from mac import Failed, machine

CLIENT = os.path.join(machine.BUILD, "host/tests/matrix/matrix-client")
NAME = "relentless"


def moved(mac):
    """Bytes that the endpoint has read and written."""
    device = mac.devices()[NAME]
    return device["dma_read_bytes"] + device["dma_written_bytes"]


def is_dead(handle):
    return bool(select.select([handle], [], [], 0)[0])


def run_client(mac, life):
    """(microseconds from the kill until the endpoint was free, bytes that it moved before it)"""
    before = moved(mac)
    client = subprocess.Popen([CLIENT, life.load, str(life.seed), mac.ids()[NAME]], stdout=subprocess.PIPE, text=True,
                              env=dict(os.environ, QUIVER_SIMMAC=mac.socket))
    handle = os.pidfd_open(client.pid)
    try:
        said = client.stdout.readline().strip()
        if said != "ready":
            mac.check_alive()
            raise Failed(f"the client says: {said or 'nothing'}")
        time.sleep(life.delay)
        mac.check_alive()
        dma = moved(mac) - before
        since = time.monotonic_ns()
        client.kill()
        took = mac.wait_free(since, [NAME], lambda: is_dead(handle))
        if client.wait() != -9:
            raise Failed(f"the client ended by itself: {client.stdout.read().strip()}")
        return took, dma
    finally:
        client.kill()
        client.wait()
        client.stdout.close()
        os.close(handle)
