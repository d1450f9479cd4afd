"""A disk of one file, whose writes and flushes are recorded, by the protocol of fuse(4).

A loop device on the file makes of each request to the disk a write here, and of each flush an fsync. What is in the
record when the power fails is what a disk with a cache has been asked for: everything before the last flush is there, and
of what came later any part, in any order.
"""
import ctypes
import errno
import os
import struct
import threading

_ROOT, _FILE = 1, 2
_HEADER = struct.Struct("<IIQQIIII")
_ENTRY = struct.Struct("<IiQ")
_NAME = b"disk"

FLUSH, WRITE = 0, 1
_RECORD = struct.Struct("<BQI")

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind, options=b"", flags=0):
    if _libc.mount(source, os.fsencode(target), kind, flags, options) != 0:
        number = ctypes.get_errno()
        raise OSError(number, "mount %s: %s" % (target, os.strerror(number)))


def end_with_parent():
    """Lets this process be killed when its parent ends (prctl(2), PR_SET_PDEATHSIG)."""
    _libc.prctl(1, 9, 0, 0, 0)


class RecordingDisk:
    """Serves `image` as the file `disk` below `place`, and appends to `record`."""

    def __init__(self, image, place, record):
        self.image = os.open(image, os.O_RDWR | os.O_CLOEXEC)
        self.size = os.fstat(self.image).st_size
        self.record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self.device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        self.path = os.path.join(place, _NAME.decode())
        mount(b"recording-disk", place, b"fuse.recording-disk",
              b"fd=%d,rootmode=40000,user_id=0,group_id=0" % self.device)

    def serve(self):
        """Answers requests until the file system is unmounted."""
        while True:
            try:
                request = os.read(self.device, (1 << 20) + 4096)
            except OSError as problem:
                if problem.errno in (errno.EINTR, errno.ENOENT):
                    continue
                return
            _, operation, unique, node, *_ = _HEADER.unpack_from(request)
            answer = self._answer(operation, node, request[_HEADER.size:])
            if answer is None:
                continue
            number, body = answer
            try:
                os.write(self.device, _ENTRY.pack(_ENTRY.size + len(body), -number, unique) + body)
            except OSError as problem:
                # Who asked may have gone.
                if problem.errno != errno.ENOENT:
                    raise

    def _attributes(self, node):
        mode, size = (0o40700, 0) if node == _ROOT else (0o100600, self.size)
        return struct.pack("<6Q10I", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def _answer(self, operation, node, body):
        if operation == 26:  # INIT
            return 0, struct.pack("<IIIIHHIIHHI7I", 7, 31, 1 << 17, 1 << 5, 64, 48, 1 << 17, 1, 0, 0, 0, *[0] * 7)
        if operation == 1:  # LOOKUP
            if body.rstrip(b"\0") != _NAME:
                return errno.ENOENT, b""
            return 0, struct.pack("<4Q2I", _FILE, 1, 3600, 3600, 0, 0) + self._attributes(_FILE)
        if operation in (3, 4):  # GETATTR, SETATTR
            return 0, struct.pack("<Q2I", 3600, 0, 0) + self._attributes(node)
        if operation in (14, 27):  # OPEN, OPENDIR
            return 0, struct.pack("<QIi", 0, 0, 0)
        if operation == 15:  # READ
            _, offset, size = struct.unpack_from("<QQI", body)
            return 0, os.pread(self.image, size, offset)
        if operation == 16:  # WRITE
            _, offset, size = struct.unpack_from("<QQI", body)
            data = body[40:40 + size]
            os.pwrite(self.image, data, offset)
            os.write(self.record, _RECORD.pack(WRITE, offset, len(data)) + data)
            return 0, struct.pack("<II", len(data), 0)
        if operation == 20:  # FSYNC
            os.write(self.record, _RECORD.pack(FLUSH, 0, 0))
            return 0, b""
        if operation in (18, 25, 29, 38):  # RELEASE, FLUSH (a close), RELEASEDIR, DESTROY
            return 0, b""
        if operation == 17:  # STATFS
            return 0, struct.pack("<5Q10I", 0, 0, 0, 2, 0, 4096, 255, 4096, *[0] * 7)
        if operation in (2, 36, 42):  # FORGET, INTERRUPT, BATCH_FORGET
            return None
        return errno.ENOSYS, b""


def requests(record):
    """The recorded requests: (position behind it, offset, data), with None for a flush."""
    position = 0
    with open(record, "rb") as file:
        while len(header := file.read(_RECORD.size)) == _RECORD.size:
            kind, offset, size = _RECORD.unpack(header)
            data = file.read(size)
            position += _RECORD.size + size
            yield position, offset, data if kind == WRITE else None


def cut(base, record, position, choice, target):
    """Writes to `target` what is left of the disk `base` when the power fails at `position` of the record.

    Everything before the last flush is there; of the later writes, in sectors of 4096 bytes, those that the random
    `choice` takes.
    """
    later = []
    with open(target, "r+b") as file:
        for end, offset, data in requests(record):
            if end > position:
                break
            if data is not None:
                later.append((offset, data))
                continue
            for at, bytes_ in later:
                file.seek(at)
                file.write(bytes_)
            later = []
        kept = choice.choice([0.0, 0.3, 0.7, 1.0])
        choice.shuffle(later) if choice.random() < 0.5 else None
        for at, bytes_ in later:
            for start in range(0, len(bytes_), 4096):
                if choice.random() < kept:
                    file.seek(at + start)
                    file.write(bytes_[start:start + 4096])
    return len(later)
