//! What a list of scans will take, from some of them that were measured.

/// A scan that was segmented to measure a machine.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Columns, rows, slices.
    pub size: [usize; 3],
    /// Seconds of the network.
    pub network_seconds: f64,
}

/// Seconds on a machine.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Seconds a slice, and two standard errors of them.
    a_slice: [f64; 2],
    a_voxel: f64,
    /// Scans that were measured.
    pub scans: usize,
}

fn voxels(size: [usize; 3]) -> f64 {
    size.iter().map(|&n| n as f64).product()
}

impl Rate {
    /// Of scans that took `wall` seconds in all, at least one, and stand for `listed` of them: the network's seconds go with the slices,
    /// what the list took beside it with the voxels.
    pub fn of(measured: &[Measured], wall: f64, listed: usize) -> Self {
        let slices: f64 = measured.iter().map(|m| m.size[2] as f64).sum();
        let network: f64 = measured.iter().map(|m| m.network_seconds).sum();
        let a_slice = network / slices;
        // Of the mean of a ratio, in a list from which some were taken.
        let n = measured.len() as f64;
        let squares: f64 = measured.iter().map(|m| (m.network_seconds - a_slice * m.size[2] as f64).powi(2)).sum();
        let left_out = 1.0 - n / listed.max(measured.len()) as f64;
        let error = (squares / (n - 1.0).max(1.0) * left_out / n).sqrt() * n / slices;
        let a_voxel = (wall - network).max(0.0) / measured.iter().map(|m| voxels(m.size)).sum::<f64>();
        Self { a_slice: [a_slice, 2.0 * error], a_voxel, scans: measured.len() }
    }

    /// Seconds of a scan of this size: columns, rows, slices.
    pub fn seconds(&self, size: [usize; 3]) -> f64 {
        self.a_slice[0] * size[2] as f64 + self.a_voxel * voxels(size)
    }

    /// By how many seconds the sum over so many slices may be off: two standard errors.
    pub fn doubt(&self, slices: usize) -> f64 {
        self.a_slice[1] * slices as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(slices: usize, network_seconds: f64) -> Measured {
        Measured { size: [100, 10, slices], network_seconds }
    }

    #[test]
    fn seconds_go_with_slices_and_what_is_beside_the_network_with_voxels() {
        let rate = Rate::of(&[scan(100, 1.0), scan(300, 3.0)], 4.8, 50);
        // 200 slices at 0.01 s, and 2e6 voxels at 0.8 s for 4e5.
        assert!((rate.seconds([100, 100, 200]) - (2.0 + 4.0)).abs() < 1e-9, "{rate:?}");
        assert_eq!(rate.doubt(1000), 0.0, "scans that keep the rate leave no doubt");
    }

    #[test]
    fn scans_that_differ_are_said_to_and_a_list_measured_whole_is_certain() {
        let measured = [scan(100, 1.0), scan(100, 3.0)];
        // Standard deviation sqrt(2) s; of the mean of two out of very many 1 s, which is 0.01 s a slice.
        let rate = Rate::of(&measured, 4.0, 1_000_000);
        assert!((rate.seconds([1, 1, 100]) - 2.0).abs() < 1e-9, "{rate:?}");
        assert!((rate.doubt(100) - 2.0).abs() < 1e-5, "{rate:?}");
        assert_eq!(Rate::of(&measured, 4.0, 2).doubt(100), 0.0);
    }
}
