// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
    // The other way of making types at run time, by their mangled names, is a tenth of the time of a launch.
    .unsafeFlags(
        ["-Xfrontend", "-disable-concrete-type-metadata-mangled-name-accessors"], .when(configuration: .release)),
]

/// One file that needs no library of the host, and starts in a fraction of the time.
let statically: [LinkerSetting] = [
    .unsafeFlags(["-static-executable", "-use-ld=lld"]),
    .unsafeFlags(["-Xlinker", "-s"], .when(configuration: .release)), .linkedLibrary("_FoundationCollections"),
    .linkedLibrary("_FoundationCShims"), .linkedLibrary("_FoundationICU"),
    .linkedLibrary("FoundationInternationalization"), .linkedLibrary("CoreFoundation"), .linkedLibrary("stdc++"),
]

/// The same for programs that do without Foundation.
let small: [LinkerSetting] = [
    .unsafeFlags(["-static-executable", "-use-ld=lld"]),
    .unsafeFlags(["-Xlinker", "-s"], .when(configuration: .release)), .linkedLibrary("stdc++"),
]

let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")

let package = Package(
    name: "cloche",
    dependencies: [
        .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        .target(name: "PlainText", swiftSettings: strict),
        .target(name: "CLinux", cSettings: [.unsafeFlags(["-Wall", "-Wextra"])]),
        .target(name: "LinuxSystem", dependencies: ["CLinux", system], swiftSettings: strict),
        .target(name: "Isolation", dependencies: ["PlainText", system], swiftSettings: strict),
        .target(name: "CSandboxLaunch", cSettings: [.unsafeFlags(["-Wall", "-Wextra"])]),
        .target(
            name: "SandboxLaunch", dependencies: ["CSandboxLaunch", "Isolation", "LinuxSystem", system],
            swiftSettings: strict),
        .target(
            name: "SeccompFilters", dependencies: ["Isolation", "LinuxSystem", "CSeccomp", system],
            swiftSettings: strict),
        .systemLibrary(name: "CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
        .target(name: "Cgroups", dependencies: ["Isolation", "LinuxSystem", system], swiftSettings: strict),
        .target(
            name: "EgressProxying", dependencies: ["Isolation", "LinuxSystem", system], swiftSettings: strict),
        .target(
            name: "SandboxRuntime",
            dependencies: [
                "Cgroups", "EgressProxying", "Isolation", "LinuxSystem", "PlainText", "SandboxLaunch", "SeccompFilters",
                system,
            ],
            swiftSettings: strict),
        .target(
            name: "Policies",
            dependencies: ["Isolation", "PlainText", system, .product(name: "Yams", package: "Yams")],
            swiftSettings: strict),
        .target(name: "Pipelines", dependencies: ["PlainText"], swiftSettings: strict),
        .target(
            name: "Runs",
            dependencies: [
                "Cgroups", "Isolation", "LinuxSystem", "Pipelines", "PlainText", "SandboxLaunch", "SandboxRuntime",
                system,
            ],
            resources: [.copy("python")], swiftSettings: strict),
        .executableTarget(
            name: "cloche-supervisor", dependencies: ["Environments", "LinuxSystem", "Runs", system],
            swiftSettings: strict,
            linkerSettings: statically
        ),
        .target(
            name: "Snapshots",
            dependencies: [
                "Isolation", "LinuxSystem", "PlainText", system, .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict),
        .target(
            name: "Environments",
            dependencies: [
                "Isolation", "LinuxSystem", "Pipelines", "PlainText", "SandboxLaunch", "SandboxRuntime", "Snapshots",
                system,
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: strict),
        .target(name: "Jobs", dependencies: ["Isolation", "Pipelines", "PlainText"], swiftSettings: strict),
        .target(
            name: "JobStorage",
            dependencies: [
                "Isolation", "Jobs", "Pipelines", "PlainText", .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: strict),
        .target(
            name: "JobScheduling",
            dependencies: [
                "Cgroups", "Environments", "Isolation", "JobStorage", "Jobs", "LinuxSystem", "Pipelines", "PlainText",
                "Policies", "Runs", "SandboxRuntime", "Snapshots", system,
            ],
            swiftSettings: strict),
        .target(name: "TerminalOutput", dependencies: ["LinuxSystem", "PlainText"], swiftSettings: strict),
        .target(
            name: "ClocheCommands",
            dependencies: [
                "Cgroups", "Environments", "Isolation", "JobScheduling", "JobStorage", "Jobs", "LinuxSystem",
                "Pipelines", "PlainText", "Policies", "PreparedCommands", "Runs", "SandboxLaunch", "SandboxRuntime",
                "Snapshots", "TerminalOutput", system,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "cloche-commands", dependencies: ["ClocheCommands"], swiftSettings: strict,
            linkerSettings: statically),
        .target(
            name: "PreparedCommands",
            dependencies: [
                "Isolation", "LinuxSystem", "PlainText", "SandboxLaunch", "SandboxRuntime", "SeccompFilters",
                "TerminalOutput", system,
            ], swiftSettings: strict),
        .executableTarget(
            name: "cloche", dependencies: ["PreparedCommands"], swiftSettings: strict, linkerSettings: small),
        .executableTarget(
            name: "cloche-init",
            cSettings: [
                .headerSearchPath("../CSandboxLaunch/include"),
                .unsafeFlags(["-Wall", "-Wextra", "-Os", "-ffreestanding", "-fno-builtin", "-fno-stack-protector"]),
            ],
            linkerSettings: [
                .unsafeFlags(["-static-executable", "-nostartfiles", "-Xclang-linker", "-nostdlib", "-Xlinker", "-s"])
            ]),
        .executableTarget(
            name: "cloche-prove", cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Os"])],
            linkerSettings: [.unsafeFlags(["-static-executable", "-Xlinker", "-s"])]),
        .testTarget(
            name: "SandboxLaunchTests",
            dependencies: ["SandboxLaunch", "CSandboxLaunch", "Isolation", "LinuxSystem", system],
            swiftSettings: strict),
        .testTarget(
            name: "SandboxRuntimeTests",
            dependencies: [
                "Cgroups", "SandboxRuntime", "SandboxLaunch", "SeccompFilters", "Policies", "Isolation", "LinuxSystem",
                system,
            ], swiftSettings: strict),
        .testTarget(
            name: "PreparedCommandsTests",
            dependencies: [
                "PreparedCommands", "Isolation", "LinuxSystem", "Policies", "SandboxRuntime", "SeccompFilters", system,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "PoliciesTests", dependencies: ["Policies", "Isolation", system], swiftSettings: strict),
        .testTarget(
            name: "EgressProxyingTests", dependencies: ["EgressProxying", "Isolation", "LinuxSystem", system],
            swiftSettings: strict),
        .testTarget(
            name: "CgroupsTests", dependencies: ["Cgroups", "Isolation", "LinuxSystem", system], swiftSettings: strict),
        .testTarget(
            name: "RunsTests", dependencies: ["Runs", "Isolation", "LinuxSystem", system], swiftSettings: strict),
        .testTarget(name: "JobsTests", dependencies: ["Jobs", "Isolation", "Pipelines"], swiftSettings: strict),
        .testTarget(
            name: "JobStorageTests",
            dependencies: ["JobStorage", "Jobs", "Isolation", .product(name: "GRDB", package: "GRDB.swift")],
            swiftSettings: strict),
        .testTarget(
            name: "JobSchedulingTests",
            dependencies: [
                "JobScheduling", "JobStorage", "Jobs", "Isolation", "LinuxSystem", "Pipelines", "Snapshots", system,
            ],
            swiftSettings: strict),
        .testTarget(name: "PipelinesTests", dependencies: ["Pipelines", "PlainText"], swiftSettings: strict),
        .testTarget(
            name: "SeccompFiltersTests",
            dependencies: ["SeccompFilters", "Policies", "Isolation", "LinuxSystem", "CSeccomp", system],
            swiftSettings: strict),
        .testTarget(
            name: "SnapshotsTests", dependencies: ["Snapshots", "LinuxSystem", system], swiftSettings: strict),
        .testTarget(
            name: "TerminalOutputTests", dependencies: ["LinuxSystem", "PlainText", "TerminalOutput", system],
            swiftSettings: strict),
        .testTarget(
            name: "EnvironmentsTests", dependencies: ["Environments", "LinuxSystem", "Snapshots", system],
            swiftSettings: strict),
        .testTarget(name: "PlainTextTests", dependencies: ["PlainText"], swiftSettings: strict),
        .testTarget(name: "EndToEndTests", swiftSettings: strict),
    ]
)
