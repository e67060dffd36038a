//! Java's `sasl.jaas.config`, as far as it says who somebody is.

use std::collections::BTreeMap;

use milena_sasl::Secret;

/// One login module with its options: `some.LoginModule required username="alice" password="…";`.
#[derive(Debug)]
pub(super) struct Jaas {
    /// The class without its package.
    pub(super) module: String,
    pub(super) options: BTreeMap<String, Secret>,
}

impl Jaas {
    /// Reads one module. What is wrong is told without any part of the text.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut words = Words(text.trim());
        let class = words.word().ok_or("names no login module")?;
        let module = class.rsplit('.').next().unwrap_or(class).to_owned();
        if !words.word().is_some_and(|flag| ["required", "requisite", "sufficient", "optional"].contains(&flag)) {
            return Err("has no control flag behind the login module, such as required");
        }
        let mut options = BTreeMap::new();
        loop {
            match words.symbol() {
                Some(';') if words.0.trim().is_empty() => return Ok(Self { module, options }),
                Some(';') => return Err("has more than one login module"),
                Some(_) => return Err("has a character where an option should be"),
                None => {}
            }
            let name = words.word().ok_or("does not end in a semicolon")?.to_owned();
            if words.symbol() != Some('=') {
                return Err("has an option without a value");
            }
            let value = words.value().ok_or("has an option whose value does not end")?;
            options.insert(name, value);
        }
    }

    /// An option's text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.options.get(name).and_then(Secret::expose_str)
    }
}

struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn word(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let end = text.find(|c: char| c.is_whitespace() || matches!(c, '=' | ';' | '"')).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    /// The next character, if it belongs to no word.
    fn symbol(&mut self) -> Option<char> {
        let text = self.0.trim_start();
        let symbol = text.chars().next().filter(|c| matches!(c, '=' | ';' | '"'))?;
        self.0 = &text[1..];
        Some(symbol)
    }

    /// A value in quotes, in which a backslash takes away the meaning of what follows, or one without.
    fn value(&mut self) -> Option<Secret> {
        let text = self.0.trim_start();
        let Some(quoted) = text.strip_prefix('"') else {
            return self.word().map(Secret::from);
        };
        let mut value = String::with_capacity(quoted.len());
        let mut chars = quoted.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &quoted[at + 1..];
                    return Some(value.into());
                }
                '\\' => value.push(chars.next()?.1),
                c => value.push(c),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_java_takes_is_read() {
        let text = r#"org.apache.kafka.common.security.plain.PlainLoginModule required
            username="alice" password="a;b=\"c\"\\d" serviceName=kafka ;"#;
        let jaas = Jaas::parse(text).unwrap();
        assert_eq!(jaas.module, "PlainLoginModule");
        assert_eq!((jaas.text("username"), jaas.text("password")), (Some("alice"), Some(r#"a;b="c"\d"#)));
        assert_eq!(jaas.text("serviceName"), Some("kafka"));
        assert!(Jaas::parse("OAuthBearerLoginModule required;").unwrap().options.is_empty());
        assert!(!format!("{jaas:?}").contains("a;b"));
    }

    #[test]
    fn what_it_does_not_take_is_refused_without_a_word_of_it() {
        for wrong in [
            "",
            ";",
            "Module",
            "Module required",
            "Module hunter2;",
            "Module required username=\"alice;",
            "Module required username=\"alice\"",
            "Module required username;",
            "Module required username=;",
            "Module required =x;",
            "Module required a=b; Other required;",
            "Module required a=\"b\\",
        ] {
            let error = Jaas::parse(wrong).unwrap_err();
            assert!(!error.contains("alice") && !error.contains("hunter2"), "{error}");
        }
    }
}
