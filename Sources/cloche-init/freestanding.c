// The few functions of a C library that init needs, with the names and promises that its headers declare.
//
// glibc, linked statically, is 660 kB that every supervisor would copy into a memory file, asks the processor some
// thirty questions before main, each an exit to the hypervisor in a virtual machine, and keeps state between clone(2)
// and execve(2). System calls and their registers are those of syscall(2); structures are the kernel's.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __x86_64__
#error "cloche-init has no system calls for this machine: add its registers, start and clone here"
#endif

int failure __attribute__((visibility("hidden")));

int *__errno_location(void) { return &failure; }

static long call(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    if (result > -4096 && result < 0) {
        failure = (int)-result;
        return -1;
    }
    return result;
}

// The kernel gives a stack that is aligned to 16 bytes, with the arguments on it, which init does not read.
__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    call main\n"
        "    mov %eax, %edi\n"
        "    call _exit\n");

// clone(2) with a function for the child, which begins on its own stack and ends when the function returns.
__asm__(".globl clone\n"
        "clone:\n"
        "    and $-16, %rsi\n"
        "    sub $16, %rsi\n"
        "    mov %rdi, 8(%rsi)\n"  // the function
        "    mov %rcx, (%rsi)\n"   // its argument
        "    movslq %edx, %rdi\n"
        "    mov %r8, %rdx\n"
        "    mov 8(%rsp), %r10\n"
        "    mov %r9, %r8\n"
        "    mov $56, %eax\n"  // SYS_clone
        "    syscall\n"
        "    test %rax, %rax\n"
        "    jz 1f\n"
        "    jns 2f\n"
        "    neg %eax\n"
        "    mov %eax, failure(%rip)\n"
        "    mov $-1, %rax\n"
        "2:  ret\n"
        "1:  xor %ebp, %ebp\n"
        "    pop %rdi\n"
        "    pop %rax\n"
        "    call *%rax\n"
        "    mov %eax, %edi\n"
        "    mov $60, %eax\n"  // SYS_exit
        "    syscall\n"
        "    hlt\n");

// Those that take a variable number of arguments get as many registers as any system call has.
#define ARGUMENTS(last)                                                                                     \
    va_list list;                                                                                           \
    va_start(list, last);                                                                                   \
    long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long), d = va_arg(list, long),    \
         e = va_arg(list, long), f = va_arg(list, long);                                                    \
    va_end(list);                                                                                           \
    (void)a, (void)b, (void)c, (void)d, (void)e, (void)f

long syscall(long number, ...) {
    ARGUMENTS(number);
    return call(number, a, b, c, d, e, f);
}

int prctl(int option, ...) {
    ARGUMENTS(option);
    return (int)call(SYS_prctl, option, a, b, c, d, 0);
}

int ioctl(int file, unsigned long request, ...) {
    ARGUMENTS(request);
    return (int)call(SYS_ioctl, file, (long)request, a, 0, 0, 0);
}

int open(const char *path, int flags, ...) {
    // Init makes no files, so there is no mode.
    return (int)call(SYS_openat, AT_FDCWD, (long)path, flags, 0, 0, 0);
}

int openat(int directory, const char *path, int flags, ...) {
    return (int)call(SYS_openat, directory, (long)path, flags, 0, 0, 0);
}

int close(int file) { return (int)call(SYS_close, file, 0, 0, 0, 0, 0); }
int dup2(int old, int new) { return (int)call(SYS_dup2, old, new, 0, 0, 0, 0); }
int fchown(int file, uid_t user, gid_t group) { return (int)call(SYS_fchown, file, user, group, 0, 0, 0); }
int fstat(int file, struct stat *status) { return (int)call(SYS_fstat, file, (long)status, 0, 0, 0, 0); }
int chdir(const char *path) { return (int)call(SYS_chdir, (long)path, 0, 0, 0, 0, 0); }
mode_t umask(mode_t mask) { return (mode_t)call(SYS_umask, mask, 0, 0, 0, 0, 0); }
pid_t getpid(void) { return (pid_t)call(SYS_getpid, 0, 0, 0, 0, 0, 0); }
pid_t setsid(void) { return (pid_t)call(SYS_setsid, 0, 0, 0, 0, 0, 0); }

ssize_t read(int file, void *into, size_t size) { return call(SYS_read, file, (long)into, (long)size, 0, 0, 0); }

ssize_t pread(int file, void *into, size_t size, off_t offset) {
    return call(SYS_pread64, file, (long)into, (long)size, offset, 0, 0);
}

ssize_t sendmsg(int socket, const struct msghdr *message, int flags) {
    return call(SYS_sendmsg, socket, (long)message, flags, 0, 0, 0);
}

int poll(struct pollfd *polls, nfds_t count, int milliseconds) {
    return (int)call(SYS_poll, (long)polls, (long)count, milliseconds, 0, 0, 0);
}

void *mmap(void *address, size_t size, int protection, int flags, int file, off_t offset) {
    return (void *)call(SYS_mmap, (long)address, (long)size, protection, flags, file, offset);
}

int execve(const char *path, char *const arguments[], char *const variables[]) {
    return (int)call(SYS_execve, (long)path, (long)arguments, (long)variables, 0, 0, 0);
}

pid_t waitpid(pid_t process, int *status, int options) {
    return (pid_t)call(SYS_wait4, process, (long)status, options, 0, 0, 0);
}

void _exit(int status) {
    for (;;) call(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

// The kernel's set of signals has 64 bits; the header's has room for more.
enum { signalSetSize = 8 };

int sigemptyset(sigset_t *set) {
    memset(set, 0, sizeof *set);
    return 0;
}

int sigfillset(sigset_t *set) {
    memset(set, 0xFF, sizeof *set);
    return 0;
}

int sigprocmask(int how, const sigset_t *set, sigset_t *old) {
    return (int)call(SYS_rt_sigprocmask, how, (long)set, (long)old, signalSetSize, 0, 0);
}

int sigaction(int number, const struct sigaction *action, struct sigaction *old) {
    // Handlers need a function to return by; init has none, and asks for no old ones.
    (void)old;
    struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        uint64_t mask;
    } plain = {.handler = action->sa_handler};
    return (int)call(SYS_rt_sigaction, number, (long)&plain, 0, signalSetSize, 0, 0);
}

int signalfd(int file, const sigset_t *set, int flags) {
    return (int)call(SYS_signalfd4, file, (long)set, signalSetSize, flags, 0, 0);
}

void *memset(void *bytes, int value, size_t size) {
    unsigned char *byte = bytes;
    while (size--) *byte++ = (unsigned char)value;
    return bytes;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    unsigned char *target = to;
    const unsigned char *source = from;
    while (size--) *target++ = *source++;
    return to;
}

int memcmp(const void *left, const void *right, size_t size) {
    const unsigned char *a = left, *b = right;
    for (; size > 0; size--, a++, b++)
        if (*a != *b) return *a - *b;
    return 0;
}

int strcmp(const char *left, const char *right) {
    while (*left && *left == *right) left++, right++;
    return (unsigned char)*left - (unsigned char)*right;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length]) length++;
    return length;
}

static int contains(const char *set, char wanted) {
    for (; *set; set++)
        if (*set == wanted) return 1;
    return 0;
}

size_t strspn(const char *text, const char *accepted) {
    size_t length = 0;
    while (text[length] && contains(accepted, text[length])) length++;
    return length;
}

size_t strcspn(const char *text, const char *rejected) {
    size_t length = 0;
    while (text[length] && !contains(rejected, text[length])) length++;
    return length;
}

char *strstr(const char *text, const char *part) {
    size_t length = strlen(part);
    for (;; text++) {
        const char *end = text;
        while (end < text + length && *end && *end == part[end - text]) end++;
        if (end == text + length) return (char *)text;
        if (!*text) return NULL;
    }
}
