#ifndef LANDLOCK_H
#define LANDLOCK_H

/// Begins with the rules of `forbidSockets`, for all directories of / but `later`, a path, or empty: what will be seen
/// there is not there yet. 0, or -1 with errno.
int beginForbidding(char *const *except, const char *later);

/// Forbids the calling thread, and what it becomes, to make sockets in the directories of / whose names are in the
/// NULL-ended array `except`, and directly in /; 0, or -1 with errno. New privileges are forbidden already.
int forbidSockets(char *const *except);

#endif
