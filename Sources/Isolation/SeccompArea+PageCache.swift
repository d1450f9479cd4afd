import SystemPackage

extension SeccompArea {
    /// Calls that hand pages about instead of copying, and memory that nobody else can see.
    static let pageCache = SeccompArea(
        groups: [
            SeccompGroup(
                "page-cache", because: "handing pages about has let readers change files that they may only read",
                opening: .group),
            SeccompGroup(
                "hidden-memory", because: "the memory is hidden from limits and tools of the host", opening: .call),
        ],
        rules: [
            SeccompRule.refuse(
                "splice tee vmsplice remap_file_pages", SeccompRefusal(.noFunction, .silent, group: "page-cache")),
            SeccompRule.refuse("memfd_secret", SeccompRefusal(.noFunction, .silent, group: "hidden-memory")),
        ])
}
