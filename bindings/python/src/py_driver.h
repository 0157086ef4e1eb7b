/* py_driver.h - what the C files of the asyncio driver share: py_call.c, py_connection.c, py_connection_read.c, py_pool.c, py_driver.c.
 *
 * Purpose:   the half of tokenstore/asyncio that runs for every operation. The order of the files is the order in
 *            which they may use each other: a call knows no connection, a connection knows no pool.
 * Rules:     The garbage collector, a finalizer, a constructor or a task may come back into any object here. So
 *            nothing of Python's runs while a queue, a list or a reader is half changed: each function first
 *            finishes its own work in plain C, and only then converts, wakes, or calls a method of Python's. What
 *            was known before that is looked at again after it.
 * Threads:   that of the event loop; py_driver.c: any. */
#ifndef TKSP_PY_DRIVER_H
#define TKSP_PY_DRIVER_H

#include "py_glue.h"
#include "tokenstore/connecting.h"
#include "tokenstore/greeting.h"

typedef struct tksp_py_call tksp_py_call;

/* ---- the pool of one event loop: py_pool.c -------------------------------------------------------- */

typedef struct tksp_py_pool {
    PyObject head;
    const tksp_py_state *state;
    PyObject *client, *loop;
    PyObject *only; /* the Connection, where one is open and there is to be no other; NULL */
    tksp_py_call *first,
        *last;        /* the calls under way, oldest first; borrowed: a call leaves at its end */
    Py_ssize_t count; /* how many these are */
    Py_ssize_t limit; /* how many there may be before admit() is asked */
    double alarm_at;  /* when Python looks at the deadlines next */
    unsigned long thread; /* that is in the midst of wake(), and so of this loop; 0: none */
} tksp_py_pool;

/* The first steps of a call for which there is room. False with an exception; then the call is over. */
bool tksp_py_pool_begin(tksp_py_pool *self, tksp_py_call *call);

/* ---- a call: py_call.c ---------------------------------------------------------------------------- */

/* An operation on its way, and what a task waits for. */
struct tksp_py_call {
    PyObject head;
    PyObject *op; /* keeps `core`; both NULL when the call is over */
    tks_op *core;
    tksp_py_pool *pool;            /* owned */
    tksp_py_call *next, *previous; /* there */
    PyObject *callback, *context;  /* the task's; NULL: it is not waiting yet, or no longer */
    PyObject *value, *error;       /* what came of it; both NULL: it is not settled */
    PyObject *connection;          /* it was last sent on; NULL: none */
    double began, deadline;        /* time.monotonic() */
    double queued;                 /* when it was sent last */
    int64_t wall_ms;               /* a clock that stands still; 0: the machine's */
    tks_need need;                 /* what its last step asked for */
    char sent, over, blocking, under_way; /* bool, as T_BOOL has it */
};

/* What a call wants next; the numbers are those of tokenstore/asyncio. */
typedef enum tksp_py_wish {
    TKSP_PY_NOTHING, /* it is settled, or its caller has gone */
    TKSP_PY_SEND,
    TKSP_PY_SLEEP
} tksp_py_wish;

/* A call of `op` that begins now. `timeout`: seconds, None for the client's. Where `wall_ms` is not 0, time stands
 * still for the operation. */
PyObject *tksp_py_call_new(tksp_py_pool *pool, PyObject *op, PyObject *timeout, int64_t wall_ms);

/* Puts the call among those under way. Plain C. */
void tksp_py_call_enlist(tksp_py_call *self);

/* Steps the operation; nothing of Python's runs. Fills in the event's `sent`, and `now_ms` where that is 0. The
 * call must not be over; tksp_py_call_finish follows. */
void tksp_py_call_step(tksp_py_call *self, tks_event *event);

/* Settles the call where its last step ended the operation. Wakes nobody. */
void tksp_py_call_finish(tksp_py_call *self);

tksp_py_wish tksp_py_call_wish(const tksp_py_call *self);
bool tksp_py_call_is_settled(const tksp_py_call *self);

/* The call is over; lets go of the operation. */
void tksp_py_call_end(tksp_py_call *self);

/* Settles the call with the exception that is raised, unless it is over. */
void tksp_py_call_fail(tksp_py_call *self);

/* Seconds, as of time.monotonic(). */
double tksp_py_now(void);

/* Milliseconds since 1970. */
int64_t tksp_py_wall_ms(void);

/* ---- what a task asks of a call: py_call_await.c ------------------------------------------------------ */

/* Runs the task that waits, if one does, with the next round of the loop. False with an exception. */
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

/* wake(calls): runs the tasks that wait for them, now, which is for the loop's own callbacks. An exception ends the
 * loop (KeyboardInterrupt): the other tasks run when it goes on. */
PyObject *tksp_py_wake(PyObject *module, PyObject *calls);

/* ---- a connection: py_connection.c, py_connection_read.c ----------------------------------------------- */

/* What one call waits for. */
typedef struct tksp_py_place {
    tksp_py_call *call; /* owned; NULL: it went elsewhere, its replies are thrown away */
    size_t replies;
} tksp_py_place;

typedef struct tksp_py_connection {
    PyObject head;
    const tksp_py_state *state;
    PyObject *client;
    PyObject *buffer; /* a bytearray: where the loop puts what it reads */
    PyObject *view;   /* a memoryview of it */
    int fd;           /* for a look only; -1: none */
    pid_t pid;
    tks_reader *reader;
    tks_greeting greeting;
    tks_credentials credentials; /* for the greeting, in place of the target's; empty: none */
    tksp_py_place *places;       /* a ring; its size is a power of two */
    size_t first, count, capacity;
    size_t unsent;       /* the last so many places have not been taken yet */
    size_t due;          /* replies that are to come for those that have */
    tks_reply **replies; /* that have come, for the first places */
    size_t got, given;   /* how many these are; how many of them were handed out */
    size_t replies_capacity;
    tks_buf out;
    double heard;        /* when the last whole answer to a call came; the greeting's is none */
    double read;         /* when anything came after the greeting */
    double expires;      /* it is replaced from then on */
    bool answered;       /* the first reply has come */
    bool broken, taking; /* taking: a take() is due, and will come */
} tksp_py_connection;

/* When take() is due after a send(); the numbers are those of tokenstore/asyncio. */
typedef enum tksp_py_due {
    TKSP_PY_DUE_ALREADY, /* it was due before */
    TKSP_PY_DUE_SOON, /* with the next round of the loop: others may have something to say, too */
    TKSP_PY_DUE_NOW   /* nothing is under way */
} tksp_py_due;

/* Has the connection been idle for so long that a call which must not be repeated asks PING first? */
bool tksp_py_connection_wants_probe(const tksp_py_connection *self, const tksp_py_call *call);

/* Puts what the call has to say in the queue. False with an exception. */
bool tksp_py_connection_send(tksp_py_connection *self, tksp_py_call *call, tksp_py_due *due);

/* How long a call that was sent `at` waits for any sign of the server. */
static inline double tksp_py_patience(const tksp_py_call *call, double at) {
    return (call->deadline - at) / TKS_SILENCE_DIVISOR;
}

static inline tks_client *tksp_py_connection_client(const tksp_py_connection *self) {
    return tksp_py_client_get(self->client);
}

/* Place `i` of those that are taken. */
static inline tksp_py_place *tksp_py_place_at(tksp_py_connection *self, size_t i) {
    return &self->places[(self->first + i) & (self->capacity - 1)];
}

/* The first place, given up; its call is the caller's. */
static inline tksp_py_place tksp_py_place_pop(tksp_py_connection *self) {
    tksp_py_place gone = *tksp_py_place_at(self, 0);
    self->first = (self->first + 1) & (self->capacity - 1);
    self->count--;
    return gone;
}

/* Frees the replies that have come. */
void tksp_py_connection_free_replies(tksp_py_connection *self);

/* The methods of py_connection_read.c. */
PyObject *tksp_py_connection_give(PyObject *object, PyObject *pair);
PyObject *tksp_py_connection_has_refused(PyObject *object, void *unused);
PyObject *tksp_py_connection_hello(PyObject *object, PyObject *fd);
PyObject *tksp_py_connection_greet(PyObject *object, PyObject *arg);
PyObject *tksp_py_connection_feed(PyObject *object, PyObject *arg);
PyObject *tksp_py_connection_oversized(PyObject *object, void *unused);

/* ---- all of them ----------------------------------------------------------------------------------- */

/* The state of the module that made `type` or the type it inherits from. */
tksp_py_state *tksp_py_state_of_type(PyTypeObject *type);

/* Imports what is needed of asyncio, which programs that only block should not have to wait for. */
bool tksp_py_asyncio_import(tksp_py_state *state);

#endif
