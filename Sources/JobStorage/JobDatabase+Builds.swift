import GRDB
package import Jobs

extension JobDatabase {
    /// The names of jobs by the build of an environment that they pinned, and the jobs of which only their documents tell:
    /// those that were made before it was noted.
    package func pinnedBuilds() throws(JobStorageError) -> (names: [String: [String]], unknown: [JobID]) {
        try reading { database in
            var names: [String: [String]] = [:]
            // No name has a slash.
            let known = """
                SELECT builds, group_concat(name, '/') AS names FROM jobs WHERE builds IS NOT NULL GROUP BY builds
                """
            for row in try Row.fetchAll(database, sql: known) {
                let builds: String = try row.value("builds"), jobs: String = try row.value("names")
                let list = jobs.utf8.split(separator: UInt8(ascii: "/")).map { String(Substring($0)) }
                for build in builds.split(separator: " ") { names[String(build), default: []] += list }
            }
            let unknown = try String.fetchAll(database, sql: "SELECT uuid FROM jobs WHERE builds IS NULL")
            return (names, unknown.compactMap { JobID($0) })
        }
    }

    /// Notes which builds these jobs pinned; nothing of it ever changes.
    package func noteBuilds(of documents: [JobDocument]) throws(JobStorageError) {
        try writing { database in
            let statement = try database.cachedStatement(sql: "UPDATE jobs SET builds = ? WHERE uuid = ?")
            for document in documents {
                try statement.execute(arguments: [Self.builds(of: document), document.uuid.description])
            }
        }
    }

    /// The builds as they are in the column.
    static func builds(of document: JobDocument) -> String {
        Set(document.environments.values.map(\.build)).sorted().joined(separator: " ")
    }
}
