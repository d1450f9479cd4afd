import LinuxSystem
import SystemPackage

/// Where trees of control groups are mounted, and in which group of each this process is.
struct CgroupMembership {
    /// One mounted tree.
    struct Tree: Hashable {
        let generation: CgroupGeneration
        /// The controllers of a tree of version 1; version 2 tells its own in `cgroup.controllers`.
        let controllers: Set<CgroupController>
        /// The directory of the group that this process is in; nil where it lies outside of what is mounted.
        let group: FilePath?
    }

    let trees: [Tree]

    /// Reads the texts of `/proc/self/mountinfo` and `/proc/self/cgroup`; lines that make no sense are left out.
    init(mountInfo: String, membership: String) {
        let groups = membership.parts(between: "\n").compactMap(Group.init)
        var trees: [Tree] = []
        let kind = Array(" - cgroup".utf8)
        // Most mounts are others: their lines need not be taken apart.
        let lines = mountInfo.parts(between: "\n").filter { $0.utf8.contains(bytes: kind) }
        for mount in lines.compactMap(Mount.init) {
            let group = groups.first { $0.controllers == mount.controllers && $0.generation == mount.generation }
            guard let group else { continue }
            let directory = Self.suffix(of: group.path, below: mount.root).map { suffix in
                suffix.isEmpty ? mount.point : mount.point.appending(suffix)
            }
            let controllers = Set(group.controllers.compactMap { CgroupController(rawValue: String($0)) })
            let tree = Tree(generation: mount.generation, controllers: controllers, group: directory)
            // The same tree may be mounted more than once, and a later mount covers an earlier one.
            trees.removeAll { known in
                let isSame = known.generation == tree.generation && known.controllers == tree.controllers
                return isSame && (known.group == nil || tree.group != nil)
            }
            let isKnown = trees.contains { $0.generation == tree.generation && $0.controllers == tree.controllers }
            if !isKnown { trees.append(tree) }
        }
        self.trees = trees.filter { $0.generation == .v2 || !$0.controllers.isEmpty }
    }

    /// The part of `path` below `root`, without a slash at its start; nil where it is not below.
    private static func suffix(of path: Substring, below root: String) -> String? {
        guard !path.parts(between: "/").contains("..") else { return nil }
        if root == "/" { return String(path.drop { $0 == "/" }) }
        guard path == root || path.hasPrefix(root + "/") else { return nil }
        return String(path.dropFirst(root.count).drop { $0 == "/" })
    }

    /// A line of `/proc/self/cgroup`: `4:memory:/path`, or `0::/path` for version 2.
    private struct Group {
        let generation: CgroupGeneration
        let controllers: Set<Substring>
        let path: Substring

        init?(_ line: Substring) {
            let fields = line.parts(between: ":", maxSplits: 2, omittingEmpty: false)
            guard fields.count == 3, fields[2].hasPrefix("/") else { return nil }
            controllers = Set(fields[1].parts(between: ","))
            generation = fields[0] == "0" && controllers.isEmpty ? .v2 : .v1
            path = fields[2]
        }
    }

    /// A line of `/proc/self/mountinfo` that mounts control groups.
    private struct Mount {
        let generation: CgroupGeneration
        let controllers: Set<Substring>
        let root: String
        let point: FilePath

        init?(_ line: Substring) {
            let fields = line.parts(between: " ")
            guard fields.count > 9, let dash = fields[6...].firstIndex(of: "-"), fields.count > dash + 3 else {
                return nil
            }
            let options = Set(fields[dash + 3].parts(between: ","))
            switch fields[dash + 1] {
            case "cgroup2":
                generation = .v2
                controllers = []
            case "cgroup":
                generation = .v1
                controllers = options.filter { $0.hasPrefix("name=") || Self.isController($0) }
            default: return nil
            }
            root = Self.unescape(fields[3])
            point = FilePath(Self.unescape(fields[4]))
            guard point.isAbsolute else { return nil }
        }

        /// Whether an option of the file system names a controller rather than tells how it is mounted.
        private static func isController(_ option: Substring) -> Bool {
            switch option {
            case "rw", "ro", "xattr", "clone_children", "noprefix", "cpuset_v2_mode", "favordynmods": false
            default: !option.hasPrefix("release_agent=")
            }
        }

        /// Undoes `\040` and the like, by which the kernel writes blanks in paths.
        private static func unescape(_ text: Substring) -> String {
            var bytes: [UInt8] = []
            var rest = Array(text.utf8)[...]
            while let byte = rest.popFirst() {
                let digits = rest.prefix(3)
                if byte == UInt8(ascii: "\\"), digits.count == 3,
                    let code = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
                {
                    bytes.append(code)
                    rest = rest.dropFirst(3)
                } else {
                    bytes.append(byte)
                }
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }
}

extension StringProtocol {
    /// The parts between a byte; looking for characters would take this, which every launch does, many times as long.
    fileprivate func parts(
        between separator: Unicode.Scalar, maxSplits: Int = .max, omittingEmpty: Bool = true
    ) -> [Substring] {
        Substring(self).utf8
            .split(separator: UInt8(ascii: separator), maxSplits: maxSplits, omittingEmptySubsequences: omittingEmpty)
            .map { Substring($0) }
    }
}
