//! Tables for the terminal: accuracies in percent, at most 80 columns wide where names allow it.

use super::CellResult;
use super::findings::findings;
use super::grid::{Page, Seeds, pages};

/// The widest line.
const WIDTH: usize = 80;

/// The tables of an experiment, each followed by what it shows.
pub fn render(title: &str, results: &[CellResult]) -> String {
    let mut text = format!("{title}\n");
    if results.is_empty() {
        text.push_str("\nNo cell is done.\n");
        return text;
    }
    if results.iter().all(|result| result.swept.is_empty()) {
        text.push_str(&plain(results));
        return text;
    }
    let pages = pages(results);
    for page in &pages {
        text.push('\n');
        if !page.title.is_empty() {
            text.push_str(&format!("{}\n", page.title));
        }
        text.push_str(&render_page(page));
        for finding in findings(page) {
            text.push_str(&wrapped(&finding));
        }
    }
    text.push_str(&format!("\n{}\n", legend(&pages)));
    text
}

/// An experiment without a sweep: a line for each seed.
fn plain(results: &[CellResult]) -> String {
    let line = |result: &CellResult| {
        let accuracy = number(Some(result.accuracy));
        format!("  seed {}: {accuracy} % test accuracy after the last round\n", result.seed)
    };
    let lines: String = results.iter().map(line).collect();
    format!("\n{lines}")
}

/// What the numbers are.
fn legend(pages: &[Page]) -> String {
    let seeds = pages.iter().flat_map(|page| page.cells.iter().flatten()).map(Seeds::count).max();
    match seeds {
        Some(seeds) if seeds > 1 => format!(
            "Test accuracy in percent after the last round, mean of {seeds} seeds. worst: under\n\
             the attack that hurts the rule most; seeds: the least and the greatest there."
        ),
        _ => "Test accuracy in percent after the last round, one seed.".to_owned(),
    }
}

/// The columns of a page, side by side as far as 80 columns of text go, then below.
fn render_page(page: &Page) -> String {
    let columns = columns(page);
    let row_width = page.rows.iter().map(|row| row.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    let mut rest = columns.as_slice();
    while !rest.is_empty() {
        let (block, after) = rest.split_at(fitting(rest, row_width));
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&render_block(page, block, row_width));
        rest = after;
    }
    text
}

/// How many columns stand side by side, one at least.
fn fitting(columns: &[Column], row_width: usize) -> usize {
    let mut width = 2 + row_width;
    let fits = |column: &&Column| {
        width += 2 + column.width;
        width <= WIDTH
    };
    columns.iter().take_while(fits).count().max(1)
}

fn render_block(page: &Page, columns: &[Column], row_width: usize) -> String {
    let height = columns.iter().map(|column| column.head.len()).max().unwrap_or(1);
    let mut text = String::new();
    for line in 0..height {
        let mut row = format!("  {:row_width$}", "");
        for column in columns {
            let above = height - column.head.len();
            let word = if line < above { "" } else { &column.head[line - above] };
            row.push_str(&format!("  {word:>width$}", width = column.width));
        }
        text.push_str(&format!("{}\n", row.trim_end()));
    }
    for (row, name) in page.rows.iter().enumerate() {
        text.push_str(&format!("  {name:row_width$}"));
        for column in columns {
            text.push_str(&format!("  {:>width$}", column.values[row], width = column.width));
        }
        text.push('\n');
    }
    text
}

/// A column for each attack, and how each rule does under its worst.
fn columns(page: &Page) -> Vec<Column> {
    let rows = || 0..page.rows.len();
    let mut columns: Vec<Column> = Vec::new();
    for (index, name) in page.columns.iter().enumerate() {
        columns.push(Column::new(name, rows().map(|row| number(page.cells[row][index].mean()))));
    }
    if page.columns.len() > 1 && page.unattacked.iter().any(|plain| !plain) {
        let worst = |row| number(page.worst(row).map(|(_, mean)| mean));
        columns.push(Column::new("worst", rows().map(worst)));
        let spread = |row| {
            let range = page.worst(row).and_then(|(column, _)| page.cells[row][column].range());
            range.map_or("-".to_owned(), |(least, greatest)| {
                format!("{}..{}", number(Some(least)), number(Some(greatest)))
            })
        };
        columns.push(Column::new("seeds", rows().map(spread)));
    }
    columns
}

/// A column with its heading broken into lines.
struct Column {
    head: Vec<String>,
    values: Vec<String>,
    width: usize,
}

impl Column {
    fn new(name: &str, values: impl Iterator<Item = String>) -> Self {
        let (head, values) = (broken(name), values.collect::<Vec<String>>());
        let widths = head.iter().chain(&values).map(|text| text.chars().count());
        Column { width: widths.max().unwrap_or(0), head, values }
    }
}

/// Breaks a name behind underscores and before parentheses and plus signs, into lines of up to 8
/// characters where it can be broken.
fn broken(name: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces(name) {
        match lines.last_mut() {
            Some(line) if line.len() + piece.len() <= 8 => line.push_str(piece),
            _ => lines.push(piece.to_owned()),
        }
    }
    lines
}

/// The parts of a name between which a heading may break.
fn pieces(name: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (place, letter) in name.char_indices() {
        let end = match letter {
            '(' | '+' if depth == 0 => place,
            '_' if depth == 0 => place + 1,
            _ => start,
        };
        if end > start {
            pieces.push(&name[start..end]);
            start = end;
        }
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    pieces.push(&name[start..]);
    pieces
}

fn number(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{:.1}", 100.0 * share))
}

/// A sentence in lines of at most 79 columns, marked as one.
fn wrapped(sentence: &str) -> String {
    let mut text = String::new();
    let mut line = "  *".to_owned();
    for word in sentence.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > 79 {
            text.push_str(&format!("{line}\n"));
            line = "   ".to_owned();
        }
        line.push_str(&format!(" {word}"));
    }
    text.push_str(&format!("{line}\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::super::grid::tests::result;
    use super::*;

    #[test]
    fn a_table_as_it_is_printed() {
        let text = render(
            "Which rule still learns?",
            &[
                result("iid", "mean", "none", 0.901),
                result("iid", "mean", "inner_product(epsilon=4)", 0.098),
                result("iid", "mean", "inner_product(epsilon=4)", 0.102),
                result("iid", "trimmed_mean", "none", 0.899),
                result("iid", "trimmed_mean", "inner_product(epsilon=4)", 0.871),
            ],
        );
        insta::assert_snapshot!(text, @r"
        Which rule still learns?

        data.partition = iid
                                   inner_
                                  product
                        none  (epsilon=4)  worst       seeds
          mean          90.1         10.0   10.0   9.8..10.2
          trimmed_mean  89.9         87.1   87.1  87.1..87.1
          * mean collapses to 10.0 % under inner_product(epsilon=4).
          * By its worst attack trimmed_mean is best: 87.1 % under
            inner_product(epsilon=4).
          * Within 5 points of their own accuracy without an attack, whatever the
            attack: trimmed_mean (87.1 % of 89.9 %).

        Test accuracy in percent after the last round, mean of 2 seeds. worst: under
        the attack that hurts the rule most; seeds: the least and the greatest there.
        ");
    }

    #[test]
    fn a_run_without_a_sweep_needs_no_table() {
        let single = CellResult { swept: Vec::new(), seed: 3, accuracy: 0.5, unattacked: true };
        assert_eq!(
            render("a name", &[single]),
            "a name\n\n  seed 3: 50.0 % test accuracy after the last round\n"
        );
    }

    #[test]
    fn headings_are_broken_where_words_end() {
        assert_eq!(broken("little_is_enough"), ["little_", "is_", "enough"]);
        assert_eq!(broken("none"), ["none"]);
        assert_eq!(broken("inner_product(epsilon=4)"), ["inner_", "product", "(epsilon=4)"]);
        let both = ["product", "(a_b=4)", "+crash", "(from=10)"];
        assert_eq!(broken("product(a_b=4)+crash(from=10)"), both);
    }

    #[test]
    fn columns_that_do_not_fit_stand_below() {
        let attacks = (0..12).map(|attack| format!("attack_{attack}"));
        let results: Vec<CellResult> =
            attacks.map(|attack| result("iid", "mean", &attack, 0.5)).collect();
        let text = render("many", &results);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("  mean")).collect();
        assert_eq!(rows.len(), 2, "{text}");
        assert_eq!(rows.join(" ").matches("50.0").count(), 15, "{text}");
    }
}
