//! Findings: what a page of results shows, in sentences with the numbers in them.

use super::grid::Page;

/// Below this accuracy a rule has collapsed.
const COLLAPSE: f64 = 0.30;

/// A difference in accuracy that counts as little: 5 points.
const LITTLE: f64 = 0.05;

/// What can be said of a page.
pub fn findings(page: &Page) -> Vec<String> {
    let mut said = collapses(page);
    said.extend(leader(page));
    said.extend(steady(page));
    said.extend(losers_without_attack(page));
    said
}

/// Rules that some attack brings down.
fn collapses(page: &Page) -> Vec<String> {
    let mut said = Vec::new();
    for (row, rule) in page.rows.iter().enumerate() {
        let Some((column, worst)) = page.worst(row) else { continue };
        if worst < COLLAPSE {
            let attack = &page.columns[column];
            said.push(format!("{rule} collapses to {} under {attack}.", percent(worst)));
        }
    }
    said
}

/// The rule whose worst attack hurts least.
fn leader(page: &Page) -> Option<String> {
    if page.rows.len() < 2 {
        return None;
    }
    let ranked = (0..page.rows.len()).filter_map(|row| Some((row, page.worst(row)?)));
    let (row, (column, worst)) = ranked.max_by(|a, b| a.1.1.total_cmp(&b.1.1))?;
    let (rule, attack) = (&page.rows[row], &page.columns[column]);
    Some(format!("By its worst attack {rule} is best: {} under {attack}.", percent(worst)))
}

/// Rules that no attack costs much.
fn steady(page: &Page) -> Option<String> {
    let plain = page.plain_column()?;
    let mut measured = false;
    let mut rules = Vec::new();
    for (row, rule) in page.rows.iter().enumerate() {
        let (Some(without), Some((_, worst))) = (page.cells[row][plain].mean(), page.worst(row))
        else {
            continue;
        };
        measured = true;
        if (without - worst).abs() <= LITTLE && without >= COLLAPSE {
            rules.push(format!("{rule} ({} of {})", percent(worst), percent(without)));
        }
    }
    if rules.is_empty() {
        let none = "No rule stays within 5 points of its own accuracy without an attack.";
        return measured.then(|| none.to_owned());
    }
    Some(format!(
        "Within 5 points of their own accuracy without an attack, whatever the attack: {}.",
        rules.join(", ")
    ))
}

/// Rules that cost accuracy although nobody attacks.
fn losers_without_attack(page: &Page) -> Vec<String> {
    let Some(plain) = page.plain_column() else { return Vec::new() };
    let without = |row: usize| page.cells[row][plain].mean();
    let ranked = (0..page.rows.len()).filter_map(|row| Some((row, without(row)?)));
    let Some((best_row, best)) = ranked.max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return Vec::new();
    };
    let mut said = Vec::new();
    for (row, rule) in page.rows.iter().enumerate() {
        if let Some(accuracy) = without(row).filter(|accuracy| best - accuracy > LITTLE) {
            said.push(format!(
                "{rule} loses {:.1} points with no attacker at all ({} against {} for {}).",
                100.0 * (best - accuracy),
                percent(accuracy),
                percent(best),
                page.rows[best_row]
            ));
        }
    }
    said
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::super::grid::pages;
    use super::super::grid::tests::result;
    use super::*;

    #[test]
    fn what_is_said_has_its_numbers() {
        let pages = pages(&[
            result("iid", "mean", "none", 0.90),
            result("iid", "mean", "inner_product", 0.10),
            result("iid", "median", "none", 0.88),
            result("iid", "median", "inner_product", 0.86),
            result("iid", "krum", "none", 0.70),
            result("iid", "krum", "inner_product", 0.60),
        ]);
        assert_eq!(
            findings(&pages[0]),
            [
                "mean collapses to 10.0 % under inner_product.",
                "By its worst attack median is best: 86.0 % under inner_product.",
                "Within 5 points of their own accuracy without an attack, whatever the attack: \
                 median (86.0 % of 88.0 %).",
                "krum loses 20.0 points with no attacker at all (70.0 % against 90.0 % for mean).",
            ]
        );
    }

    #[test]
    fn nothing_is_said_of_what_was_not_measured() {
        let pages = pages(&[result("iid", "mean", "none", 0.9)]);
        assert!(findings(&pages[0]).is_empty());
    }
}
