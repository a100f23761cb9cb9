//! Where things stand in the section along the body: what its pictures, its ribbon and its map share.

/// Width of the band of most likely regions, px.
pub const BAND: f64 = 100.0;
/// Width of the probabilities beside it, px.
pub const RIBBON: f64 = 60.0;

/// Heights on the page of positions along the body.
pub struct Heights {
    /// Upper edge of the columns: the room for their names and the legend above them.
    pub head: f64,
    /// Slices of the scan.
    pub slices: usize,
    /// Pixels per slice.
    pub step: f64,
}

impl Heights {
    /// Upper edge of slice `k`; `top(k - 1)` is its lower edge.
    pub fn top(&self, k: f64) -> f64 {
        self.head + (self.slices as f64 - 1.0 - k) * self.step
    }
    /// The middle of slice `k`.
    pub fn middle(&self, k: f64) -> f64 {
        self.top(k) + self.step / 2.0
    }
    /// All slices together.
    pub fn all(&self) -> f64 {
        self.slices as f64 * self.step
    }
}
