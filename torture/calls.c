// The calls of this program that reach files and the clock, for tests that have to see them or make them fail.
//
// The linker prefers these functions to those of libc, so they serve the Rust standard library and RocksDB as well.
// Each of them makes the system call. Only files below ABIDE_CALLS_ROOT are treated specially, and only if one of these
// variables is set:
//
// ABIDE_CALLS_RECORD=FILE   every change is appended to FILE, in one order over all threads
// ABIDE_CALLS_FAIL=KINDS:NUMBER:ERRNO:FLAGS
//                           the call with this number among the calls of these kinds fails. Kinds: r reads, w writes,
//                           s syncs, c creations, n renames and removals. Flags: + all later calls fail as well, h half
//                           of a write is done before
// ABIDE_CALLS_FAILED=FILE   receives the number of calls of these kinds, and which one failed
// ABIDE_CALLS_DELAY=MICROSECONDS
//                           how much longer each sync takes
// ABIDE_CALLS_LINGER=MICROSECONDS
//                           how long the other threads run after an exit has destroyed the static objects
// ABIDE_CALLS_CLOCK=FILE    a signed 64-bit number of nanoseconds that is added to the wall clock, read at every call

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum op { OPEN = 1, CLOSE, WRITE, SYNC, SYNCED, RENAME, REMOVE, MAKE_DIRECTORY, RESIZE, LINK };

#define FILES 65536

static char root[4096];
static size_t root_length;
static int record = -1;
static char fail_kinds[8];
static long fail_at, fail_errno;
static int fail_later, fail_half;
static long counted;
static int failed_file = -1;
static long sync_delay;
// The descriptor of the write that was half done, and one more. The write that follows on it fails.
static int half_done;
static volatile int64_t *clock_offset;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static unsigned char watched[FILES];
static int64_t syncs;

__attribute__((constructor)) static void begin(void) {
    const char *value = getenv("ABIDE_CALLS_ROOT");
    if (value && strlen(value) < sizeof root) {
        strcpy(root, value);
        root_length = strlen(root);
    }
    if ((value = getenv("ABIDE_CALLS_RECORD")))
        record = syscall(SYS_openat, AT_FDCWD, value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if ((value = getenv("ABIDE_CALLS_FAIL"))) {
        char flags[8] = "";
        sscanf(value, "%7[a-z]:%ld:%ld:%7s", fail_kinds, &fail_at, &fail_errno, flags);
        fail_later = strchr(flags, '+') != 0;
        fail_half = strchr(flags, 'h') != 0;
    }
    if ((value = getenv("ABIDE_CALLS_FAILED")))
        failed_file = syscall(SYS_openat, AT_FDCWD, value, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if ((value = getenv("ABIDE_CALLS_DELAY")))
        sync_delay = atol(value);
    if ((value = getenv("ABIDE_CALLS_CLOCK"))) {
        int file = syscall(SYS_openat, AT_FDCWD, value, O_RDONLY | O_CLOEXEC, 0);
        void *page = file < 0 ? MAP_FAILED : mmap(0, sizeof *clock_offset, PROT_READ, MAP_SHARED, file, 0);
        if (page != MAP_FAILED)
            clock_offset = page;
    }
}

// The last part of an exit. It keeps the lock, so the process does not end between a change of a file and its record.
__attribute__((destructor(101))) static void end(void) {
    const char *value = getenv("ABIDE_CALLS_LINGER");
    if (value)
        usleep(atol(value));
    pthread_mutex_lock(&order);
}

static int is_active(void) { return root_length && (record >= 0 || fail_at || failed_file >= 0 || sync_delay); }

static int is_below(const char *path) {
    return is_active() && strncmp(path, root, root_length) == 0 &&
           (path[root_length] == '/' || path[root_length] == 0);
}

static int is_watched(int file) { return file >= 0 && file < FILES && watched[file]; }

// Appends one change to the recording. The caller holds `order`.
static void note(enum op op, int64_t a, int64_t b, const void *first, size_t first_length, const void *second,
                 size_t second_length) {
    if (record < 0)
        return;
    int64_t head[5] = {op, a, b, (int64_t)first_length, (int64_t)second_length};
    int saved = errno;
    long done = syscall(SYS_write, record, head, sizeof head);
    if (first_length)
        done += syscall(SYS_write, record, first, first_length);
    if (second_length)
        done += syscall(SYS_write, record, second, second_length);
    if (done != (long)(sizeof head + first_length + second_length))
        abort();
    errno = saved;
}

// Returns 1 if this call has to fail, with `errno` set, or 2 if it has to do only half of its work. The caller holds
// `order`.
static int fails(char kind, const char *what, const char *path, int file) {
    if (!fail_at && failed_file < 0)
        return 0;
    if (!strchr(fail_kinds, kind))
        return 0;
    counted++;
    int hit = fail_at && (counted == fail_at || (fail_later && counted > fail_at));
    if (failed_file >= 0) {
        char name[4096] = "", link[64], line[4400];
        if (hit && !path) {
            snprintf(link, sizeof link, "/proc/self/fd/%d", file);
            long length = syscall(SYS_readlinkat, AT_FDCWD, link, name, sizeof name - 1);
            name[length < 0 ? 0 : length] = 0;
            path = name;
        }
        int length = hit ? snprintf(line, sizeof line, "%20ld failed: %s %s\n", counted, what, path)
                         : snprintf(line, sizeof line, "%20ld\n", counted);
        if (syscall(SYS_pwrite64, failed_file, line, length, 0) < 0)
            abort();
        // The report names the first call that failed.
        if (hit)
            failed_file = -1;
    }
    if (!hit)
        return 0;
    if (fail_half && counted == fail_at && kind == 'w' && strcmp(what, "write") == 0) {
        half_done = file + 1;
        return 2;
    }
    errno = fail_errno;
    return 1;
}

static int open_file(int directory, const char *path, int flags, mode_t mode) {
    if (directory != AT_FDCWD || !is_below(path)) {
        int file = syscall(SYS_openat, directory, path, flags, mode);
        // The C library may have closed a watched file of this number by another way.
        if (file >= 0 && file < FILES)
            watched[file] = 0;
        return file;
    }
    pthread_mutex_lock(&order);
    int file = -1;
    if (!(flags & O_CREAT) || fails('c', "create", path, -1) != 1) {
        file = syscall(SYS_openat, directory, path, flags, mode);
        if (file >= FILES)
            abort();
        if (file >= 0) {
            watched[file] = 1;
            note(OPEN, file, flags & (O_CREAT | O_TRUNC), path, strlen(path), 0, 0);
        }
    }
    pthread_mutex_unlock(&order);
    return file;
}

#define OPEN_BODY(directory)                                                                                           \
    mode_t mode = 0;                                                                                                   \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                               \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }                                                                                                                  \
    return open_file(directory, path, flags, mode);

int open(const char *path, int flags, ...) { OPEN_BODY(AT_FDCWD) }
int open64(const char *path, int flags, ...) { OPEN_BODY(AT_FDCWD) }
int openat(int directory, const char *path, int flags, ...) { OPEN_BODY(directory) }
int openat64(int directory, const char *path, int flags, ...) { OPEN_BODY(directory) }

int close(int file) {
    if (!is_watched(file))
        return syscall(SYS_close, file);
    pthread_mutex_lock(&order);
    watched[file] = 0;
    note(CLOSE, file, 0, 0, 0, 0, 0);
    int result = syscall(SYS_close, file);
    pthread_mutex_unlock(&order);
    return result;
}

// Writes at `at`, or at the position of the file if `at` is negative.
static ssize_t write_file(int file, const void *bytes, size_t length, off_t at) {
    pthread_mutex_lock(&order);
    ssize_t done = -1;
    int fault = fails('w', "write", 0, file);
    if (!fault && half_done == file + 1) {
        half_done = 0;
        errno = fail_errno;
        fault = 1;
    }
    if (fault != 1) {
        off_t where = at;
        if (at < 0) {
            struct stat status;
            int appends = syscall(SYS_fcntl, file, F_GETFL) & O_APPEND;
            where = appends && fstat(file, &status) == 0 ? status.st_size : lseek(file, 0, SEEK_CUR);
        }
        size_t part = fault == 2 ? length / 2 : length;
        done = at < 0 ? syscall(SYS_write, file, bytes, part) : syscall(SYS_pwrite64, file, bytes, part, at);
        if (done > 0)
            note(WRITE, file, where, bytes, done, 0, 0);
        if (fault == 2 && done == 0) {
            errno = fail_errno;
            done = -1;
        }
    }
    pthread_mutex_unlock(&order);
    return done;
}

ssize_t write(int file, const void *bytes, size_t length) {
    return is_watched(file) ? write_file(file, bytes, length, -1) : syscall(SYS_write, file, bytes, length);
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t at) {
    return is_watched(file) ? write_file(file, bytes, length, at) : syscall(SYS_pwrite64, file, bytes, length, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) { return pwrite(file, bytes, length, at); }

static int may_read(int file) {
    if (!is_watched(file))
        return 1;
    pthread_mutex_lock(&order);
    int fault = fails('r', "read", 0, file);
    pthread_mutex_unlock(&order);
    return fault != 1;
}

ssize_t read(int file, void *bytes, size_t length) {
    return may_read(file) ? syscall(SYS_read, file, bytes, length) : -1;
}

ssize_t pread(int file, void *bytes, size_t length, off_t at) {
    return may_read(file) ? syscall(SYS_pread64, file, bytes, length, at) : -1;
}

ssize_t pread64(int file, void *bytes, size_t length, off64_t at) { return pread(file, bytes, length, at); }

// What was written before a sync begins is durable when it has ended. Other threads go on meanwhile.
static int sync_file(long call, int file) {
    if (!is_watched(file))
        return syscall(call, file);
    pthread_mutex_lock(&order);
    int64_t number = ++syncs;
    int fault = fails('s', "sync", 0, file);
    if (!fault)
        note(SYNC, file, number, 0, 0, 0, 0);
    pthread_mutex_unlock(&order);
    if (fault) {
        errno = fail_errno;
        return -1;
    }
    if (sync_delay)
        usleep(sync_delay);
    int result = syscall(call, file);
    pthread_mutex_lock(&order);
    if (result == 0)
        note(SYNCED, file, number, 0, 0, 0, 0);
    pthread_mutex_unlock(&order);
    return result;
}

int fsync(int file) { return sync_file(SYS_fsync, file); }
int fdatasync(int file) { return sync_file(SYS_fdatasync, file); }

int ftruncate(int file, off_t length) {
    if (!is_watched(file))
        return syscall(SYS_ftruncate, file, length);
    pthread_mutex_lock(&order);
    int result = fails('w', "resize", 0, file) == 1 ? -1 : syscall(SYS_ftruncate, file, length);
    if (result == 0)
        note(RESIZE, file, length, 0, 0, 0, 0);
    pthread_mutex_unlock(&order);
    return result;
}

int ftruncate64(int file, off64_t length) { return ftruncate(file, length); }

int fallocate(int file, int mode, off_t at, off_t length) {
    if (!is_watched(file))
        return syscall(SYS_fallocate, file, mode, at, length);
    pthread_mutex_lock(&order);
    int result = fails('w', "allocate", 0, file) == 1 ? -1 : syscall(SYS_fallocate, file, mode, at, length);
    struct stat status;
    if (result == 0 && fstat(file, &status) == 0)
        note(RESIZE, file, status.st_size, 0, 0, 0, 0);
    pthread_mutex_unlock(&order);
    return result;
}

int fallocate64(int file, int mode, off64_t at, off64_t length) { return fallocate(file, mode, at, length); }

int rename(const char *from, const char *to) {
    if (!is_below(from))
        return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    pthread_mutex_lock(&order);
    int result = fails('n', "rename", from, -1) == 1 ? -1 : syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (result == 0)
        note(RENAME, 0, 0, from, strlen(from), to, strlen(to));
    pthread_mutex_unlock(&order);
    return result;
}

int link(const char *from, const char *to) {
    if (!is_below(from))
        return syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
    pthread_mutex_lock(&order);
    int result = fails('c', "link", from, -1) == 1 ? -1 : syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (result == 0)
        note(LINK, 0, 0, from, strlen(from), to, strlen(to));
    pthread_mutex_unlock(&order);
    return result;
}

int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags) {
    if (from_directory == AT_FDCWD && to_directory == AT_FDCWD && flags == 0)
        return link(from, to);
    return syscall(SYS_linkat, from_directory, from, to_directory, to, flags);
}

static int remove_name(const char *path, int flags) {
    if (!is_below(path))
        return syscall(SYS_unlinkat, AT_FDCWD, path, flags);
    pthread_mutex_lock(&order);
    int result = fails('n', "remove", path, -1) == 1 ? -1 : syscall(SYS_unlinkat, AT_FDCWD, path, flags);
    if (result == 0)
        note(REMOVE, 0, 0, path, strlen(path), 0, 0);
    pthread_mutex_unlock(&order);
    return result;
}

int unlink(const char *path) { return remove_name(path, 0); }
int rmdir(const char *path) { return remove_name(path, AT_REMOVEDIR); }

int mkdir(const char *path, mode_t mode) {
    if (!is_below(path))
        return syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    pthread_mutex_lock(&order);
    int result = fails('c', "create", path, -1) == 1 ? -1 : syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (result == 0)
        note(MAKE_DIRECTORY, 0, 0, path, strlen(path), 0, 0);
    pthread_mutex_unlock(&order);
    return result;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME && clock_offset) {
        int64_t nanos = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec + *clock_offset;
        time->tv_sec = nanos / 1000000000;
        time->tv_nsec = nanos % 1000000000;
    }
    return result;
}
