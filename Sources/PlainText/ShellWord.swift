/// A text from outside as one word of a command that is shown: in single quotes where a shell would not take it as it is.
///
/// It is safe to show as `printable` makes it; what that has to escape is not the same text any more, but one word still.
package func shellWord(_ text: String) -> String {
    let shown = printable(text).unicodeScalars
    // zsh takes a word that begins with `=` for the path of a program.
    if let first = shown.first, first != "=", shown.allSatisfy(\.isPlainInShell) { return String(shown) }
    // By scalars: a mark behind a quotation mark would hide it.
    var word = "'"
    for scalar in shown {
        if scalar == "'" { word += #"'\''"# } else { word.unicodeScalars.append(scalar) }
    }
    return word + "'"
}

extension Unicode.Scalar {
    /// Whether no shell sees more than a character in it, wherever it stands in a word.
    fileprivate var isPlainInShell: Bool {
        switch self {
        case "a"..."z", "A"..."Z", "0"..."9": true
        case "-", "_", ".", "/", "=", "@", ":", "+", ",", "%": true
        default: !isASCII && properties.isAlphabetic
        }
    }
}
