import Isolation
import SeccompFilters
import Testing

@Suite struct SystemCallTableTests {
    @Test(arguments: SystemCallArchitecture.allCases)
    func `every number that libseccomp knows has the same name here`(architecture: SystemCallArchitecture) {
        let table = SystemCallTable.table(for: architecture)
        var compared = 0
        for number in 0...UInt32(600) {
            guard let theirs = LibseccompNames.name(of: number, architecture: architecture) else { continue }
            // A library newer than this table may know more.
            guard number <= table.greatestNumber else { continue }
            #expect(table.name(of: number) == theirs, "number \(number)")
            compared += 1
        }
        #expect(compared > 290)
    }

    @Test(arguments: SystemCallArchitecture.allCases)
    func `every name that libseccomp knows has the same number here`(architecture: SystemCallArchitecture) {
        let table = SystemCallTable.table(for: architecture)
        for name in table.names {
            guard let theirs = LibseccompNames.number(of: name, architecture: architecture) else { continue }
            #expect(table.number(of: name) == theirs, "\(name)")
        }
    }

    @Test(
        arguments: [
            (335, "uretprobe"), (336, "uprobe"), (435, "clone3"), (452, "fchmodat2"), (457, "statmount"),
            (462, "mseal"),
            (463, "setxattrat"), (467, "open_tree_attr"), (470, "listns"), (471, "rseq_slice_yield"),
        ] as [(UInt32, String)])
    func `calls that are newer than the installed libseccomp are known`(number: UInt32, name: String) {
        #expect(SystemCallTable.x86_64.name(of: number) == name)
        #expect(SystemCallTable.x86_64.number(of: name) == number)
    }

    @Test func `holes and numbers beyond the table have no name`() {
        #expect(SystemCallTable.x86_64.name(of: 400) == nil)
        #expect(SystemCallTable.x86_64.name(of: 472) == nil)
        #expect(SystemCallTable.x86_64.name(of: .max) == nil)
        #expect(SystemCallTable.aarch64.number(of: "open") == nil)
    }

    @Test(arguments: [("opne", "open"), ("scoket", "socket"), ("Mount", "mount"), ("statmont", "statmount")])
    func `an unknown name is answered with the nearest one`(written: String, meant: String) throws {
        let error = try #require(throws: UnknownSystemCall.self) { try SystemCallTable.check(written) }
        #expect(error.nearest.first == meant)
        #expect(error.description == "find system call `\(written)`: no such call is known")
        #expect(error.hint?.contains("`\(meant)`") == true)
    }

    @Test func `a hostile name is cut and compared with nothing`() {
        let error = UnknownSystemCall(name: String(repeating: "open", count: 100_000))
        #expect(error.name.count == 40)
        #expect(error.nearest.isEmpty)
        #expect(error.hint == nil)
        #expect(UnknownSystemCall(name: "").nearest.isEmpty)
    }
}
