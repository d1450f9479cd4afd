import Isolation
import Testing

struct ExpectedMountTests {
    @Test(
        "a line says how many, with which flags, of which type and where",
        arguments: [
            (ExpectedMount(.one, at: "/", type: "overlay", flags: [.noSetuid, .noDevices]), "= sd overlay /\n"),
            (ExpectedMount(.one, at: "/proc", type: "proc", flags: []), "= - proc /proc\n"),
            (ExpectedMount(.anyBelow, at: "/data", type: nil, flags: .readOnly), "* r - /data\n"),
            (
                ExpectedMount(
                    .one, at: "/x", type: nil, flags: [.noExecute, .noDevices, .noSetuid, .readOnly]), "= rsdx - /x\n"
            ),
        ])
    func line(mount: ExpectedMount, line: String) {
        #expect(mount.line == line)
    }

    @Test(
        "paths have the escapes of mountinfo",
        arguments: [
            ("/a b", #"/a\040b"#), ("/a\tb", #"/a\011b"#), ("/a\nb", #"/a\012b"#), (#"/a\b"#, #"/a\134b"#),
            ("/a\r\nb", "/a\r\\012b"), ("/ü#'\"", "/ü#'\""), ("/\n* - - /", #"/\012*\040-\040-\040/"#),
        ])
    func escapes(path: String, escaped: String) {
        let line = ExpectedMount(.one, at: path, type: nil, flags: []).line
        #expect(Array(line.utf8) == Array("= - - \(escaped)\n".utf8))
    }
}
