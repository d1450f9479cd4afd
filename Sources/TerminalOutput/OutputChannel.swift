import Glibc
package import LinuxSystem

/// When to write colours, as asked for on the command line; the environment decides only about `automatic`.
package enum ColourChoice: String, Sendable, Hashable, CaseIterable {
    /// On a terminal that can show them, unless the environment says otherwise.
    case automatic = "auto"
    /// Everywhere.
    case always
    /// Nowhere.
    case never
}

/// One stream that text is written to, with what is known about its reader.
package struct OutputChannel: Sendable {
    /// Whether a person reads it on a terminal.
    package let isTerminal: Bool
    /// Whether the terminal can repaint lines; false for a pipe and for `TERM=dumb`.
    package let movesCursor: Bool
    /// Colours and glyphs that the reader can see.
    package let styling: Styling
    private let currentSize: @Sendable () -> WindowSize
    private let sink: @Sendable ([UInt8]) throws(SyscallError) -> Void

    /// A channel of given facts.
    ///
    /// - Parameters:
    ///   - size: Asked whenever a width matters, so that it follows a resize; zeros mean 80 and 24.
    ///   - sink: Takes all of the bytes, or throws.
    package init(
        isTerminal: Bool, movesCursor: Bool, styling: Styling, size: @escaping @Sendable () -> WindowSize,
        sink: @escaping @Sendable ([UInt8]) throws(SyscallError) -> Void
    ) {
        self.isTerminal = isTerminal
        self.movesCursor = isTerminal && movesCursor
        self.styling = styling
        currentSize = size
        self.sink = sink
    }

    /// A channel on an open descriptor, which stays its owner's.
    ///
    /// - Parameter variable: The value of an environment variable, nil where it is not set.
    package init(
        descriptor: CInt, colour: ColourChoice = .automatic, variable: (String) -> String? = environmentVariable
    ) {
        let isTerminal = Syscall.isTerminal(descriptor)
        let columns = variable("COLUMNS").flatMap { Int($0) } ?? 0
        self.init(
            isTerminal: isTerminal,
            movesCursor: Styling.isCapable(terminalType: variable("TERM")),
            styling: Styling(isTerminal: isTerminal, colour: colour, variable: variable),
            size: {
                let known = try? Syscall.windowSize(descriptor)
                guard let known, known.columns > 0 else { return WindowSize(columns: columns, rows: known?.rows ?? 0) }
                return known
            },
            sink: { bytes throws(SyscallError) in try Syscall.writeWaiting(descriptor, bytes) }
        )
    }

    /// The present size, always usable: at least 20 by 3 cells, and 80 by 24 where it is not known.
    package var size: WindowSize {
        let size = currentSize()
        return WindowSize(
            columns: size.columns > 0 ? min(max(size.columns, 20), 1000) : 80,
            rows: size.rows > 0 ? max(size.rows, 3) : 24
        )
    }

    /// Writes all of the text; `isBrokenPipe` of the error tells that nobody reads any more.
    package func write(_ text: String) throws(SyscallError) {
        try write(Array(text.utf8))
    }

    /// Writes all of the bytes, as they are.
    package func write(_ bytes: [UInt8]) throws(SyscallError) {
        if !bytes.isEmpty { try sink(bytes) }
    }
}

/// Standard output, which carries data, and standard error, which carries everything else.
package struct OutputStreams: Sendable {
    /// For data.
    package let output: OutputChannel
    /// For progress, questions, warnings and errors.
    package let error: OutputChannel

    /// A pair of given channels.
    package init(output: OutputChannel, error: OutputChannel) {
        self.output = output
        self.error = error
    }

    /// The streams of this process.
    package static func standard(colour: ColourChoice = .automatic) -> OutputStreams {
        OutputStreams(
            output: OutputChannel(descriptor: STDOUT_FILENO, colour: colour),
            error: OutputChannel(descriptor: STDERR_FILENO, colour: colour)
        )
    }
}

/// A variable of this process's environment; nil where it is not set.
package func environmentVariable(_ name: String) -> String? {
    Glibc.getenv(name).map { String(cString: $0) }
}

extension Styling {
    /// Decides from the flag first, then from the environment, then from the kind of stream.
    ///
    /// `NO_COLOR` wins over `CLICOLOR_FORCE` and `FORCE_COLOR`; these win over `TERM=dumb` and over a pipe.
    package init(isTerminal: Bool, colour: ColourChoice, variable: (String) -> String?) {
        let encoding = ["LC_ALL", "LC_CTYPE", "LANG"].compactMap(variable).first { !$0.isEmpty }?.lowercased()
        let unicode = encoding.map { $0.contains("utf-8") || $0.contains("utf8") } ?? false
        func isForced(_ name: String) -> Bool { variable(name).map { !$0.isEmpty && $0 != "0" } ?? false }
        let colours =
            switch colour {
            case .always: true
            case .never: false
            case .automatic where !(variable("NO_COLOR") ?? "").isEmpty: false
            case .automatic where isForced("CLICOLOR_FORCE") || isForced("FORCE_COLOR"): true
            case .automatic: isTerminal && Self.isCapable(terminalType: variable("TERM"))
            }
        self.init(colours: colours, unicode: unicode)
    }

    /// Whether a terminal of this type understands colours and cursor moves.
    static func isCapable(terminalType: String?) -> Bool {
        guard let terminalType else { return false }
        return !terminalType.isEmpty && terminalType != "dumb"
    }
}
