import LinuxSystem
package import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// Where the store of a user is.
package enum StorePlace {
    /// `$CLOCHE_HOME`, or what is usual for the user.
    package static func path(_ variable: (String) -> String?) throws -> FilePath {
        if let path = variable("CLOCHE_HOME"), !path.isEmpty {
            if path.hasPrefix("/") { return FilePath(path) }
            let here = FilePath(bytes: try Syscall.readLink("/proc/self/cwd"))
            return here.pushing(FilePath(path)).lexicallyNormalized()
        }
        if geteuid() == 0 { return "/var/lib/cloche" }
        if let data = variable("XDG_DATA_HOME"), data.hasPrefix("/") { return FilePath(data).appending("cloche") }
        if let home = variable("HOME"), home.hasPrefix("/") { return FilePath(home).appending(".local/share/cloche") }
        throw CommandFailure(
            .invalidConfiguration, "find the store: neither CLOCHE_HOME nor HOME is set",
            hint: "set CLOCHE_HOME to a directory")
    }
}
