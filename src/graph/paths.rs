//! Shortest paths, counted in edges.

use super::{Graph, NodeId};

impl Graph {
    /// How many edges each node is away from `start`; none where no path leads.
    pub fn distances(&self, start: NodeId) -> Vec<Option<u32>> {
        let mut distances = vec![None; self.len()];
        distances[start.index()] = Some(0);
        let (mut shell, mut away) = (vec![start], 0);
        while !shell.is_empty() {
            away += 1;
            let mut next = Vec::new();
            for node in shell {
                for &neighbour in self.neighbours(node) {
                    let distance = &mut distances[neighbour.index()];
                    if distance.is_none() {
                        *distance = Some(away);
                        next.push(neighbour);
                    }
                }
            }
            shell = next;
        }
        distances
    }

    /// The longest of all shortest paths; none where some nodes cannot reach each other, and
    /// where there are no nodes.
    pub fn diameter(&self) -> Option<u32> {
        let mut diameter = None;
        for start in self.nodes() {
            for distance in self.distances(start) {
                diameter = diameter.max(Some(distance?));
            }
        }
        diameter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_and_diameters_by_hand() {
        // 0 - 1 - 2 - 3 and 1 - 4.
        let graph = Graph::from_edges(5, [(0, 1), (1, 2), (2, 3), (1, 4)]).unwrap();
        assert_eq!(graph.distances(NodeId(4)), [2, 1, 2, 3, 0].map(Some));
        assert_eq!(graph.diameter(), Some(3));
        let apart = Graph::from_edges(3, [(0, 1)]).unwrap();
        assert_eq!(apart.distances(NodeId(0)), [Some(0), Some(1), None]);
        assert_eq!(apart.diameter(), None);
        assert_eq!(Graph::from_edges(1, []).unwrap().diameter(), Some(0));
        assert_eq!(Graph::from_edges(0, []).unwrap().diameter(), None);
    }
}
