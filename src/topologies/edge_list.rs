//! Edge lists as text: one edge a line.

use crate::catalog::ConfigError;
use crate::graph::Graph;

/// Reads `0 1` or `0, 1`, one edge a line, nodes counted from 0; what follows `#` is a comment.
///
/// Errors name the line: a line that is not two numbers, an edge to nobody or to the node itself.
pub fn parse_edge_list(text: &str, nodes: usize) -> Result<Vec<(u32, u32)>, ConfigError> {
    let mut edges = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let content = line.split('#').next().unwrap_or_default().trim();
        if content.is_empty() {
            continue;
        }
        let wrong = |what: String| ConfigError::new(format!("line {}: {what}", index + 1));
        let edge = edge(content)
            .ok_or_else(|| wrong(format!("expected two numbers, found `{}`", brief(content))))?;
        Graph::check_edge(nodes, edge).map_err(|error| wrong(error.to_string()))?;
        edges.push(edge);
    }
    Ok(edges)
}

/// Two numbers, apart by spaces, a comma or both.
fn edge(content: &str) -> Option<(u32, u32)> {
    let apart = content.find(|letter: char| letter == ',' || letter.is_whitespace())?;
    let (from, rest) = content.split_at(apart);
    let rest = rest.trim_start();
    let to = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    Some((from.parse().ok()?, to.parse().ok()?))
}

/// As much of a line as a message shows.
fn brief(line: &str) -> String {
    const SHOWN: usize = 40;
    let shown: String = line.chars().take(SHOWN).collect();
    if shown.len() < line.len() { format!("{shown}…") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_however_they_are_spaced() {
        let text = "# who talks to whom\n0 1\n\n 2,1 # twice\r\n1 , 2\n3\t0\n";
        assert_eq!(parse_edge_list(text, 4).unwrap(), [(0, 1), (2, 1), (1, 2), (3, 0)]);
        assert_eq!(parse_edge_list("", 4).unwrap(), []);
    }

    #[test]
    fn errors_name_the_line() {
        let refusal = |text| parse_edge_list(text, 3).unwrap_err().message;
        assert_eq!(refusal("0 1\n\n1 3"), "line 3: edge 1 - 3: there are only the nodes 0 to 2");
        assert_eq!(refusal("# none\n2 2"), "line 2: edge 2 - 2 joins a node to itself");
        for wrong in ["0", "0 1 2", "a b", "0 -1", "0,,1", "0 1.5", "0 99999999999", ", 1", "0 ,"] {
            assert_eq!(refusal(wrong), format!("line 1: expected two numbers, found `{wrong}`"));
        }
        assert!(refusal(&"x".repeat(10_000)).chars().count() < 100);
    }
}
