extension SeccompArea {
    /// Signals, clocks and timers; setting a clock is in `kernel`.
    static let signalsAndTime = SeccompArea(
        rules: [
            SeccompRule.allow(
                """
                rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_tgsigqueueinfo
                rt_sigsuspend sigaltstack signalfd signalfd4 pause kill tkill tgkill pidfd_send_signal
                """),
            SeccompRule.allow(
                """
                time gettimeofday clock_gettime clock_getres clock_nanosleep nanosleep alarm getitimer setitimer
                timer_create timer_settime timer_gettime timer_getoverrun timer_delete
                timerfd_create timerfd_settime timerfd_gettime
                """),
        ])
}
