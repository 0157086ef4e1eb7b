/* meter.c - see tokenstore/meter.h. */
#include "meter.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "tokenstore/jwt_sessions.h"
#include "tokenstore/node_tokens.h"
#include "tokenstore/tokens.h"

/* Every operation that can be measured, a group for each store. */
typedef struct group {
    const char *store;
    const tks_operation *rows;
    size_t count;
} group;

enum { GROUPS = 6 };

typedef struct sums {
    _Atomic uint64_t outcomes[TKS_METER_OUTCOMES];
    _Atomic uint64_t durations[TKS_METER_BUCKETS + 1];
    _Atomic uint64_t took_us, tries, trips, sent, received;
} sums;

typedef struct account {
    int64_t (*clock_us)(void);
    sums of[]; /* tks_meter_size() of them */
} account;

struct tks_meter {
    atomic_uint holders;
    account *_Atomic account; /* NULL: not started */
};

/* The middle of a local network, then of the way to another region, then timeouts; the bounds that OpenTelemetry advises for
 * database clients are among them. */
static const int64_t bounds_us[TKS_METER_BUCKETS] = {
    100,   250,    500,    1000,   2500,    5000,    10000,   25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

const tks_operation tksp_plain_rows[TKSP_PLAIN_COUNT] = {
    [TKSP_EXECUTE] = {.name = "execute", .summary = "Runs one command."},
    [TKSP_PIPELINE] = {.name = "pipeline", .summary = "Runs several commands."},
    [TKSP_FOR_EACH_PRIMARY] = {.name = "for_each_primary",
                               .summary = "Runs one command on every primary."},
    [TKSP_PING] = {.name = "ping", .summary = "Does the server answer?"},
};

const tks_operation tksp_spike_row = {.name = "get_token", .summary = "Obtains an access token."};

static group group_of(const tks_store_type *type) {
    return (group){type->name, type->operations, type->operation_count};
}

static group group_at(size_t i) {
    switch (i) {
    case 0: return group_of(&tks_sessions_type);
    case 1: return group_of(&tks_redis_tokens_type);
    case 2: return group_of(&tks_redis_jwt_type);
    case 3: return group_of(&tks_tokenstore_type);
    case 4: return (group){"Client", tksp_plain_rows, TKSP_PLAIN_COUNT};
    default: return (group){"Spike", &tksp_spike_row, 1};
    }
}

size_t tksp_meter_place_of(const tks_operation *row, const char **store) {
    size_t before = 0, i = 0;
    group g = group_at(0);
    for (; i + 1 < GROUPS && !(row >= g.rows && row < g.rows + g.count); g = group_at(++i)) {
        before += g.count;
    }
    *store = g.store;
    return before + (size_t)(row - g.rows);
}

int64_t tks_meter_bound(size_t bucket) {
    return bucket < TKS_METER_BUCKETS ? bounds_us[bucket] : INT64_MAX;
}

size_t tks_meter_size(void) {
    size_t size = 0;
    for (size_t i = 0; i < GROUPS; i++) size += group_at(i).count;
    return size;
}

const char *tks_meter_outcome(size_t outcome) {
    return outcome < TKS_STATUS_COUNT ? tks_status_code((tks_status)outcome) : "not_found";
}

/* ---- life ---- */

tks_meter *tks_meter_new(void) {
    tks_meter *meter = calloc(1, sizeof *meter);
    if (meter != NULL) atomic_init(&meter->holders, 1);
    return meter;
}

tks_meter *tks_meter_hold(tks_meter *meter) {
    atomic_fetch_add_explicit(&meter->holders, 1, memory_order_relaxed);
    return meter;
}

void tks_meter_free(tks_meter *meter) {
    if (meter == NULL) return;
    if (atomic_fetch_sub_explicit(&meter->holders, 1, memory_order_acq_rel) > 1) return;
    free(atomic_load_explicit(&meter->account, memory_order_relaxed));
    free(meter);
}

static account *account_of(const tks_meter *meter) {
    return atomic_load_explicit(&((tks_meter *)meter)->account, memory_order_acquire);
}

tks_status tks_meter_start(tks_meter *meter, int64_t (*clock_us)(void)) {
    account *there = account_of(meter);
    if (there != NULL) return TKS_OK;
    account *made = calloc(1, sizeof *made + tks_meter_size() * sizeof(sums));
    if (made == NULL) return TKS_ERR_MEMORY;
    made->clock_us = clock_us;
    if (!atomic_compare_exchange_strong(&meter->account, &there, made)) free(made);
    return TKS_OK;
}

bool tks_meter_is_started(const tks_meter *meter) {
    return account_of(meter) != NULL;
}

int64_t tksp_meter_now(const tks_meter *meter) {
    return account_of(meter)->clock_us();
}

/* ---- sums ---- */

static void add(_Atomic uint64_t *sum, uint64_t number) {
    (void)atomic_fetch_add_explicit(sum, number, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *sum) {
    return atomic_load_explicit((_Atomic uint64_t *)sum, memory_order_relaxed);
}

static size_t bucket_of(int64_t took_us) {
    size_t i = 0;
    while (i < TKS_METER_BUCKETS && took_us > bounds_us[i]) i++;
    return i;
}

void tksp_meter_add(tks_meter *meter, size_t place, const tks_measure *measure) {
    sums *to = &account_of(meter)->of[place];
    add(&to->outcomes[measure->missed ? TKS_STATUS_COUNT : measure->status], 1);
    add(&to->durations[bucket_of(measure->took_us)], 1);
    add(&to->took_us, (uint64_t)measure->took_us);
    add(&to->tries, measure->tries);
    add(&to->trips, measure->trips);
    add(&to->sent, measure->sent);
    add(&to->received, measure->received);
}

bool tks_meter_read(const tks_meter *meter, size_t i, tks_meter_sums *out) {
    const account *from = account_of(meter);
    uint64_t ended = 0;
    size_t k = 0;
    if (from == NULL || i >= tks_meter_size()) return false;
    const sums *s = &from->of[i];
    group g = group_at(k);
    for (; i >= g.count; g = group_at(++k)) i -= g.count;
    *out = (tks_meter_sums){.store = g.store,
                            .name = g.rows[i].name,
                            .took_us = get(&s->took_us),
                            .tries = get(&s->tries),
                            .trips = get(&s->trips),
                            .sent = get(&s->sent),
                            .received = get(&s->received)};
    for (size_t o = 0; o < TKS_METER_OUTCOMES; o++) {
        out->outcomes[o] = get(&s->outcomes[o]);
        ended += out->outcomes[o];
    }
    for (size_t b = 0; b <= TKS_METER_BUCKETS; b++) out->durations[b] = get(&s->durations[b]);
    return ended > 0;
}
