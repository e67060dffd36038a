//! Values that are kept elsewhere, in a file or in the environment, and only named in the properties.

use milena_sasl::Secret;

/// What a text that is `${file:PATH}` or `${env:NAME}` as a whole stands for: the content of a file, without one line end at its end, or of an
/// environment variable. `None` if it is an ordinary text.
///
/// # Errors
///
/// Why there is no such content, in words for people that follow the name of a property.
#[must_use]
pub fn referred(text: &str) -> Option<Result<Secret, String>> {
    let inner = text.trim().strip_prefix("${")?.strip_suffix('}')?;
    Some(match inner.split_once(':') {
        Some(("file", path)) => {
            let refused = |why: &str| format!("refers to the file {path:?}, which cannot be read ({why})");
            let content = std::fs::read(path).map(content).map_err(|error| refused(&error.to_string()));
            content.and_then(|content| match content.expose_str() {
                Some(_) => Ok(content),
                None => Err(refused("it is not UTF-8")),
            })
        }
        Some(("env", name)) => std::env::var(name)
            .map(|value| content(value.into_bytes()))
            .map_err(|_| format!("refers to the environment variable {name:?}, which is not set, or to no text")),
        _ => Err("refers to neither ${file:PATH} nor ${env:NAME}".to_owned()),
    })
}

/// `sasl.jaas.config` with what the options' values stand for that are [references](referred) as a whole; `None` if none is.
///
/// # Errors
///
/// Those of [`referred`].
pub(super) fn referred_in_jaas(text: &str) -> Option<Result<Secret, String>> {
    let mut texts = Vec::new();
    let mut found = Vec::new();
    let (mut kept_from, mut at) = (0, 0);
    while let Some(next) = text[at..].find(['"', '=']) {
        let start = at + next;
        let behind = &text[start + 1..];
        let (whole, inner) = if text[start..].starts_with('"') {
            // A quote that stays open is for whoever reads the options to complain about.
            let Some(length) = quoted(behind) else { break };
            (start..start + length + 2, start + 1..start + 1 + length)
        } else {
            let from = text.len() - behind.trim_start().len();
            let length =
                text[from..].find(|c: char| c.is_whitespace() || "=;\"".contains(c)).unwrap_or(text.len() - from);
            (from..from + length, from..from + length)
        };
        match referred(&text[inner]) {
            None => {}
            Some(Err(wrong)) => return Some(Err(wrong)),
            Some(Ok(content)) => {
                texts.push(&text[kept_from..whole.start]);
                found.push(content);
                kept_from = whole.end;
            }
        }
        at = whole.end;
    }
    if found.is_empty() {
        return None;
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for (text, content) in texts.iter().zip(&found) {
        parts.extend([text.as_bytes(), b"\""]);
        for piece in content.expose().split_inclusive(|byte| matches!(byte, b'"' | b'\\')) {
            match piece {
                [plain @ .., b'"'] => parts.extend([plain, b"\\\""]),
                [plain @ .., b'\\'] => parts.extend([plain, b"\\\\"]),
                plain => parts.push(plain),
            }
        }
        parts.push(b"\"");
    }
    parts.push(&text.as_bytes()[kept_from..]);
    Some(Ok(Secret::concat(&parts)))
}

/// The length of a value in quotes, behind the first of which is `text`.
fn quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

fn content(mut bytes: Vec<u8>) -> Secret {
    if bytes.pop_if(|last| *last == b'\n').is_some() {
        bytes.pop_if(|last| *last == b'\r');
    }
    Secret::new(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_jaas(text: &str) -> Option<String> {
        referred_in_jaas(text).map(|found| found.unwrap().expose_str().unwrap().to_owned())
    }

    #[test]
    fn an_option_that_refers_to_something_has_it_put_in_with_its_meaning() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a\"b\\c;d\n").unwrap();
        let path = file.path().display();
        let text = format!("M required username=${{env:CARGO_PKG_NAME}} password=\"${{file:{path}}}\" x = \"y\";");
        let put = r#"M required username="milena-client" password="a\"b\\c;d" x = "y";"#;
        assert_eq!(in_jaas(&text).as_deref(), Some(put));
        let last = "M required password= ${env:CARGO_PKG_NAME}";
        assert_eq!(in_jaas(last).as_deref(), Some(r#"M required password= "milena-client""#));
    }

    #[test]
    fn what_only_looks_like_a_reference_stays_as_it_is() {
        for text in [
            "",
            "=",
            "\"",
            "M required;",
            r#"M required username="$ConnectionString" password="a${env:CARGO_PKG_NAME}";"#,
            r#"M required password="x=${env:CARGO_PKG_NAME} y";"#,
            r#"M required password="\"${env:CARGO_PKG_NAME}";"#,
            r#"M required password="${env:CARGO_PKG_NAME};"#,
        ] {
            assert_eq!(in_jaas(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        for (text, told) in [
            ("${env:NOBODY_SETS_THIS}", "variable \"NOBODY_SETS_THIS\", which is not set"),
            ("${file:/nowhere}", "file \"/nowhere\", which cannot be read"),
            ("${vault:secret}", "neither"),
        ] {
            assert!(referred(text).unwrap().unwrap_err().contains(told), "{text}");
            let jaas = format!("M required password=\"{text}\" other=\"hunter2\";");
            let wrong = referred_in_jaas(&jaas).unwrap().unwrap_err();
            assert!(wrong.contains(told) && !wrong.contains("hunter2"), "{wrong}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0xff]).unwrap();
        let wrong = referred(&format!("${{file:{}}}", file.path().display())).unwrap().unwrap_err();
        assert!(wrong.contains("not UTF-8"), "{wrong}");
    }
}
