import Isolation
import LinuxSystem
import SystemPackage

/// The part of NVIDIA's driver that runs in programs: libraries of exactly the version of the one in the kernel, which no
/// environment can bring along.
enum DeviceLibraries {
    /// Beginnings of names of libraries: of computing, of managing, and of video.
    private static let names = ["libcuda.so", "libcudadebugger.so", "libnvidia-", "libnvcuvid.so", "libnvoptix.so"]
    /// What draws on screens, and what configures the driver, is not for sandboxes.
    private static let left = ["libnvidia-egl", "libnvidia-gtk", "libnvidia-wayland", "libnvidia-fbc"]
    private static let programs = ["/usr/bin/nvidia-smi"]
    private static let limit = 96

    /// Looks where the host's loader would; what others than root can change is left out.
    static func find() -> (companions: [DevicePlan.Companion], notes: [String]) {
        let bytes = (try? Syscall.readFile("/etc/ld.so.cache", limit: LoaderCache.sizeLimit)) ?? []
        var companions: [DevicePlan.Companion] = []
        var notes: [String] = []
        for entry in LoaderCache(bytes)?.entries ?? [] where isWanted(entry.name) {
            guard companions.count < limit else { break }
            if let trouble = trouble(with: entry.path) {
                notes.append("`\(entry.path)` is left out: \(trouble)")
            } else if !companions.contains(where: { $0.target == target(entry.name) }) {
                companions.append(.init(source: entry.path, target: target(entry.name), isDirectory: false))
            }
        }
        if !companions.contains(where: { $0.target == target("libcuda.so.1") }) {
            notes.append(
                "the host's loader knows no usable `libcuda.so.1`: install NVIDIA's libraries, and call `sudo ldconfig`"
            )
        }
        for program in programs where trouble(with: program) == nil {
            let name = FilePath(program).lastComponent?.string ?? ""
            companions.append(
                .init(source: program, target: "\(DevicePlan.directory)/bin/\(name)", isDirectory: false))
        }
        return (companions, notes)
    }

    private static func target(_ name: String) -> String { "\(DevicePlan.directory)/lib64/\(name)" }

    /// Whether a name is one of the driver's, and a plain one.
    static func isWanted(_ name: String) -> Bool {
        names.contains { name.hasPrefix($0) } && !left.contains { name.hasPrefix($0) } && name.utf8.count < 100
            && name.utf8.allSatisfy {
                (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || "._-+".utf8.contains($0)
            }
    }

    /// Why a file is not shown: a fragment in lower case.
    private static func trouble(with path: String) -> String? {
        guard path.hasPrefix("/"), let location = try? Syscall.openLocation(FilePath(path), resolve: .noMagicLinks),
            let status = try? Syscall.fstat(location.number)
        else { return "it is not there" }
        guard status.isRegular else { return "it is no file" }
        return status.user == 0 && status.mode & 0o022 == 0 ? nil : "others than root can change it"
    }
}
