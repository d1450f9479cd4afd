// Answers questions of `cloche policy test --prove` by doing what they ask for, each in a process of its own.
//
//   cloche-prove ask QUESTION...
//     call NUMBER ARGUMENT*6      a system call; arguments are unsigned numbers
//     read|write|execute PATH     a file is opened, a new one made and removed again; a program is not started
//     open PATH                   a file that is there is opened for reading and writing
//     connect 4|6 ADDRESS PORT    TCP
//
// A line for each question, in order: `returned NUMBER`, `failed ERRNO`, `ended` (the call does not come back),
// `waiting` (there was no answer in time), `covered` (something else lies over the file).
#define _GNU_SOURCE
#include "prove.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { wrongUse = 64, callPatience = 1000, connectPatience = 4000 };

// What is told of one question: a word and a number.
struct Answer {
    char word[16];
    long number;
};

// Without a function around it: after vfork(2) two processes share the stack, and a return address on it would be lost.
static inline __attribute__((always_inline)) long rawCall(long number, const unsigned long *a) {
#ifdef __x86_64__
    register unsigned long a3 __asm__("r10") = a[3];
    register unsigned long a4 __asm__("r8") = a[4];
    register unsigned long a5 __asm__("r9") = a[5];
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(a3), "r"(a4), "r"(a5)
                     : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = number;
    register unsigned long x0 __asm__("x0") = a[0];
    register unsigned long x1 __asm__("x1") = a[1];
    register unsigned long x2 __asm__("x2") = a[2];
    register unsigned long x3 __asm__("x3") = a[3];
    register unsigned long x4 __asm__("x4") = a[4];
    register unsigned long x5 __asm__("x5") = a[5];
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return (long)x0;
#endif
}

static void tell(int to, const char *word, long number) {
    struct Answer answer = {.number = number};
    snprintf(answer.word, sizeof answer.word, "%s", word);
    if (write(to, &answer, sizeof answer) < 0) _exit(1);
}

static void tellResult(int to, long result) {
    if (result >= 0)
        tell(to, "returned", result);
    else
        tell(to, "failed", errno);
}

static void call(int to, char *text) {
    unsigned long words[7];
    char *next = text;
    for (int index = 0; index < 7; index++) words[index] = strtoul(next, &next, 10);
    // Another process that comes out of the call has nothing to tell.
    volatile pid_t own = getpid();
    long result = rawCall((long)words[0], words + 1);
    if (getpid() != own) _exit(0);
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        result = -1;
    } else if (result < 0) {
        result = 0;
    }
    tellResult(to, result);
}

// Whether an open file is a device where none belongs: what covers files of procfs is /dev/null.
static int isCovered(int file, const char *path) {
    struct stat status;
    return fstat(file, &status) == 0 && S_ISCHR(status.st_mode) && strncmp(path, "/dev/", 5) != 0;
}

static void readFile(int to, const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) return tell(to, "failed", errno);
    if (isCovered(file, path)) return tell(to, "covered", 0);
    struct stat status;
    if (fstat(file, &status) == 0 && S_ISDIR(status.st_mode)) {
        DIR *directory = fdopendir(file);
        errno = 0;
        return tellResult(to, directory && (readdir(directory) || errno == 0) ? 0 : -1);
    }
    char byte;
    long got = read(file, &byte, 1);
    // Nothing to read now is no refusal.
    if (got < 0 && errno == EAGAIN) got = 0;
    tellResult(to, got);
}

static void writeFile(int to, const char *path) {
    int file = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file >= 0) return isCovered(file, path) ? tell(to, "covered", 0) : tell(to, "returned", 0);
    if (errno != ENOENT) return tell(to, "failed", errno);
    file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int error = errno;
    if (file >= 0) unlink(path);
    errno = error;
    tellResult(to, file);
}

static void openFile(int to, const char *path) {
    int file = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file >= 0 && isCovered(file, path)) return tell(to, "covered", 0);
    tellResult(to, file);
}

static void execute(int to, const char *path) {
    struct stat status;
    if (stat(path, &status) < 0) return tell(to, "failed", errno);
    if (!S_ISREG(status.st_mode)) return tell(to, "failed", EACCES);
    tellResult(to, faccessat(AT_FDCWD, path, X_OK, AT_EACCESS));
}

static void connectTo(int to, char *text) {
    char *rest = text, *family = strsep(&rest, " "), *address = strsep(&rest, " ");
    if (!address || !rest) return tell(to, "failed", EINVAL);
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(rest))};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = four.sin_port};
    int isFour = family[0] == '4';
    if (inet_pton(isFour ? AF_INET : AF_INET6, address, isFour ? (void *)&four.sin_addr : (void *)&six.sin6_addr) != 1)
        return tell(to, "failed", EINVAL);
    int file = socket(isFour ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (file < 0) return tell(to, "failed", errno);
    tellResult(
        to, isFour ? connect(file, (struct sockaddr *)&four, sizeof four)
                   : connect(file, (struct sockaddr *)&six, sizeof six));
}

static void answer(int to, char *question) {
    char *rest = question, *verb = strsep(&rest, " ");
    if (!rest) _exit(wrongUse);
    if (strcmp(verb, "call") == 0) call(to, rest);
    if (strcmp(verb, "read") == 0) readFile(to, rest);
    if (strcmp(verb, "write") == 0) writeFile(to, rest);
    if (strcmp(verb, "open") == 0) openFile(to, rest);
    if (strcmp(verb, "execute") == 0) execute(to, rest);
    if (strcmp(verb, "connect") == 0) connectTo(to, rest);
    _exit(0);
}

static void put(char *question) {
    int ends[2];
    struct Answer given = {.word = "ended"};
    fflush(stdout);
    if (pipe2(ends, O_CLOEXEC) < 0) {
        printf("failed %d\n", errno);
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        answer(ends[1], question);
    }
    close(ends[1]);
    struct pollfd wait = {.fd = ends[0], .events = POLLIN};
    int patience = strncmp(question, "connect", 7) == 0 ? connectPatience : callPatience;
    if (child > 0 && poll(&wait, 1, patience) == 0)
        given = (struct Answer){.word = "waiting"};
    else if (read(ends[0], &given, sizeof given) != sizeof given)
        given = (struct Answer){.word = "ended"};
    close(ends[0]);
    if (child > 0) {
        kill(child, SIGKILL);
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
    }
    printf("%s %ld\n", given.word, given.number);
}

int ask(char **questions) {
    for (; *questions; questions++) put(*questions);
    return 0;
}
