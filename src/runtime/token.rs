//! Secrets that prove an identity: 32 random bytes each, one per identity.
//!
//! Connections are in clear text for now, so a token protects against mistakes and against
//! strangers who cannot read the traffic, not against those who can.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use rand::TryRng;
use rand::rngs::SysRng;

use super::RunError;
use crate::node::NodeId;

/// The secret of one identity.
#[derive(Clone, Copy)]
pub struct Token([u8; 32]);

/// The secrets of several identities.
pub type Tokens = BTreeMap<NodeId, Token>;

impl Token {
    /// A fresh secret.
    pub fn random() -> Result<Self, RunError> {
        let mut bytes = [0; 32];
        SysRng
            .try_fill_bytes(&mut bytes)
            .map_err(|error| RunError::Network(format!("no random bytes to be had: {error}")))?;
        Ok(Token(bytes))
    }

    /// The bytes that are sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether these bytes are the secret, in a time that does not tell how much of it is right.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        // Digests are compared in constant time; so lengths and prefixes leak nothing.
        blake3::hash(&self.0) == blake3::hash(bytes)
    }

    fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Token(bytes))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a secret")
    }
}

/// A fresh secret for each of `nodes`.
pub fn draw(nodes: impl IntoIterator<Item = NodeId>) -> Result<Tokens, RunError> {
    nodes.into_iter().map(|node| Ok((node, Token::random()?))).collect()
}

/// One line per identity: its number and its secret in hexadecimal.
pub fn to_text(tokens: &Tokens) -> String {
    let line = |(node, token): (&NodeId, &Token)| {
        let mut text = format!("{node} ");
        token.0.iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
        text.push('\n');
        text
    };
    tokens.iter().map(line).collect()
}

/// Reads what [`to_text`] wrote; `source` names it in messages.
pub fn from_text(text: &str, source: &str) -> Result<Tokens, RunError> {
    let mut tokens = Tokens::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let parsed = line.split_once(' ').and_then(|(node, digits)| {
            Some((NodeId(node.trim().parse().ok()?), Token::from_hex(digits.trim())?))
        });
        let (node, token) = parsed.ok_or_else(|| {
            RunError::Network(format!(
                "{source}, line {}: expected a node's number and 64 hexadecimal digits",
                number + 1
            ))
        })?;
        tokens.insert(node, token);
    }
    Ok(tokens)
}

/// The secrets in a file, drawn and written there if it does not exist yet.
///
/// The file is readable by its owner alone.
pub fn load_or_draw(path: &Path, nodes: &[NodeId]) -> Result<Tokens, RunError> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let tokens = from_text(&text, &path.display().to_string())?;
            if let Some(missing) = nodes.iter().find(|node| !tokens.contains_key(node)) {
                return Err(RunError::Network(format!(
                    "{} has no secret for node {missing}; remove the file to draw new ones",
                    path.display()
                )));
            }
            Ok(tokens)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let tokens = draw(nodes.iter().copied())?;
            write_private(path, &to_text(&tokens)).map_err(|error| RunError::file(path, error))?;
            Ok(tokens)
        }
        Err(error) => Err(RunError::file(path, error)),
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_a_file_and_only_the_right_bytes_match() {
        let tokens = draw([NodeId(0), NodeId(12)]).unwrap();
        let read = from_text(&to_text(&tokens), "a test").unwrap();
        let (first, second) = (&tokens[&NodeId(0)], &tokens[&NodeId(12)]);
        assert!(read[&NodeId(12)].matches(second.as_bytes()));
        assert!(!read[&NodeId(12)].matches(first.as_bytes()));
        assert!(!read[&NodeId(12)].matches(b""));
        assert!(from_text("0 abc", "a test").unwrap_err().to_string().contains("line 1"));
        assert!(!format!("{first:?}").contains("0x"));
    }
}
