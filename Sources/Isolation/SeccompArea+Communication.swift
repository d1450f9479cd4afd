extension SeccompArea {
    /// System V and POSIX communication, which the IPC namespace keeps inside, and what is done to open sockets.
    static let communication = SeccompArea(
        rules: [
            SeccompRule.allow(
                """
                shmget shmat shmctl shmdt semget semop semtimedop semctl msgget msgsnd msgrcv msgctl
                mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr
                """),
            SeccompRule.allow(
                """
                bind connect listen accept accept4 getsockname getpeername getsockopt shutdown
                sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg
                """),
        ])
}
