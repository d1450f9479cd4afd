// What runs between clone(2) and execve(2): no Swift, no allocation, no libc state.
//
// The supervisor flattens a launch plan into one block of bytes (this header) and sends it, with the descriptors that
// it names by index, to the launcher: a small process that lives in the control group of the steps. The launcher
// clones, and the new process walks the operations in order; the first that fails ends it, and the launcher answers
// with the index of that operation and its errno.
#ifndef CSANDBOXLAUNCH_H
#define CSANDBOXLAUNCH_H

#include <stdint.h>
#include <sys/types.h>

enum {
    CSandboxLaunch_magic = 0x434C4F31,
    CSandboxLaunch_maximumBlock = 160 * 1024,
    CSandboxLaunch_maximumDescriptors = 16,
    CSandboxLaunch_maximumDetail = 240,
    /// The socket of a launched init; see `cloche-init`.
    CSandboxLaunch_controlDescriptor = 3,
};

/// One operation; the comment names its operands. Strings are offsets into the block, 0 is NULL.
enum CSandboxLaunch_code {
    CSandboxLaunch_becomeUser = 1,      // number[0] user, number[1] group: setresgid, setresuid, capabilities kept
    CSandboxLaunch_mount = 2,           // string[0] source, [1] target, [2] type, [3] data; number[0] flags
    CSandboxLaunch_makeDirectory = 3,   // string[0] path; number[0] mode
    CSandboxLaunch_pivotRoot = 4,       // string[0] new root: pivot_root(".", "."), old root detached, chdir("/")
    CSandboxLaunch_setHostName = 5,     // string[0] name
    CSandboxLaunch_loopbackUp = 6,      // none
    CSandboxLaunch_setLimit = 7,        // number[0] resource, [1] soft, [2] hard
    CSandboxLaunch_writeFile = 8,       // string[0] path, [1] text
    CSandboxLaunch_parentDeath = 9,     // none: SIGKILL when the supervisor ends, and a check that it still lives
    CSandboxLaunch_newSession = 10,     // none: setsid
    CSandboxLaunch_place = 11,          // number[0] index of a descriptor, [1] its number from here on, [2] close-on-exec
    CSandboxLaunch_closeFrom = 12,      // number[0] first descriptor to close
    CSandboxLaunch_execute = 13,        // number[0] descriptor (already placed) of the init; string[0] its name
    CSandboxLaunch_setUmask = 14,       // number[0] mask
    CSandboxLaunch_remount = 15,        // string[0] target; number[0] MS_ flags to set beside those that are locked
    CSandboxLaunch_linkSymbolic = 16,   // string[0] target, [1] path
    CSandboxLaunch_joinNamespace = 17,  // number[0] index of a descriptor of a namespace, [1] its CLONE_NEW* flag
    CSandboxLaunch_keepCapabilities = 18, // none: all permitted capabilities become ambient, for init
    CSandboxLaunch_changeOwner = 19,    // string[0] path; number[0] user, [1] group
    CSandboxLaunch_setAffinity = 20,    // string[0] processors, as numbers with a comma after each
    CSandboxLaunch_auditMounts = 21,    // string[0] the mount table that there must be; see `audit.c`
};

struct CSandboxLaunch_operation {
    uint32_t code;
    uint32_t string[4];
    uint32_t padding;
    uint64_t number[3];
};

struct CSandboxLaunch_block {
    uint32_t magic;
    uint32_t size;          // of the whole block
    uint32_t namespaces;    // CLONE_NEW* flags
    uint32_t operations;    // how many follow this header
};

/// The launcher's answer; the pidfd of the new process comes with it when error is 0.
struct CSandboxLaunch_answer {
    int32_t error;          // errno of the failed operation, or 0
    int32_t operation;      // its index; -1 is clone(2) itself, -2 a block that was not understood
    int32_t process;        // the process number outside the sandbox
    char detail[CSandboxLaunch_maximumDetail]; // what the operation found, zero-ended; empty where errno says all
};

/// How a launcher ends that cannot serve.
enum CSandboxLaunch_launcherEnd {
    CSandboxLaunch_endGroups = 111,     // a control group could not be entered
    CSandboxLaunch_endParent,           // it could not be bound to the supervisor, or that has ended
    CSandboxLaunch_endUser,             // the supervisor's user could not be taken on
    CSandboxLaunch_endPrivileges,       // new privileges could not be forbidden
    CSandboxLaunch_endDirectory,        // the root directory could not be entered
    CSandboxLaunch_endDescriptors,      // descriptors could not be closed
    CSandboxLaunch_endAnswer,           // the supervisor could not be answered
};

/// Control groups that a new process enters: lists to write `0` to, one for each tree of version 1; and of the tree of
/// version 2 the group's directory and its list. Numbers that are not there are -1.
struct CSandboxLaunch_groups {
    const int *lists;
    int listCount;
    int unifiedDirectory, unifiedList;
};

/// Forks the launcher, which serves blocks from `socket` until it is closed. It enters `groups` first; then it takes on
/// the id `user`, unless that is NULL, and keeps its capabilities. The caller has a single thread, and may change its root
/// directory later. Where it `makesNetwork`, every block asks for a network namespace of its own, and the first gets one
/// that is made at once. Returns the launcher's process number, or -1 with errno.
pid_t CSandboxLaunch_startLauncher(
    int socket, const struct CSandboxLaunch_groups *groups, const uid_t *user, int makesNetwork);

/// Compares the mount table of the calling process with `expected`; 0, or -1 with errno and `detail`.
int CSandboxLaunch_compareMounts(const char *expected, char detail[CSandboxLaunch_maximumDetail]);

// The packets that init waits for, when its sandbox is there: one byte, and the descriptor of a sealed memory file.
//
// `start` brings the command, and the descriptor of a detached mount if there is a place to attach it to. Before that,
// `prepare` may bring what is settled already; of the command, the fields that are marked with `+` are not read then.
// Offsets count from the start of the file.
enum {
    CSandboxLaunch_orderPrepare = 1,
    CSandboxLaunch_orderStart = 2,
    CSandboxLaunch_commandMagic = 0x434C4F33,
    CSandboxLaunch_maximumCommand = 4 * 1024 * 1024,
    CSandboxLaunch_maximumWords = 16384,
    CSandboxLaunch_maximumSocketless = 16,
};

struct CSandboxLaunch_command {
    uint32_t magic;
    uint32_t size;
    uint32_t user, group;           // + of the command
    uint32_t initUser, initGroup;   // + of init itself
    uint64_t capabilities;          // + of the command: bounding, permitted, effective and inheritable
    uint32_t changesIdentity;       // + 0 when there is a single id
    uint32_t terminal;              // bits of the standard streams that are a new terminal, the controlling one
    uint32_t filterOffset, filterInstructions;          // + of the command; struct sock_filter each
    uint32_t initFilterOffset, initFilterInstructions;  // + of init
    uint32_t filterListens;         // + 1: the filter answers some calls by user notification
    uint32_t directory;             // offset of the working directory
    uint32_t umask;
    uint32_t argumentCount, arguments;   // offset of an array of offsets
    uint32_t variableCount, variables;   // offset of an array of offsets
    uint32_t candidateCount, candidates; // files to try in order: argument 0 found along PATH
    uint32_t socketlessCount, socketless; // + names of directories in / in which no socket may be made
    uint32_t attachment;            // + where the mount that comes with the order is attached; 0: none comes
};

/// What init tells the supervisor.
enum CSandboxLaunch_messageKind {
    CSandboxLaunch_started = 1,     // the command executes; descriptors: its pidfd, /proc/sysvipc/shm as the sandbox
                                    // sees it, then the listener if there is one
    CSandboxLaunch_failed = 2,      // value: CSandboxLaunch_initStage; error: errno
    CSandboxLaunch_ended = 3,       // value: wait status of the command
    CSandboxLaunch_terminal = 4,    // the command's terminal was made; descriptor: our side of it
};

enum CSandboxLaunch_initStage {
    CSandboxLaunch_stageCommand = 1,
    CSandboxLaunch_stageAttachment,
    CSandboxLaunch_stageClone,
    CSandboxLaunch_stageIdentity,
    CSandboxLaunch_stageCapabilities,
    CSandboxLaunch_stageNoNewPrivileges,
    CSandboxLaunch_stageInitFilter,
    CSandboxLaunch_stageTerminal,
    CSandboxLaunch_stageDirectory,
    CSandboxLaunch_stageLandlock,
    CSandboxLaunch_stageFilter,
    CSandboxLaunch_stageExecute,
};

struct CSandboxLaunch_message {
    uint32_t kind;
    int32_t value;
    int32_t error;
    uint32_t knowsTraffic;          // of `ended`: 1 when the last two numbers are known
    uint64_t unroutedDatagrams;     // of `ended`: packets that found no route, from /proc/net/snmp
    uint64_t readBytes, writtenBytes; // of `ended`: from and to disks, by all processes that have ended
};

#endif
