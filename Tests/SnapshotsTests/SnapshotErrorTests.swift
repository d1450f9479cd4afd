import LinuxSystem
import SystemPackage
import Testing

@testable import Snapshots

@Suite struct SnapshotErrorTests {
    @Test func `hints are fragments, like those of everything else`() {
        let cause = SyscallError("write", errno: .noSpace)
        let reasons: [SnapshotError.Reason] = [
            .unreadable(cause), .changing, .replaced, .diskFull(cause), .tooMany("files", limit: 1),
            .pathTooLong(limit: 1), .ignoreFile(cause), .store, .inUse, .damaged("x"),
        ]
        for reason in reasons {
            let hint = SnapshotError([UInt8](), reason).hint ?? ""
            #expect(hint.first?.isUppercase == false && hint.last != ".", "\(hint)")
        }
    }
}
