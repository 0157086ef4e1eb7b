/* resp_build.c - the only file that uses hiredis: its reader, with our reply objects.
 *
 * Why our own objects: a reply's items and strings are in a few blocks, so that it takes little more memory
 * than on the wire, is freed without traversal, and is wiped. */
#include <hiredis/hiredis.h>
#include <stdlib.h>

#include "resp_private.h"
#include "tokenstore/secret.h"

enum {
    BLOCK_MIN = 512,
    BLOCK_MAX = 64 * 1024,
    ROOT_ITEMS_MAX = 64 /* items of an array in the first block */
};

/* hiredis 1.0 widened the sizes, and dropped a limit of eight arrays in arrays. */
#if defined(HIREDIS_MAJOR) && HIREDIS_MAJOR >= 1
typedef size_t array_size;
enum { DEPTH_MAX = TKSP_DEPTH_MAX };
#else
typedef int array_size;
enum { DEPTH_MAX = 8 };
#endif

struct tksp_builder {
    redisReader *reader; /* NULL: created with the next bytes */
    tksp_tree *tree;     /* the reply being built, or NULL */
    size_t taken;        /* bytes of it so far */
    tksp_block *aside;   /* the next string's text, which bypasses hiredis; or NULL */
};

size_t tks_reader_depth_max(void) {
    return DEPTH_MAX;
}

/* ---- memory ----------------------------------------------------------------------------------- */

static tksp_block *init_block(tksp_block *block, tksp_block *next, size_t size, bool secret) {
    *block =
        (tksp_block){.next = next, .data = (char *)(block + 1), .size = size, .secret = secret};
    return block;
}

/* Creates the reply's first block, with room for a string of `size` bytes or an array's items. */
static bool begin_tree(tksp_builder *builder, size_t size) {
    builder->tree = malloc(sizeof *builder->tree + size);
    if (builder->tree == NULL) return false;
    builder->tree->blocks = init_block(&builder->tree->first, NULL, size, true);
    builder->taken = 0;
    return true;
}

/* Inserts a full block after the one that is being filled. */
static void add_full(tksp_tree *tree, tksp_block *block) {
    block->next = tree->blocks->next;
    tree->blocks->next = block;
}

/* Allocates `size` bytes in the reply's blocks. A large item gets a separate block. */
static void *take(tksp_builder *builder, size_t size, size_t alignment, bool secret) {
    tksp_block *filling = builder->tree->blocks;
    size_t at = (filling->used + alignment - 1) / alignment * alignment;
    builder->taken += size;
    if (at <= filling->size && filling->size - at >= size) {
        filling->used = at + size;
        return filling->data + at;
    }
    size_t room = builder->taken / 8;
    room = room < BLOCK_MIN ? BLOCK_MIN : room > BLOCK_MAX ? BLOCK_MAX : room;
    bool alone = size > room / 4;
    if (alone) room = size;
    tksp_block *block = malloc(sizeof *block + room);
    if (block == NULL) return NULL;
    init_block(block, filling, room, secret || !alone);
    block->used = size;
    if (alone) {
        add_full(builder->tree, block);
    } else {
        builder->tree->blocks = block;
    }
    return block->data;
}

static void free_block(tksp_block *block) {
    if (block == NULL) return;
    tks_wipe(block->data, block->used);
    if (block->data != (char *)(block + 1)) free(block->data);
    free(block);
}

/* ---- replies, built by hiredis' reader through these callbacks ---------------------------------- */

/* Returns the item, complete except for its value. For the first item, creates the tree with room for `size`
 * bytes. NULL: out of memory. */
static tks_reply *begin_item(const redisReadTask *task, tks_reply_type type, size_t size) {
    tksp_builder *builder = task->privdata;
    tks_reply *item;
    if (task->parent != NULL) {
        item = &((tks_reply *)task->parent->obj)->u.items[task->idx];
    } else {
        if (!begin_tree(builder, size)) return NULL;
        item = &builder->tree->root;
    }
    *item = (tks_reply){.type = type};
    return item;
}

static void *create_string(const redisReadTask *task, char *text, size_t size) {
    tksp_builder *builder = task->privdata;
    tksp_block *aside = builder->aside;
    tks_reply_type type = task->type == REDIS_REPLY_ERROR    ? TKS_REPLY_ERROR
                          : task->type == REDIS_REPLY_STATUS ? TKS_REPLY_STATUS
                                                             : TKS_REPLY_STRING;
    tks_reply *item = begin_item(task, type, aside == NULL ? size : 0);
    if (item == NULL) return NULL;
    if (aside != NULL) {
        add_full(builder->tree, aside);
        item->u.bytes = aside->data + aside->skipped;
        item->size = (uint32_t)(aside->used - aside->skipped);
        builder->aside = NULL;
        return item;
    }
    item->u.bytes = take(builder, size, 1, true);
    if (item->u.bytes == NULL) return NULL;
    if (size > 0) memcpy(item->u.bytes, text, size);
    item->size = (uint32_t)size;
    return item;
}

static void *create_array(const redisReadTask *task, array_size count) {
    size_t size = (size_t)count * sizeof(tks_reply);
    bool first = task->parent == NULL && (size_t)count <= ROOT_ITEMS_MAX;
    tks_reply *array = begin_item(task, TKS_REPLY_ARRAY, first ? size : 0);
    if (array == NULL) return NULL;
    array->u.items = take(task->privdata, size, _Alignof(tks_reply), false);
    if (array->u.items == NULL) return NULL;
    array->size = (uint32_t)count;
    return array;
}

static void *create_integer(const redisReadTask *task, long long value) {
    tks_reply *item = begin_item(task, TKS_REPLY_INTEGER, 0);
    if (item != NULL) item->u.integer = value;
    return item;
}

static void *create_nil(const redisReadTask *task) {
    return begin_item(task, TKS_REPLY_NIL, 0);
}

/* The builder owns the tree. */
static void free_object(void *object) {
    (void)object;
}

static redisReplyObjectFunctions reply_functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
    .freeObject = free_object,
};

/* ---- the builder ------------------------------------------------------------------------------- */

tksp_builder *tksp_builder_new(void) {
    return calloc(1, sizeof(tksp_builder));
}

void tksp_builder_drop(tksp_builder *builder) {
    if (builder->reader != NULL) {
        if (builder->reader->buf != NULL) tks_wipe(builder->reader->buf, builder->reader->len);
        redisReaderFree(builder->reader);
    }
    if (builder->tree != NULL) tks_reply_free(&builder->tree->root);
    free_block(builder->aside);
    *builder = (tksp_builder){.reader = NULL};
}

void tksp_builder_free(tksp_builder *builder) {
    if (builder == NULL) return;
    tksp_builder_drop(builder);
    free(builder);
}

static bool open_reader(tksp_builder *builder) {
    if (builder->reader != NULL) return true;
    builder->reader = redisReaderCreateWithFunctions(&reply_functions);
    if (builder->reader != NULL) builder->reader->privdata = builder;
    return builder->reader != NULL;
}

/* Wipes what hiredis has read and left in its buffer: before its position, and after the data that it has
 * moved to the front. `size`: the previous size. */
static void wipe_read(redisReader *reader, size_t size) {
    if (reader->buf == NULL) return;
    tks_wipe(reader->buf, reader->pos);
    if (reader->len < size) tks_wipe(reader->buf + reader->len, size - reader->len);
}

static tks_reply *take_tree(tksp_builder *builder) {
    tksp_tree *tree = builder->tree;
    builder->tree = NULL;
    return &tree->root;
}

tks_status tksp_builder_feed(tksp_builder *builder, const char *data, size_t size,
                             tks_reply **out) {
    void *object = NULL;
    *out = NULL;
    if (!open_reader(builder) || redisReaderFeed(builder->reader, data, size) != REDIS_OK) {
        return TKS_ERR_MEMORY;
    }
    size_t filled = builder->reader->len;
    int result = redisReaderGetReply(builder->reader, &object);
    wipe_read(builder->reader, filled);
    if (result != REDIS_OK) {
        return builder->reader->err == REDIS_ERR_OOM ? TKS_ERR_MEMORY : TKS_ERR_CONNECTION;
    }
    if (object != NULL) *out = take_tree(builder);
    return TKS_OK;
}

char *tksp_builder_set_aside(tksp_builder *builder, size_t size, size_t skipped) {
    tksp_block *block = malloc(sizeof *block + size);
    if (block == NULL) return NULL;
    builder->aside = init_block(block, NULL, size, true);
    block->skipped = skipped;
    return block->data;
}

void tksp_builder_fill(tksp_builder *builder, const char *data, size_t size) {
    tksp_block *aside = builder->aside;
    if (size > 0) memcpy(aside->data + aside->used, data, size);
    aside->used += size;
}

bool tksp_builder_adopt(tksp_builder *builder, tks_buf *line, size_t skipped, size_t size) {
    tksp_block *block = malloc(sizeof *block);
    if (block == NULL) return false;
    *block = (tksp_block){.data = line->data,
                          .size = line->capacity,
                          .used = size,
                          .skipped = skipped,
                          .secret = true};
    builder->aside = block;
    tks_buf_init(line, 0);
    return true;
}

tks_reply *tksp_builder_mark(tksp_builder *builder, int64_t value) {
    if (!begin_tree(builder, 0)) return NULL;
    builder->tree->root = (tks_reply){.type = TKS_REPLY_OVERSIZED, .u.integer = value};
    return take_tree(builder);
}
