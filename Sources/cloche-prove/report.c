// Findings: what a test has reached or was refused, gathered in memory that the test shares with the runner and with
// processes of its own.
#define _GNU_SOURCE
#include "prove.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { patience = 5, textSize = 640 };

// Texts of one kind, joined by "; ", and how many there were.
struct Findings {
    int count;
    size_t length;
    int left;
    char text[textSize];
};

struct Report {
    struct Findings reached, refused, differs, untried;
};
static struct Report *report;

static void add(struct Findings *findings, const char *format, va_list arguments) {
    char one[256];
    vsnprintf(one, sizeof one, format, arguments);
    findings->count++;
    size_t length = strlen(one);
    // The same call with other bits says nothing new.
    if (findings->length >= length && strcmp(findings->text + findings->length - length, one) == 0) return;
    if (findings->length + length + 3 > textSize) {
        findings->left++;
        return;
    }
    if (findings->length > 0) {
        memcpy(findings->text + findings->length, "; ", 2);
        findings->length += 2;
    }
    memcpy(findings->text + findings->length, one, length + 1);
    findings->length += length;
}

#define FINDING(kind) \
    void kind(const char *format, ...) { \
        va_list arguments; \
        va_start(arguments, format); \
        add(&report->kind, format, arguments); \
        va_end(arguments); \
    }
FINDING(reached)
FINDING(refused)
FINDING(differs)
FINDING(untried)

const char *errorName(int error) {
    const char *name = strerrorname_np(error);
    return name ? name : "an unknown error";
}

void expect(const char *what, long result, int error) {
    int got = errno;
    if (result >= 0)
        reached("%s succeeds", what);
    else if (got == error)
        refused("%s", errorName(got));
    else
        differs("%s: %s, expected %s", what, errorName(got), errorName(error));
}

void expectFailure(const char *what, long result) { expect(what, result, errno); }

void expectCalls(const struct Call *calls, size_t count) {
    for (size_t index = 0; index < count; index++) {
        const struct Call *call = &calls[index];
        const long *a = call->arguments;
        expect(call->what, syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]), call->error);
    }
}

int inChild(void (*body)(void)) {
    pid_t child = fork();
    if (child == 0) {
        body();
        _exit(0);
    }
    int status = -1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

ssize_t readText(const char *path, char *buffer, size_t size) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return -1;
    ssize_t length = 0, got = 0;
    while ((size_t)length < size - 1 && (got = read(file, buffer + length, size - 1 - (size_t)length)) > 0)
        length += got;
    int error = errno;
    close(file);
    errno = error;
    if (got < 0 && length == 0) return -1;
    buffer[length] = 0;
    return length;
}

long long statusField(const char *path, const char *field, int base) {
    char text[4096];
    if (readText(path, text, sizeof text) < 0) return -1;
    char *line = strstr(text, field);
    return line ? strtoll(line + strlen(field), NULL, base) : -1;
}

static void printFindings(const char *before, const struct Findings *findings) {
    printf("%s%s", before, findings->text);
    if (findings->left > 0) printf("; and %d more", findings->left);
}

static void printHeld(const struct Report *from) {
    int tries = from->refused.count + from->differs.count;
    if (tries == 1)
        printFindings("", from->refused.count ? &from->refused : &from->differs);
    else if (from->differs.count == 0)
        printf("%d tries, all refused", tries);
    else
        printFindings(from->refused.count ? "refused, and " : "refused: ", &from->differs);
    if (from->untried.count > 0) printFindings("; not tried: ", &from->untried);
}

static int print(const struct Test *test, const struct Report *from) {
    int isOpen = from->reached.count > 0;
    int isHeld = !isOpen && from->refused.count + from->differs.count > 0;
    printf("%s\t%s\t", isOpen ? "open" : isHeld ? "held" : "skipped", test->name);
    if (isOpen)
        printFindings("", &from->reached);
    else if (isHeld)
        printHeld(from);
    else
        printFindings("", &from->untried);
    printf("\n");
    fflush(stdout);
    return isOpen;
}

static _Noreturn void beTest(const struct Test *test, int pipe) {
    // A group of its own, so that whatever the test leaves behind can be ended with it.
    setpgid(0, 0);
    alarm(patience);
    test->run();
    if (report->reached.count + report->refused.count + report->differs.count + report->untried.count == 0)
        untried("there was nothing to try");
    _exit(write(pipe, "", 1) == 1 ? 0 : 1);
}

// Waits for a test; what is wrong with how it ended is a finding too.
static void await(pid_t child, int pipe) {
    struct pollfd ready = {.fd = pipe, .events = POLLIN};
    int answered = poll(&ready, 1, (patience + 1) * 1000);
    char byte;
    int isComplete = answered > 0 && read(pipe, &byte, 1) == 1;
    // A test that has told that it is complete only ends; another may be stuck where no alarm reaches.
    if (answered == 0) kill(child, SIGKILL);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    kill(-child, SIGKILL);
    if (isComplete) return;
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGALRM || answered == 0))
        reached("the test did not end within %d s", patience);
    else if (WIFSIGNALED(status))
        reached("the test was ended by signal %d", WTERMSIG(status));
    else
        reached("the test ended early, with status %d", WEXITSTATUS(status));
}

int runTest(const struct Test *test) {
    int ends[2] = {-1, -1};
    pid_t child = -1;
    if (!report) {
        void *map = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (map != MAP_FAILED) report = map;
    }
    if (report) memset(report, 0, sizeof *report);
    if (report && pipe2(ends, O_CLOEXEC) == 0) child = fork();
    if (child < 0) {
        // Whoever cannot try must not say that nothing is open.
        printf("open\t%s\tcould not be started: %s\n", test->name, errorName(errno));
        return 1;
    }
    if (child == 0) beTest(test, ends[1]);
    close(ends[1]);
    await(child, ends[0]);
    close(ends[0]);
    return print(test, report);
}
