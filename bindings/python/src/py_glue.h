/* py_glue.h - shared by the files of the extension modules tokenstore._core and tokenstore._oauth.
 *
 * Purpose:   parses arguments, calls the core and converts results; contains no logic of its own. Classes,
 *            signatures and docs are in Python (../tokenstore).
 * Lifecycle: all state belongs to the module object, one per interpreter; nothing is static.
 * Threads:   everything here needs the GIL; functions that wait release it.
 * API:       CPython 3.9 and later, or the limited API of 3.10 with TOKENSTORE_ABI3=1 (setup.py). */
#ifndef TKSP_PY_GLUE_H
#define TKSP_PY_GLUE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>

#include "tokenstore/client.h"
#include "tokenstore/greeting.h"
#include "tokenstore/jwt.h"
#include "tokenstore/op.h"
#include "tokenstore/tokens.h"

/* An entry of a method table: a function of (self, args, count). The cast through void is CPython's own
 * idiom. */
#define TKSP_PY_FAST(name, function)                                                               \
    { name, (PyCFunction)(void (*)(void))(function), METH_FASTCALL, NULL }

#define TKSP_PY_KEYWORDS(name, function)                                                           \
    { name, (PyCFunction)(void (*)(void))(function), METH_VARARGS | METH_KEYWORDS, NULL }

/* Names of methods called from C. */
typedef enum tksp_py_name {
    TKSP_PY_CALL_SOON, /* of an event loop */
    TKSP_PY_RUN,       /* of a context */
    TKSP_PY_HERE,      /* of the Driver in tokenstore/asyncio */
    TKSP_PY_ADMIT,     /* of the Pool there, as the following */
    TKSP_PY_PROCEED,
    TKSP_PY_SET_ALARM,
    TKSP_PY_LEFT,
    TKSP_PY_DUE, /* of the Connection there */
    TKSP_PY_REFRESH,
    TKSP_PY_SESSION, /* not a method: the type of all tokens of Sessions */
    TKSP_PY_NAME_COUNT
} tksp_py_name;

/* The types of tokenstore._core. X is defined in X.c, as a PyType_Spec tksp_py_X_spec, and is X_type in the
 * state (key and keyset: py_jwt_key.c). */
#define TKSP_PY_CORE_TYPES(X)                                                                      \
    X(record)                                                                                      \
    X(op)                                                                                          \
    X(client)                                                                                      \
    X(store)                                                                                       \
    X(operation)                                                                                   \
    X(key)                                                                                         \
    X(keyset)                                                                                      \
    X(session_events)                                                                              \
    X(call)                                                                                        \
    X(connection)                                                                                  \
    X(pool)                                                                                        \
    X(driver)

/* Those of tokenstore._oauth, which needs libcurl. Of the others its state has those that it takes and returns. */
#define TKSP_PY_OAUTH_TYPES(X)                                                                     \
    X(remote_keys)                                                                                 \
    X(spike)

#define TKSP_PY_TYPES(X) TKSP_PY_CORE_TYPES(X) TKSP_PY_OAUTH_TYPES(X)

#define TKSP_PY_DECLARE_SPEC(name) extern PyType_Spec tksp_py_##name##_spec;
TKSP_PY_TYPES(TKSP_PY_DECLARE_SPEC)

typedef struct tksp_py_state {
#define TKSP_PY_TYPE_FIELD(name) PyTypeObject *name##_type;
    TKSP_PY_TYPES(TKSP_PY_TYPE_FIELD)
    PyObject *exceptions[TKS_STATUS_COUNT]; /* by status; NULL for TKS_OK */
    PyObject *unset;                        /* tokenstore.UNSET */
    PyObject *timedelta;                    /* datetime.timedelta */
    PyObject *namespace;                    /* types.SimpleNamespace */
    PyObject *cancelled;                    /* asyncio.CancelledError; NULL: not imported yet */
    PyObject *running_loop;                 /* asyncio.get_running_loop */
    PyObject *names[TKSP_PY_NAME_COUNT];    /* str */
    PyObject **member_names;                /* py_member_names.c */
} tksp_py_state;

/* The state of the module that created the type of `self`: only for objects of our final types. */
static inline tksp_py_state *tksp_py_state_of(PyObject *self) {
    return PyType_GetModuleState(Py_TYPE(self));
}

/* Replaces the reference in *at by one to `value`. */
static inline void tksp_py_set(PyObject **at, PyObject *value) {
    PyObject *old = *at;
    Py_XINCREF(value);
    *at = value;
    Py_XDECREF(old);
}

/* The slots that follow Py_mod_exec in both modules: they may be imported in interpreters with a GIL of their own, and each
 * needs that GIL: without it objects would be read while another thread changes them. The numbers are those of the stable
 * ABI of 3.12, for a build with the limited API of 3.10, which has no names for them; tksp_py_module_init removes them
 * where CPython does not know them. */
#ifdef Py_MOD_PER_INTERPRETER_GIL_SUPPORTED
#define TKSP_PY_INTERPRETERS {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#else
#define TKSP_PY_INTERPRETERS {3, (void *)2},
#endif
#ifdef Py_MOD_GIL_USED
#define TKSP_PY_GIL {Py_mod_gil, Py_MOD_GIL_USED},
#else
#define TKSP_PY_GIL
#endif
#define TKSP_PY_DECLARED TKSP_PY_INTERPRETERS TKSP_PY_GIL

/* ---- py_state.c -------------------------------------------------------------------------------- */

/* Makes a type and adds it to the module. 0, or -1 with an exception. */
int tksp_py_add_type(PyObject *module, PyTypeObject **type, PyType_Spec *spec);

/* The result of PyInit. The first slot of `def` is Py_mod_exec. */
PyObject *tksp_py_module_init(PyModuleDef *def);

/* m_traverse, m_clear and m_free of both modules. */
int tksp_py_state_traverse(PyObject *module, visitproc visit, void *arg);
int tksp_py_state_clear(PyObject *module);
void tksp_py_state_free(void *module);

/* Each initializes its part of the state. 0, or -1 with an exception. */
int tksp_py_errors_init(tksp_py_state *state);
int tksp_py_convert_init(tksp_py_state *state);
int tksp_py_member_names_init(tksp_py_state *state);
int tksp_py_driver_init(PyObject *module, tksp_py_state *state);

/* ---- py_wait.c --------------------------------------------------------------------------------- */

/* tks_interrupt.check; its context is the address of the PyThreadState * returned by PyEval_SaveThread.
 * Acquires the GIL, runs pending signal handlers, and releases it. */
bool tksp_py_check_signals(void *context);

/* The timeout of one call in milliseconds: None is 0, the target's own; anything else is rounded up.
 * TypeError, DataError. */
bool tksp_py_timeout(const tksp_py_state *state, PyObject *arg, int64_t *out_ms);

/* ---- py_errors.c ------------------------------------------------------------------------------- */

/* Raises the exception of `status` with the message of `err`, or the general text if it has none. Keeps an
 * exception raised by a signal handler. Returns NULL. */
PyObject *tksp_py_raise(const tksp_py_state *state, tks_status status, const tks_error *err);

/* ---- py_op_errors.c ---------------------------------------------------------------------------- */

/* As tksp_py_raise, for what an operation failed with: the exception has what is known beyond the message. */
PyObject *tksp_py_raise_of(const tksp_py_state *state, PyObject *op, tks_status status,
                           const tks_error *err);

/* ---- py_convert.c ------------------------------------------------------------------------------ */

/* module.name: a new reference. */
PyObject *tksp_py_import_from(const char *module, const char *name);

/* Bytes of an argument, borrowed from it, or from `owner` if they had to be created. */
typedef struct tksp_py_text {
    tks_bytes bytes;
    PyObject *owner;
    PyObject *str; /* the argument, if tksp_py_str(bytes) would equal it; borrowed */
} tksp_py_text;

#define TKSP_PY_TEXT_INIT                                                                          \
    { {NULL, 0}, NULL, NULL }

/* str as UTF-8 with surrogateescape, bytes unchanged. TypeError for anything else. A str with other
 * surrogates cannot be encoded: DataError, or with `presented` the empty text, which is never a token. */
bool tksp_py_text_get(const tksp_py_state *state, PyObject *arg, const char *name, bool presented,
                      tksp_py_text *out);

/* A token or key that a client presented. None is the empty text, which is never a token. */
bool tksp_py_presented_get(const tksp_py_state *state, PyObject *arg, const char *name,
                           tksp_py_text *out);

/* A name that is stored (an app, a type, an owner, a user's id): also an int (not a bool) and a uuid.UUID, as
 * text. */
bool tksp_py_name_get(const tksp_py_state *state, PyObject *arg, const char *name,
                      tksp_py_text *out);

typedef bool tksp_py_text_getter(const tksp_py_state *state, PyObject *arg, const char *name,
                                 tksp_py_text *out);

/* An id for a lookup: accepts what either of these accepts. */
bool tksp_py_id_get(const tksp_py_state *state, PyObject *arg, const char *name, tksp_py_text *out);

void tksp_py_text_clear(tksp_py_text *texts, size_t count);

/* Seconds of an int, a float or a timedelta. TypeError for anything else. */
bool tksp_py_seconds(const tksp_py_state *state, PyObject *arg, const char *name, double *out);

/* A duration in milliseconds; None is 0. TypeError, DataError. */
bool tksp_py_duration(const tksp_py_state *state, PyObject *arg, const char *name, int64_t *out_ms);

/* Raises TypeError unless `count` is `wanted`. The callers are our own Python classes. */
bool tksp_py_arity(const char *function, Py_ssize_t count, Py_ssize_t wanted);

/* str with surrogateescape: the inverse of tksp_py_text_get. */
PyObject *tksp_py_str(tks_bytes bytes);

/* Appends `object`, a dict, as canonical JSON; `name` is its name in messages. With `patch`, top-level
 * members that are UNSET are omitted. TypeError, DataError, MemoryError. */
bool tksp_py_object(const tksp_py_state *state, PyObject *object, const char *name, size_t max_size,
                    bool patch, tks_buf *out);

/* Appends the names of the top-level members of a dict that are UNSET, as an array. DataError, MemoryError. */
bool tksp_py_unset_names(const tksp_py_state *state, PyObject *object, const char *name,
                         size_t max_size, tks_buf *out);

/* Appends the names in a tuple, as an array. TypeError, DataError, MemoryError. */
bool tksp_py_names(const tksp_py_state *state, PyObject *tuple, const char *name, size_t max_size,
                   tks_buf *out);

/* New objects, or NULL with an exception. */
PyObject *tksp_py_from_json(const tksp_py_state *state, const tks_json *node);
PyObject *tksp_py_from_reply(const tksp_py_state *state, const tks_reply *reply);

/* The str of a JSON string; unpaired surrogates are kept. */
PyObject *tksp_py_json_text(tks_bytes text);

/* quoted_word(message) -> tks_resp_quoted_word: a function of the module */
PyObject *tksp_py_quoted_word(PyObject *module, PyObject *message);

/* ---- py_member_names.c ------------------------------------------------------------------------- */

/* The name of a JSON member as a str: a new reference, usually to a cached one. `name` is UTF-8. */
PyObject *tksp_py_member_name(const tksp_py_state *state, tks_bytes name);
void tksp_py_member_names_clear(tksp_py_state *state);

/* ---- py_record.c ------------------------------------------------------------------------------- */

/* The type of the tokens in a result, and their common fields; borrowed. */
typedef struct tksp_py_shape {
    /* For tokens, a subclass of Record. For JSON values, a callable applied to each; NULL: none. */
    PyTypeObject *value_type;
    PyObject *app, *type; /* str, shared by all values; NULL: from each token */
} tksp_py_shape;

/* A value with the fields of `token`; None if it was not found. */
PyObject *tksp_py_record_new(const tksp_py_state *state, const tksp_py_shape *shape,
                             const tks_token *token);

/* The same record once more, with `token` as its token; what can be changed in it is copied. */
PyObject *tksp_py_record_copy(PyObject *record, PyObject *token);

/* ---- py_op.c ----------------------------------------------------------------------------------- */

/* An object for `op`; takes ownership, on failure too. `shape` is copied, with references. */
PyObject *tksp_py_op_new(const tksp_py_state *state, tks_op *op, const tksp_py_shape *shape);

/* Its result may be left in the near cache, under this question. */
void tksp_py_op_ask(PyObject *self, const tks_near_question *question);

/* An Op for a part of another one's operation, which it keeps alive. */
PyObject *tksp_py_op_part(const tksp_py_state *state, PyObject *whole, tks_op *part);

/* The operation of `self`, for its only run; NULL with an exception if it is not an Op or was run. */
tks_op *tksp_py_op_begin(const tksp_py_state *state, PyObject *self);

/* The operation of an Op. Borrowed. */
const tks_op *tksp_py_op_get(PyObject *self);

/* The result of a finished operation as a Python object. */
PyObject *tksp_py_op_result(const tksp_py_state *state, PyObject *self);

/* commands(((arg, …), …), key or None, node or None) -> Op; each((arg, …)) -> Op of a dict */
PyObject *tksp_py_commands(PyObject *module, PyObject *args);
PyObject *tksp_py_each(PyObject *module, PyObject *command);
PyObject *tksp_py_ping(PyObject *module, PyObject *unused);

/* ---- py_audit.c -------------------------------------------------------------------------------- */

PyObject *tksp_py_audit(PyObject *module, PyObject *args);
PyObject *tksp_py_events(PyObject *module, PyObject *object);
PyObject *tksp_py_write_events(PyObject *module, PyObject *object);

/* ---- py_client.c ------------------------------------------------------------------------------- */

/* A _core.Client. */
typedef struct tksp_py_client {
    PyObject head;
    tks_client *client;
    PyObject *credentials; /* called for each new connection; NULL: the target has them */
    PyObject *observer;    /* called when an operation has ended; NULL: nobody wants to know */
    bool closed;
} tksp_py_client;

/* The client of a _core.Client; borrowed. */
static inline tks_client *tksp_py_client_get(PyObject *object) {
    return ((tksp_py_client *)object)->client;
}

/* (user, password), as returned by the function credentials=; the caller clears `out`. False with an
 * exception, which contains neither. */
bool tksp_py_credentials_get(const tksp_py_state *state, PyObject *pair, tks_credentials *out);

/* timeout(value) -> the same in seconds, None for None. TypeError, DataError. */
PyObject *tksp_py_timeout_of(PyObject *module, PyObject *arg);

/* Who is told what its operations have cost; NULL: nobody. Borrowed. */
PyObject *tksp_py_client_observer(PyObject *object);

/* The target of a node of its cluster; the caller frees it. TKS_OK, TKS_ERR_MEMORY. */
tks_status tksp_py_client_node(PyObject *object, int node, tks_target **out);

/* ---- py_notes.c -------------------------------------------------------------------------------- */

/* Logs the operation's notes; usually there are none. Keeps a raised exception; one raised by logging is
 * written to stderr. May run arbitrary code. */
void tksp_py_notes_log(tks_client *client, tks_op *op);

/* ---- py_session_events.c: functions of the module ------------------------------------------------ */

/* session_channels(db) -> [str, …], to subscribe to */
PyObject *tksp_py_session_channels(PyObject *module, PyObject *db);

/* session_event(channel, key, db) -> (kind, id, rjwt), or None if it is not about a session */
PyObject *tksp_py_session_event(PyObject *module, PyObject *args);

/* session_notify() -> Op: tks_session_notify_new */
PyObject *tksp_py_session_notify(PyObject *module, PyObject *unused);

/* ---- py_store_make.c: functions of the module, documented there -------------------------------- */

PyObject *tksp_py_redis_tokens(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *tksp_py_sessions(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *tksp_py_tokenstore(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *tksp_py_redis_jwt(PyObject *module, PyObject *args, PyObject *kwargs);

/* ---- py_move.c ---------------------------------------------------------------------------------- */

/* move(store, [(key, value, app, type, owner, token, random), …]) -> (Op, [None or why it cannot be moved,
 * …]); the Op returns a tks_moved for each None */
PyObject *tksp_py_move(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *tksp_py_tally(PyObject *module, PyObject *const *args, Py_ssize_t count);

/* ---- py_jwt_key.c ------------------------------------------------------------------------------- */

/* The key of a Key, borrowed; NULL with TypeError for anything else. */
tks_key *tksp_py_key_get(const tksp_py_state *state, PyObject *object);

/* The set of a KeySet, borrowed; NULL for anything else. */
const tks_keyset *tksp_py_keyset_get(const tksp_py_state *state, PyObject *object);

/* Adds the algorithm named by `name`, a str. TypeError, ConfigurationError. */
bool tksp_py_algorithm_add(const tksp_py_state *state, PyObject *name, uint32_t *set);

/* ---- py_jwt.c, py_jwt_key.c: functions of the module; documented in jwt.py --------------------- */

PyObject *tksp_py_key_load(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *tksp_py_keyset_load(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *tksp_py_keyset_keys(PyObject *module, PyObject *const *args, Py_ssize_t count);
/* The keys of a set as a list of `cls`, a subclass of Key. */
PyObject *tksp_py_key_list(const tksp_py_state *state, PyObject *cls, const tks_keyset *set);
PyObject *tksp_py_key_to_jwk(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *tksp_py_key_thumbprint(PyObject *module, PyObject *object);
PyObject *tksp_py_jwt_header(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *tksp_py_jwt_decode(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *tksp_py_jwt_encode(PyObject *module, PyObject *const *args, Py_ssize_t count);

#endif
