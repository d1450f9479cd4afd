import SystemPackage

extension SeccompArea {
    /// Calls that give a file its mode or its type.
    static let fileModes = SeccompArea(
        groups: [
            SeccompGroup(
                "setuid-bits",
                because: "a set-user-ID or set-group-ID file would lend the run's identity to whoever executes it",
                opening: .none),
            SeccompGroup(
                "device-nodes", because: "a device node, or an overlay whiteout made as one, is not a file of the run",
                opening: .none),
        ],
        rules: [
            [
                plain("chmod", mode: 1), plain("fchmod", mode: 1), plain("fchmodat", mode: 2),
                plain("fchmodat2", mode: 2), plain("creat", mode: 1), plain("mkdir", mode: 1),
                plain("mkdirat", mode: 2), opening("open", flags: 1, mode: 2), opening("openat", flags: 2, mode: 3),
                node("mknod", mode: 1), node("mknodat", mode: 2),
            ],
            // Its mode lies in memory, where a filter cannot look; callers fall back on openat.
            SeccompRule.refuse("openat2", SeccompRefusal(.noFunction, .silent, group: "setuid-bits")),
        ])

    private static let setuidBits = SeccompRefusal(.notPermitted, .notify, group: "setuid-bits")

    private static func hasSetuidBits(_ mode: Int) -> SeccompCondition {
        .bits(mode, mask: 0o6000, 0o2000, 0o4000, 0o6000)
    }

    private static func plain(_ call: String, mode: Int) -> SeccompRule {
        SeccompRule(call, [.refuse(setuidBits, hasSetuidBits(mode))], otherwise: .allow)
    }

    /// Without O_CREAT and `__O_TMPFILE` the kernel ignores the mode, and raw callers leave garbage in its register.
    private static func opening(_ call: String, flags: Int, mode: Int) -> SeccompRule {
        let creates = SeccompCondition.bits(flags, mask: 0o20_000_100, 0o100, 0o20_000_000, 0o20_000_100)
        return SeccompRule(call, [.refuse(setuidBits, hasSetuidBits(mode), creates)], otherwise: .allow)
    }

    /// Regular files (also written as type 0), FIFOs and sockets.
    private static func node(_ call: String, mode: Int) -> SeccompRule {
        SeccompRule(
            call,
            [
                .refuse(setuidBits, hasSetuidBits(mode)),
                .allow(.bits(mode, mask: 0o170_000, 0, 0o100_000, 0o010_000, 0o140_000)),
            ],
            otherwise: .refuse(SeccompRefusal(.notPermitted, .notify, group: "device-nodes")))
    }
}
