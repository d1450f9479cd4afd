// Ways to use up what the kernel counts for each user or process, where one run could take another's share.
// NUMBER says how many seconds to hold what was taken, so that a neighbour can be looked at meanwhile.
// Source: inotify(7), pipe(7) "/proc/sys/fs/pipe-user-pages-soft", getrlimit(2) RLIMIT_NOFILE.
#define _GNU_SOURCE
#include "prove.h"

#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <time.h>

enum { manyDescriptors = 1100000, manyInstances = 10000, pipeSize = 1 << 20 };

static int finish(const char *what, long count, int error, long seconds) {
    printf("%ld %s, then %s\n", count, what, error ? errorName(error) : "stopped: nothing held it");
    fflush(stdout);
    if (seconds > 0) nanosleep(&(struct timespec){.tv_sec = seconds}, NULL);
    return error ? limitHeld : 0;
}

static int descriptors(long seconds) {
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC), error = file < 0 ? errno : 0;
    long count = file >= 0;
    while (!error && count < manyDescriptors) {
        if (dup(file) < 0)
            error = errno;
        else
            count++;
    }
    return finish("descriptors", count, error, seconds);
}

static int inotify(long seconds) {
    long count = 0;
    int error = 0;
    while (!error && count < manyInstances) {
        if (inotify_init1(IN_CLOEXEC) < 0)
            error = errno;
        else
            count++;
    }
    return finish("inotify instances", count, error, seconds);
}

static int watches(long seconds) {
    int instance = inotify_init1(IN_CLOEXEC), error = instance < 0 ? errno : 0;
    long count = 0;
    char path[64];
    for (int number = 0; !error && number < 200000; number++) {
        snprintf(path, sizeof path, "/tmp/cloche-prove-%d-%d", getpid(), number);
        int file = open(path, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0600);
        if (file < 0 || inotify_add_watch(instance, path, IN_MODIFY) < 0)
            error = errno;
        else
            count++;
        if (file >= 0) close(file);
    }
    int result = finish("watches", count, error, seconds);
    for (long number = 0; number <= count; number++) {
        snprintf(path, sizeof path, "/tmp/cloche-prove-%d-%ld", getpid(), number);
        unlink(path);
    }
    return result;
}

static int pipes(long seconds) {
    long count = 0;
    int error = 0;
    while (!error && count < manyInstances) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0 || fcntl(ends[1], F_SETPIPE_SZ, pipeSize) < 0)
            error = errno;
        else
            count++;
    }
    return finish("pipes of 1 MiB", count, error, seconds);
}

static int epolls(long seconds) {
    long count = 0;
    int error = 0;
    int instance = epoll_create1(EPOLL_CLOEXEC);
    while (!error && count < manyDescriptors) {
        int file = (int)syscall(SYS_eventfd2, 0, O_CLOEXEC);
        struct epoll_event event = {.events = EPOLLIN};
        if (file < 0 || epoll_ctl(instance, EPOLL_CTL_ADD, file, &event) < 0)
            error = errno;
        else
            count++;
    }
    return finish("watched descriptors", count, error, seconds);
}

static int queues(long seconds) {
    long count = 0;
    int error = 0;
    char name[64];
    struct mq_attr small = {.mq_maxmsg = 10, .mq_msgsize = 8192};
    while (!error && count < manyInstances) {
        snprintf(name, sizeof name, "/cloche-prove-%d-%ld", getpid(), count);
        if (mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &small) < 0)
            error = errno;
        else
            count++;
    }
    int result = finish("message queues", count, error, seconds);
    for (long number = 0; number < count; number++) {
        snprintf(name, sizeof name, "/cloche-prove-%d-%ld", getpid(), number);
        mq_unlink(name);
    }
    return result;
}

static int signals(long seconds) {
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &one, NULL);
    long count = 0;
    int error = 0;
    while (!error && count < manyDescriptors) {
        if (sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 0}) < 0)
            error = errno;
        else
            count++;
    }
    return finish("signals that wait", count, error, seconds);
}

const struct Exhauster counterExhausters[] = {
    {"resource.descriptors", "open descriptors, hold them for NUMBER seconds", descriptors},
    {"resource.inotify", "make inotify instances, hold them for NUMBER seconds", inotify},
    {"resource.watches", "make inotify watches, hold them for NUMBER seconds", watches},
    {"resource.pipes", "make pipes of 1 MiB, hold them for NUMBER seconds", pipes},
    {"resource.epoll", "watch descriptors by epoll, hold them for NUMBER seconds", epolls},
    {"resource.queues", "make POSIX message queues, hold them for NUMBER seconds", queues},
    {"resource.signals", "let signals wait, hold them for NUMBER seconds", signals},
    {NULL, NULL, NULL},
};
