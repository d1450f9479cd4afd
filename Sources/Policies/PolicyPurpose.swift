/// For whom a built-in policy is.
package struct PolicyPurpose: Sendable, Hashable, Encodable {
    /// A few words for a list.
    package var title: String
    /// One paragraph.
    package var text: String

    /// That of the built-in policy of that name; nil for other names.
    package static func of(_ name: String) -> PolicyPurpose? {
        switch name {
        case "default":
            PolicyPurpose(
                title: "pipelines of people whom you know",
                text: """
                    For pipelines of people whom you know and who may err: no network, so nothing leaves but through \
                    /data, which all runs of the store share. Limits are those of a large laptop, and a host that \
                    cannot hold one of them runs the pipeline all the same and says so.
                    """)
        case "strict":
            PolicyPurpose(
                title: "code of strangers, such as answers to exercises",
                text: """
                    For code that nobody has read, such as answers to exercises that are graded: no network, no /data, \
                    and no locks or filters by which a run could signal others or hide what was refused. Limits are \
                    small, and nothing runs where the kernel does not hold memory and processes, or where supervisor \
                    and steps would share an id.
                    """)
        case "online":
            PolicyPurpose(
                title: "pipelines that fetch from the public network",
                text: """
                    For pipelines of people whom you know that fetch data or talk to public services: as `default`, \
                    with connections to public addresses. The host, private networks and the addresses where clouds \
                    hand out keys stay closed. Whatever a step can read it can also send away.
                    """)
        case "gpu":
            PolicyPurpose(
                title: "pipelines that compute on graphics processors",
                text: """
                    For pipelines of people whom you know that compute on the host's graphics processors: as `default`, \
                    with the devices of NVIDIA's and AMD's drivers and with render nodes, whichever are there. A driver \
                    is a large part of the kernel, and what programs leave in the memory of a processor is the driver's \
                    to clear: give it to nobody whom you would not let log in.
                    """)
        case "build":
            PolicyPurpose(
                title: "building environments, never for steps",
                text: """
                    For building environments, and nothing else: setup scripts are root of a sandbox of their own, with \
                    the few rights that package managers need, and with the public network; /data is not there. What \
                    they make is kept where nobody else can execute it.
                    """)
        default: nil
        }
    }
}
