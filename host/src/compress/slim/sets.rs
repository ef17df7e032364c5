//! Disjoint sets of small integers (union-find with path halving).

/// A partition of `0..len` that only ever gets coarser.
#[derive(Default)]
pub(super) struct Sets {
    parent: Vec<usize>,
}

impl Sets {
    /// Adds `count` elements, each its own set, and returns them.
    pub(super) fn grow(&mut self, count: usize) -> Vec<usize> {
        let first = self.parent.len();
        self.parent.extend(first..first + count);
        (first..first + count).collect()
    }

    /// How many elements there are.
    pub(super) fn len(&self) -> usize {
        self.parent.len()
    }

    /// The element that stands for the set of `x`: its smallest.
    pub(super) fn root(&mut self, mut x: usize) -> usize {
        while self.parent[x] != x {
            self.parent[x] = self.parent[self.parent[x]];
            x = self.parent[x];
        }
        x
    }

    /// Joins the sets of `a` and `b`.
    pub(super) fn unite(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        // the smaller stands for both, so that classes are numbered in the graph's order
        self.parent[a.max(b)] = a.min(b);
    }
}
