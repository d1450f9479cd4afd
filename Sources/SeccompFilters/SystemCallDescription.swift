package import Isolation

/// Writes system calls as a reader knows them: names for families, flags and requests, `…` for what lies in memory.
package struct SystemCallDescription: Sendable {
    /// How an argument is shown.
    enum Form: Sendable {
        /// A pointer; its value tells nobody anything.
        case memory
        /// A signed number.
        case number
        /// A size or another unsigned 64-bit number.
        case size
        case hexadecimal
        /// File modes, in octal digits.
        case mode
        /// A directory descriptor, or AT_FDCWD.
        case directory
        /// One of some names, or the number.
        case symbol(SystemCallSymbols)
        /// Names joined by `|`, with the remaining bits in hexadecimal.
        case flags(SystemCallSymbols)
        /// A value under a mask, then flags: the type of a socket.
        case symbolAndFlags(SystemCallSymbols, mask: UInt32, SystemCallSymbols)
    }

    private let architecture: SystemCallArchitecture

    /// Describes calls by the numbers of `architecture`.
    package init(_ architecture: SystemCallArchitecture = .native) { self.architecture = architecture }

    /// The call `number` with the registers `arguments`.
    package func describe(number: UInt32, arguments: [UInt64]) -> String {
        guard let name = SystemCallTable.table(for: architecture).name(of: number) else {
            guard let newer = LibseccompNames.name(of: number, architecture: architecture) else {
                return "call \(number)(…)"
            }
            return "\(newer)(…)"
        }
        return describe(call: name, arguments: arguments)
    }

    /// The call `name` with the registers `arguments`; calls whose arguments are not known here show none.
    package func describe(call name: String, arguments: [UInt64]) -> String {
        guard let forms = Self.forms[name] else { return "\(name)(…)" }
        let shown = zip(forms, arguments).map { show($0.1, as: $0.0) }
        return "\(name)(\(shown.joined(separator: ", ")))"
    }

    private func show(_ register: UInt64, as form: Form) -> String {
        let low = UInt32(truncatingIfNeeded: register)
        switch form {
        case .memory: return register == 0 ? "NULL" : "…"
        case .number: return String(Int32(bitPattern: low))
        case .size: return String(register)
        case .hexadecimal: return hexadecimal(low)
        case .mode: return "0" + String(low & 0xFFFF, radix: 8)
        case .directory: return Int32(bitPattern: low) == -100 ? "AT_FDCWD" : String(Int32(bitPattern: low))
        case .symbol(let symbols): return symbols.name(of: low) ?? String(Int32(bitPattern: low))
        case .flags(let symbols): return flags(low, symbols)
        case .symbolAndFlags(let symbols, let mask, let rest):
            let main = symbols.name(of: low & mask) ?? String(low & mask)
            return low & ~mask == 0 ? main : main + "|" + flags(low & ~mask, rest)
        }
    }

    private func flags(_ value: UInt32, _ symbols: SystemCallSymbols) -> String {
        var remaining = value
        var names: [String] = []
        for (flag, name) in symbols.entries where flag != 0 && remaining & flag == flag {
            names.append(name)
            remaining &= ~flag
        }
        if remaining != 0 || names.isEmpty { names.append(remaining == 0 ? "0" : hexadecimal(remaining)) }
        return names.joined(separator: "|")
    }

    private func hexadecimal(_ value: UInt32) -> String { "0x" + String(value, radix: 16) }
}
