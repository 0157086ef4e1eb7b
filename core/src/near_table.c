/* near_table.c - see near_table.h. */
#include "near_table.h"

#include <stdlib.h>

#include "tokenstore/secret.h"

enum { PART_MAX = 16 /* no record has more than this part of all bytes */ };

/* ---- hashes ---- */

static uint64_t mix(uint64_t hash) {
    hash ^= hash >> 32;
    hash *= UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ (hash >> 29);
}

/* The texts are digests, and the seed is secret: nobody can choose texts with the same hash. */
static uint64_t hash_of(uint64_t hash, tks_bytes text) {
    size_t i = 0;
    for (; i + 8 <= text.size; i += 8) {
        uint64_t word;
        memcpy(&word, text.data + i, 8);
        hash = mix(hash ^ word);
    }
    uint64_t rest = text.size;
    for (; i < text.size; i++) rest = rest << 8 | (unsigned char)text.data[i];
    return mix(hash ^ rest);
}

uint64_t tksp_near_hash(const tksp_near_table *table, tks_bytes text) {
    return hash_of(table->seed, text);
}

/* ---- life ---- */

bool tksp_near_table_init(tksp_near_table *table, size_t entries, size_t bytes) {
    size_t buckets = 16;
    while (buckets < entries) buckets *= 2;
    *table = (tksp_near_table){.mask = buckets - 1, .count_max = entries, .bytes_max = bytes};
    table->entries = calloc(buckets, sizeof *table->entries);
    table->owners = calloc(buckets, sizeof *table->owners);
    table->views = calloc(buckets, sizeof *table->views);
    tks_random(&table->seed, sizeof table->seed);
    return table->entries != NULL && table->owners != NULL && table->views != NULL;
}

void tksp_near_table_clear(tksp_near_table *table) {
    while (table->newest != NULL) tksp_near_table_remove(table, table->newest);
    free(table->entries);
    free(table->owners);
    free(table->views);
    for (tksp_near_view *view; (view = tksp_near_table_reap(table, true)) != NULL;) free(view);
}

static size_t size_of(const tksp_near_entry *entry) {
    return sizeof *entry + entry->field_size + entry->text_size;
}

void tksp_near_release(tksp_near_entry *entry) {
    if (entry == NULL) return;
    if (atomic_fetch_sub_explicit(&entry->holders, 1, memory_order_acq_rel) > 1) return;
    tks_wipe(entry->bytes, entry->field_size + entry->text_size);
    free(entry);
}

/* ---- finding ---- */

/* The link that leads to the owner, or to the end of its bucket. */
static tksp_near_owner **seek_owner(tksp_near_table *table, tks_bytes key, uint64_t hash) {
    tksp_near_owner **at = &table->owners[hash & table->mask];
    while (*at != NULL && ((*at)->hash != hash || (*at)->key_size != key.size ||
                           memcmp((*at)->key, key.data, key.size) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

static tksp_near_entry **seek_entry(tksp_near_table *table, tks_bytes key, tks_bytes field,
                                    uint64_t hash) {
    tksp_near_entry **at = &table->entries[hash & table->mask];
    for (; *at != NULL; at = &(*at)->next) {
        const tksp_near_entry *entry = *at;
        if (entry->hash == hash && entry->field_size == field.size &&
            memcmp(entry->bytes, field.data, field.size) == 0 &&
            entry->owner->key_size == key.size &&
            memcmp(entry->owner->key, key.data, key.size) == 0) {
            break;
        }
    }
    return at;
}

tksp_near_entry *tksp_near_table_find(tksp_near_table *table, tks_bytes key, tks_bytes field) {
    uint64_t hash = hash_of(tksp_near_hash(table, key), field);
    tksp_near_entry *entry = *seek_entry(table, key, field, hash);
    if (entry != NULL) entry->visited = true;
    return entry;
}

/* ---- views ---- */

/* The question is a hash already. */
static tksp_near_view **seek_view(const tksp_near_table *table, const tks_near_question *question) {
    tksp_near_view **at = &table->views[question->words[0] & table->mask];
    while (*at != NULL && ((*at)->question.words[0] != question->words[0] ||
                           (*at)->question.words[1] != question->words[1])) {
        at = &(*at)->next;
    }
    return at;
}

tksp_near_view *tksp_near_table_ask(const tksp_near_table *table,
                                    const tks_near_question *question) {
    return *seek_view(table, question);
}

static void drop_view(tksp_near_table *table, tksp_near_view *view) {
    if (view == NULL) return;
    *seek_view(table, &view->question) = view->next;
    view->entry->view = NULL;
    table->bytes -= sizeof *view;
    view->next = table->gone;
    table->gone = view;
}

void tksp_near_table_leave(tksp_near_table *table, tksp_near_entry *entry, tksp_near_view *view) {
    drop_view(table, entry->view);
    drop_view(table, tksp_near_table_ask(table, &view->question));
    tksp_near_view **at = seek_view(table, &view->question);
    view->next = NULL;
    *at = view;
    view->entry = entry;
    entry->view = view;
    table->bytes += sizeof *view;
}

tksp_near_view *tksp_near_table_reap(tksp_near_table *table, bool all) {
    tksp_near_entry *entry = all && table->gone == NULL ? table->newest : NULL;
    for (; entry != NULL; entry = entry->older) drop_view(table, entry->view);
    tksp_near_view *view = table->gone;
    if (view != NULL) table->gone = view->next;
    return view;
}

/* ---- removing ---- */

static void leave_queue(tksp_near_table *table, tksp_near_entry *entry) {
    if (table->hand == entry) table->hand = entry->newer;
    *(entry->newer != NULL ? &entry->newer->older : &table->newest) = entry->older;
    *(entry->older != NULL ? &entry->older->newer : &table->oldest) = entry->newer;
}

static void leave_owner(tksp_near_table *table, tksp_near_entry *entry) {
    tksp_near_owner *owner = entry->owner;
    *(entry->before != NULL ? &entry->before->after : &owner->first) = entry->after;
    if (entry->after != NULL) entry->after->before = entry->before;
    if (owner->first != NULL) return;
    tks_bytes key = tks_bytes_of(owner->key, owner->key_size);
    if (table->keys != NULL) {
        tksp_near_keys_release(table->keys, (tksp_near_name){key, owner->hash});
    }
    tksp_near_owner **at = seek_owner(table, key, owner->hash);
    *at = owner->next;
    table->bytes -= sizeof *owner + owner->key_size;
    tks_wipe(owner->key, owner->key_size);
    free(owner);
}

void tksp_near_table_remove(tksp_near_table *table, tksp_near_entry *entry) {
    tksp_near_entry **at = &table->entries[entry->hash & table->mask];
    while (*at != entry) at = &(*at)->next;
    *at = entry->next;
    leave_queue(table, entry);
    leave_owner(table, entry);
    drop_view(table, entry->view);
    entry->owner = NULL; /* it may be held */
    table->count--;
    table->bytes -= size_of(entry);
    tksp_near_release(entry);
}

size_t tksp_near_table_drop(tksp_near_table *table, tks_bytes key) {
    size_t count = 0;
    tksp_near_owner *owner = *seek_owner(table, key, tksp_near_hash(table, key));
    for (bool last = owner == NULL; !last; count++) {
        last = owner->first->after == NULL; /* then the owner goes with it */
        tksp_near_table_remove(table, owner->first);
    }
    return count;
}

/* The hand goes from the oldest to the newest, and round. */
static void evict(tksp_near_table *table) {
    tksp_near_entry *entry = table->hand != NULL ? table->hand : table->oldest;
    while (entry->visited) {
        entry->visited = false;
        entry = entry->newer != NULL ? entry->newer : table->oldest;
    }
    table->hand = entry;
    tksp_near_table_remove(table, entry); /* puts the hand on */
    table->evictions++;
}

/* ---- adding ---- */

static tksp_near_owner *provide_owner(tksp_near_table *table, tks_bytes key) {
    uint64_t hash = tksp_near_hash(table, key);
    tksp_near_owner **at = seek_owner(table, key, hash);
    if (*at != NULL) return *at;
    tksp_near_owner *owner = malloc(sizeof *owner + key.size);
    if (owner == NULL) return NULL;
    *owner = (tksp_near_owner){.hash = hash, .key_size = key.size};
    memcpy(owner->key, key.data, key.size);
    *at = owner;
    table->bytes += sizeof *owner + key.size;
    return owner;
}

static void enter(tksp_near_table *table, tksp_near_entry *entry, tksp_near_owner *owner) {
    tksp_near_entry **bucket = &table->entries[entry->hash & table->mask];
    entry->next = *bucket;
    *bucket = entry;
    entry->older = table->newest;
    *(table->newest != NULL ? &table->newest->newer : &table->oldest) = entry;
    table->newest = entry;
    entry->owner = owner;
    entry->after = owner->first;
    if (owner->first != NULL) owner->first->before = entry;
    owner->first = entry;
    table->count++;
    table->bytes += size_of(entry);
}

tksp_near_entry *tksp_near_table_put(tksp_near_table *table, tks_bytes key, tks_bytes field,
                                     tks_bytes text) {
    size_t size = sizeof(tksp_near_entry) + field.size + text.size;
    size_t whole = size + sizeof(tksp_near_owner) + key.size;
    uint64_t hash = hash_of(tksp_near_hash(table, key), field);
    tksp_near_entry *old = *seek_entry(table, key, field, hash);
    if (old != NULL) tksp_near_table_remove(table, old);
    if (whole > table->bytes_max / PART_MAX) return NULL;
    tksp_near_entry *entry = malloc(size);
    if (entry == NULL) return NULL;
    while (table->count >= table->count_max || table->bytes + whole > table->bytes_max) {
        evict(table);
    }
    tksp_near_owner *owner = provide_owner(table, key);
    if (owner == NULL) {
        free(entry);
        return NULL;
    }
    memset(entry, 0, sizeof *entry);
    atomic_init(&entry->holders, 1);
    entry->hash = hash;
    entry->field_size = field.size;
    entry->text_size = text.size;
    memcpy(entry->bytes, field.data, field.size);
    memcpy(entry->bytes + field.size, text.data, text.size);
    enter(table, entry, owner);
    return entry;
}
