/* raw_nodes.h - raw commands that go to a node for its own sake. The map of the cluster must be known first: an operation begins
 * without commands, and its `finish` asks. */
#ifndef TKSP_RAW_NODES_H
#define TKSP_RAW_NODES_H

#include "op_private.h"

/* Is it known which nodes there are? */
bool tksp_raw_knows_nodes(const tks_op *op);

/* Adds a question to any node, which takes the map; its answer says nothing. TKS_OK, TKS_ERR_MEMORY. */
tks_status tksp_raw_ask_nodes(tks_op *op);

/* The number of the node `name`, host:port; of the one server -1. TKS_OK, TKS_ERR_MEMORY, TKS_ERR_CONFIGURATION: there is
 * none, and the message says which there are. */
tks_status tksp_raw_find_node(tks_op *op, tks_bytes name, int *out);

#endif
