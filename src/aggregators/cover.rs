//! Vertex cover: whether so many rows can be left out that no two of the rest exclude each other.
//!
//! A search tree of at most `1.4656^budget` leaves: a row with three or more conflicts is left out,
//! or all that it conflicts with are; rows with one or two conflicts need no search.

/// Whether leaving out `budget` more rows ends all conflicts.
///
/// `graph` names for each row those that it cannot stay with, and `gone` those that are left out
/// already; it is used as scratch space.
pub(super) fn coverable(graph: &[Vec<usize>], gone: &mut [bool], mut budget: usize) -> bool {
    let widest = loop {
        let degrees = degrees(graph, gone);
        let total: usize = degrees.iter().sum();
        if total == 0 {
            return true;
        }
        let widest = (0..graph.len()).rev().max_by_key(|&row| degrees[row]).unwrap_or_default();
        if ended_by(&degrees, budget) < total / 2 || matching(graph, gone) > budget {
            return false;
        }
        // Where a row has one conflict, leaving out the other is never worse.
        if let Some(row) = degrees.iter().position(|&degree| degree == 1) {
            let other = graph[row].iter().find(|&&other| !gone[other]).copied();
            gone[other.unwrap_or(row)] = true;
        } else if degrees[widest] > budget {
            // More conflicts than can be ended one by one.
            gone[widest] = true;
        } else if degrees[widest] <= 2 {
            return rings(graph, gone, &degrees) <= budget;
        } else {
            break widest;
        }
        budget -= 1;
    };
    let mut others = gone.to_vec();
    let mut count = 0;
    for &other in graph[widest].iter().filter(|&&other| !gone[other]) {
        others[other] = true;
        count += 1;
    }
    if coverable(graph, &mut others, budget - count) {
        return true;
    }
    gone[widest] = true;
    coverable(graph, gone, budget - 1)
}

/// How many conflicts each row has with rows that are still there.
fn degrees(graph: &[Vec<usize>], gone: &[bool]) -> Vec<usize> {
    let degree = |(row, others): (usize, &Vec<usize>)| {
        if gone[row] { 0 } else { others.iter().filter(|&&other| !gone[other]).count() }
    };
    graph.iter().enumerate().map(degree).collect()
}

/// How many conflicts `budget` rows can end at most: as many as the widest of them have.
fn ended_by(degrees: &[usize], budget: usize) -> usize {
    let mut descending = degrees.to_vec();
    descending.sort_unstable_by(|a, b| b.cmp(a));
    descending.iter().take(budget).sum()
}

/// How many conflicts without a common row are found at first sight: each needs a row of its own.
fn matching(graph: &[Vec<usize>], gone: &[bool]) -> usize {
    let mut taken = gone.to_vec();
    let mut found = 0;
    for row in 0..graph.len() {
        if taken[row] {
            continue;
        }
        if let Some(&other) = graph[row].iter().find(|&&other| !taken[other]) {
            taken[row] = true;
            taken[other] = true;
            found += 1;
        }
    }
    found
}

/// How many rows must go where each has two conflicts or none: half of each ring, rounded up.
fn rings(graph: &[Vec<usize>], gone: &[bool], degrees: &[usize]) -> usize {
    let mut seen: Vec<bool> = degrees.iter().map(|&degree| degree == 0).collect();
    let mut needed = 0;
    for start in 0..graph.len() {
        let (mut length, mut at) = (0usize, Some(start).filter(|&row| !seen[row]));
        while let Some(row) = at {
            seen[row] = true;
            length += 1;
            at = graph[row].iter().find(|&&other| !gone[other] && !seen[other]).copied();
        }
        needed += length.div_ceil(2);
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(rows: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
        let mut graph = vec![Vec::new(); rows];
        for &(a, b) in edges {
            graph[a].push(b);
            graph[b].push(a);
        }
        graph
    }

    fn least(graph: &[Vec<usize>]) -> usize {
        let coverable = |&budget: &usize| coverable(graph, &mut vec![false; graph.len()], budget);
        (0..=graph.len()).find(coverable).unwrap()
    }

    #[test]
    fn known_graphs() {
        assert_eq!(least(&graph(3, &[])), 0);
        let ring = |n: usize| (0..n).map(|i| (i, (i + 1) % n)).collect::<Vec<_>>();
        assert_eq!(least(&graph(5, &ring(5))), 3);
        assert_eq!(least(&graph(6, &ring(6))), 3);
        let path: Vec<_> = (0..5).map(|i| (i, i + 1)).collect();
        assert_eq!(least(&graph(6, &path)), 3);
        let star: Vec<_> = (1..9).map(|i| (0, i)).collect();
        assert_eq!(least(&graph(9, &star)), 1);
        let complete: Vec<_> = (0..6).flat_map(|i| (i + 1..6).map(move |j| (i, j))).collect();
        assert_eq!(least(&graph(6, &complete)), 5);
        // The Petersen graph: its largest set without an edge has four of ten.
        let outer = (0..5).map(|i| (i, (i + 1) % 5));
        let spokes = (0..5).map(|i| (i, i + 5));
        let inner = (0..5).map(|i| (5 + i, 5 + (i + 2) % 5));
        let petersen: Vec<_> = outer.chain(spokes).chain(inner).collect();
        assert_eq!(least(&graph(10, &petersen)), 6);
    }
}
