/* address_map.h - where a node that announces one address is reached: "10.0.0.5:7000=localhost:17000,10.0.0.6=node-6".
 *
 * For nodes behind NAT, a tunnel or a container's ports. An entry without a port is for any port, and keeps it. An IPv6
 * address with a port is in brackets.
 *
 * Threads: no state. Pure. */
#ifndef TKSP_ADDRESS_MAP_H
#define TKSP_ADDRESS_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "tokenstore/buf.h"

bool tksp_is_address_map(tks_bytes map);

/* Replaces the host, by a part of `map`, and the port, if an entry of `map` is for them; the first that is. */
void tksp_address_map(tks_bytes map, tks_bytes *host, uint16_t *port);

#endif
