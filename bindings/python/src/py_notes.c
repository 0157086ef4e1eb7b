/* py_notes.c - passes an operation's log lines to tokenstore/_log.py.
 *
 * Threads: needs the GIL. */
#include "py_glue.h"

/* [(level, text), …] */
static PyObject *split(tks_bytes lines) {
    PyObject *list = PyList_New(0);
    char level;
    tks_bytes text;
    while (list != NULL && tks_notes_next(&lines, &level, &text)) {
        PyObject *line = PyUnicode_DecodeUTF8(text.data, (Py_ssize_t)text.size, "replace");
        PyObject *pair = line == NULL ? NULL : Py_BuildValue("CN", (int)level, line);
        if (pair == NULL || PyList_Append(list, pair) < 0) Py_CLEAR(list);
        Py_XDECREF(pair);
    }
    return list;
}

static bool log_lines(tks_client *client, tks_bytes lines) {
    tks_buf url;
    tks_buf_init(&url, 64 * 1024);
    (void)tks_target_describe(tks_client_get_target(client), &url);
    PyObject *log = tksp_py_import_from("tokenstore._log", "notes");
    PyObject *where = tksp_py_str(tks_buf_bytes(&url));
    PyObject *list = split(lines);
    PyObject *result = log == NULL || where == NULL || list == NULL
                           ? NULL
                           : PyObject_CallFunctionObjArgs(log, where, list, NULL);
    tks_buf_clear(&url);
    Py_XDECREF(log);
    Py_XDECREF(where);
    Py_XDECREF(list);
    Py_XDECREF(result);
    return result != NULL;
}

void tksp_py_notes_log(tks_client *client, tks_op *op) {
    tks_notes *notes = tks_op_get_notes(op);
    PyObject *kind, *value, *traceback;
    tks_buf lines;
    if (tks_notes_is_empty(notes)) return;
    PyErr_Fetch(&kind, &value, &traceback);
    tks_buf_init(&lines, SIZE_MAX);
    bool taken = tks_notes_take(notes, &lines) == TKS_OK;
    if (taken && !log_lines(client, tks_buf_bytes(&lines))) PyErr_WriteUnraisable(NULL);
    tks_buf_clear(&lines);
    PyErr_Restore(kind, value, traceback);
}
