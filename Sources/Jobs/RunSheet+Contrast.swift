package import Pipelines

extension RunSheet {
    /// A parameter by which runs that failed can be told from those that succeeded.
    package struct Contrast: Sendable, Hashable {
        /// The parameter.
        package let parameter: Field
        /// Its values in runs that failed, in the order in which they were met; at most a few.
        package let failed: [JSONValue]
        /// Its values in runs that succeeded.
        package let succeeded: [JSONValue]
        /// Whether all failed runs have greater numbers than all others, or smaller ones; nil where it is no such bound.
        package let isAbove: Bool?
    }

    /// The parameters that tell failed runs from succeeded ones; none where that says nothing.
    ///
    /// A parameter tells something when no value is found on both sides, and either values come again in several runs,
    /// or all failed runs lie on one side of a bound.
    package func contrasts() -> [Contrast] {
        let failed = rows.filter { $0.outline.state == .failed }
        let succeeded = rows.filter { $0.outline.state == .succeeded }
        guard !failed.isEmpty, !succeeded.isEmpty, failed.count + succeeded.count > 2 else { return [] }
        return varying(in: failed + succeeded).compactMap { field in
            let bad = failed.map { value(field, of: $0) ?? .null }
            let good = succeeded.map { value(field, of: $0) ?? .null }
            let (badValues, goodValues) = (Self.distinct(bad), Self.distinct(good))
            guard Set(badValues).isDisjoint(with: goodValues) else { return nil }
            let bound = Self.bound(bad, good)
            let comesAgain = badValues.count + goodValues.count < bad.count + good.count
            guard bound != nil && bad.count > 1 && good.count > 1 || comesAgain && badValues.count <= 3 else {
                return nil
            }
            return Contrast(parameter: field, failed: badValues, succeeded: goodValues, isAbove: bound)
        }
    }

    private static func distinct(_ values: [JSONValue]) -> [JSONValue] {
        var known: Set<JSONValue> = []
        return values.filter { known.insert($0).inserted }
    }

    private static func bound(_ bad: [JSONValue], _ good: [JSONValue]) -> Bool? {
        func numbers(_ values: [JSONValue]) -> [Double]? {
            let found = values.compactMap { value -> Double? in
                if case .number(let number) = value { number.doubleValue } else { nil }
            }
            return found.count == values.count ? found : nil
        }
        guard let bad = numbers(bad), let good = numbers(good), let lowBad = bad.min(), let highBad = bad.max(),
            let lowGood = good.min(), let highGood = good.max()
        else { return nil }
        return lowBad > highGood ? true : highBad < lowGood ? false : nil
    }
}
