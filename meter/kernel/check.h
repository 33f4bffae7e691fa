/* How a function of the kernel says that it failed, and what the kernel does when its own state is wrong.
 *
 * There are three kinds of trouble, and each has one answer:
 *   bad input            a status below 0, which becomes a Python exception
 *   memory is short      STATUS_NO_MEMORY; the kernel is not used again, its state is restored from the checkpoint
 *   a bug in the kernel  an assertion ends the process, before a wrong count reaches a checkpoint or a wallet */
#ifndef METER_CHECK_H
#define METER_CHECK_H

/* What a function that can fail returns. */
enum status {
    STATUS_OK = 0,         /* done; of a reader: one more item was read */
    STATUS_END = 1,        /* of a reader: there are no more items. Nothing was read and nothing failed */
    STATUS_NO_MEMORY = -1, /* memory is short. A step may be half done, so the kernel must not be used again */
    STATUS_MALFORMED = -2, /* the bytes to read are damaged, or do not fit the state */
    STATUS_RAISED = -3,    /* a Python exception is set already */
    STATUS_FULL = -4,      /* there is no number left for one more id: more partitions are needed */
};

/* Returns the status of `call` from the calling function if it is a failure. Use it only where nothing has to be
 * freed. */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        enum status status_ = (call);                                                                                  \
        if (status_ < 0) {                                                                                             \
            return status_;                                                                                            \
        }                                                                                                              \
    } while (0)

/* Ends the process through Py_FatalError with the expression, the file and the line. */
__attribute__((cold)) _Noreturn void assertion_failed(const char *expression, const char *file, int line);

/* Always on, in every build: a comparison of values that the function has loaded anyway. Never for bad input. */
#define KERNEL_ASSERT(holds) (__builtin_expect(!(holds), 0) ? assertion_failed(#holds, __FILE__, __LINE__) : (void)0)

/* Only in builds with -DKERNEL_CHECK: what runs many times an event, loads more memory, or walks a list. In other
 * builds the expression is compiled and never evaluated. */
#ifdef KERNEL_CHECK
#define KERNEL_ASSERT_SLOW(holds) KERNEL_ASSERT(holds)
#else
#define KERNEL_ASSERT_SLOW(holds) ((void)sizeof((holds) ? 1 : 0))
#endif

#endif
