import Isolation
import JobScheduling
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import Policies
import Runs
import SandboxRuntime
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// A notebook as a page that is safe to open.
///
/// What a notebook holds is hostile, and so is the nbconvert of its environment. The page that it makes is a document
/// within ours: in a frame with `sandbox`, which runs no script, sends no form and opens no window, and under a policy of
/// both documents that loads nothing from anywhere (Content Security Policy Level 3; HTML, the `iframe` element).
struct NotebookPage {
    /// The largest page that is made.
    private static let most = 256 << 20
    private static let policy =
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:; media-src data:; "
        + "form-action 'none'; base-uri 'none'"

    private let step: RunSpec.Step
    private let spec: RunSpec
    private let environment: RunSpec.Environment
    private let attempt: AttemptDirectory
    private let title: String
    private let record: StepRecord?
    private let mask: SecretMask

    /// `verdict` is what is known of the step in that attempt; `mask` hides the values of its secrets.
    init(
        _ step: RunSpec.Step, of spec: RunSpec, attempt: AttemptDirectory, title: String, verdict: StepRecord?,
        mask: SecretMask
    ) throws {
        guard let environment = spec.environments.first(where: { $0.uuid == step.environment }) else {
            throw CommandFailure(.invalidData, "open the notebook: the run does not name the environment of the step")
        }
        self.step = step
        self.spec = spec
        self.environment = environment
        self.attempt = attempt
        self.title = title
        record = verdict
        self.mask = mask
    }

    /// The page, made in a sandbox of the step's environment.
    func html(_ context: CommandContext) throws -> [UInt8] {
        let store = try SandboxStore(try CommandContext.storePath())
        var policy = try CommandContext.policy("strict")
        policy.network = .none
        policy.data = .none
        // What is read is bounded, and the time is.
        policy.limits.output = nil
        policy.limits.wallTime = .seconds(120)
        let python = environment.interpreters["python"] ?? "/usr/bin/python3"
        let prefix = "/project-dir/"
        guard step.file.hasPrefix(prefix) else {
            throw CommandFailure(
                .wrongState, "open the notebook `\(step.file)`: it is in /data, where later runs may have changed it",
                hint: "open it there")
        }
        var variables = environment.variables
        for (name, value) in ["PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"] where variables[name] == nil {
            variables[name] = value
        }
        variables["HOME"] = "/tmp"
        var sandbox = SandboxSpec(
            policy: policy,
            arguments: [python, "-c", Self.program, String(step.file.dropFirst(prefix.count)), environment.name],
            variables: variables)
        var stage = StageSpec(environments: [.init(layers: environment.layers, owner: environment.owner)])
        // The newest layer of what the run wrote that has the notebook, else the project as it was frozen.
        for (index, layer) in (written() + spec.projectLayers).prefix(16).enumerated() {
            sandbox.mounts.append(.init(.bind(index), at: "/notebooks/\(index)"))
            stage.binds.append(.init(source: layer, readOnly: true))
        }
        let name = JobID.random().description
        let request = OneSandbox(
            identity: store.identity, stage: stage, sandbox: sandbox, name: name, scratch: store.scratch)
        for warning in try store.register(sandbox: name) { context.say("warning: \(printable(warning))") }
        defer { store.abandon(sandbox: name) }
        let outcome = try CapturedCommand.run(request, most: Self.most)
        guard outcome.code == 0, outcome.output.count < Self.most,
            let end = outcome.output.firstIndex(of: 0x0A),
            let facts = try? JSONValue(parsing: String(decoding: outcome.output[..<end], as: UTF8.self))
        else { throw failure(outcome) }
        return Array(page(facts, masked(outcome.output[(end + 1)...])).utf8)
    }

    /// Where the attempt keeps what its steps wrote, the newest first.
    private func written() -> [String] {
        var layers = [attempt.path.appending("project").string].filter { Syscall.exists(FilePath($0)) }
        let sealed = attempt.path.appending("layers")
        if let opened = try? Syscall.open(sealed, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
            let entries = try? Syscall.directoryEntries(opened.number)
        {
            let numbers = entries.compactMap { Int(String(decoding: $0.name, as: UTF8.self)) }.sorted(by: >)
            layers += numbers.map { sealed.appending(String($0)).string }
        }
        return layers
    }

    private func failure(_ outcome: CapturedCommand.Outcome) -> CommandFailure {
        let said = masked((outcome.errors.split(separator: "\n").last ?? "").utf8)
        switch outcome.code {
        case 61:
            return CommandFailure(
                .failed, "open the notebook: environment `\(environment.name)` has no nbconvert",
                hint: "add `pip install nbconvert` to the environment's setup script; base-kernel-py has it")
        case 62:
            return CommandFailure(
                .notFound, "open the notebook: there is no `\(step.file)` in what the run wrote or began with",
                hint: "its files may have been removed to make room")
        case 63:
            return CommandFailure(
                .invalidData, "open the notebook `\(step.file)`: it is no notebook: \(printable(said))",
                hint: "see what the run made of it with `cloche diff`")
        default:
            return CommandFailure(
                .failed, "open the notebook: nbconvert ended with \(outcome.code): \(printable(said))",
                hint: "see whether `nbconvert` works in environment `\(environment.name)`: `cloche env shell`")
        }
    }

    // MARK: The page

    private func page(_ facts: JSONValue, _ inner: String) -> String {
        let state = record?.state.rawValue ?? ""
        var summary = "<h1>\(Self.escaped(title))</h1><p class=\"\(Self.escaped(state))\"><b>\(Self.escaped(state))</b>"
        if let verdict = record?.verdict {
            summary += " \(Self.escaped(verdict.summary))"
            if let remedy = verdict.remedy { summary += "<br>\(Self.escaped(remedy))" }
        }
        summary += "</p>"
        if let cell = facts["cell"]?.intValue {
            let count = facts["count"]?.intValue.map { " [\($0)]" } ?? ""
            // Cut when it is masked: a part of a value would not be known.
            let source = masked((facts["source"]?.stringValue ?? "").utf8).prefix(20_000)
            let error = masked((facts["error"]?.stringValue ?? "").utf8).suffix(20_000)
            summary +=
                "<h2>Cell \(cell)\(count) failed</h2><pre>\(Self.escaped(String(source)))</pre>"
                + "<pre class=\"error\">\(Self.escaped(String(error)))</pre>"
                + "<p>The notebook below begins with a link to this cell.</p>"
        }
        // Our document first: its policy is in force before anything of the notebook is read.
        return """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8">
            <meta http-equiv="Content-Security-Policy" content="\(Self.policy)">
            <meta name="referrer" content="no-referrer">
            <title>\(Self.escaped(title))</title>
            <style>
            body { font: 15px sans-serif; margin: 0; display: flex; flex-direction: column; height: 100vh; }
            header { padding: 0 1.5em .5em; max-height: 45vh; overflow: auto; border-bottom: 1px solid #999; }
            h1 { font-size: 1.3em; } h2 { font-size: 1.1em; }
            pre { background: #f4f4f4; padding: .6em; overflow: auto; } pre.error { background: #fbe2e0; }
            p.failed b { color: #c62828; } p.succeeded b { color: #2e7d32; }
            iframe { flex: 1; border: 0; width: 100%; }
            </style></head>
            <body><header>\(summary)</header>
            <iframe sandbox="" referrerpolicy="no-referrer" title="The notebook" srcdoc="\(Self.escaped(framed(inner)))"></iframe>
            </body></html>

            """
    }

    /// The notebook's own document, with our policy before it.
    private func framed(_ inner: String) -> String {
        "<!DOCTYPE html><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"\(Self.policy)\">\n"
            + inner
    }

    private func masked(_ text: some Sequence<UInt8>) -> String { String(decoding: mask.masked(text), as: UTF8.self) }

    /// Text that is no markup, also within an attribute in double quotes.
    private static func escaped(_ text: String) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count + text.utf8.count / 8)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "&"): bytes += Array("&amp;".utf8)
            case UInt8(ascii: "<"): bytes += Array("&lt;".utf8)
            case UInt8(ascii: ">"): bytes += Array("&gt;".utf8)
            case UInt8(ascii: "\""): bytes += Array("&quot;".utf8)
            case UInt8(ascii: "'"): bytes += Array("&#39;".utf8)
            case 0: break
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Finds the notebook, marks its failing cell, and prints a line of facts and then the page.
    private static let program = #"""
        import json, os, re, sys
        try:
            import nbformat
            from nbconvert import HTMLExporter
        except ImportError as error:
            print(error, file=sys.stderr)
            sys.exit(61)
        name = sys.argv[1]
        for number in range(16):
            path = os.path.join("/notebooks", str(number), name)
            if os.path.isfile(path):
                break
        else:
            sys.exit(62)
        try:
            if os.path.getsize(path) > 200 << 20:
                raise ValueError("it is larger than 200 MiB")
            with open(path, encoding="utf-8") as file:
                notebook = nbformat.read(file, as_version=4)
        except Exception as error:
            print(str(error).splitlines()[0] if str(error) else type(error).__name__, file=sys.stderr)
            sys.exit(63)
        facts = {}
        for index, cell in enumerate(notebook.cells):
            errors = [output for output in cell.get("outputs", []) if output.get("output_type") == "error"]
            if not errors:
                continue
            plain = re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]", "", "\n".join(errors[0].get("traceback", [])))
            facts = {"cell": index + 1, "count": cell.get("execution_count"), "source": cell.source[:200000],
                "error": plain[-200000:] or str(errors[0].get("evalue", ""))}
            mark = nbformat.v4.new_markdown_cell('<a id="cloche-failing-cell"></a>\n\n**This cell failed:**')
            link = nbformat.v4.new_markdown_cell('[To the cell that failed](#cloche-failing-cell)')
            notebook.cells.insert(index, mark)
            notebook.cells.insert(0, link)
            break
        exporter = HTMLExporter()
        exporter.embed_images = False
        body, _ = exporter.from_notebook_node(notebook)
        sys.stdout.buffer.write(json.dumps(facts).encode() + b"\n" + body.encode("utf-8", "replace"))
        """#
}

/// A command in a sandbox whose output is kept.
enum CapturedCommand {
    /// How the command ended, and what it wrote.
    struct Outcome {
        var code: Int32
        var output: [UInt8]
        /// The end of its standard error.
        var errors: String
    }

    /// Runs the command to its end; of its output at most `most` bytes are kept.
    static func run(_ request: OneSandbox, most: Int) throws -> Outcome {
        guard let bytes = JSONFile.encode(request) else {
            throw CommandFailure(.internalFault, "write the request of a sandbox: a number is not finite")
        }
        let memory = try Syscall.sealedMemory(name: "request", bytes: bytes, executable: false)
        _ = lseek(memory.number, 0, SEEK_SET)
        let output = try Syscall.pipe()
        let errors = try Syscall.pipe()
        let own = FilePath(bytes: try Syscall.readLink("/proc/self/exe"))
        let number = try HostProcess.spawn(
            own.removingLastComponent().appending("cloche-supervisor"), ["cloche-supervisor", "command"],
            descriptors: [
                (memory.number, SupervisorMain.requestDescriptor), (output.writing.number, 1),
                (errors.writing.number, 2),
            ])
        let process = try ProcessHandle(opening: number)
        let data = output.takeReading()
        let complaints = errors.takeReading()
        var kept: [UInt8] = [], said: [UInt8] = []
        var open = [data.number, complaints.number]
        // Both at once: a command that floods one must not wait for the reader of the other.
        while !open.isEmpty {
            for ready in try Syscall.poll(open, milliseconds: -1).map(\.number) {
                let part = try Syscall.read(ready, upTo: 1 << 18)
                if part.isEmpty {
                    open.removeAll { $0 == ready }
                } else if ready == data.number {
                    if kept.count < most { kept += part }
                } else {
                    said = Array((said + part).suffix(1 << 16))
                }
            }
        }
        let code: Int32 = if case .exited(let status)? = try process.wait()?.end { status } else { 125 }
        return Outcome(code: code, output: kept, errors: String(decoding: said, as: UTF8.self))
    }
}
