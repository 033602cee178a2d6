//! The graph of transactions and its strongly connected components.

use std::fmt;

/// Why one transaction comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Edge {
    /// The other wrote the next version of a key.
    WriteWrite,
    /// The other read what this one wrote.
    WriteRead,
    /// The other overwrote what this one read by its key.
    ReadWrite,
    /// The other overwrote what this one read by a condition.
    PredicateReadWrite,
    /// The other came later in the same session.
    Session,
}

impl Edge {
    /// Whether a read was overwritten.
    pub(crate) fn is_read_write(self) -> bool {
        matches!(self, Self::ReadWrite | Self::PredicateReadWrite)
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WriteWrite => "ww",
            Self::WriteRead => "wr",
            Self::ReadWrite => "rw",
            Self::PredicateReadWrite => "prw",
            Self::Session => "session",
        })
    }
}

/// Edges by where they begin.
pub(crate) struct Graph {
    edges: Vec<Vec<(usize, Edge)>>,
}

impl Graph {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { edges: vec![Vec::new(); nodes] }
    }

    /// Adds an edge; a transaction does not come before itself.
    pub(crate) fn add(&mut self, from: usize, to: usize, edge: Edge) {
        if from != to {
            self.edges[from].push((to, edge));
        }
    }

    /// Adds an edge that may lead back to where it begins.
    pub(crate) fn add_any(&mut self, from: usize, to: usize, edge: Edge) {
        self.edges[from].push((to, edge));
    }

    pub(crate) fn len(&self) -> usize {
        self.edges.len()
    }

    pub(crate) fn from(&self, node: usize) -> &[(usize, Edge)] {
        &self.edges[node]
    }

    /// Components of more than one transaction, by the edges that `wanted` lets through. Tarjan's algorithm without
    /// recursion.
    pub(crate) fn components(&self, wanted: impl Fn(Edge) -> bool) -> Vec<Vec<usize>> {
        let mut search = Tarjan {
            index: vec![UNSEEN; self.len()],
            low: vec![0; self.len()],
            on_stack: vec![false; self.len()],
            stack: Vec::new(),
            next: 0,
            found: Vec::new(),
        };
        for start in 0..self.len() {
            if search.index[start] == UNSEEN {
                search.from(self, start, &wanted);
            }
        }
        search.found
    }
}

const UNSEEN: usize = usize::MAX;

struct Tarjan {
    index: Vec<usize>,
    low: Vec<usize>,
    on_stack: Vec<bool>,
    stack: Vec<usize>,
    next: usize,
    found: Vec<Vec<usize>>,
}

impl Tarjan {
    fn from(&mut self, graph: &Graph, start: usize, wanted: &impl Fn(Edge) -> bool) {
        let mut path = vec![(start, 0_usize)];
        self.enter(start);
        while let Some((node, at)) = path.last_mut() {
            let node = *node;
            let Some((to, edge)) = graph.from(node).get(*at).copied() else {
                path.pop();
                if let Some((parent, _)) = path.last() {
                    self.low[*parent] = self.low[*parent].min(self.low[node]);
                }
                self.leave(node);
                continue;
            };
            *at += 1;
            if !wanted(edge) {
                continue;
            }
            if self.index[to] == UNSEEN {
                self.enter(to);
                path.push((to, 0));
            } else if self.on_stack[to] {
                self.low[node] = self.low[node].min(self.index[to]);
            }
        }
    }

    fn enter(&mut self, node: usize) {
        self.index[node] = self.next;
        self.low[node] = self.next;
        self.next += 1;
        self.stack.push(node);
        self.on_stack[node] = true;
    }

    fn leave(&mut self, node: usize) {
        if self.low[node] != self.index[node] {
            return;
        }
        let mut component = Vec::new();
        while let Some(member) = self.stack.pop() {
            self.on_stack[member] = false;
            component.push(member);
            if member == node {
                break;
            }
        }
        if component.len() > 1 {
            self.found.push(component);
        }
    }
}
