/* The late horizon as data: a policy record changes it between two records.
 *
 * Owns `horizon_ms` and `floor_ms`. Invariant: the earliest time that is not late (oldest_ms) never goes back. */
#include "module.h"

#define MOST_MS (TIME_LIMIT_MS / 32)

/* Changes the late horizon, between two records. Events before `floor_ms` stay late. Timers stay where they are: one
 * that a longer horizon makes too early is set again when it is met, one that a shorter horizon makes too late only
 * lets state go later. Returns STATUS_NO_MEMORY. */
static enum status set_horizon(kernel *k, int64_t horizon_ms, int64_t floor_ms) {
    bool is_longer = horizon_ms > k->horizon_ms;
    KERNEL_ASSERT(horizon_ms > 0);
    KERNEL_ASSERT(floor_ms <= k->watermark_ms);
    k->horizon_ms = horizon_ms;
    k->floor_ms = floor_ms;
    return is_longer ? timers_rebuild(k) : STATUS_OK; /* The ring has to reach further. */
}

/* set_horizon(horizon_ms, floor_ms): the late horizon changes here. */
PyObject *change_horizon(Kernel *self, PyObject *args) {
    long long horizon_ms, floor_ms;
    kernel *k = usable(self);
    if (k == NULL || !PyArg_ParseTuple(args, "LL:set_horizon", &horizon_ms, &floor_ms)) {
        return NULL;
    }
    if (horizon_ms < 1 || horizon_ms > MOST_MS || floor_ms > k->watermark_ms) {
        PyErr_SetString(PyExc_ValueError, "a horizon is above 0, and its floor is not in the future");
        return NULL;
    }
    enum status done = set_horizon(k, horizon_ms, floor_ms);
    if (done < 0) {
        return failed(self, done, NULL);
    }
    KERNEL_ASSERT(k->horizon_ms == horizon_ms);
    Py_RETURN_NONE;
}
