package import Isolation

/// Turns policies into filters.
///
/// The filter first makes sure of the calling convention, then finds the call's number in a balanced tree over ranges
/// of numbers with one fate, and looks at arguments only where a rule has conditions. The kernel runs a filter once for
/// each number while loading it, so this form loads fastest, and it caches the numbers whose verdict needs no arguments.
package struct FilterCompiler: Sendable {
    /// Who is told of what.
    package enum Mode: String, Sendable, Hashable, Codable, CaseIterable {
        /// Refusals that matter go to the listener, and the call that it answers in the kernel's place.
        case notify
        /// Every refusal is answered by the kernel: for where no listener can be had.
        case silent
        /// Everything but probes goes to the listener, allowed calls too, which it lets continue, by the same rules and the
        /// same registers. Calls without which no program starts are not told of: a filter that asked about execve(2)
        /// would wait for its listener, which is handed over afterwards, and nothing is learnt from them.
        case learn
    }

    /// Changes whenever equal policies would give other bytes, for the keys of caches.
    package static let version = 3

    private let architecture: SystemCallArchitecture
    private let mode: Mode

    /// A compiler for `architecture`.
    package init(architecture: SystemCallArchitecture = .native, mode: Mode = .notify) {
        self.architecture = architecture
        self.mode = mode
    }

    /// Compiles `policy`.
    ///
    /// - Throws: what `SeccompPolicy.validate` finds, or `FilterCompilerError.tooLong`.
    package func compile(_ policy: SeccompPolicy) throws(FilterCompilerError) -> FilterProgram {
        do {
            try policy.validate()
        } catch {
            throw .policy(error)
        }
        var assembler = FilterAssembler()
        emitPrologue(&assembler)
        var blocks = FateBlocks(compiler: self)
        emitTree(ranges(policy, .table(for: architecture))[...], &blocks, &assembler)
        blocks.emit(&assembler)
        let instructions = assembler.assemble()
        guard instructions.count <= FilterProgram.greatestLength else { throw .tooLong(instructions.count) }
        return FilterProgram(
            architecture: architecture,
            bytes: instructions.flatMap(\.bytes),
            needsListener: instructions.contains(FilterInstruction(.give, FilterAction.notify.code)),
            answers: RefusalTable(policy: policy, architecture: architecture))
    }

    /// The action for uses of `call` that `policy` allows.
    func allowed(_ call: String, _ policy: SeccompPolicy) -> FilterAction {
        switch mode {
        case .notify: call == SeccompPolicy.answered && policy.isAnswered ? .notify : .allow
        case .silent: .allow
        case .learn: SeccompPolicy.indispensable.contains(call) ? .allow : .notify
        }
    }

    /// The action that carries out `verdict` on a call whose allowed uses have the action `allowed`.
    func action(_ verdict: SeccompVerdict, allowed: FilterAction) -> FilterAction {
        switch verdict {
        case .allow: allowed
        case .refuse(let refusal): mode != .silent && refusal.reporting == .notify ? .notify : .errno(refusal.errno)
        }
    }

    private func emitPrologue(_ assembler: inout FilterAssembler) {
        let native = assembler.label()
        assembler.add(.load, SeccompData.Offset.architecture)
        assembler.branch(.jumpIfEqual, architecture.auditToken, ifTrue: native)
        assembler.give(.killProcess)
        assembler.place(native)
        assembler.add(.load, SeccompData.Offset.number)
    }

    /// Goes to the fate of the range that the loaded number lies in, by halving `ranges`.
    private func emitTree(
        _ ranges: ArraySlice<CallRange>, _ blocks: inout FateBlocks, _ assembler: inout FilterAssembler
    ) {
        guard let first = ranges.first else { return }
        guard ranges.count > 1 else { return assembler.jump(to: blocks.label(for: first.fate, &assembler)) }
        let middle = ranges.startIndex + ranges.count / 2
        let lower = ranges[..<middle]
        let upper = ranges[middle...]
        let lowerLabel = lower.count == 1 ? blocks.label(for: first.fate, &assembler) : nil
        let upperLabel =
            upper.count == 1 ? blocks.label(for: ranges[middle].fate, &assembler) : assembler.label()
        assembler.branch(.jumpIfAtLeast, ranges[middle].first, ifTrue: upperLabel, ifFalse: lowerLabel)
        if lower.count > 1 { emitTree(lower, &blocks, &assembler) }
        if upper.count > 1 {
            assembler.place(upperLabel)
            emitTree(upper, &blocks, &assembler)
        }
    }
}
