//! The text of an experiment, and how its errors are shown.
//!
//! An experiment is a file and perhaps a few overrides from the command line. They count as one
//! text, in which the parts follow each other line by line, so that one span says both which
//! part is meant and where in it.

use std::ops::Range;

use annotate_snippets::renderer::DEFAULT_TERM_WIDTH;
use annotate_snippets::{
    AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};

use crate::catalog::{ConfigError, keep};

/// The largest file that is read, in bytes. A config is a page of text; what is larger is some
/// other file, named by mistake.
pub const BYTES_MAX: usize = 1 << 20;

/// A file and the overrides that follow it.
#[derive(Debug, Clone)]
pub struct Source {
    file: Part,
    overrides: Vec<Part>,
}

/// One piece of the text.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Where it comes from: a path, or the option that it was given with.
    pub(super) origin: String,
    /// What was written.
    pub(super) text: &'static str,
    /// Where it begins in the whole text.
    pub(super) start: usize,
}

impl Part {
    /// The bytes of the whole text that it covers.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    /// The nearest byte of this part, at or before `place` in the whole text, where it can be cut.
    fn cut(&self, place: usize) -> usize {
        let place = place.saturating_sub(self.start).min(self.text.len());
        (0..=place).rev().find(|&place| self.text.is_char_boundary(place)).unwrap_or(0)
    }
}

impl Source {
    /// The bytes of the file at `path`, which is only named here and not opened.
    ///
    /// Refuses more than [`BYTES_MAX`] bytes, and bytes that are not UTF-8.
    pub fn new(path: impl Into<String>, bytes: &[u8]) -> Result<Self, ConfigError> {
        let path = path.into();
        if bytes.len() > BYTES_MAX {
            let message = format!("{path} has {} bytes, which is no config", bytes.len());
            return Err(ConfigError::new(message)
                .help(format!("name a TOML file of at most {BYTES_MAX} bytes")));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let place = error.valid_up_to();
            let line = bytes[..place].split(|&byte| byte == b'\n').count();
            let byte = bytes[place];
            ConfigError::new(format!("{path}:{line}: byte {byte:#04x} is not UTF-8 text"))
                .help("name a TOML file")
        })?;
        let file = Part { origin: path, text: keep(text), start: 0 };
        Ok(Source { file, overrides: Vec::new() })
    }

    /// The same with `--set key=value` after it: the value replaces what the file says, before
    /// the sweep is expanded, and ends the sweep over that key.
    ///
    /// The value is TOML, or JSON if it is no TOML, or else a word that needs no quotes. What is
    /// wrong with it is told when the source is read.
    #[must_use]
    pub fn set(self, assignment: &str) -> Self {
        self.with("--set", assignment)
    }

    /// The same with `--seeds`: these seeds in place of the file's.
    #[must_use]
    pub fn seeds(self, seeds: &[u64]) -> Self {
        self.with("--seeds", &format!("seeds = {seeds:?}"))
    }

    fn with(mut self, origin: &str, assignment: &str) -> Self {
        let before = self.overrides.last().unwrap_or(&self.file);
        let start = before.range().end + 1;
        self.overrides.push(Part { origin: origin.to_owned(), text: keep(assignment), start });
        self
    }

    /// The file as written, without overrides.
    pub fn file(&self) -> &str {
        self.file.text
    }

    /// The overrides in the order given, each as `key=value`.
    pub fn overrides(&self) -> impl Iterator<Item = &str> {
        self.overrides.iter().map(|part| part.text)
    }

    /// What stands at `span`, within one part.
    pub fn text_at(&self, span: Range<usize>) -> &str {
        let part = self.part_at(span.start);
        let [start, end] = [span.start, span.end].map(|place| part.cut(place));
        &part.text[start..end.max(start)]
    }

    fn part_at(&self, place: usize) -> &Part {
        self.overrides.iter().rfind(|part| part.start <= place).unwrap_or(&self.file)
    }

    pub(super) fn file_part(&self) -> &Part {
        &self.file
    }

    pub(super) fn override_parts(&self) -> &[Part] {
        &self.overrides
    }

    /// All of `errors`, one below the other.
    pub fn render_all(&self, errors: &[ConfigError], colour: bool) -> String {
        let shown: Vec<String> = errors.iter().map(|error| self.render(error, colour)).collect();
        shown.join("\n\n")
    }

    /// `error` with its place (file, line, column), the line with a caret below, and the advice.
    pub fn render(&self, error: &ConfigError, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let title = Level::ERROR.primary_title(error.message.as_str());
        let mut group = match error.span.clone().filter(|span| *span != (0..0)) {
            Some(span) => self.point(Group::with_title(title), span),
            None => title.element(Origin::path(self.file.origin.as_str())),
        };
        if let Some(help) = &error.help {
            group = group.element(Level::HELP.message(normalize_untrusted_str(help)));
        }
        renderer.term_width(DEFAULT_TERM_WIDTH).render(&[group])
    }

    /// Adds the line that `span` begins on.
    fn point<'a>(&'a self, group: Group<'a>, span: Range<usize>) -> Group<'a> {
        let part = self.part_at(span.start);
        let start = part.cut(span.start);
        let end = part.cut(span.end).max(start);
        let line_start = part.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = part.text[start..].find('\n').map_or(part.text.len(), |at| start + at);
        let line = &part.text[line_start..line_end];
        let number = 1 + part.text[..line_start].matches('\n').count();
        group.element(
            Snippet::source(line).path(part.origin.as_str()).line_start(number).annotation(
                AnnotationKind::Primary.span(start - line_start..end.min(line_end) - line_start),
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_fall_into_their_part() {
        let source = Source::new("a.toml", "één\n".as_bytes()).unwrap().set("b=1").seeds(&[2]);
        assert_eq!(source.text_at(0..2), "é");
        let start = source.override_parts()[0].start;
        assert_eq!(source.text_at(start..start + 1), "b");
        let start = source.override_parts()[1].start;
        assert_eq!(source.text_at(start..start + 100), "seeds = [2]");
        assert_eq!(source.overrides().collect::<Vec<_>>(), ["b=1", "seeds = [2]"]);
        assert_eq!(source.file(), "één\n");
    }

    #[test]
    fn any_span_can_be_shown() {
        let source = Source::new("a.toml", "é = [\n1,\n]\n".as_bytes()).unwrap().set("");
        for start in 0..20 {
            for end in 0..20 {
                source.render(&ConfigError::new("wrong").at(start..end), false);
            }
        }
        let far = ConfigError::new("wrong").at(usize::MAX..usize::MAX);
        assert!(source.render(&far, false).contains("--set"));
    }

    #[test]
    fn a_span_over_lines_is_shown_on_its_first() {
        let source = Source::new("a.toml", b"a = [\n1,\n]\n").unwrap();
        let shown = source.render(&ConfigError::new("wrong").at(4..11), false);
        assert!(shown.contains("a.toml:1:5") && !shown.contains("2 |"), "{shown}");
    }
}
