import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// One capture: the project as a walk found it, what is known of its files, and the ways to store it.
struct CaptureWork {
    let survey: TreeSurvey
    /// Facts about the ignore rules.
    let remarks: [String]

    private let request: CaptureRequest
    private let monitor: CaptureMonitor
    private let caches: StatCacheDirectory?
    private let loading: StatCacheLoading?
    private let key: StatCache.Key
    private let clock: SettledClock

    /// Surveys the project.
    init(
        _ request: CaptureRequest, staging: StagingArea, stores: StoreRecognition, monitor: CaptureMonitor
    ) throws(SnapshotError) {
        var options = TreeWalk.Options()
        let isStore: Bool
        do throws(SyscallError) {
            key = StatCache.Key(try Syscall.fstat(request.project))
            clock = try SettledClock(project: request.project)
            isStore = try stores.isStore(request.project)
        } catch {
            throw .reading([], error)
        }
        if isStore { throw SnapshotError([], .store) }
        options.stores = stores
        let caches = StatCacheDirectory(snapshots: staging.snapshots.number)
        self.caches = caches
        loading = caches?.beginLoading(key)
        if request.appliesIgnoreRules {
            options.rules = try IgnoreRules(project: request.project, includesGit: request.includesGit)
        }
        options.known = loading
        options.clock = clock
        survey = try TreeWalk(root: request.project, options: options, monitor: monitor).run()
        remarks = options.rules?.remarks ?? []
        self.request = request
        self.monitor = monitor
    }

    /// What caches tell of the project, and of stored files that its own could be shared with.
    func knownFiles(_ store: SnapshotStore) -> KnownFiles {
        KnownFiles(survey: survey, own: loading?.cache.map { source($0, store) }) {
            caches?.others(than: key).map { source($0, store) } ?? []
        }
    }

    private func source(_ cache: StatCache, _ store: SnapshotStore) -> KnownFiles.Source {
        // A snapshot that is gone or damaged holds nothing to share; what the cache knows of the project stays.
        let layers = (try? store.snapshot(cache.snapshot))?.layers ?? []
        let trees = layers.compactMap { layer in
            try? HeldDescriptor(Syscall.open(layer, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
        }
        return KnownFiles.Source(cache: cache, trees: trees.count == layers.count ? trees : [])
    }

    /// Tells what a copy would hold.
    func foresee(_ known: KnownFiles) throws(SnapshotError) -> TreeCapture.Result {
        try TreeCapture.foresee(survey: survey, source: request.project, monitor: monitor, known: known)
    }

    /// Copies the project, or shares what is stored already, into an open, empty directory, and writes the manifest.
    func copy(_ known: KnownFiles, to place: CInt) throws(SnapshotError) -> TreeCapture.Result {
        let (tree, manifest) = try Self.makePlaces(place, manifest: SnapshotStore.manifestName)
        return try TreeCapture(
            survey: survey, source: request.project, destination: tree.number, owner: owner, monitor: monitor,
            known: known, isDurable: request.durability == .immediate
        ).run(manifest: manifest.number)
    }

    private var owner: FileOwner? { Syscall.effectiveUser == 0 ? request.owner : nil }

    private static func makePlaces(
        _ place: CInt, manifest name: FilePath
    ) throws(SnapshotError) -> (tree: HeldDescriptor, manifest: HeldDescriptor) {
        do throws(SyscallError) {
            try Syscall.makeDirectory(SnapshotStore.treeName, at: place, mode: 0o700)
            let tree = HeldDescriptor(
                try Syscall.open(SnapshotStore.treeName, at: place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
            let manifest = HeldDescriptor(
                try Syscall.open(
                    name, at: place, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600))
            return (tree, manifest)
        } catch {
            throw .writing([], error)
        }
    }

    /// The whole tree that a layer could be put on; nil when a whole tree is better.
    func base(_ known: KnownFiles, _ store: SnapshotStore) -> LayerBase? {
        guard let cache = known.own?.cache, LayerCapture.isWorthwhile(survey, known),
            let latest = try? store.snapshot(cache.snapshot)
        else { return nil }
        return LayerBase(latest.base ?? latest.identity, in: store, owner: owner)
    }

    /// Stores what differs from a whole tree in an open, empty directory, and how the manifests differ; nil leaves the
    /// directory half filled, and a whole tree is better.
    func layer(
        _ known: KnownFiles, on base: LayerBase, to place: CInt
    ) throws(SnapshotError) -> TreeCapture.Result? {
        let (tree, changes) = try Self.makePlaces(place, manifest: SnapshotStore.changesName)
        let capture = LayerCapture(
            survey: survey, source: request.project, destination: tree.number, base: base, owner: owner,
            monitor: monitor, known: known)
        guard let result = try capture.run(changes: changes.number) else { return nil }
        do throws(SyscallError) {
            try Syscall.writeFile(
                SnapshotStore.baseName, at: place, Array((base.identity.description + "\n").utf8), mode: 0o600)
        } catch {
            throw .writing([], error)
        }
        return result
    }

    /// The manifest that a copy would have.
    func manifest(_ known: KnownFiles) throws(SnapshotError) -> Manifest {
        let records = try foresee(known).records
        return Manifest(canonical: TreeManifest(survey: survey, records: records).write().bytes)
    }

    /// Writes down what was found, for the next capture of the project.
    func remember(_ result: TreeCapture.Result, as snapshot: SnapshotIdentity, known: KnownFiles) {
        guard !known.isProof(of: snapshot) else { return }
        caches?.save(
            StatCacheWriter(key: key, snapshot: snapshot, survey: survey),
            entries: StatCache.entries(of: survey, records: result.records, clock: clock))
    }
}
