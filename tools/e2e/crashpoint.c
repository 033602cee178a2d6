/* Ends the process at the n-th change that it makes to a file: preloaded into a node by test_crash_points.py.
 *
 * CRASH_AT   n, from 1; 0 or unset: never
 * CRASH_HOW  before: the change does not happen; after: it does, and nobody hears of it; torn: half of a write does
 * CRASH_LOG  a file that gets one letter for each change
 *
 * io_uring is refused, so that every change is a call that can be counted; the node goes on without. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long changes;
static long crash_at = -1;
static enum { BEFORE, AFTER, TORN } how;
static int log_file = -1;

static void begin(void) {
    if (crash_at >= 0) return;
    const char *at = getenv("CRASH_AT"), *mode = getenv("CRASH_HOW"), *log = getenv("CRASH_LOG");
    how = mode && !strcmp(mode, "after") ? AFTER : mode && !strcmp(mode, "torn") ? TORN : BEFORE;
    if (log) log_file = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    crash_at = at ? atol(at) : 0;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Whether this change is the one. */
static int count(char letter) {
    begin();
    if (log_file >= 0) syscall(SYS_write, log_file, &letter, 1);
    return atomic_fetch_add(&changes, 1) + 1 == crash_at;
}

static int is_regular(int fd) {
    struct stat about;
    return !fstat(fd, &about) && S_ISREG(about.st_mode);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* A call that is whole or not at all. */
#define WHOLE(letter, concerns, call)             \
    do {                                          \
        int it = (concerns) && count(letter);     \
        if (it && how != AFTER) die();            \
        __typeof__(call) result = (call);         \
        if (it) die();                            \
        return result;                            \
    } while (0)

/* A write, of which half can happen. */
#define WRITE(fd, whole, half)                    \
    do {                                          \
        int it = is_regular(fd) && count('w');    \
        if (it && how == TORN && (half)) die();   \
        if (it && how != AFTER) die();            \
        ssize_t result = (whole);                 \
        if (it) die();                            \
        return result;                            \
    } while (0)

ssize_t write(int fd, const void *bytes, size_t length) {
    WRITE(fd, NEXT(write)(fd, bytes, length), NEXT(write)(fd, bytes, length / 2));
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    WRITE(fd, NEXT(pwrite)(fd, bytes, length, at), NEXT(pwrite)(fd, bytes, length / 2, at));
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    WRITE(fd, NEXT(pwrite64)(fd, bytes, length, at), NEXT(pwrite64)(fd, bytes, length / 2, at));
}

ssize_t writev(int fd, const struct iovec *parts, int length) {
    WRITE(fd, NEXT(writev)(fd, parts, length), NEXT(writev)(fd, parts, length / 2));
}

ssize_t pwritev(int fd, const struct iovec *parts, int length, off_t at) {
    WRITE(fd, NEXT(pwritev)(fd, parts, length, at), NEXT(pwritev)(fd, parts, length / 2, at));
}

int fsync(int fd) { WHOLE('s', 1, NEXT(fsync)(fd)); }
int fdatasync(int fd) { WHOLE('s', is_regular(fd), NEXT(fdatasync)(fd)); }
int rename(const char *from, const char *to) { WHOLE('r', 1, NEXT(rename)(from, to)); }
int link(const char *from, const char *to) { WHOLE('l', 1, NEXT(link)(from, to)); }
int unlink(const char *path) { WHOLE('u', 1, NEXT(unlink)(path)); }
int ftruncate(int fd, off_t length) { WHOLE('t', 1, NEXT(ftruncate)(fd, length)); }
int ftruncate64(int fd, off64_t length) { WHOLE('t', 1, NEXT(ftruncate64)(fd, length)); }
int fallocate(int fd, int mode, off_t at, off_t length) { WHOLE('a', 1, NEXT(fallocate)(fd, mode, at, length)); }
int fallocate64(int fd, int mode, off64_t at, off64_t length) { WHOLE('a', 1, NEXT(fallocate64)(fd, mode, at, length)); }
int unlinkat(int dir, const char *path, int flags) { WHOLE('u', 1, NEXT(unlinkat)(dir, path, flags)); }

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    WHOLE('l', 1, NEXT(linkat)(from_dir, from, to_dir, to, flags));
}

int mkdir(const char *path, mode_t mode) { WHOLE('d', 1, NEXT(mkdir)(path, mode)); }

long syscall(long number, ...) {
    long arguments[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++) arguments[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_io_uring_setup) {
        errno = ENOSYS;
        return -1;
    }
    return NEXT(syscall)(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}
