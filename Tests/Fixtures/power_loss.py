"""Cuts the power at many instants, and looks at what each leaves: prints {"cuts": …, "problems": […]}.

usage: power_loss.py CLOCHE SHARED-STORE PROJECT WORK-DIRECTORY CUTS SEED

Runs as root in a mount namespace of its own. The store lies on an ext4 file system on a recording disk; commands change
it, and what they report is noted with the place of the record at which they did. Then the disk is made anew as it is
after a cut, with another boot of the host, and asked: what was reported is there, nothing else is claimed, the database
rebuilt from the directories says the same, and what was left goes on to its end.
"""
import json
import os
import random
import shutil
import subprocess
import sys
import uuid

from recording_disk import RecordingDisk, cut, end_with_parent

CLOCHE, SHARED, PROJECT, WORK = sys.argv[1:5]
CUTS, SEED = int(sys.argv[5]), int(sys.argv[6])
# One place for both: directories of runs name what they are made of by its path.
PLACE = os.path.join(WORK, "place")
RECORD = os.path.join(WORK, "record")
ENDED = {0: "succeeded", 1: "succeeded", 2: "failed", 3: "succeeded"}


def run(*words):
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def command(words, **more):
    """What starts `cloche` on the store of the disk."""
    return dict(args=[CLOCHE, *words], cwd=PROJECT, env=dict(os.environ, CLOCHE_HOME=PLACE + "/store"),
                text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def cloche(*words, input=""):
    return subprocess.run(**command(words), input=input, timeout=120)


def change_boot():
    """Lets everything on the disk be of another boot of the host than this one."""
    with open("/proc/sys/kernel/random/boot_id", "rb") as file:
        now = file.read().strip()
    before = str(uuid.uuid4()).encode()
    for name in ("boot", "snapshots", "runs"):
        path = PLACE + "/store/" + name
        for found in [path] if os.path.isfile(path) else [
                os.path.join(above, name) for above, _, names in os.walk(path) for name in names]:
            if not os.path.isfile(found) or os.path.islink(found) or os.path.getsize(found) > 1 << 20:
                continue
            with open(found, "r+b") as file:
                text = file.read()
                if now in text:
                    file.seek(0)
                    file.write(text.replace(now, before))


class Facts:
    """What was reported, from which place of the record on, and until when it holds."""

    def __init__(self):
        self.all = []

    def now(self):
        return os.stat(RECORD).st_size

    def add(self, text, check):
        fact = {"text": text, "from": self.now(), "until": float("inf"), "check": check}
        self.all.append(fact)
        return fact

    def end(self, *facts):
        for fact in facts:
            fact["until"] = self.now()

    def at(self, position):
        return [fact for fact in self.all if fact["from"] <= position < fact["until"]]


def work(facts):
    """Changes the store in every way that is reported as done."""
    def do(expected, *words, **more):
        done = cloche(*words, **more)
        if done.returncode != expected:
            raise SystemExit("%s: %d\n%s" % (" ".join(words), done.returncode, done.stderr))
        return done

    do(0, "job", "create", "main.orchest", "--name", "gone", "--only", "0")
    gone = facts.add("job `gone` was made", lambda seen: seen.jobs.get("gone") == "succeeded")
    making = subprocess.Popen(**command(["job", "create", "main.orchest", "--name", "grid", "--max-parallel", "2"]),
                              stdin=subprocess.DEVNULL)
    failed = None
    for line in making.stderr:
        # `✓ succeeded  run 0  seed=0`
        words = line.split()
        if len(words) < 4 or words[2] != "run":
            continue
        number = int(words[3])
        fact = facts.add("run %d was reported as %s" % (number, words[1]),
                         lambda seen, number=number, state=words[1]: seen.runs.get(number, {}).get("state") == state)
        if number == 2:
            failed = fact
        else:
            facts.add("its log", lambda seen, number=number: "seed %d\n" % number in seen.log(number))
    making.stdout.read()
    if making.wait() != 3 or failed is None:
        raise SystemExit("job create: %s" % making.returncode)
    made = facts.add("job `grid` failed", lambda seen: seen.jobs.get("grid") == "failed")
    do(0, "secret", "set", "TOKEN", input="old value")
    old = facts.add("the secret", lambda seen: seen.secret() == "old value")
    policy = os.path.join(WORK, "lab.yaml")
    with open(policy, "w") as file:
        file.write("extends: strict\n")
    do(0, "policy", "apply", policy)
    facts.add("the policy", lambda seen: "extends: strict" in seen.run("policy", "show", "lab").stdout)
    facts.end(old)
    do(0, "secret", "set", "TOKEN", input="new value")
    facts.add("the secret, set again", lambda seen: seen.secret() == "new value")
    facts.end(gone)
    do(0, "rm", "gone", "--yes")
    facts.add("job `gone` was removed", lambda seen: "gone" not in seen.jobs)
    facts.end(failed, made)
    do(1, "retry", "grid")
    facts.add("run 2 was tried again", lambda seen: seen.runs.get(2, {}).get("attempt") == 2
              and seen.runs[2]["state"] == "failed")
    do(0, "job", "create", "main.orchest", "--name", "draft", "--draft")
    draft = facts.add("the draft", lambda seen: seen.jobs.get("draft") == "draft")
    facts.end(draft)
    do(0, "job", "edit", "draft", "--name", "edited")
    edited = facts.add("the draft's new name", lambda seen: seen.jobs.get("edited") == "draft")
    do(0, "job", "create", "main.orchest", "--name", "nightly", "--cron", "0 0 1 1 *", "--only", "1")
    nightly = facts.add("the schedule", lambda seen: seen.jobs.get("nightly") in ("running", "pending"))
    facts.end(nightly)
    do(0, "job", "pause", "nightly")
    paused = facts.add("the pause", lambda seen: seen.jobs.get("nightly") == "paused")
    do(0, "system", "reindex")
    facts.add("the job, rebuilt", lambda seen: seen.jobs.get("grid") == "failed")
    facts.end(paused, edited)
    do(0, "cancel", "nightly")
    facts.add("the end of the schedule", lambda seen: seen.jobs.get("nightly") == "cancelled")
    do(0, "rm", "edited", "--yes")
    facts.add("the draft was removed", lambda seen: "edited" not in seen.jobs and "draft" not in seen.jobs)


class Seen:
    """What the store of a disk after a cut tells."""

    def __init__(self):
        self.jobs = {job["name"]: job["state"] for job in self.document("ls", "--limit", "0")["jobs"]}
        self.runs = {}
        if "grid" in self.jobs:
            self.runs = {run["index"]: run for run in self.document("ls", "grid")["runs"]}

    def run(self, *words):
        return cloche(*words)

    def document(self, *words):
        done = self.run(*words, "--json")
        if done.returncode != 0:
            raise ValueError("`%s` fails with %d: %s" % (" ".join(words), done.returncode, done.stderr or done.stdout))
        return json.loads(done.stdout)

    def log(self, number):
        return self.run("logs", "grid/%d" % number).stdout

    def secret(self):
        try:
            with open(PLACE + "/store/secrets/TOKEN") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def states(self):
        return {number: run["state"] for number, run in self.runs.items()}


def problems(facts, position, goes_on):
    """What is wrong after a cut at that place."""
    if not os.path.exists(PLACE + "/store/cloche.db"):
        # Nothing was made yet: there is nothing to be lost.
        if facts.at(position):
            yield "the store is gone"
        return
    seen = Seen()
    for fact in facts.at(position):
        if not fact["check"](seen):
            yield "lost: %s (jobs %s, runs %s)" % (fact["text"], seen.jobs, seen.states())
    for number, known in seen.runs.items():
        # One that went on when the power failed is told as what it is.
        if known["state"] not in (ENDED[number], "pending") and known["verdict"]["cause"] != "supervisor-lost":
            yield "run %d is %s: %s" % (number, known["state"], known["verdict"])
    rebuilt = seen.run("system", "reindex")
    if rebuilt.returncode != 0:
        yield "reindex fails: %s" % rebuilt.stderr
    again = Seen()
    before, after = seen.states(), again.states()
    # A retry that was asked for and has not begun is forgotten by a rebuild.
    if before.get(2) == "pending":
        before[2] = after.get(2)
    # Of a change that was not reported, one place may tell before the other.
    changing = {"draft", "edited", "gone"}
    if before != after or set(seen.jobs) - changing != set(again.jobs) - changing:
        yield "rebuilt, it is %s %s, and was %s %s" % (again.jobs, after, seen.jobs, before)
    if goes_on and after:
        told = again.run("job", "start", "grid").stderr if "pending" in after.values() else ""
        told += again.run("retry", "grid").stderr
        ended = Seen().states()
        if ended != ENDED:
            yield "it does not go on: %s %s" % (ended, told)


def main():
    image, base = os.path.join(WORK, "disk.img"), os.path.join(WORK, "base.img")
    for place in (PLACE, os.path.join(WORK, "device")):
        os.mkdir(place)
    with open(base, "wb") as file:
        file.truncate(96 << 20)
    run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", base)
    shutil.copyfile(base, image)
    disk = RecordingDisk(image, os.path.join(WORK, "device"), RECORD)
    server = os.fork()
    if server == 0:
        end_with_parent()
        disk.serve()
        os._exit(0)
    os.close(disk.device)
    facts = Facts()
    try:
        run("mount", "-o", "loop,commit=1", disk.path, PLACE)
        os.mkdir(PLACE + "/store", 0o700)
        shutil.copy(SHARED + "/identity.json", PLACE + "/store/identity.json")
        os.symlink(SHARED + "/environments", PLACE + "/store/environments")
        os.sync()
        work(facts)
    finally:
        run("umount", PLACE)
        run("umount", os.path.join(WORK, "device"))
        os.waitpid(server, 0)
    choice = random.Random(SEED)
    first = min(fact["from"] for fact in facts.all)
    size = os.stat(RECORD).st_size
    # Most of them at reports: what was reported last is what is lost most easily.
    places = [fact["from"] for fact in facts.all if fact["from"] > first]
    places += [choice.randrange(first // 2, size) for _ in range(max(0, CUTS - len(places)))]
    choice.shuffle(places)
    found, target = [], os.path.join(WORK, "cut.img")
    for number, position in enumerate(places[:CUTS]):
        shutil.copyfile(base, target)
        open_writes = cut(base, RECORD, position, choice, target)
        run("mount", "-o", "loop", target, PLACE)
        try:
            change_boot()
            found += ["cut %d at %d (%d writes not flushed): %s" % (number, position, open_writes, text)
                      for text in problems(facts, position, number % 8 == 0)]
        except (ValueError, KeyError, subprocess.TimeoutExpired) as problem:
            found.append("cut %d at %d: %s" % (number, position, problem))
        finally:
            run("umount", PLACE)
    print(json.dumps({"cuts": len(places[:CUTS]), "facts": len(facts.all), "problems": found}))


if __name__ == "__main__":
    main()
