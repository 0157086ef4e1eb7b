/* py_record.c - _core.Record: the storage of Token and Session (tokenstore/values.py).
 *
 * Read-only fields; in C because get and list create thousands of them. */
#include "py_glue.h"

#include <stddef.h>
#include <structmember.h>

enum { TOKEN = 4, FIELDS = 13 };

typedef struct record {
    PyObject head;
    PyObject *fields[FIELDS]; /* in the order of record_members; immutable */
} record;

#define FIELD(index, name, doc)                                                                    \
    { name, T_OBJECT_EX, offsetof(record, fields) + (index) * sizeof(PyObject *), READONLY, doc }

static PyMemberDef record_members[] = {
    FIELD(0, "app", "The application."),
    FIELD(1, "type", "The kind of token."),
    FIELD(2, "owner", "The owner, or None."),
    FIELD(3, "data", "The data, a dict."),
    FIELD(4, "token", "The secret, or None in a listing."),
    FIELD(5, "id", "Public; cannot be turned into the secret."),
    FIELD(6, "created_at", "Seconds since the epoch."),
    FIELD(7, "expires_at", "Seconds since the epoch, or None."),
    FIELD(8, "sid", "Public; rotations keep it."),
    FIELD(9, "idle", "Seconds after which it ends unused, or None."),
    FIELD(10, "seen_at", "Seconds since the epoch: its last use that was written, or None."),
    FIELD(11, "request", "The request that created it, a dict, or None."),
    FIELD(12, "superseded", "True if it was found by a token that was rotated, within its grace."),
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

/* Text, or None for none. */
static PyObject *text(tks_bytes bytes) {
    return bytes.size == 0 ? none() : tksp_py_str(bytes);
}

static PyObject *milliseconds(int64_t count) {
    return count == 0 ? none() : seconds(count, 1e3);
}

static PyObject *request(const tks_token *token) {
    if (token->address.size == 0 && token->user_agent.size == 0) return none();
    PyObject *address = text(token->address), *agent = text(token->user_agent);
    PyObject *dict = address == NULL || agent == NULL
                         ? NULL
                         : Py_BuildValue("{sOsO}", "address", address, "user_agent", agent);
    Py_XDECREF(address);
    Py_XDECREF(agent);
    return dict;
}

/* The id, until the token is rotated. */
static PyObject *sid(const tks_token *token, PyObject *id) {
    if (!tks_bytes_equal(token->sid, token->id)) return tksp_py_str(token->sid);
    Py_INCREF(id);
    return id;
}

PyObject *tksp_py_record_new(const tksp_py_state *state, const tksp_py_shape *shape,
                             const tks_token *token) {
    if (!token->found) return none();
    record *self = (record *)PyType_GenericAlloc(shape->value_type, 0);
    if (self == NULL) return NULL;
    PyObject **field = self->fields;
    if ((field[0] = shared(shape->app, token->app)) != NULL &&
        (field[1] = shared(shape->type, token->type)) != NULL &&
        (field[2] = text(token->owner)) != NULL &&
        (field[3] = tksp_py_from_json(state, token->data)) != NULL &&
        (field[4] = token->token.data == NULL ? none() : tksp_py_str(token->token)) != NULL &&
        (field[5] = tksp_py_str(token->id)) != NULL &&
        (field[6] = seconds(token->created_us, 1e6)) != NULL &&
        (field[7] = milliseconds(token->expires_ms)) != NULL &&
        (field[8] = sid(token, field[5])) != NULL &&
        (field[9] = milliseconds(token->idle_ms)) != NULL &&
        (field[10] = milliseconds(token->seen_ms)) != NULL &&
        (field[11] = request(token)) != NULL &&
        (field[12] = PyBool_FromLong(token->superseded)) != NULL) {
        return (PyObject *)self;
    }
    Py_DECREF(self);
    return NULL;
}

static PyObject *copy_value(PyObject *value);

static PyObject *copy_list(PyObject *list) {
    PyObject *copy = PyList_GetSlice(list, 0, PyList_Size(list));
    for (Py_ssize_t i = 0; copy != NULL && i < PyList_Size(copy); i++) {
        PyObject *value = copy_value(PyList_GetItem(copy, i));
        if (value == NULL || PyList_SetItem(copy, i, value) < 0) Py_CLEAR(copy);
    }
    return copy;
}

/* Values are replaced under keys that are there: that moves nothing. */
static PyObject *copy_dict(PyObject *dict) {
    PyObject *copy = PyDict_Copy(dict), *key, *value;
    Py_ssize_t at = 0;
    while (copy != NULL && PyDict_Next(dict, &at, &key, &value)) {
        if (!PyDict_Check(value) && !PyList_Check(value)) continue;
        PyObject *inner = copy_value(value);
        if (inner == NULL || PyDict_SetItem(copy, key, inner) < 0) Py_CLEAR(copy);
        Py_XDECREF(inner);
    }
    return copy;
}

/* Of what came from JSON. */
static PyObject *copy_value(PyObject *value) {
    if (PyDict_Check(value)) return copy_dict(value);
    if (PyList_Check(value)) return copy_list(value);
    Py_INCREF(value);
    return value;
}

PyObject *tksp_py_record_copy(PyObject *object, PyObject *token) {
    const record *from = (record *)object;
    record *self = (record *)PyType_GenericAlloc(Py_TYPE(object), 0);
    if (self == NULL) return NULL;
    for (size_t i = 0; i < FIELDS; i++) {
        self->fields[i] = copy_value(i == TOKEN ? token : from->fields[i]);
        if (self->fields[i] == NULL) {
            Py_DECREF(self);
            return NULL;
        }
    }
    return (PyObject *)self;
}

/* Record(app, type, owner, …): the fields in their order, for copies and pickles. */
static PyObject *record_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static const char *const names[] = {"app",     "type",       "owner",      "data", "token",
                                        "id",      "created_at", "expires_at", "sid",  "idle",
                                        "seen_at", "request",    "superseded", NULL};
    PyObject *in[FIELDS] =
        {[8] = NULL, [9] = Py_None, [10] = Py_None, [11] = Py_None, [12] = Py_False};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "UUOO!OUOO|UOOOO!:Record", (char **)names,
                                     &in[0], &in[1], &in[2], &PyDict_Type, &in[3], &in[4], &in[5],
                                     &in[6], &in[7], &in[8], &in[9], &in[10], &in[11], &PyBool_Type,
                                     &in[12])) {
        return NULL;
    }
    if (in[8] == NULL) in[8] = in[5];
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
