import Isolation
import JobStorage
import Jobs
import PlainText
import Runs

extension JobEngine {
    /// Ends what runs, where the store that has just been measured takes more of the disk than its user may keep.
    func endRunsForRoom() {
        guard let owner = store.owner, store.quota?.disk != nil, let size = StoreSize.stored(in: store.path),
            size.isExceeded
        else { return }
        let excess = DiskExcess(user: printable(owner.text), bytes: size.bytes, limit: size.limit)
        for run in active.values where run.order == nil { run.give(.makeRoom(excess)) }
    }

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
