/// The names and numbers of one machine's system calls, as far as this program knows them.
package struct SystemCallTable: Sendable {
    /// The machine that the numbers are for.
    package let architecture: SystemCallArchitecture

    private let namesByNumber: [String?]
    private let numbersByName: [String: UInt32]

    /// The table of x86_64.
    package static let x86_64 = SystemCallTable(architecture: .x86_64, rows: x86Rows)

    /// The table of aarch64.
    package static let aarch64 = SystemCallTable(architecture: .aarch64, rows: armRows)

    /// The table of `architecture`.
    package static func table(for architecture: SystemCallArchitecture) -> SystemCallTable {
        switch architecture {
        case .x86_64: x86_64
        case .aarch64: aarch64
        }
    }

    /// The table of the machine this program was built for.
    package static var native: SystemCallTable { table(for: .native) }

    private init(architecture: SystemCallArchitecture, rows: [(first: UInt32, names: String)]) {
        var names: [String?] = []
        var numbers: [String: UInt32] = [:]
        for row in rows {
            names.append(contentsOf: repeatElement(nil, count: Int(row.first) - names.count))
            for name in row.names.split(separator: " ") {
                numbers[String(name)] = UInt32(names.count)
                names.append(String(name))
            }
        }
        self.architecture = architecture
        namesByNumber = names
        numbersByName = numbers
    }

    /// The greatest number that has a name; everything above it is newer than this program.
    package var greatestNumber: UInt32 { UInt32(namesByNumber.count) - 1 }

    /// All names, sorted.
    package var names: [String] { numbersByName.keys.sorted() }

    /// The name of `number`, or nil for a hole in the table and for numbers beyond it.
    package func name(of number: UInt32) -> String? {
        guard number <= greatestNumber else { return nil }
        return namesByNumber[Int(number)]
    }

    /// The number of the call `name`, or nil where this machine has no such call.
    package func number(of name: String) -> UInt32? { numbersByName[name] }

    /// Whether any machine that this program knows has a call of that name.
    package static func knows(_ name: String) -> Bool {
        SystemCallArchitecture.allCases.contains { table(for: $0).number(of: name) != nil }
    }

    /// Checks that `name` is a system call of some machine.
    ///
    /// - Throws: `UnknownSystemCall` with the nearest names.
    package static func check(_ name: String) throws(UnknownSystemCall) {
        guard knows(name) else { throw UnknownSystemCall(name: name) }
    }
}
