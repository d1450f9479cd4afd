import TerminalOutput
import Testing

@Suite("Fields of CSV") struct CSVTests {
    @Test(arguments: [
        ("plain", "plain"), ("", ""), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("a\r\nb", "\"a\r\nb\""),
        ("a\nb", "\"a\nb\""), (" a", "\" a\""), ("ü", "ü"), ("a\"\u{301}b", "\"a\"\"\u{301}b\""),
    ])
    func `what would break a line or a field is in quotes`(text: String, field: String) {
        #expect(Array(CSV.field(text).utf8) == Array(field.utf8))
    }

    @Test(arguments: [
        "=1+1", "+1", "-1+cmd", "@SUM(A1)", "\tx", "\rx", "\n=1", "  =HYPERLINK(1)", "\"=1", "＝1", "－1",
    ])
    func `what a spreadsheet would calculate begins with an apostrophe`(text: String) {
        let field = CSV.field(text)
        #expect(field.hasPrefix("'") || field.hasPrefix("\"'"), "\(field)")
    }
}
