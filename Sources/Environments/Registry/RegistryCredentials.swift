import FoundationEssentials
import SystemPackage

/// Names and passwords for registries, from the file that `docker login` and `skopeo login` write.
///
/// Only what the file itself holds is used: programs that it names (`credHelpers`, `credsStore`) are not executed.
struct RegistryCredentials {
    /// `name:password` in base64, for `Authorization: Basic`.
    let basic: String
    /// Both in plain, so that they can be kept out of logs.
    let secrets: [String]
    /// The file.
    let file: FilePath

    /// Those for a host, where there are some; files are looked for as the one does whose variables these are.
    static func find(_ host: String, files: HostFiles, variables: [String: String]) -> RegistryCredentials? {
        var places: [FilePath] = []
        if let named = variables["REGISTRY_AUTH_FILE"], !named.isEmpty { places.append(FilePath(named)) }
        if let directory = variables["XDG_RUNTIME_DIR"], !directory.isEmpty {
            places.append(FilePath(directory).pushing("containers/auth.json"))
        }
        if let directory = variables["DOCKER_CONFIG"], !directory.isEmpty {
            places.append(FilePath(directory).appending("config.json"))
        } else if let home = variables["HOME"], !home.isEmpty {
            places.append(FilePath(home).pushing(".docker/config.json"))
        }
        for place in places {
            guard let bytes = files.contents(place), let found = read(bytes, host, place) else { continue }
            return found
        }
        return nil
    }

    private struct Document: Decodable {
        struct Entry: Decodable { var auth: String? }
        var auths: [String: Entry]?
    }

    private static func read(_ bytes: [UInt8], _ host: String, _ place: FilePath) -> RegistryCredentials? {
        guard let entries = (try? JSONDecoder().decode(Document.self, from: Data(bytes)))?.auths else { return nil }
        var names = [host, "https://" + host, "http://" + host]
        if host == ImageReference.dockerHub {
            names += ["https://index.docker.io/v1/", "index.docker.io", "docker.io"]
        }
        for name in names {
            guard let written = entries[name]?.auth, let data = Data(base64Encoded: written) else { continue }
            let plain = [UInt8](data)
            guard let colon = plain.firstIndex(of: UInt8(ascii: ":")), colon > 0, plain.count < 8192 else { continue }
            let password = String(decoding: plain[(colon + 1)...], as: UTF8.self)
            let basic = data.base64EncodedString()
            return RegistryCredentials(basic: basic, secrets: [password, basic], file: place)
        }
        return nil
    }
}
