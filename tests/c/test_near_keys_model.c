/* test_near_keys_model.c - the near cache against a model of a server that tells of single keys. */
#include "near_keys_help.h"

enum { KEYS = 6, CALLS = 4, EVENTS = 64 };

/* A model of a server, of the connection to it, and of operations that are under way. */
typedef struct model {
    tks_near *near;
    int values[KEYS];
    bool remembered[KEYS];
    int questions[EVENTS], first_question, last_question; /* keys that PTTL was sent for */
    struct {
        int key;
        bool message; /* else an answer */
    } events[EVENTS];
    int first_event, last_event;
    struct {
        int key, value; /* -1: none, not read yet */
        tksp_near_ticket ticket;
    } calls[CALLS];
} model;

static tks_bytes key_of(int k) {
    static const char *const names[KEYS] = {"k0", "k1", "k2", "k3", "k4", "k5"};
    return tks_bytes_of(names[k], 2);
}

static void tell(model *m, int k, bool message) {
    m->events[m->last_event % EVENTS].key = k;
    m->events[m->last_event++ % EVENTS].message = message;
}

/* Also what the server does when its table is full. */
static void forget(model *m, int k) {
    if (m->remembered[k]) tell(m, k, true);
    m->remembered[k] = false;
}

static void ask_model(model *m) {
    tks_buf out;
    size_t count;
    if (m->first_question < m->last_question || m->first_event < m->last_event) return;
    tks_buf_init(&out, 64 * 1024);
    CHECK_STATUS(tks_near_ask(m->near, SERVER, &out, &count), TKS_OK);
    const size_t size = strlen("*2\r\n$4\r\nPTTL\r\n$2\r\nk0\r\n");
    CHECK_INT(out.size, count * size);
    for (size_t i = 0; i < count; i++) {
        m->questions[m->last_question++ % EVENTS] = out.data[(i + 1) * size - 3] - '0';
    }
    tks_buf_clear(&out);
}

static void answer_model(model *m) {
    if (m->first_question == m->last_question) return;
    int k = m->questions[m->first_question++ % EVENTS];
    m->remembered[k] = true;
    tell(m, k, false);
}

static void deliver(model *m) {
    char text[64];
    if (m->first_event == m->last_event) return;
    int k = m->events[m->first_event % EVENTS].key;
    if (m->events[m->first_event++ % EVENTS].message) {
        (void)snprintf(text, sizeof text, "*1\r\n$2\r\nk%d\r\n", k);
        take(m->near, text);
    } else {
        answer_at(m->near, SERVER, ":-1\r\n");
    }
}

static bool is_on_its_way(const model *m, int k) {
    for (int i = m->first_event; i < m->last_event; i++) {
        if (m->events[i % EVENTS].message && m->events[i % EVENTS].key == k) return true;
    }
    return false;
}

/* Begins a call, has the server read for it, or ends it. */
static void step_call(model *m, int c, int k) {
    char text[32];
    if (m->calls[c].key < 0) {
        m->calls[c].key = k;
        m->calls[c].value = -1;
        m->calls[c].ticket = tksp_near_reserve(m->near, key_of(k), BEGAN_MS);
    } else if (m->calls[c].value < 0) {
        m->calls[c].value = m->values[m->calls[c].key];
    } else {
        (void)print(text, "at", m->calls[c].value);
        end_at(m->near, SERVER, m->calls[c].ticket, key_of(m->calls[c].key), text);
        m->calls[c].key = -1;
    }
}

/* What is found is what the server has, unless it has told otherwise already. */
static int check_model(model *m, int k) {
    tksp_near_record record;
    char text[32];
    tksp_near_entry *entry = tksp_near_find(m->near, SERVER, key_of(k), FIELD, BEGAN_MS, &record);
    if (entry == NULL) return 0;
    CHECK(tks_bytes_equal(record.text, print(text, "at", m->values[k])) || is_on_its_way(m, k));
    tksp_near_release(entry);
    return 1;
}

TEST(near_keys_agree_with_a_server) {
    enum { STEPS = 300000 };
    static model m;
    int found = 0;
    m = (model){.near = near_open(KEYS)};
    for (int c = 0; c < CALLS; c++) m.calls[c].key = -1;
    for (int step = 0; step < STEPS; step++) {
        int k = (int)tks_random_below(KEYS);
        switch (tks_random_below(16)) {
        case 0:
            m.values[k]++;
            forget(&m, k);
            break;
        case 1: /* this process's own: dropped before the call returns */
            m.values[k]++;
            forget(&m, k);
            tksp_near_drop(m.near, key_of(k));
            break;
        case 2: forget(&m, k); break;
        case 3:
        case 4: ask_model(&m); break;
        case 5:
        case 6: answer_model(&m); break;
        case 7:
        case 8:
        case 9: deliver(&m); break;
        case 10: found += check_model(&m, k); break;
        default: step_call(&m, (int)tks_random_below(CALLS), k);
        }
    }
    CHECK(found > STEPS / 1000);
    tks_near_free(m.near);
}
