/// What a user of a service keeps on its disk, where that is more than he may.
package struct DiskExcess: Sendable, Hashable, Codable {
    /// His name, or else his id.
    package let user: String
    /// How much it is, and how much it may be.
    package let bytes: Int64, limit: Int64

    /// Tells of a user who keeps `bytes`, of which he may keep `limit`.
    package init(user: String, bytes: Int64, limit: Int64) {
        self.user = user
        self.bytes = bytes
        self.limit = limit
    }

    /// The name of the limit in a verdict's detail.
    package static let limitName = "max_disk"

    /// What to do when it is too much.
    package static let remedy =
        "`cloche system df` tells what it is; `cloche rm JOB`, then `cloche snapshot prune` and `cloche env rm NAME`, make "
        + "room; whoever runs the service sets this by `cloche serve --max-disk`"

    /// How much there is, and how much there may be.
    package static func text(_ bytes: Int64, of limit: Int64) -> String { "\(size(bytes)) of at most \(size(limit))" }

    private static func size(_ bytes: Int64) -> String { ByteCount(bytes)?.rounded ?? "nothing" }

    /// One sentence that says who keeps how much.
    package var summary: String {
        "the user `\(user)` keeps \(Self.text(bytes, of: limit)) on the disk of the service"
    }

    /// The facts for a verdict's detail.
    package var detail: [String: Verdict.Fact] {
        [
            "limit": .text(Self.limitName), "limit_bytes": .integer(limit), "kept_bytes": .integer(bytes),
            "user": .text(user),
        ]
    }
}
