/* url_private.h - what url.c (the grammar of URLs) and target.c (the options) share.
 *
 * Threads: no state but the caller's. */
#ifndef TKSP_URL_PRIVATE_H
#define TKSP_URL_PRIVATE_H

#include "tokenstore/url.h"

enum { TKSP_UNIX_PATH_MAX = 107 }; /* sun_path of Linux, less its NUL */

/* The names of all options, for messages. */
enum { TKSP_OPTION_NAMES_SIZE = 256 };
void tksp_target_list_options(char *out, size_t size);

/* A target with the defaults of `transport`. NULL when memory is out. */
tks_target *tksp_target_new(tks_transport transport, bool tls);

/* Names what is known of the one server after its address. TKS_OK, TKS_ERR_MEMORY. */
tks_status tksp_target_name_server(tks_target *target, tks_error *err);

/* Appends host:port, an IPv6 address in brackets. */
void tksp_append_address(tks_buf *out, const char *host, uint16_t port);

typedef enum tks_node_role {
    TKS_NODE_OF_CLUSTER,
    TKS_NODE_SENTINEL,
    TKS_NODE_PRIMARY /* that Sentinels named */
} tks_node_role;

/* See tks_router_target. NULL: out of memory. */
tks_target *tksp_target_of_node(const tks_target *url, tks_node_role role, const char *host,
                                uint16_t port);

/* As tks_target_set. */
tks_status tksp_target_set_text(tks_target *target, const tks_option *option, tks_bytes text,
                                tks_error *err);

/* Are the parts between dots of a host's name 1 to 63 bytes each (RFC 1035, 2.3.4)? A dot may end it. Others exist
 * nowhere, and libraries on the way differ in how they say so. */
bool tksp_labels_fit(tks_bytes name);

#endif
