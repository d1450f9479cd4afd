import LinuxSystem
import SystemPackage
import Testing

@testable import Environments

@Suite struct BaseCatalogueTests {
    static func base(_ name: String, replaces: [String] = []) throws -> Base {
        let text = """
            name: \(name)
            description: x
            suite: bookworm
            packages: [python3]
            replaces: [\(replaces.joined(separator: ", "))]
            """
        let recipe = try Recipe(reading: Array(text.utf8), file: "e.yaml")
        return Base(recipe: recipe, files: [Base.recipeFile: Array(text.utf8)])
    }

    @Test(
        arguments: [
            "base-kernel-py", "orchest/base-kernel-py", "orchest/base-kernel-py:v2022.10.5",
            "docker.io/orchest/base-kernel-py", "docker.io/orchest/base-kernel-py:latest",
            "orchest/base-kernel-py@sha256:0123",
        ])
    func `a base is found by its name and by the images it replaces`(reference: String) throws {
        let catalogue = BaseCatalogue([
            try Self.base("python"), try Self.base("base-kernel-py", replaces: ["orchest/base-kernel-py"]),
        ])
        #expect(try catalogue.base(reference).recipe.name.text == "base-kernel-py")
    }

    @Test(
        arguments: [
            ("orchest/base-kernel-pi", "orchest/base-kernel-py"), ("base-kernel-pyt", "base-kernel-py"),
            ("registry:5000/team/image", "base-kernel-py"),
        ])
    func `an unknown image names the nearest base`(reference: String, near: String) throws {
        let catalogue = BaseCatalogue([try Self.base("base-kernel-py", replaces: ["orchest/base-kernel-py"])])
        #expect(throws: BaseError.unknown(reference, nearest: near)) { try catalogue.base(reference) }
    }

    @Test func `folders with recipes are read, and others are passed over`() throws {
        try withScratch { directory in
            try write("a/environment.yaml", "name: a\ndescription: x\nsuite: bookworm\nscripts: [s.sh]\n", directory)
            try write("a/s.sh", "true\n", directory)
            try write("notes/readme", "x", directory)
            let catalogue = try BaseCatalogue(directory: directory)
            #expect(catalogue.bases.map(\.recipe.name.text) == ["a"])
            #expect(catalogue.bases.first?.files.keys.sorted() == ["environment.yaml", "s.sh"])
        }
    }

    @Test func `what all bases share lies beside every recipe, counts as its input, and gives way to its own file`()
        throws
    {
        try withScratch { directory in
            try write("a/environment.yaml", "name: a\ndescription: x\nsuite: bookworm\nscripts: [s.sh]\n", directory)
            try write("b/environment.yaml", "name: b\ndescription: x\nsuite: bookworm\nscripts: [s.sh]\n", directory)
            try write("b/s.sh", "own\n", directory)
            try write("common/s.sh", "one\n", directory)
            let first = try BaseCatalogue(directory: directory).bases
            #expect(first.map { $0.files["s.sh"] } == [Array("one\n".utf8), Array("own\n".utf8)])
            try write("common/s.sh", "two\n", directory)
            let second = try BaseCatalogue(directory: directory).bases
            #expect(BuildInputs.base(first[0]).bytes != BuildInputs.base(second[0]).bytes)
            #expect(BuildInputs.base(first[1]).bytes == BuildInputs.base(second[1]).bytes)
        }
    }

    @Test func `an unknown image says how it is imported`() {
        let known = BaseError.unknown("ghcr.io/team/tools:3", nearest: nil).hint
        #expect(
            known?.contains("env import tools docker://ghcr.io/team/tools:3 --replaces ghcr.io/team/tools:3`") == true)
        let hub = BaseError.unknown("rocker/r-ver", nearest: "base-kernel-r").hint
        #expect(hub?.contains("did you mean `base-kernel-r`?") == true && hub?.contains("registry-1.docker.io") == true)
        #expect(BaseError.unknown("No Name", nearest: nil).hint?.contains("env import NAME SOURCE") == true)
    }

    @Test(
        arguments: [
            ("name: b\ndescription: x\nsuite: bookworm\n", "its recipe is named `b`"),
            ("name: a\ndescription: x\nsuite: bookworm\nscripts: [no.sh]\n", "the script `no.sh`"),
        ])
    func `a folder that does not fit its recipe is refused`(text: String, reason: String) throws {
        try withScratch { directory in
            try write("a/environment.yaml", text, directory)
            let catalogue = try BaseCatalogue(directory: directory)
            #expect(catalogue.bases.isEmpty && catalogue.has("a"))
            let error = try #require(throws: BaseError.self) { try catalogue.base("a") }
            #expect(error.description.contains(reason))
        }
    }

    @Test func `a link beside a recipe is named with its base`() throws {
        try withScratch { directory in
            try write("a/environment.yaml", "name: a\ndescription: x\nsuite: bookworm\n", directory)
            try Syscall.symlink("environment.yaml", directory.appending("a").appending("setup.sh.lnk"))
            let error = try #require(throws: BaseError.self) {
                try BaseCatalogue(directory: directory).base("a")
            }
            #expect(error.description.contains("/a`: its file `setup.sh.lnk` is a link"), "\(error)")
        }
    }

    @Test func `a recipe that is wrong leaves the others as they are`() throws {
        try withScratch { directory in
            let good = "description: x\nsuite: bookworm\nreplaces: [x/image]\n"
            try write("a/environment.yaml", "name: a\n" + good, directory)
            try write("b/environment.yaml", "name: b\n" + good, directory)
            try write("c/environment.yaml", "name: c\ndescription: x\nsuite: bookworm\npackages: 3\nx: 1\n", directory)
            let catalogue = try BaseCatalogue(directory: directory)
            #expect(catalogue.names == ["a", "b", "c"])
            #expect(try catalogue.base("a").recipe.name.text == "a")
            #expect(try catalogue.base("x/image").recipe.name.text == "a")
            #expect(catalogue.unusable["b"]?.description.contains("replaces `x/image`") == true)
            let error = try #require(throws: BaseError.self) { try catalogue.base("c") }
            #expect(error.description.contains("environment.yaml:4:11: `packages` must be a list"), "\(error)")
            // It may be the one that stands for an image which none of the others does.
            #expect(throws: BaseError.self) { try catalogue.base("y/image") }
        }
    }
}
