import FoundationEssentials
import Isolation
import Pipelines
import PlainText

extension JobDocument {
    /// The most bytes that a document may have.
    package static let mostBytes = 32 * 1024 * 1024

    /// Reads the content of a `job.json`.
    package init(bytes: [UInt8]) throws(JobDocumentError) {
        guard bytes.count <= Self.mostBytes else { throw .tooLarge(bytes.count) }
        let data = Data(bytes)
        let decoder = JSONDecoder()
        do {
            // The number comes first: another format need not have any other key of this one.
            let format = try decoder.decode(FormatNumber.self, from: data).format
            guard format == Self.format else { throw JobDocumentError.otherFormat(format) }
            self = try decoder.decode(JobDocument.self, from: data)
        } catch let error as JobDocumentError {
            throw error
        } catch let error as DecodingError {
            throw .malformed(error.place)
        } catch {
            throw .malformed("it is not JSON")
        }
        if let problem = options.problem { throw .malformed(problem) }
        guard (0...RunNumbers.largest).contains(batches.made),
            batches.made * max(1, batchSize) <= RunNumbers.largest + 1
        else { throw .malformed("`batches.made` is out of bounds") }
    }

    /// The content of the `job.json`, ending with a newline; equal documents have equal bytes.
    package func bytes() throws(JobDocumentError) -> [UInt8] {
        if let problem = options.problem { throw .malformed(problem) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(self) else { throw .malformed("it cannot be written as JSON") }
        guard data.count < Self.mostBytes else { throw .tooLarge(data.count) }
        return Array(data) + [UInt8(ascii: "\n")]
    }
}

extension JobDocument: Codable {
    private enum CodingKeys: String, CodingKey {
        case format, uuid, name, owner, created, project, pipeline, snapshot, environments, policy, parameters
        case variables, secrets
        case metricsFile = "metrics_file"
        case options, schedule, batches, will
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        uuid = try container.decode(JobID.self, forKey: .uuid)
        name = try container.decode(JobName.self, forKey: .name)
        let owner = try container.decode(Int64.self, forKey: .owner)
        guard let user = UInt32(exactly: owner) else {
            throw DecodingError.dataCorruptedError(
                forKey: .owner, in: container, debugDescription: "\(owner) is not the id of a user")
        }
        self.owner = user
        created = try container.decode(Timestamp.self, forKey: .created)
        project = try container.decode(Project.self, forKey: .project)
        pipeline = try container.decode(Pipeline.self, forKey: .pipeline)
        snapshot = try container.decode(String.self, forKey: .snapshot)
        environments = try container.decode([String: Environment].self, forKey: .environments)
        policy = try container.decode(Policy.self, forKey: .policy)
        parameters = try container.decode(Parameters.self, forKey: .parameters)
        variables = try container.decode([String: String].self, forKey: .variables)
        // Jobs of before there were secrets have no such key.
        secrets = try container.decodeIfPresent([String: String].self, forKey: .secrets) ?? [:]
        metricsFile = try container.decodeIfPresent(String.self, forKey: .metricsFile)
        options = try container.decode(JobOptions.self, forKey: .options)
        schedule = try container.decodeIfPresent(JobSchedule.self, forKey: .schedule)
        // Jobs were once made without schedules, with all their runs.
        batches = try container.decodeIfPresent(JobBatches.self, forKey: .batches) ?? JobBatches(made: 1)
        will = try container.decode(JobWill.self, forKey: .will)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Self.format, forKey: .format)
        try container.encode(uuid, forKey: .uuid)
        try container.encode(name, forKey: .name)
        try container.encode(owner, forKey: .owner)
        try container.encode(created, forKey: .created)
        try container.encode(project, forKey: .project)
        try container.encode(pipeline, forKey: .pipeline)
        try container.encode(snapshot, forKey: .snapshot)
        try container.encode(environments, forKey: .environments)
        try container.encode(policy, forKey: .policy)
        try container.encode(parameters, forKey: .parameters)
        try container.encode(variables, forKey: .variables)
        try container.encode(secrets, forKey: .secrets)
        try container.encodeIfPresent(metricsFile, forKey: .metricsFile)
        try container.encode(options, forKey: .options)
        try container.encodeIfPresent(schedule, forKey: .schedule)
        try container.encode(batches, forKey: .batches)
        try container.encode(will, forKey: .will)
    }
}

private struct FormatNumber: Decodable {
    let format: Int
}

/// A `job.json` that cannot be used.
package enum JobDocumentError: Error, Sendable, Hashable, CustomStringConvertible {
    /// It has so many bytes, which is too many.
    case tooLarge(Int)
    /// It is of that format, which is not known.
    case otherFormat(Int)
    /// It is no such document, for that reason.
    case malformed(String)

    /// A lower-case fragment that fits after the path of the file, safe to show.
    package var description: String {
        switch self {
        case .tooLarge(let count): "the job has \(count) bytes, and at most \(JobDocument.mostBytes) are read"
        case .otherFormat(let format): "the job is of format \(format), and only \(JobDocument.format) is known"
        case .malformed(let reason): "the job cannot be read: \(printable(reason, limit: 300))"
        }
    }

    /// What to do about it.
    package var hint: String? {
        switch self {
        case .tooLarge: "use fewer or shorter parameter values"
        case .otherFormat(let format) where format > JobDocument.format: "use the newer cloche that wrote it"
        case .otherFormat, .malformed: "restore the file from a backup, or remove the job"
        }
    }
}

extension DecodingError {
    /// What is wrong at which key, in words.
    fileprivate var place: String {
        switch self {
        case .keyNotFound(let key, let context): "`\(Self.path(context.codingPath + [key]))` is missing"
        case .valueNotFound(_, let context): "`\(Self.path(context.codingPath))` is null"
        case .typeMismatch(_, let context): "`\(Self.path(context.codingPath))` is of another type"
        case .dataCorrupted(let context) where context.codingPath.isEmpty: "it is not JSON"
        case .dataCorrupted(let context): "`\(Self.path(context.codingPath))`: \(context.debugDescription)"
        @unknown default: "it is of another form"
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.map(\.stringValue).joined(separator: ".")
    }
}
