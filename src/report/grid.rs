//! The grid: results of a sweep laid out as rows against columns, a page for all other axes.

use super::CellResult;

/// Accuracies of one row and column over the seeds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seeds(Vec<f64>);

impl Seeds {
    /// The mean over the seeds; none where no run is done.
    pub fn mean(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.iter().sum::<f64>() / self.0.len() as f64)
    }

    /// The least and the greatest.
    pub fn range(&self) -> Option<(f64, f64)> {
        let least = self.0.iter().copied().reduce(f64::min)?;
        Some((least, self.0.iter().copied().reduce(f64::max)?))
    }

    /// How many seeds are done.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// One table of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The values of all other axes: `data.partition = iid`.
    pub title: String,
    /// The rows' names.
    pub rows: Vec<String>,
    /// The columns' names.
    pub columns: Vec<String>,
    /// Whether a column has no attack.
    pub unattacked: Vec<bool>,
    /// Results by row and column.
    pub cells: Vec<Vec<Seeds>>,
}

impl Page {
    fn new(title: String) -> Self {
        let (rows, columns, unattacked, cells) = Default::default();
        Page { title, rows, columns, unattacked, cells }
    }

    /// The column without an attack, if there is exactly one.
    pub fn plain_column(&self) -> Option<usize> {
        let mut plain = (0..self.columns.len()).filter(|&column| self.unattacked[column]);
        plain.next().filter(|_| plain.next().is_none())
    }

    /// The attacked column in which a row does worst, and how it does there.
    pub fn worst(&self, row: usize) -> Option<(usize, f64)> {
        (0..self.columns.len())
            .filter(|&column| !self.unattacked[column])
            .filter_map(|column| Some((column, self.cells[row][column].mean()?)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }

    fn add(&mut self, row: String, column: String, result: &CellResult) {
        let row = position(&mut self.rows, row);
        let column = position(&mut self.columns, column);
        if self.unattacked.len() <= column {
            self.unattacked.push(result.unattacked);
        }
        self.cells.resize(self.rows.len(), Vec::new());
        for cells in &mut self.cells {
            cells.resize(self.columns.len(), Seeds::default());
        }
        self.cells[row][column].0.push(result.accuracy);
    }
}

/// Lays results out: rules down, attacks across, a page for every combination of the rest.
pub fn pages(results: &[CellResult]) -> Vec<Page> {
    let Some(first) = results.first() else { return Vec::new() };
    let axes = Axes::of(first);
    let mut pages: Vec<Page> = Vec::new();
    for result in results {
        let title = axes.title(result);
        let index = pages.iter().position(|page| page.title == title).unwrap_or_else(|| {
            pages.push(Page::new(title));
            pages.len() - 1
        });
        pages[index].add(value(result, axes.row), axes.column(result), result);
    }
    pages
}

/// Which axes of a sweep are rows and columns. What the attacker does and what becomes of the parts
/// of the system are one column together.
struct Axes {
    row: Option<usize>,
    columns: Vec<usize>,
}

impl Axes {
    fn of(result: &CellResult) -> Self {
        let count = result.swept.len();
        let starting =
            |start: &str| result.swept.iter().position(|(key, _)| key.starts_with(start));
        let threat = starting("threat.attack").or_else(|| starting("threat"));
        let downfall = starting("threat.downfall").filter(|axis| Some(*axis) != threat);
        let of_threat = |axis: usize| Some(axis) == threat || Some(axis) == downfall;
        let row = starting("aggregation.rule")
            .or_else(|| starting("system"))
            .or_else(|| starting("aggregation"))
            .or_else(|| (0..count).find(|&axis| !of_threat(axis)));
        let first = threat.or_else(|| (0..count).find(|&axis| Some(axis) != row));
        let columns = first.into_iter().chain(downfall).collect();
        Axes { row, columns }
    }

    /// The column's name: what is done in it, or `none`.
    fn column(&self, result: &CellResult) -> String {
        let values = self.columns.iter().map(|&axis| value(result, Some(axis)));
        let done: Vec<String> = values.filter(|value| value != "none").collect();
        match (self.columns.as_slice(), done.as_slice()) {
            ([], _) => value(result, None),
            (_, []) => "none".to_owned(),
            (_, done) => done.join("+"),
        }
    }

    /// What the other axes are.
    fn title(&self, result: &CellResult) -> String {
        let others = result
            .swept
            .iter()
            .enumerate()
            .filter(|(axis, _)| Some(*axis) != self.row && !self.columns.contains(axis));
        let named: Vec<String> =
            others.map(|(_, (key, value))| format!("{key} = {value}")).collect();
        named.join(", ")
    }
}

fn value(result: &CellResult, axis: Option<usize>) -> String {
    axis.map_or_else(|| "accuracy".to_owned(), |axis| result.swept[axis].1.clone())
}

/// Where a name stands in a list, at the end if it is new.
fn position(names: &mut Vec<String>, name: String) -> usize {
    names.iter().position(|known| *known == name).unwrap_or_else(|| {
        names.push(name);
        names.len() - 1
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A result in a sweep of partition, rule and attack.
    pub(crate) fn result(partition: &str, rule: &str, attack: &str, accuracy: f64) -> CellResult {
        let swept =
            [("data.partition", partition), ("aggregation.rule", rule), ("threat.attack", attack)];
        CellResult {
            swept: swept.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
            seed: 1,
            accuracy,
            unattacked: attack == "none",
        }
    }

    #[test]
    fn rules_go_down_attacks_across_and_the_rest_on_pages() {
        let pages = pages(&[
            result("iid", "mean", "none", 0.9),
            result("iid", "mean", "gaussian", 0.25),
            result("iid", "mean", "gaussian", 0.75),
            result("iid", "krum", "none", 0.8),
            result("shards", "mean", "none", 0.7),
        ]);
        assert_eq!(pages.len(), 2);
        assert_eq!(pages[0].title, "data.partition = iid");
        assert_eq!(pages[0].rows, ["mean", "krum"]);
        assert_eq!(pages[0].columns, ["none", "gaussian"]);
        assert_eq!(pages[0].cells[0][1].range(), Some((0.25, 0.75)));
        assert_eq!(pages[0].worst(0), Some((1, 0.5)));
        assert_eq!(pages[0].worst(1), None);
        assert_eq!(pages[0].plain_column(), Some(0));
        assert_eq!(pages[1].rows, ["mean"]);
    }

    #[test]
    fn a_run_without_a_sweep_is_a_table_of_one_cell() {
        let single = CellResult { swept: Vec::new(), seed: 1, accuracy: 0.5, unattacked: true };
        let pages = pages(&[single]);
        assert_eq!(pages[0].cells, [[Seeds(vec![0.5])]]);
    }
}
