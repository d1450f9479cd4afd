import JobStorage
import Jobs

extension JobEngine {
    /// Whether the store takes more of the disk than its user may keep; tells that once of each job.
    func waitsForRoom() throws -> Bool {
        guard store.quota?.disk != nil, let size = StoreSize.stored(in: store.path), size.isExceeded else {
            toldOfRoom = []
            return false
        }
        for job in try store.database.jobsWithWork(count: 100) where toldOfRoom.insert(job).inserted {
            notify(.trouble(job, "its runs wait: \(size.excess); \(StoreSize.remedy)"))
        }
        return true
    }
}
