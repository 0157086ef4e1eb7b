/* json.c - JSON trees: what json_read.c made, for those who look at it.
 *
 * Lifecycle: a tree lives from tks_json_parse or tks_json_read to tks_json_free; all else is borrowed from
 *            it. Its strings are wiped when it is freed: they may be session data.
 * Threads:   a tree may be read from many threads. */
#include <stdlib.h>

#include "json_private.h"
#include "tokenstore/secret.h"

enum {
    FIRST_NODES_MAX = 64, /* in the block that the tree itself is in */
    CHUNK_NODES_MAX = 1024
};

/* ---- memory ------------------------------------------------------------------------------------ */

struct tksp_json_chunk {
    tksp_json_chunk *next;
    tks_json nodes[];
};

/* A tree for a text of `size` bytes is one block: the tree, a few nodes, and room for the strings, which
 * with a NUL each are no longer than they were in quotes. */
tksp_json_tree *tksp_json_tree_new(size_t size) {
    size_t count = size / 8 + 1;
    if (count > FIRST_NODES_MAX) count = FIRST_NODES_MAX;
    if (size > SIZE_MAX / 2) return NULL;
    tksp_json_tree *tree = malloc(sizeof *tree + count * sizeof(tks_json) + size + 1);
    if (tree == NULL) return NULL;
    tree->chunks = NULL;
    tree->next = tree->first;
    tree->end = tree->first + count;
    tree->chunk_size = count;
    tree->text = tree->room = (char *)tree->end;
    return tree;
}

tks_json *tksp_json_tree_node(tksp_json_tree *tree) {
    if (tree->next == tree->end) {
        size_t count = tree->chunk_size * 2;
        if (count > CHUNK_NODES_MAX) count = CHUNK_NODES_MAX;
        tksp_json_chunk *chunk = malloc(sizeof *chunk + count * sizeof(tks_json));
        if (chunk == NULL) return NULL;
        chunk->next = tree->chunks;
        tree->chunks = chunk;
        tree->chunk_size = count;
        tree->next = chunk->nodes;
        tree->end = chunk->nodes + count;
    }
    return tree->next++;
}

void tksp_json_tree_free(tksp_json_tree *tree) {
    while (tree->chunks != NULL) {
        tksp_json_chunk *chunk = tree->chunks;
        tree->chunks = chunk->next;
        free(chunk);
    }
    tks_wipe(tree->text, (size_t)(tree->room - tree->text));
    free(tree);
}

void tks_json_free(tks_json *root) {
    if (root != NULL) tksp_json_tree_free((tksp_json_tree *)(void *)root);
}

/* ---- getting ----------------------------------------------------------------------------------- */

tks_json_type tks_json_get_type(const tks_json *node) {
    return node->type;
}

bool tks_json_get_bool(const tks_json *node) {
    return node->u.integer != 0;
}

int64_t tks_json_get_integer(const tks_json *node) {
    return node->u.integer;
}

bool tks_json_is_number(const tks_json *node) {
    return node->type == TKS_JSON_INTEGER || node->type == TKS_JSON_BIG ||
           node->type == TKS_JSON_DOUBLE;
}

double tks_json_get_double(const tks_json *node) {
    return node->type == TKS_JSON_INTEGER ? (double)node->u.integer : node->u.number;
}

tks_bytes tks_json_get_string(const tks_json *node) {
    return node->text;
}

size_t tks_json_get_size(const tks_json *node) {
    return node->u.size;
}

const tks_json *tks_json_get_child(const tks_json *node) {
    return node->child;
}

const tks_json *tks_json_get_next(const tks_json *node) {
    return node->next;
}

tks_bytes tks_json_get_name(const tks_json *member) {
    return member->name;
}

const tks_json *tks_json_find(const tks_json *node, const char *name) {
    tks_bytes wanted = tks_bytes_of(name, strlen(name));
    if (node->type != TKS_JSON_OBJECT) return NULL;
    for (node = node->child; node != NULL; node = node->next) {
        if (tks_bytes_equal(node->name, wanted)) return node;
    }
    return NULL;
}
