/* py_record.c - _core.Record: the storage of Token and Session (tokenstore/values.py).
 *
 * Eight read-only fields; in C because get and list create thousands of them. */
#include "py_glue.h"

#include <stddef.h>
#include <structmember.h>

enum { FIELDS = 8 };

typedef struct record {
    PyObject head;
    PyObject *fields[FIELDS]; /* in the order of record_members; immutable */
} record;

#define FIELD(index, name, doc)                                                                    \
    { name, T_OBJECT_EX, offsetof(record, fields) + (index) * sizeof(PyObject *), READONLY, doc }

static PyMemberDef record_members[] = {
    FIELD(0, "app", "The application."),
    FIELD(1, "type", "The kind of token."),
    FIELD(2, "owner", "The owner."),
    FIELD(3, "data", "The data, a dict."),
    FIELD(4, "token", "The secret, or None in a listing."),
    FIELD(5, "id", "Public; cannot be turned into the secret."),
    FIELD(6, "created_at", "Seconds since the epoch."),
    FIELD(7, "expires_at", "Seconds since the epoch, or None."),
    {NULL, 0, 0, 0, NULL},
};

static PyObject *none(void) {
    Py_INCREF(Py_None);
    return Py_None;
}

static PyObject *seconds(int64_t count, double per_second) {
    return PyFloat_FromDouble((double)count / per_second);
}

static PyObject *shared(PyObject *text, tks_bytes otherwise) {
    if (text == NULL) return tksp_py_str(otherwise);
    Py_INCREF(text);
    return text;
}

PyObject *tksp_py_record_new(const tksp_py_state *state, const tksp_py_shape *shape,
                             const tks_token *token) {
    if (!token->found) return none();
    record *self = (record *)PyType_GenericAlloc(shape->value_type, 0);
    if (self == NULL) return NULL;
    PyObject **field = self->fields;
    if ((field[0] = shared(shape->app, token->app)) != NULL &&
        (field[1] = shared(shape->type, token->type)) != NULL &&
        (field[2] = tksp_py_str(token->owner)) != NULL &&
        (field[3] = tksp_py_from_json(state, token->data)) != NULL &&
        (field[4] = token->token.data == NULL ? none() : tksp_py_str(token->token)) != NULL &&
        (field[5] = tksp_py_str(token->id)) != NULL &&
        (field[6] = seconds(token->created_us, 1e6)) != NULL &&
        (field[7] = token->expires_ms == 0 ? none() : seconds(token->expires_ms, 1e3)) != NULL) {
        return (PyObject *)self;
    }
    Py_DECREF(self);
    return NULL;
}

/* Record(app, type, owner, data, token, id, created_at, expires_at): for copies and pickles. */
static PyObject *record_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static const char *const names[] = {"app", "type",       "owner",      "data", "token",
                                        "id",  "created_at", "expires_at", NULL};
    PyObject *in[FIELDS];
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "UUUO!OUOO:Record", (char **)names, &in[0],
                                     &in[1], &in[2], &PyDict_Type, &in[3], &in[4], &in[5], &in[6],
                                     &in[7])) {
        return NULL;
    }
    record *self = (record *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    for (size_t i = 0; i < FIELDS; i++) {
        Py_INCREF(in[i]);
        self->fields[i] = in[i];
    }
    return (PyObject *)self;
}

static int record_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    for (size_t i = 0; i < FIELDS; i++) Py_VISIT(((record *)self)->fields[i]);
    return 0;
}

static int record_clear(PyObject *self) {
    for (size_t i = 0; i < FIELDS; i++) Py_CLEAR(((record *)self)->fields[i]);
    return 0;
}

static void record_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    record_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyType_Slot record_slots[] = {
    {Py_tp_doc, (void *)"The fields of a Token or a Session."},
    {Py_tp_new, (void *)record_new},
    {Py_tp_members, record_members},
    {Py_tp_traverse, (void *)record_traverse},
    {Py_tp_clear, (void *)record_clear},
    {Py_tp_dealloc, (void *)record_dealloc},
    {0, NULL},
};

PyType_Spec tksp_py_record_spec = {
    .name = "tokenstore._core.Record",
    .basicsize = sizeof(record),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = record_slots,
};
