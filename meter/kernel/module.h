/* The Python face: a class `Kernel`, typed and described in _kernel.pyi. */
#ifndef METER_MODULE_H
#define METER_MODULE_H

#include "kernel.h"

typedef struct {
    PyObject_HEAD
    kernel k;
    bool is_begun, is_broken;
} Kernel;

kernel *usable(Kernel *self); /* NULL with RuntimeError: memory was short once, and a step may be half done */
PyObject *no_memory(Kernel *self);

/* ---- take.c ---- */
PyObject *take_records(Kernel *self, PyObject *args);
PyObject *take_fields(Kernel *self, PyObject *args);
int name_attributes(void);

/* ---- crc.c ---- */
int add_crc32c(PyObject *module); /* where the processor can; -1 with an exception */

/* ---- face.c ---- */
PyObject *list_changed(Kernel *self, PyObject *args);
PyObject *sweep_entries(Kernel *self, PyObject *args);
PyObject *load_entries(Kernel *self, PyObject *args);
PyObject *finish_entries(Kernel *self, PyObject *args);
#endif
