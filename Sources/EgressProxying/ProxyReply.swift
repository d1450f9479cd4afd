/// What the proxy says to programs.
enum ProxyReply {
    /// Codes of SOCKS (RFC 1928, 6).
    enum SocksCode: UInt8 {
        case success = 0
        case failure = 1
        case notAllowed = 2
        case networkUnreachable = 3
        case hostUnreachable = 4
        case refused = 5
        case timedOut = 6
        case unknownCommand = 7
        case unknownAddress = 8
    }

    static func socks(_ code: SocksCode) -> [UInt8] { [5, code.rawValue, 0, 1, 0, 0, 0, 0, 0, 0] }

    /// The tunnel stands.
    static let established = Array("HTTP/1.1 200 Connection established\r\n\r\n".utf8)

    private static let titles = [
        400: "Bad Request", 403: "Forbidden", 408: "Request Timeout", 431: "Request Header Fields Too Large",
        501: "Not Implemented", 502: "Bad Gateway", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
    ]

    /// A final answer with a sentence for people, and the same for programs (RFC 9209).
    static func http(_ status: Int, _ reason: String) -> [UInt8] {
        let body = "cloche: \(reason)\n"
        let kind = status == 403 ? "http_request_denied" : status == 504 ? "connection_timeout" : "http_request_error"
        let details = reason.filter { $0 != "\"" && $0 != "\\" && $0.isASCII }
        return Array(
            """
            HTTP/1.1 \(status) \(titles[status] ?? "Error")\r
            Content-Type: text/plain; charset=utf-8\r
            Content-Length: \(body.utf8.count)\r
            Proxy-Status: cloche; error=\(kind); details="\(details)"\r
            Connection: close\r
            \r
            \(body)
            """.utf8)
    }
}
