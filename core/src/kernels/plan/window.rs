//! Which part of every map has to be computed when all but a box of the field is air.
//!
//! A map differs from what air gives only where a pixel of the box reaches ([`Windows`] follows the kernels forwards), and is asked
//! for only where a pixel of the answer depends on it (followed backwards: the last maps within the box, the region branch's
//! everywhere). What is both is computed; all else that anybody reads is air's. So the answer is that of the whole field, for any
//! weights, and the deeper a level, the more of it is computed: its pixels see further.

use super::blocked::{Part, Shape};
use super::layout::{Flow, Place, Reach};

/// Rows and columns from `first` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First row and column.
    pub first: [usize; 2],
    /// The ones after the last.
    pub end: [usize; 2],
}

impl Span {
    /// All of a map.
    pub fn all(size: [usize; 2]) -> Self {
        Self { first: [0; 2], end: size }
    }

    /// Rows and columns.
    pub fn size(&self) -> [usize; 2] {
        [0, 1].map(|a| self.end[a] - self.first[a])
    }

    fn map(&self, first: impl Fn(usize) -> usize, end: impl Fn(usize) -> usize) -> Self {
        Self { first: self.first.map(first), end: self.end.map(end) }
    }

    fn grown(&self, by: usize) -> Self {
        self.map(|n| n.saturating_sub(by), |n| n + by)
    }

    fn hull(&self, other: &Self) -> Self {
        Self {
            first: [0, 1].map(|a| self.first[a].min(other.first[a])),
            end: [0, 1].map(|a| self.end[a].max(other.end[a])),
        }
    }

    /// What both hold; a pixel of `self` where there is nothing.
    fn shared(&self, other: &Self) -> Self {
        let first = [0, 1].map(|a| self.first[a].max(other.first[a]).min(self.end[a] - 1));
        Self { first, end: [0, 1].map(|a| self.end[a].min(other.end[a]).max(first[a] + 1)) }
    }
}

impl Reach {
    /// Where an output depends on an input that differs from air within `input`.
    fn reached(self, input: &Span) -> Span {
        match (self.transposed, self.kernel, self.stride) {
            (true, _, _) => input.map(|n| 2 * n, |n| 2 * n),
            (_, 1, 1) => *input,
            (_, _, 1) => input.grown(1),
            (_, 1, _) => input.map(|n| n.div_ceil(2), |n| n.div_ceil(2)),
            _ => input.map(|n| n / 2, |n| n / 2 + 1),
        }
    }

    /// The pixels of an input that stand under those of an output, without what a kernel takes from around them.
    fn under(self, output: &Span) -> Span {
        match (self.transposed, self.stride) {
            (true, _) => output.map(|n| n / 2, |n| n / 2),
            (_, 1) => *output,
            _ => output.map(|n| 2 * n, |n| 2 * n),
        }
    }

    /// What a kernel takes from around them, pixels.
    fn around(self) -> usize {
        if self.transposed { 0 } else { self.kernel / 2 }
    }
}

/// Where the maps of a slice lie and what is computed of them.
#[derive(Clone, Debug)]
pub struct Windows {
    maps: Vec<Place>,
    /// Of each map what is computed.
    computed: Vec<Span>,
    /// Of each map what there is memory for (and a border around it).
    stored: Vec<Span>,
}

impl Windows {
    /// For a field of which all but `within` is air. `ends` are the input and the last maps.
    pub fn new<'a>(
        flows: impl DoubleEndedIterator<Item = &'a Flow> + Clone,
        maps: &[Place],
        ends: [usize; 2],
        field: [usize; 2],
        within: Span,
    ) -> Self {
        let all = |map: usize| Span::all(maps[map].shape(field).size);
        let hull = |a: Option<Span>, b: Span| Some(a.map_or(b, |a| a.hull(&b)));
        // Forwards: what differs from air.
        let mut seen: Vec<Option<Span>> = vec![None; maps.len()];
        seen[ends[0]] = Some(within);
        for Flow { inputs, reaches, residual, output, .. } in flows.clone() {
            let added = residual.and_then(|map| seen[map]);
            let reached = reaches.iter().filter_map(|(input, reach)| Some(reach.reached(&seen[inputs[*input]]?)));
            if let Some(span) = reached.chain(added).reduce(|a, b| a.hull(&b)) {
                seen[*output] = Some(span.shared(&all(*output)));
            }
        }
        // Backwards: what is asked for.
        let (mut needed, mut stored) = (vec![None; maps.len()], vec![None; maps.len()]);
        let mut computed: Vec<Span> = (0..maps.len()).map(all).collect();
        (needed[ends[1]], computed[ends[0]], stored[ends[0]]) = (Some(within), within, Some(within));
        for Flow { inputs, reaches, residual, output, .. } in flows.rev() {
            let Some(seen) = seen[*output] else { continue };
            if reaches.is_empty() {
                // A mean over all of them.
                needed[*output] = hull(needed[*output], seen);
                continue;
            }
            let Some(asked) = needed[*output] else { continue };
            let mut span: Span = seen.shared(&asked);
            if reaches.iter().any(|(_, reach)| reach.transposed) {
                span = span.map(|n| n / 2 * 2, |n| n.next_multiple_of(2));
            }
            computed[*output] = span;
            stored[*output] = hull(stored[*output], span);
            for (input, reach) in reaches {
                let (input, under) = (inputs[*input], reach.under(&span));
                stored[input] = hull(stored[input], under);
                needed[input] = hull(needed[input], under.grown(reach.around()).shared(&all(input)));
            }
            if let Some(residual) = *residual {
                stored[residual] = hull(stored[residual], span);
                needed[residual] = hull(needed[residual], span);
            }
        }
        let stored = stored.into_iter().zip(&computed).map(|(stored, computed)| stored.unwrap_or(*computed)).collect();
        Self { maps: maps.to_vec(), computed, stored }
    }

    /// For no maps at all.
    pub fn nowhere() -> Self {
        Self { maps: Vec::new(), computed: Vec::new(), stored: Vec::new() }
    }

    /// What is computed of a map.
    pub fn computed(&self, map: usize) -> Span {
        self.computed[map]
    }

    /// The shape of the memory of a map.
    pub fn memory(&self, map: usize) -> Shape {
        Shape { channels: self.maps[map].channels, size: self.stored[map].size() }
    }

    /// The row and column of the whole map at which its memory begins.
    pub fn first(&self, map: usize) -> [usize; 2] {
        self.stored[map].first
    }

    /// A part of a map in its memory.
    fn part(&self, map: usize, span: Span) -> Part {
        let first = [0, 1].map(|a| span.first[a] - self.stored[map].first[a]);
        Part::of(self.memory(map), first, span.size())
    }

    /// What is computed of a map, in its memory.
    pub fn output(&self, map: usize) -> Part {
        self.part(map, self.computed[map])
    }

    /// What of the input stands under what is computed of a step's output.
    pub fn input(&self, flow: &Flow, input: usize) -> Part {
        let under = flow.reaches.iter().filter(|(of, _)| *of == input).map(|(_, reach)| reach);
        let span = under.map(|reach| reach.under(&self.computed[flow.output])).reduce(|a, b| a.hull(&b));
        let map = flow.inputs[input];
        self.part(map, span.unwrap_or(self.computed[map]))
    }

    /// What of the residual stands under what is computed of a step's output.
    pub fn residual(&self, flow: &Flow) -> Option<Part> {
        flow.residual.map(|map| self.part(map, self.computed[flow.output]))
    }
}
