/// Finds the end of a body in chunks (RFC 9112, 7.1) without keeping any of it.
struct ChunkTracker: Equatable {
    private enum State: Equatable {
        case size(digits: Int)
        case suffix
        case sizeEnd
        case data
        case dataReturn
        case dataEnd
        case trailer(length: Int)
        case trailerEnd(length: Int)
        case done
        case invalid
    }

    private var state = State.size(digits: 0)
    private var remaining = 0
    private var trailers = 0

    /// Bytes of trailers, and of what may follow a size, that are let through.
    private static let trailerLimit = 8192

    /// Whether the body has ended.
    var isDone: Bool { state == .done }
    /// Whether it is no body in chunks.
    var isInvalid: Bool { state == .invalid }

    /// Goes over the next bytes, and tells how many of them belong to the body and may be passed on.
    mutating func accept(_ bytes: UnsafeRawBufferPointer) -> Int {
        var index = 0
        while index < bytes.count, state != .done, state != .invalid {
            if state == .data {
                let count = min(remaining, bytes.count - index)
                remaining -= count
                index += count
                if remaining == 0 { state = .dataReturn }
                continue
            }
            step(bytes[index])
            if state == .invalid { break }
            index += 1
        }
        return index
    }

    private mutating func step(_ byte: UInt8) {
        let (carriageReturn, lineFeed) = (UInt8(0x0D), UInt8(0x0A))
        switch state {
        case .size(let digits):
            if let digit = Self.hexadecimal(byte), digits < 12 {
                remaining = remaining << 4 | digit
                state = .size(digits: digits + 1)
            } else if digits > 0, byte == carriageReturn {
                state = .sizeEnd
            } else if digits > 0, byte == UInt8(ascii: ";") || byte == 0x20 || byte == 0x09 {
                state = .suffix
            } else {
                state = .invalid
            }
        case .suffix:
            trailers += 1
            if byte == carriageReturn {
                state = .sizeEnd
            } else if byte == lineFeed || byte == 0 || trailers > Self.trailerLimit {
                state = .invalid
            }
        case .sizeEnd:
            guard byte == lineFeed else { return state = .invalid }
            state = remaining > 0 ? .data : .trailer(length: 0)
        case .dataReturn: state = byte == carriageReturn ? .dataEnd : .invalid
        case .dataEnd: state = byte == lineFeed ? .size(digits: 0) : .invalid
        case .trailer(let length):
            trailers += 1
            if byte == carriageReturn {
                state = .trailerEnd(length: length)
            } else if byte == lineFeed || byte == 0 || trailers > Self.trailerLimit {
                state = .invalid
            } else {
                state = .trailer(length: length + 1)
            }
        case .trailerEnd(let length):
            guard byte == lineFeed else { return state = .invalid }
            state = length == 0 ? .done : .trailer(length: 0)
        case .data, .done, .invalid: break
        }
    }

    private static func hexadecimal(_ byte: UInt8) -> Int? {
        switch byte {
        case 48...57: Int(byte - 48)
        case 65...70: Int(byte - 55)
        case 97...102: Int(byte - 87)
        default: nil
        }
    }
}
