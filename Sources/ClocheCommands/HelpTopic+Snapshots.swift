extension HelpTopic {
    /// The format of manifests for those who verify a snapshot with other tools; `Manifest` of `Snapshots` writes it.
    static let snapshotText = #"""
        The identity of a snapshot is the SHA-256 of its manifest: of what `cloche snapshot show SNAPSHOT --manifest` prints.
        The manifest depends on the content alone. It is ASCII, one entry a line, each line ended by LF, fields separated by
        one space:

          cloche-manifest 1                   the first line
          d MODE MTIME PATH                   a directory
          f MODE MTIME SIZE DIGEST PATH       a regular file, or the first name of one with several
          h FIRST PATH                        a further name of the file whose first name is FIRST
          l MTIME TARGET PATH                 a symbolic link, with its text
          x NAME 0xVALUE                      an extended attribute user.* of the directory or file above it

        The first entry is the project's directory, `.`; all other paths are relative to it. Entries ascend by the bytes of
        their paths, attributes by those of their names. In PATH, FIRST, TARGET and NAME each byte outside 0x21 to 0x7e, and
        the backslash, is `\x` and two lower-case hexadecimal digits. MODE is the last nine bits, in four octal digits; MTIME
        is seconds since 1970, a point and nine digits of nanoseconds, which count forwards also before 1970; SIZE is in
        bytes; VALUE is hexadecimal. Owners are no part of it, nor are user.overlay.* attributes, setuid, setgid and sticky
        bits, devices, sockets and named pipes.

        DIGEST is the SHA-256 of the content. For files of more than 4294967296 bytes it is `blocks:` and the SHA-256 over
        each block of 4096 bytes that is not all zero (the last may be shorter), in order, each preceded by its offset as
        eight bytes, least significant first.

        On the disk a manifest is one file, `manifest`, or where a snapshot is stored as a layer over an earlier one, the
        manifest of that and a file `changes`; `snapshot show` names them. The changes are in the form of `diff -n`: dLINE COUNT
        leaves out COUNT lines of that manifest, from the line LINE on, and aLINE COUNT puts the COUNT lines that follow
        behind the line LINE. Without Cloche these two make the manifest again:

          awk 'NR == FNR { if (n) { add[at] = add[at] $0 "\n"; n--; next }
                           at = substr($1, 2) + 0; n = $2 + 0
                           if ($1 ~ /^d/) while (n) { out[at++] = 1; n-- }
                           next }
               !(FNR in out) { print }
               { printf "%s", add[FNR] }' changes manifest
        """#
}
