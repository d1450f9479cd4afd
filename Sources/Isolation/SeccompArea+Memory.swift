extension SeccompArea {
    /// Mappings and what is done to them.
    static let memory = SeccompArea(
        rules: [
            SeccompRule.allow(
                """
                brk mmap munmap mprotect mremap msync mincore madvise mlock mlock2 munlock mlockall munlockall
                membarrier memfd_create pkey_alloc pkey_free pkey_mprotect mseal map_shadow_stack cachestat
                """)
        ])
}
