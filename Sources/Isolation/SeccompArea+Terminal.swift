import SystemPackage

extension SeccompArea {
    /// Requests to devices, of which the sandbox has a terminal and little else.
    static let terminal = SeccompArea(
        groups: [
            SeccompGroup(
                "terminal", because: "typing into a terminal, or taking the console, acts on who watches the run",
                opening: .none)
        ],
        rules: [
            [
                SeccompRule(
                    "ioctl",
                    // TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSETD.
                    [
                        .refuse(
                            SeccompRefusal(.notPermitted, .notify, group: "terminal"),
                            .int(1, 0x5412, 0x541C, 0x541D, 0x5423))
                    ],
                    otherwise: .allow)
            ]
        ])
}
