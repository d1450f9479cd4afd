extension RunEvent {
    /// What an attempt tells of results that a later attempt at the same run can keep.
    package enum Keeping: Sendable, Hashable {
        /// What the attempt takes over from those before it; told before any step.
        case begun(Beginning)
        /// A step does not run: its result is that of an earlier attempt.
        case kept(Kept)
        /// While no step ran, what had been written to the project was set aside.
        case sealed(Seal)
        /// From now on nothing is set aside any more, for this reason.
        case ended(reason: String)
    }

    /// What an attempt takes over.
    package struct Beginning: Sendable, Hashable, Codable {
        /// Layers of the project from earlier attempts, the oldest first, by their paths in the run's directory.
        package var layers: [String]
        /// Why each step runs that is not kept, by uuid.
        package var reasons: [String: String]
        /// So many bytes of metrics are from earlier attempts.
        package var metricsBytes: Int64

        /// Makes a beginning.
        package init(layers: [String], reasons: [String: String], metricsBytes: Int64) {
            self.layers = layers
            self.reasons = reasons
            self.metricsBytes = metricsBytes
        }

        private enum CodingKeys: String, CodingKey {
            case layers, reasons
            case metricsBytes = "metrics_bytes"
        }
    }

    /// A result that is kept.
    package struct Kept: Sendable, Hashable, Codable {
        /// The step's uuid.
        package var step: String
        /// The attempt in which it ran.
        package var attempt: Int
        /// When it did.
        package var started: Timestamp?, finished: Timestamp
        /// With what it ended.
        package var verdict: Verdict
        /// What it used then.
        package var usage: Usage?

        /// Makes a kept result.
        package init(
            step: String, attempt: Int, started: Timestamp?, finished: Timestamp, verdict: Verdict, usage: Usage?
        ) {
            self.step = step
            self.attempt = attempt
            self.started = started
            self.finished = finished
            self.verdict = verdict
            self.usage = usage
        }
    }

    /// A state of the project that a later attempt can begin with.
    package struct Seal: Sendable, Hashable, Codable {
        /// The name of the layer in the attempt's `layers`; nil where nothing had been written since the last one.
        package var layer: String?
        /// The steps that have ended since the last one.
        package var steps: [String]
        /// So many bytes of metrics belong to it.
        package var metricsBytes: Int64
        /// The boot of the host at which it was made: until the attempt has synced, another boot may not have all of it.
        package var boot: String

        /// Makes a seal.
        package init(layer: String?, steps: [String], metricsBytes: Int64, boot: String) {
            self.layer = layer
            self.steps = steps
            self.metricsBytes = metricsBytes
            self.boot = boot
        }

        private enum CodingKeys: String, CodingKey {
            case layer, steps, boot
            case metricsBytes = "metrics_bytes"
        }
    }
}

extension RunEvent.Keeping {
    /// The `type` of an event's line; its content is under the key `keeping`.
    package enum Kind: String, Codable {
        case begun = "attempt_begun"
        case kept = "step_kept"
        case sealed = "project_sealed"
        case ended = "sealing_ended"
    }

    /// What kind it is.
    package var kind: Kind {
        switch self {
        case .begun: .begun
        case .kept: .kept
        case .sealed: .sealed
        case .ended: .ended
        }
    }

    init<Keys>(_ kind: Kind, from container: KeyedDecodingContainer<Keys>, _ key: Keys) throws {
        switch kind {
        case .begun: self = .begun(try container.decode(RunEvent.Beginning.self, forKey: key))
        case .kept: self = .kept(try container.decode(RunEvent.Kept.self, forKey: key))
        case .sealed: self = .sealed(try container.decode(RunEvent.Seal.self, forKey: key))
        case .ended: self = .ended(reason: try container.decode(String.self, forKey: key))
        }
    }

    func encode<Keys>(to container: inout KeyedEncodingContainer<Keys>, _ key: Keys) throws {
        switch self {
        case .begun(let beginning): try container.encode(beginning, forKey: key)
        case .kept(let kept): try container.encode(kept, forKey: key)
        case .sealed(let seal): try container.encode(seal, forKey: key)
        case .ended(let reason): try container.encode(reason, forKey: key)
        }
    }
}
