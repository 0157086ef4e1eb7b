/* channel.h - what a _core.Channel is made of; for channel.c and channel_feed.c only. */
#ifndef TOKENSTORE_PY_CHANNEL_H
#define TOKENSTORE_PY_CHANNEL_H

#include "glue.h"
#include "tokenstore/greeting.h"

typedef struct tksp_py_place {
    tksp_py_call *call; /* owned */
    size_t replies;
} tksp_py_place;

typedef struct tksp_py_channel {
    PyObject head;
    tksp_py_calls *calls; /* of its loop; owned */
    PyObject *line;       /* the connection that it is the queue of */
    PyObject *buffer;     /* a bytearray: where the loop puts what it reads */
    PyObject *view;       /* a memoryview of it */
    int fd;               /* for a look only; -1: none */
    pid_t pid;
    tks_reader *reader;
    tks_greeting greeting;
    tksp_py_place *places; /* a ring; its size is a power of two */
    size_t first, count, capacity;
    size_t unsent;       /* the last so many places have not been taken yet */
    size_t due;          /* replies that are to come for those that have */
    tks_reply **replies; /* that have come, for the first places */
    size_t got, replies_capacity;
    tks_buf out;
    double heard;  /* when the last whole answer to a call came; the greeting's is none */
    bool answered; /* the first reply has come */
    bool feeding, broken;
    char flushing; /* take() is going to be called anyway; bool, as T_BOOL has it */
} tksp_py_channel;

static inline const tks_target *tksp_py_channel_target(const tksp_py_channel *self) {
    return tks_client_get_target(tksp_py_client_get(self->calls->client));
}

/* Place `i` of those that are taken. */
static inline tksp_py_place *tksp_py_place_at(tksp_py_channel *self, size_t i) {
    return &self->places[(self->first + i) & (self->capacity - 1)];
}

/* The first place, given up; its call is the caller's. */
static inline tksp_py_place tksp_py_place_pop(tksp_py_channel *self) {
    tksp_py_place gone = *tksp_py_place_at(self, 0);
    self->first = (self->first + 1) & (self->capacity - 1);
    self->count--;
    return gone;
}

/* Frees the replies that have come, from `from` on. */
void tksp_py_channel_free_replies(tksp_py_channel *self, size_t from);

/* The methods of channel_feed.c. */
PyObject *tksp_py_channel_hello(PyObject *object, PyObject *fd);
PyObject *tksp_py_channel_greet(PyObject *object, PyObject *arg);
PyObject *tksp_py_channel_feed(PyObject *object, PyObject *arg);

#endif
