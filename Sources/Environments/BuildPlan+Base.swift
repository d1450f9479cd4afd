import SystemPackage

extension BuildPlan {
    /// The plan for a base: packages, then the recipe's scripts.
    ///
    /// Package scripts run in the sandbox only, without a network: everything is fetched before.
    package static func base(
        _ recipe: Recipe, configuration: BuildConfiguration, paths: BuildPaths, keepsPipFiles: Bool = true
    ) -> BuildPlan {
        let archive = PackageArchive(suite: recipe.suite, components: recipe.components)
        // No script of a package has run yet: what is in the tree is what the host's apt has verified.
        let keep = PackageTaking(tree: paths.tree, metadata: archive.metadataName, learns: true)
        var steps = [
            fetch(recipe, configuration, paths), Step(stage: .fetch, command: .packages(keep), output: .log),
            configure(recipe, configuration, paths),
        ]
        for script in recipe.scripts {
            let command = SandboxCommand(
                root: .tree(paths.tree),
                arguments: [
                    "/bin/bash", "-c", BuildConfiguration.pipPreparation + "exec /bin/bash \"$0\"",
                    "/environment/" + script,
                ],
                variables: buildVariables(recipe.variables, configuration), workingDirectory: "/environment",
                binds: mounts(configuration, paths) + [BuildMount(paths.recipe, at: "/environment")], scratch: [],
                network: .outbound(reachable: configuration.reachableHosts), timeLimit: .seconds(3600))
            steps.append(Step(stage: .script(script), command: .sandbox(command), output: .log))
            if keepsPipFiles {
                let taking = PipTaking(tree: paths.tree, command: command)
                steps.append(Step(stage: .script(script), command: .pipFiles(taking), output: .log))
            }
        }
        return BuildPlan(steps: steps + cleaning(paths, isBase: true))
    }

    private static func fetch(
        _ recipe: Recipe, _ configuration: BuildConfiguration, _ paths: BuildPaths
    ) -> Step {
        // The hook leaves the list of unpacked archives, and lists what the metadata names, whose signature apt has verified;
        // then it fetches the rest without unpacking it: apt in the sandbox unpacks those in the right order.
        let list = "$1\(PackageCache.listPath)"
        let hook = """
            export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
            cd "$1/var/cache/apt/archives" && ls | grep '[.]deb$' > "$1\(essentialList)" && \
            apt-get indextargets --format '$(FILENAME)' 'Created-By: Packages' | while read -r list; do
                /usr/lib/apt/apt-helper cat-file "$list"
                echo
            done | awk '$1 == "Filename:" {path = $2} $1 == "Size:" {size = $2} $1 == "SHA256:" {digest = $2}
                NF == 0 {if (digest != "") print digest, size, path; digest = ""}' > "\(list).new" && \
            mv "\(list).new" "\(list)" && \
            apt-get --yes --download-only -o Debug::NoLocking=1 \
            install \((["apt"] + recipe.packages).joined(separator: " "))
            """
        let arguments =
            [
                "mmdebstrap", "--mode=root", "--variant=extract", "--format=directory",
                "--skip=cleanup,chroot/mount,output/dev,check/empty", "--include=?essential", "--include=apt",
                "--aptopt=APT::Install-Recommends \"false\"", "--aptopt=" + BuildConfiguration.fetchSettings,
            ]
            + ["--extract-hook=" + hook, recipe.suite, NamespaceCommand.mountPoint, BuildConfiguration.fetchSources]
        var command = hostCommand(arguments, paths)
        command.variables.merge(configuration.fetchVariables) { $1 }
        command.binds = [BuildMount(paths.configuration, at: FilePath(BuildConfiguration.inNamespace))]
        if configuration.hasPackages {
            command.binds.append(BuildMount(paths.packages, at: FilePath(BuildConfiguration.packagesInNamespace)))
        }
        command.timeLimit = .seconds(1800)
        return Step(stage: .fetch, command: .namespace(command), output: .log)
    }

    private static func configure(
        _ recipe: Recipe, _ configuration: BuildConfiguration, _ paths: BuildPaths
    ) -> Step {
        let packages = ["apt"] + recipe.packages
        let script = """
            set -e
            export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
            printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
            chmod 755 /usr/sbin/policy-rc.d
            cd /var/cache/apt/archives
            xargs -a \(essentialList) -d '\\n' \
            dpkg --force-depends --force-unsafe-io --force-confold --log=/dev/null --install
            rm \(essentialList)
            exec apt-get --yes --no-download -o APT::Install-Recommends=false -o Dpkg::Options::=--force-unsafe-io \
            -o Dpkg::Options::=--force-confold -o Dir::Etc::sourcelist=\(BuildConfiguration.fetchSourcesInSandbox) \
            install "$@"
            """
        var variables = buildVariables([:], configuration)
        variables["HOME"] = "/root"
        let command = SandboxCommand(
            root: .tree(paths.tree), arguments: ["/bin/sh", "-c", script, "configure"] + packages,
            variables: variables, workingDirectory: "/", binds: [mount(paths)], scratch: [], network: .none,
            timeLimit: .seconds(3600))
        return Step(stage: .configure, command: .sandbox(command), output: .log)
    }

    /// The archives that are unpacked before dpkg can run.
    private static let essentialList = "/var/cache/apt/essential"

    /// What a script sees of the host: the configuration, and what is kept for it.
    static func mounts(_ configuration: BuildConfiguration, _ paths: BuildPaths) -> [BuildMount] {
        let kept = BuildMount(paths.packages, at: FilePath(BuildConfiguration.packagesInSandbox))
        return [mount(paths)] + (configuration.showsPackages ? [kept] : [])
    }

    static func mount(_ paths: BuildPaths) -> BuildMount {
        BuildMount(paths.configuration, at: FilePath(BuildConfiguration.inSandbox))
    }

    /// The variables of everything that a build runs in the sandbox: the environment's, then the build's own.
    static func buildVariables(
        _ variables: [String: String], _ configuration: BuildConfiguration
    ) -> [String: String] {
        var result = [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
            "LC_ALL": "C.UTF-8", "TERM": "dumb",
        ]
        result.merge(variables) { $1 }
        result.merge(configuration.variables) { $1 }
        // Environments keep no cache of pip; a build has one that does not stay in it.
        result["PIP_NO_CACHE_DIR"] = nil
        result["DEBIAN_FRONTEND"] = "noninteractive"
        result["DEBCONF_NONINTERACTIVE_SEEN"] = "true"
        return result
    }

    /// A program of the host with the tree at `/mnt`.
    static func hostCommand(_ arguments: [String], _ paths: BuildPaths) -> NamespaceCommand {
        NamespaceCommand(
            arguments: arguments,
            variables: [
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", "LC_ALL": "C", "TMPDIR": "/tmp",
            ],
            directory: paths.tree, binds: [], timeLimit: .seconds(600))
    }
}
