package import SystemPackage

extension BuildPlan {
    /// Removes what a finished tree must not hold, then takes stock of it.
    ///
    /// Programs of the host do it: those inside may lie. find(1) follows no links and nothing else runs meanwhile.
    static func cleaning(_ paths: BuildPaths, isBase: Bool) -> [Step] {
        let root = NamespaceCommand.mountPoint
        var removed = [
            "/var/cache/apt/archives/*", "/var/cache/apt/*.bin", "/var/lib/apt/lists/*", "/var/cache/debconf/*-old",
            "/var/lib/dpkg/*-old", "/tmp/*", "/var/tmp/*", "/run/*", "/dev/*", "/root/.cache/*", "/etc/machine-id",
            "/var/lib/dbus/machine-id",
        ]
        if isBase {
            removed += [
                "/etc/apt/sources.list", "/etc/apt/sources.list.d/*", "/etc/apt/apt.conf.d/*mmdebstrap",
                "/etc/apt/auth.conf.d/*", "/etc/resolv.conf", "/etc/hostname", "/var/cache/apt/essential",
                PackageCache.listPath, "/environment",
            ]
        }
        let logs = ["-path", root + "/var/log/*", "-type", "f"]
        let conditions = removed.reduce(into: logs) { $0 += ["-o", "-path", root + $1] }
        // Character devices of a layer are overlayfs's whiteouts, which may keep a directory from being empty; real
        // devices cannot be made in a user namespace.
        let kept = isBase ? [] : ["!", "-type", "c", "!", "-type", "d"]
        let clean = ["find", "-P", root, "-xdev", "-depth", "("] + conditions + [")"] + kept + ["-delete"]
        let strip = [
            "find", "-P", root, "-xdev", "-type", "f", "-perm", "/6000", "-printf", ".",
            "-exec", "chmod", "ug-s", "--", "{}", "+",
        ]
        var commands: [(BuildPlan.Stage, [String], Output)] = [
            (.clean, clean, .log), (.clean, strip, .privilegedFiles),
        ]
        if isBase {
            // The runtime mounts a file over it where there is a network.
            commands.append((.clean, ["install", "-m", "644", "/dev/null", root + "/etc/resolv.conf"], .log))
            let list = "--showformat=${Package} ${Version}\\n"
            commands.append(
                (.inspect, ["dpkg-query", "--admindir=\(root)/var/lib/dpkg", "--show", list], .packages))
        }
        commands.append((.inspect, ["du", "--summarize", "--one-file-system", "--block-size=1", root], .size))
        // A record must not outlive a power cut that its tree does not.
        commands.append((.inspect, ["sync", "--file-system", root], .log))
        return commands.map { stage, arguments, output in
            Step(stage: stage, command: .namespace(hostCommand(arguments, paths)), output: output)
        }
    }

    /// The command that empties a directory of files that only the namespace's ids may remove.
    package static func removal(of directory: FilePath) -> NamespaceCommand {
        var command = hostCommand(
            ["find", "-P", NamespaceCommand.mountPoint, "-xdev", "-mindepth", "1", "-delete"],
            BuildPaths(staging: directory))
        command.directory = directory
        return command
    }
}
