import PlainText
package import SystemPackage

extension BuildPlan {
    /// The plan for a project's layer: its set-up script on the layers of a base, top first.
    ///
    /// The script runs with bash in `/project-dir`, where it finds the project and may write; what it writes there is
    /// thrown away. `keeping` names the metadata by which archives that it fetched are kept for other builds.
    package static func project(
        variables: [String: String], layers: [FilePath], project: FilePath?, configuration: BuildConfiguration,
        paths: BuildPaths, keeping metadata: String? = nil, keepsPipFiles: Bool = true
    ) -> BuildPlan {
        var variables = buildVariables(variables, configuration)
        variables["BASH_ENV"] = BuildConfiguration.inSandbox + "/" + SetupScript.prologFile
        let command = SandboxCommand(
            root: .layers(layers, upper: paths.tree, work: paths.work),
            arguments: ["/bin/bash", BuildConfiguration.inSandbox + "/" + SetupScript.file], variables: variables,
            workingDirectory: project == nil ? "/" : "/project-dir",
            binds: mounts(configuration, paths), scratch: project.map { [BuildMount($0, at: "/project-dir")] } ?? [],
            network: .outbound(reachable: configuration.reachableHosts), timeLimit: .seconds(6 * 3600))
        let setup = Step(stage: .setup, command: .sandbox(command), output: .log)
        var keep: [Command] = []
        if let metadata { keep.append(.packages(PackageTaking(tree: paths.tree, metadata: metadata, learns: false))) }
        if keepsPipFiles { keep.append(.pipFiles(PipTaking(tree: paths.tree, command: command))) }
        return BuildPlan(
            steps: [setup] + keep.map { Step(stage: .setup, command: $0, output: .log) }
                + [interpreters(like: command, variables)]
                + cleaning(paths, isBase: false))
    }

    /// Looks for languages that the script may have brought; a script that lies about them only harms its own steps.
    private static func interpreters(like command: SandboxCommand, _ variables: [String: String]) -> Step {
        var command = command
        let pairs = Recipe.programs.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }
        let script = """
            for pair in \(pairs.joined(separator: " ")); do
                if program=$(command -v "${pair#*:}"); then echo "${pair%%:*} $program"; fi
            done
            """
        command.arguments = ["/bin/sh", "-c", script]
        command.variables = variables
        command.variables["BASH_ENV"] = nil
        command.workingDirectory = "/"
        command.network = .none
        command.timeLimit = .seconds(60)
        return Step(stage: .setup, command: .sandbox(command), output: .interpreters)
    }
}

/// How a set-up script is run, and how the line that ended it is found.
package enum SetupScript {
    /// The script's file in the configuration.
    static let file = "setup_script.sh"
    /// The file that bash reads first.
    static let prologFile = "prolog.bash"

    /// What bash runs before the script: it restores the environment's own `BASH_ENV` and reports the line at the end.
    ///
    /// The script runs as `bash script` would run it: without `set -e`, with its own exit status.
    static func prolog(bashEnvironment: String?) -> String {
        let restore: String
        if let bashEnvironment {
            let quoted = "'" + bashEnvironment.replacing("'", with: "'\\''") + "'"
            restore = "export BASH_ENV=\(quoted)\nif [[ -r $BASH_ENV ]]; then . \"$BASH_ENV\"; fi"
        } else {
            restore = "unset BASH_ENV"
        }
        return """
            \(BuildConfiguration.pipPreparation)\(restore)
            __cloche_line=0 __cloche_before=0
            __cloche_end() {
                local status=$? line=$1
                trap - DEBUG
                if [[ $3 -gt 1 ]]; then line=$2; fi
                if [[ $status -ne 0 ]]; then
                    printf '\\n\(marker)%s with status %s\\n' "$line" "$status" >&2
                fi
                return "$status"
            }
            trap '__cloche_end "$__cloche_before" "$__cloche_line" "${#BASH_SOURCE[@]}"' EXIT
            # Outside functions bash runs this once more before the EXIT trap: then the line before is the one that counts.
            trap '__cloche_before=$__cloche_line __cloche_line=$LINENO' DEBUG

            """
    }

    /// The line that ended the script, from the end of its log; the script can forge it, so it only serves a message.
    static func failedLine(log: [UInt8]) -> Int? {
        let text = String(decoding: log.suffix(4096), as: UTF8.self)
        // Bash has read on beyond the line that it carried out last.
        guard let range = text.ranges(of: marker).last, syntaxError(log: log) == nil else { return nil }
        return Int(text[range.upperBound...].prefix { $0.isASCII && $0.isNumber }.prefix(9))
    }

    /// What bash said last of a script that it could not read to its end: the number of the line, and why.
    static func syntaxError(log: [UInt8]) -> String? {
        // Below it are the text of the line, and the report of the end.
        let lines = String(decoding: log.suffix(4096), as: UTF8.self).split(separator: "\n").suffix(3)
        let words = [": syntax error", ": unexpected EOF while looking for matching"]
        guard
            let last = lines.last(where: { line in
                line.contains("\(file): line ") && words.contains { line.contains($0) }
            }),
            let name = last.ranges(of: "\(file): ").last
        else { return nil }
        return printable(String(last[name.upperBound...]), limit: 200)
    }

    private static let marker = "cloche: setup_script.sh ended at line "
}
