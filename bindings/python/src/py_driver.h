/* py_driver.h - shared by the C files of the asyncio driver: py_call.c, py_connection.c,
 * py_connection_read.c, py_pool.c, py_driver.c.
 *
 * Purpose:   the part of tokenstore/asyncio that runs for every operation. Each file may use only those
 *            before it in the list: a call does not know its connection, a connection does not know its pool.
 * Rules:     The garbage collector, a finalizer, a constructor or a task may re-enter any object here. So no
 *            Python code runs while a queue, a list or a reader is half changed: each function first finishes
 *            its own work in plain C, and only then converts, wakes, or calls a Python method. After that, it
 *            checks the state again.
 * Threads:   the event loop's; py_driver.c: any. */
#ifndef TKSP_PY_DRIVER_H
#define TKSP_PY_DRIVER_H

#include "py_glue.h"
#include "tokenstore/connecting.h"
#include "tokenstore/greeting.h"
#include "tokenstore/router.h"

typedef struct tksp_py_call tksp_py_call;

enum { TKSP_PY_ALONE = -3 }; /* see `lane`; tokenstore/asyncio/_pool.py uses the same number */

/* ---- the pool of one event loop: py_pool.c -------------------------------------------------------- */

typedef struct tksp_py_pool {
    PyObject head;
    const tksp_py_state *state;
    PyObject *client, *loop;
    tks_router *router; /* held; NULL: there is one server */
    tks_near *near;     /* held; NULL: there is none */
    PyObject *
        lanes; /* list: by a node's number plus one, the Connection to it, if one is open and there is at most
                        one; else None, as for those beyond its end. Of the one server: the first */
    tksp_py_call *first,
        *last; /* the calls in progress, oldest first; borrowed: a call removes itself at its end */
    Py_ssize_t count;     /* their number */
    Py_ssize_t limit;     /* above this number admit() is called */
    double alarm_at;      /* when the deadline timer fires next */
    unsigned long thread; /* the thread that runs wake(), and so this loop; 0: none */
} tksp_py_pool;

/* Begins a call within the limit. False with an exception; then the call is over. */
bool tksp_py_pool_begin(tksp_py_pool *self, tksp_py_call *call);

/* ---- a call: py_call.c ---------------------------------------------------------------------------- */

/* An operation in progress, awaited by a task. */
struct tksp_py_call {
    PyObject head;
    PyObject *op; /* keeps `core` alive; both NULL when the call is over */
    tks_op *core;
    tksp_py_pool *pool;            /* owned */
    tksp_py_call *next, *previous; /* there */
    PyObject *callback, *context;  /* the task's; NULL: no task is waiting */
    PyObject *value, *error;       /* the outcome; both NULL: not settled */
    PyObject *connection;          /* the last one used; NULL: none */
    PyObject *origin; /* the context that it was called in, for an observer; NULL: there is none */
    double began, deadline; /* time.monotonic() */
    double queued;          /* when it was last sent */
    int64_t wall_ms;        /* a fixed clock; 0: the machine's */
    tks_need need;          /* the result of its last step */
    int lane; /* of its last batch: the node that it goes to, -1 where there is one server; TKSP_PY_ALONE minus
                 that, if its answers may come late: it must not share a connection */
    char sent, over, blocking, under_way; /* bool, of type char for T_BOOL */
};

/* What a call needs next; tokenstore/asyncio uses the same numbers. */
typedef enum tksp_py_wish {
    TKSP_PY_NOTHING, /* settled, or its caller has gone */
    TKSP_PY_SEND,
    TKSP_PY_SLEEP,
    TKSP_PY_PARTS
} tksp_py_wish;

/* A call of `op` that begins now. `timeout`: seconds; None: the client's. `wall_ms` not 0: the operation sees
 * a fixed time. */
PyObject *tksp_py_call_new(tksp_py_pool *pool, PyObject *op, PyObject *timeout, int64_t wall_ms);

/* A call that is over, with this result. */
PyObject *tksp_py_call_settled(tksp_py_pool *pool, PyObject *value);

/* Adds the call to those in progress. Runs no Python code. */
void tksp_py_call_enlist(tksp_py_call *self);

/* Steps the operation; runs no Python code. Sets the event's `sent`, and `now_ms` if it is 0. The
 * call must not be over; tksp_py_call_finish follows. */
void tksp_py_call_step(tksp_py_call *self, tks_event *event);

/* Settles the call if its last step ended the operation. Does not wake the task. */
void tksp_py_call_finish(tksp_py_call *self);

tksp_py_wish tksp_py_call_wish(const tksp_py_call *self);
bool tksp_py_call_is_settled(const tksp_py_call *self);

/* Marks the call as over and releases the operation. */
void tksp_py_call_end(tksp_py_call *self);

/* Tells the client's observer, if any, what the operation of a call has cost that is over, and that `op` still owns. May run
 * arbitrary code. */
void tksp_py_call_tell(const tksp_py_call *self, tks_op *core);

/* Settles the call with the raised exception, unless it is over. */
void tksp_py_call_fail(tksp_py_call *self);

/* Seconds, as of time.monotonic(). */
double tksp_py_now(void);

/* Milliseconds since 1970. */
int64_t tksp_py_wall_ms(void);

/* ---- the future protocol: py_call_await.c --------------------------------------------------------- */

/* Schedules the waiting task, if any, for the next iteration of the loop. False with an exception. */
bool tksp_py_call_wake_soon(tksp_py_call *self);

/* Methods and slots of a Call. */
PyObject *tksp_py_call_get_loop(PyObject *object, PyObject *unused);
PyObject *tksp_py_call_add_done_callback(PyObject *object, PyObject *const *args, Py_ssize_t count,
                                         PyObject *names);
PyObject *tksp_py_call_cancel(PyObject *object, PyObject *args, PyObject *kwargs);
PyObject *tksp_py_call_result(PyObject *object, PyObject *unused);
PyObject *tksp_py_call_throw(PyObject *object, PyObject *args);
PyObject *tksp_py_call_close(PyObject *object, PyObject *unused);
PyObject *tksp_py_call_await(PyObject *object);
PyObject *tksp_py_call_next(PyObject *object);
#if PY_VERSION_HEX >= 0x030A0000
PySendResult tksp_py_call_send(PyObject *object, PyObject *unused, PyObject **out);
#endif

/* wake(calls): runs the waiting tasks now; only for callbacks of the loop. After an exception that stops the
 * loop (KeyboardInterrupt) the other tasks run when it continues. */
PyObject *tksp_py_wake(PyObject *module, PyObject *calls);

/* ---- a connection: py_connection.c, py_connection_read.c ----------------------------------------------- */

/* A call in the queue. */
typedef struct tksp_py_place {
    tksp_py_call *call; /* owned; NULL: moved to another connection, discard its replies */
    size_t replies;
} tksp_py_place;

typedef struct tksp_py_connection {
    PyObject head;
    const tksp_py_state *state;
    PyObject *client;
    tks_target *target; /* of a node, owned; NULL: the client's */
    PyObject *buffer;   /* a bytearray that the loop reads into */
    PyObject *view;     /* a memoryview of it */
    int fd;             /* only for polling; -1: none */
    pid_t pid;
    tks_reader *reader;
    tks_greeting greeting;
    tks_credentials credentials; /* for the greeting, instead of the target's; empty: none */
    tksp_py_place *places;       /* a ring; its size is a power of two */
    size_t first, count, capacity;
    size_t unsent;       /* the number of places at the end that take() has not returned yet */
    size_t due;          /* expected replies of the others */
    tks_reply **replies; /* received, for the first places */
    size_t got, given;   /* their number, and how many of them were delivered */
    size_t replies_capacity;
    tks_buf out;
    double heard;        /* when the last complete reply to a call arrived */
    double read;         /* when data last arrived after the greeting */
    double expires;      /* when it is due to be replaced */
    bool answered;       /* the first reply has arrived */
    bool broken, taking; /* taking: a take() is scheduled */
} tksp_py_connection;

/* When take() is due after a send(); tokenstore/asyncio uses the same numbers. */
typedef enum tksp_py_due {
    TKSP_PY_DUE_ALREADY, /* already scheduled */
    TKSP_PY_DUE_SOON,    /* in the next iteration of the loop: other calls may be sent with it */
    TKSP_PY_DUE_NOW      /* at once: the connection is idle */
} tksp_py_due;

/* True if the connection was idle so long that a call that must not be repeated needs a PING first. */
bool tksp_py_connection_wants_probe(const tksp_py_connection *self, const tksp_py_call *call);

/* Adds the call's batch to the queue. False with an exception. */
bool tksp_py_connection_send(tksp_py_connection *self, tksp_py_call *call, tksp_py_due *due);

/* How long a call sent at `at` waits for data from the server. */
static inline double tksp_py_patience(const tksp_py_call *call, double at) {
    return (call->deadline - at) / TKS_SILENCE_DIVISOR;
}

static inline tks_client *tksp_py_connection_client(const tksp_py_connection *self) {
    return tksp_py_client_get(self->client);
}

/* Place `i` of the ring. */
static inline tksp_py_place *tksp_py_place_at(tksp_py_connection *self, size_t i) {
    return &self->places[(self->first + i) & (self->capacity - 1)];
}

/* Removes the first place; the caller owns its call. */
static inline tksp_py_place tksp_py_place_pop(tksp_py_connection *self) {
    tksp_py_place gone = *tksp_py_place_at(self, 0);
    self->first = (self->first + 1) & (self->capacity - 1);
    self->count--;
    return gone;
}

/* Frees the received replies. */
void tksp_py_connection_free_replies(tksp_py_connection *self);

/* The methods of py_connection_read.c. */
PyObject *tksp_py_connection_give(PyObject *object, PyObject *pair);
PyObject *tksp_py_connection_has_refused(PyObject *object, void *unused);
PyObject *tksp_py_connection_hello(PyObject *object, PyObject *fd);
PyObject *tksp_py_connection_greet(PyObject *object, PyObject *arg);
PyObject *tksp_py_connection_feed(PyObject *object, PyObject *arg);
PyObject *tksp_py_connection_oversized(PyObject *object, void *unused);

/* ---- shared functions ----------------------------------------------------------------------------- */

/* The state of the module that created `type` or its base. */
tksp_py_state *tksp_py_state_of_type(PyTypeObject *type);

/* Imports asyncio lazily, so that blocking programs do not load it. */
bool tksp_py_asyncio_import(tksp_py_state *state);

#endif
